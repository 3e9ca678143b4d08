"""Measures the service side by side with what bounds it, in one run of several alternating rounds.

``python -m benchmarks`` starts all that it needs by itself, but for ``wrk``, which your distribution has
(``apt-get install wrk``). It prints a table of medians and of ratios to the floor, and writes the figures
as JSON.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from itertools import count
from pathlib import Path

import psutil
from sqlalchemy import URL

from benchmarks.servers import connect, floor, loaded_database, packaged_program, service
from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import verify

CONTACTS = 100_000
CONNECTIONS = [1, 32, 128, 512]
WORKLOADS = ["known", "new", "mix"]
_runs = count(int.from_bytes(os.urandom(3)))


def wrk(
    port: int, workload: str, connections: int, seconds: float, contacts: int = CONTACTS
) -> dict[str, float]:
    """Throughput (requests a second) and latencies (milliseconds) under a load."""
    script = Path(__file__).with_name("workloads.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script)]
    command += [f"http://127.0.0.1:{port}/identify", "--", workload, str(contacts), str(next(_runs))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^RESULT (.*)$", said, re.MULTILINE)
    if found is None:
        raise RuntimeError(said)
    result = json.loads(found.group(1))
    if result["errors"]:
        raise RuntimeError(f"{result['errors']} errors under {workload} at {connections} connections")
    return {"rate": result["requests"] / result["seconds"]} | {
        name: result[name] for name in ("p50", "p99", "p99.9")
    }


def pgbench(url: URL, script: str, seconds: float) -> float:
    """Transactions a second of a script at 32 connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [str(packaged_program("pgbench")), "-n", "-c32", "-j1", "-M", "prepared", f"-T{seconds:g}"]
        command += ["-f", file.name, "-h", str(url.query["host"]), "-U", str(url.username), str(url.database)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.search(r"tps = ([\d.]+)", said).group(1))  # type: ignore[union-attr]


SELECT = f"""\\set n random(0, {CONTACTS - 1})
SELECT * FROM contacts WHERE lower(btrim(email) COLLATE "C") = :n || '@example.org';
"""
INSERT = """\\set n random(0, 1000000000000)
INSERT INTO contacts (email, phone_number, link_precedence)
VALUES (:n || '@example.net', '8' || :n, 'primary');
"""


def side_by_side(server: URL, rounds: int, seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    """The medians of all variants at all numbers of connections."""
    measured: dict[str, dict[str, list[dict[str, float]]]] = {}
    with ExitStack() as stack:
        bare, _ = stack.enter_context(floor())
        ours_url = loaded_database(server, "ours", CONTACTS)
        ones_url = loaded_database(server, "ones", CONTACTS)
        scale_url = loaded_database(server, "scale", CONTACTS)
        ours, process = stack.enter_context(service(ours_url))
        ones, _ = stack.enter_context(service(ones_url, IDENTITY_MAX_BATCH=1))
        variants = {"floor": (bare, "known")}
        variants |= {f"ours, {workload}": (ours, workload) for workload in WORKLOADS}
        variants |= {f"batches of one, {workload}": (ones, workload) for workload in WORKLOADS}
        for round_ in range(rounds):
            for connections in CONNECTIONS:
                for name, (port, workload) in variants.items():
                    print(f"round {round_ + 1}: {name}, {connections} connections", file=sys.stderr)
                    result = wrk(port, workload, connections, seconds)
                    measured.setdefault(name, {}).setdefault(str(connections), []).append(result)
            for name, script in (("pgbench, one select", SELECT), ("pgbench, one insert", INSERT)):
                rate = pgbench(scale_url, script, seconds)
                measured.setdefault(name, {}).setdefault("32", []).append({"rate": rate})
        resident = psutil.Process(process.pid).memory_info().rss
        measured["ours, resident MB"] = {"": [{"rate": resident / 2**20}]}
        if verify(ours_url):
            raise RuntimeError("the database that was measured violates an invariant")
    return {
        name: {
            connections: {key: statistics.median(one[key] for one in results) for key in results[0]}
            for connections, results in by_connections.items()
        }
        for name, by_connections in measured.items()
    }


def scale(server: URL, most: int, seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    """Known customers at 32 connections: by the number of contacts, and by the size of identities."""
    measured: dict[str, dict[str, dict[str, float]]] = {"contacts": {}, "contacts of one identity": {}}
    for power in range(4, 9):
        contacts = 10**power
        if contacts > most:
            break
        print(f"{contacts:,} contacts", file=sys.stderr)
        url = loaded_database(server, "scale", contacts)
        with service(url) as (port, _):
            wrk(port, "known", 32, 2, contacts)
            measured["contacts"][str(contacts)] = wrk(port, "known", 32, seconds, contacts)
    for size in (1, 10, 100, 1_000, 10_000):
        url = loaded_database(server, "scale", 100 * size if size < 1000 else 10 * size)
        with connect(url) as connection:
            connection.execute(
                "UPDATE contacts SET linked_id = id - mod(id - 1, %(size)s), link_precedence = 'secondary'"
                " WHERE mod(id - 1, %(size)s) > 0",
                {"size": size},
            )
            connection.execute("VACUUM ANALYZE contacts")
        with service(url) as (port, _):
            number = 100 * size if size < 1000 else 10 * size
            measured["contacts of one identity"][str(size)] = wrk(port, "known", 32, seconds, number)
    return measured


def table(measured: dict[str, dict[str, dict[str, float]]]) -> str:
    """The medians as a table in Markdown."""
    lines = [
        "| | connections | requests/s | of the floor | p50 ms | p99 ms | p99.9 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, by_connections in measured.items():
        for connections, result in by_connections.items():
            bare = measured["floor"].get(connections, {}).get("rate")
            ratio = f"{result['rate'] / bare:.2f}" if bare and "p50" in result else ""
            latencies = " | ".join(
                f"{result[key]:.2f}" if key in result else "" for key in ("p50", "p99", "p99.9")
            )
            lines.append(f"| {name} | {connections} | {result['rate']:,.0f} | {ratio} | {latencies} |")
    return "\n".join(lines)


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()}, litestar {version('litestar')},"
        f" uvicorn {version('uvicorn')}, SQLAlchemy {version('sqlalchemy')}, psycopg {version('psycopg')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="that each measurement takes")
    parser.add_argument(
        "--scale", type=int, metavar="CONTACTS", help="measure by size instead, up to so many contacts"
    )
    parser.add_argument("--json", type=Path, help="the file to write the figures to")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; your distribution has it, for example: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder, embedded_database(Path(folder)) as server:
        if options.scale:
            measured = scale(server, options.scale, options.seconds)
            for name, results in measured.items():
                print(f"\n{name}: known customers, 32 connections\n")
                for size, result in results.items():
                    latencies = f"p50 {result['p50']:.2f} ms | p99 {result['p99']:.2f} ms"
                    print(f"| {int(size):,} | {result['rate']:,.0f}/s | {latencies} |")
        else:
            measured = side_by_side(server, options.rounds, options.seconds)
            print(f"{machine()}\n\n{table(measured)}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "measured": measured}, indent=2))


if __name__ == "__main__":
    main()
