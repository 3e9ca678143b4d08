"""Known customers by number of contacts, by size of identities, and by more processes."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
from sqlalchemy import URL

from benchmarks.load import CONTACTS, wrk
from benchmarks.servers import connect, create_loaded_database, run_service

SIZES = {1: 10_000, 10: 10_000, 100: 10_000, 1_000: 10_000, 10_000: 100_000}
"""The size of each identity, and the number of all contacts."""


def scale(server: URL, max_contacts: int, seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    """Measure all variants at 32 connections, with at most `max_contacts` contacts."""
    return {
        "contacts": dict(_measure_by_contacts(server, max_contacts, seconds)),
        "contacts of one identity": dict(_measure_by_size(server, seconds)),
        "processes": dict(_measure_by_processes(server, seconds)),
    }


def _measure_by_contacts(
    server: URL, max_contacts: int, seconds: float
) -> Iterator[tuple[str, dict[str, float]]]:
    for contacts in (10**power for power in range(4, 9) if 10**power <= max_contacts):
        print(f"{contacts:,} contacts", file=sys.stderr)
        url = create_loaded_database(server, "scale", contacts)
        with run_service(url) as (port, process):
            wrk(port, "known", 32, seconds, contacts)
            result = wrk(port, "known", 32, seconds, contacts)
            result["mix"] = wrk(port, "mix", 32, seconds, contacts)["rate"]
            result["service MB"] = psutil.Process(process.pid).memory_info().rss / 2**20
        with connect(url) as connection:
            [size] = connection.execute("SELECT pg_database_size(current_database())").fetchone() or [0]
        yield str(contacts), result | {"database MB": size / 2**20}


def _measure_by_size(server: URL, seconds: float) -> Iterator[tuple[str, dict[str, float]]]:
    for size, contacts in SIZES.items():
        print(f"identities of {size:,} contacts", file=sys.stderr)
        url = create_loaded_database(server, "scale", contacts, size)
        with run_service(url) as (port, _):
            wrk(port, "known", 32, 1, contacts)
            yield str(size), wrk(port, "known", 32, seconds, contacts)


def _measure_by_processes(server: URL, seconds: float) -> Iterator[tuple[str, dict[str, float]]]:
    for name, services, options in (
        ("one process", 1, ()),
        ("two workers", 1, ("--workers", "2")),
        ("two services", 2, ()),
    ):
        print(name, file=sys.stderr)
        url = create_loaded_database(server, "scale", CONTACTS)
        with ExitStack() as stack:
            ports = [stack.enter_context(run_service(url, *options))[0] for _ in range(services)]
            wrk(ports, "known", 128, seconds)
            result = wrk(ports, "known", 128, seconds)
            yield name, result | {"mix": wrk(ports, "mix", 128, seconds)["rate"]}
