"""Benchmarks of the service and its limits.

``speed`` compares it with a bare endpoint and with the same service without batches; ``scale`` varies the
number of contacts, the size of identities and the number of processes; ``memory`` measures memory over
millions of requests; ``bulk`` measures imports of files; ``queries`` measures queries of a large identity,
and ``rulings`` rulings on one and its erasure; ``blocks`` blocks a value that very many share; ``capacity``
measures what one request and one contact cost; ``spark`` measures builds on Spark; ``webhooks``
measures deliveries; ``compare`` compares two versions of the service in paired runs; ``chart`` draws the
results.

The benchmarks start everything they need except ``wrk``, which your distribution has
(``apt-get install wrk``). The results are written to ``benchmarks/results``.
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

from benchmarks.blocks import blocks
from benchmarks.bulk import bulk
from benchmarks.capacity import capacity
from benchmarks.compare import compare
from benchmarks.memory import memory
from benchmarks.queries import queries
from benchmarks.rulings import rulings
from benchmarks.scale import scale
from benchmarks.spark import spark
from benchmarks.speed import format_table, speed
from benchmarks.webhooks import webhooks
from identity_adapters.embedded import embedded_database

RESULTS = Path(__file__).with_name("results")


def describe_machine() -> str:
    return (
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()}, litestar {version('litestar')},"
        f" uvicorn {version('uvicorn')}, SQLAlchemy {version('sqlalchemy')}, psycopg {version('psycopg')}"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="speed",
        choices=[
            "speed",
            "scale",
            "memory",
            "bulk",
            "queries",
            "rulings",
            "blocks",
            "capacity",
            "spark",
            "webhooks",
            "compare",
            "chart",
        ],
        help="[speed]",
    )
    parser.add_argument("--rounds", type=int, default=3, help="for speed and compare [3]")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement [4]")
    parser.add_argument("--contacts", type=int, default=10_000_000, help="the maximum for scale [10,000,000]")
    parser.add_argument("--requests", type=int, default=5_000_000, help="for memory [5,000,000]")
    parser.add_argument("--rows", type=int, default=10_000_000, help="for bulk and spark [10,000,000]")
    parser.add_argument(
        "--sharing", type=int, default=1_000_000, help="contacts that share a value, for blocks [1,000,000]"
    )
    parser.add_argument(
        "--before", type=Path, help="for compare: a checkout of the other version with a .venv"
    )
    parser.add_argument("--in-force", type=int, default=0, help="for compare: rulings in this version [0]")
    parser.add_argument("--blocked", type=int, default=0, help="for compare: values that rules block [0]")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the results")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    if options.what == "chart":
        try:
            from benchmarks.chart import draw
        except ModuleNotFoundError as error:
            sys.exit(f"{error.name} is not installed; the chart needs it: pip install matplotlib")
        draw(options.results)
        return
    if options.what == "compare" and (options.before is None or options.rounds < 2):
        sys.exit("compare needs --before CHECKOUT and at least two --rounds")
    if options.what != "spark" and shutil.which("wrk") is None:
        sys.exit("wrk is not installed; your distribution has it, for example: apt-get install wrk")
    measured: Any
    with tempfile.TemporaryDirectory() as folder, embedded_database(Path(folder)) as server:
        if options.what == "speed":
            measured = speed(server, options.rounds, options.seconds)
            print(f"{describe_machine()}\n\n{format_table(measured)}")
        elif options.what == "scale":
            measured = scale(server, options.contacts, options.seconds)
            print(f"{describe_machine()}\n")
            for name, results in measured.items():
                print(f"{name}:")
                for size, result in results.items():
                    print(f"  {size}: " + ", ".join(f"{key} {value:,.2f}" for key, value in result.items()))
        elif options.what == "compare":
            measured = compare(
                server, options.before, options.rounds, options.seconds, options.in_force, options.blocked
            )
            print(f"{describe_machine()}\n\nratios of this version to the version before:")
            for name, result in measured.items():
                print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in result.items()))
        elif options.what in ("bulk", "queries", "rulings", "blocks", "capacity", "spark", "webhooks"):
            if options.what == "bulk":
                measured = bulk(server, options.rows, options.contacts)
            elif options.what == "capacity":
                measured = capacity(server, options.seconds)
            elif options.what == "blocks":
                measured = blocks(server, options.sharing)
            elif options.what == "spark":
                measured = spark(options.rows)
            elif options.what == "webhooks":
                measured = webhooks(server)
            else:
                measured = queries(server) if options.what == "queries" else rulings(server)
            print(f"{describe_machine()}\n")
            for name, result in measured.items():
                print(f"{name}: " + ", ".join(f"{key} {value:,.0f}" for key, value in result.items()))
        else:
            measured = memory(server, options.requests)
            peak = max(result["service MB"] for result in measured.values())
            print(f"{describe_machine()}\n\n{list(measured)[-1]} requests: at most {peak:.0f} MB")
    options.results.mkdir(exist_ok=True)
    figures = {"machine": describe_machine(), "measured": measured}
    (options.results / f"{options.what}.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
