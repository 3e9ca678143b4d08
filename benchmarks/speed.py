"""The service compared with its limits, in one run of several alternating rounds."""

import statistics
import sys
from contextlib import ExitStack

import psutil
from sqlalchemy import URL

from benchmarks.load import CONTACTS, INSERT, SELECT, pgbench, wrk
from benchmarks.servers import create_loaded_database, run_floor, run_service
from identity_adapters.postgres import verify

CONNECTIONS = [1, 32, 128, 512]
WORKLOADS = ["known", "new", "mix"]


def speed(server: URL, rounds: int, seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the medians of all variants at all numbers of connections."""
    measured: dict[str, dict[str, list[dict[str, float]]]] = {}
    with ExitStack() as stack:
        bare, _ = stack.enter_context(run_floor())
        ours_url = create_loaded_database(server, "ours", CONTACTS)
        ones_url = create_loaded_database(server, "ones", CONTACTS)
        scale_url = create_loaded_database(server, "scale", CONTACTS)
        ours, process = stack.enter_context(run_service(ours_url))
        ones, _ = stack.enter_context(run_service(ones_url, IDENTITY_MAX_BATCH=1))
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


def format_table(measured: dict[str, dict[str, dict[str, float]]]) -> str:
    """Format the medians as a table in Markdown."""
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
