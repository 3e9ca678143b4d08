"""The memory of a process of the service over millions of requests."""

import sys
from contextlib import suppress

import psutil
from sqlalchemy import URL

from benchmarks.load import CONTACTS, wrk
from benchmarks.servers import connect, create_loaded_database, run_service

STEP = 30.0
"""Seconds between two measurements."""

GIANTS, GIANT = 10, 10_000
"""The number and the size of the large identities besides the others."""


def memory(server: URL, requests: int) -> dict[str, dict[str, float]]:
    """Measure the resident MB of the service and its database, by the number of answered requests.

    The load is *mix*; one request in two thousand is for an identity of ten thousand contacts.
    """
    url = create_loaded_database(server, "memory", CONTACTS + GIANTS * GIANT)
    with connect(url) as connection:
        connection.execute(
            "UPDATE contacts SET linked_id = id - mod(id - 1, %(size)s), link_precedence = 'secondary'"
            " WHERE id > %(others)s AND mod(id - 1, %(size)s) > 0",
            {"size": GIANT, "others": CONTACTS},
        )
        connection.execute("VACUUM ANALYZE contacts")
    measured: dict[str, dict[str, float]] = {}
    answered = 0
    with run_service(url) as (port, process):
        serving = psutil.Process(process.pid)
        while answered < requests:
            result = wrk(port, "giants", 32, STEP)
            answered += int(result["requests"])
            measured[str(answered)] = {
                "service MB": serving.memory_info().rss / 2**20,
                "database MB": _measure_memory(url) / 2**20,
                "rate": result["rate"],
                "p99": result["p99"],
            }
            print(answered, measured[str(answered)], file=sys.stderr)
    return measured


def _measure_memory(url: URL) -> float:
    """Measure the bytes of the processes of the database; shared memory counts once."""
    with connect(url) as connection:
        postmaster = psutil.Process(connection.info.backend_pid).parent()
    total = 0.0
    for process in [] if postmaster is None else [postmaster, *postmaster.children()]:
        with suppress(psutil.NoSuchProcess):  # processes may end meanwhile
            total += process.memory_full_info().pss
    return total
