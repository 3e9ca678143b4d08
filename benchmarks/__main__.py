"""Measures how fast the service is, beside what bounds it.

``speed`` measures it side by side with a bare endpoint and with the same service without batches; ``scale``
by the number of contacts, the size of identities and more processes; ``memory`` what it holds in memory
through millions of requests; ``bulk`` how fast files are imported; ``looking`` what it takes to look at a
large identity; ``compare`` two versions of the service in paired runs; ``chart`` draws what was measured.

Everything that is needed is started, but for ``wrk``, which your distribution has
(``apt-get install wrk``). The figures are written to ``benchmarks/results``.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bulk import bulk
from benchmarks.compare import compare
from benchmarks.looking import looking
from benchmarks.memory import memory
from benchmarks.scale import scale
from benchmarks.speed import side_by_side, table
from identity_adapters.embedded import embedded_database

RESULTS = Path(__file__).with_name("results")


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()}, litestar {version('litestar')},"
        f" uvicorn {version('uvicorn')}, SQLAlchemy {version('sqlalchemy')}, psycopg {version('psycopg')}"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="speed",
        choices=["speed", "scale", "memory", "bulk", "looking", "compare", "chart"],
        help="[speed]",
    )
    parser.add_argument("--rounds", type=int, default=3, help="of speed and of compare [3]")
    parser.add_argument("--seconds", type=float, default=4.0, help="that each measurement takes [4]")
    parser.add_argument("--contacts", type=int, default=10_000_000, help="up to which to scale [10,000,000]")
    parser.add_argument("--requests", type=int, default=5_000_000, help="for memory [5,000,000]")
    parser.add_argument("--rows", type=int, default=10_000_000, help="for bulk [10,000,000]")
    parser.add_argument(
        "--before", type=Path, help="for compare: a checkout of the other version with a .venv"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the figures")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.what == "chart":
        try:
            from benchmarks.chart import draw
        except ModuleNotFoundError as error:
            sys.exit(
                f"{error.name} is not installed; it is needed for the chart alone: pip install matplotlib"
            )
        draw(options.results)
        return
    if options.what == "compare" and (options.before is None or options.rounds < 2):
        sys.exit("compare needs --before CHECKOUT and two --rounds or more")
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; your distribution has it, for example: apt-get install wrk")
    measured: Any
    with tempfile.TemporaryDirectory() as folder, embedded_database(Path(folder)) as server:
        if options.what == "speed":
            measured = side_by_side(server, options.rounds, options.seconds)
            print(f"{machine()}\n\n{table(measured)}")
        elif options.what == "scale":
            measured = scale(server, options.contacts, options.seconds)
            print(f"{machine()}\n")
            for name, results in measured.items():
                print(f"{name}:")
                for size, result in results.items():
                    print(f"  {size}: " + ", ".join(f"{key} {value:,.2f}" for key, value in result.items()))
        elif options.what == "compare":
            measured = compare(server, options.before, options.rounds, options.seconds)
            print(f"{machine()}\n\nnow, of what it was before:")
            for name, result in measured.items():
                print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in result.items()))
        elif options.what in ("bulk", "looking"):
            measured = (
                bulk(server, options.rows, options.contacts) if options.what == "bulk" else looking(server)
            )
            print(f"{machine()}\n")
            for name, result in measured.items():
                print(f"{name}: " + ", ".join(f"{key} {value:,.0f}" for key, value in result.items()))
        else:
            measured = memory(server, options.requests)
            most = max(result["service MB"] for result in measured.values())
            print(f"{machine()}\n\n{list(measured)[-1]} requests: the service held {most:.0f} MB at most")
    options.results.mkdir(exist_ok=True)
    figures = {"machine": machine(), "measured": measured}
    (options.results / f"{options.what}.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
