"""What a process of the service holds in memory through millions of requests."""

import sys
from contextlib import suppress

import psutil
from sqlalchemy import URL

from benchmarks.load import CONTACTS, wrk
from benchmarks.servers import connect, loaded_database, service

STEP = 30.0
"""Seconds between two looks."""

GIANTS, GIANT = 10, 10_000
"""How many identities of how many contacts there are beside the others."""


def memory(server: URL, requests: int) -> dict[str, dict[str, float]]:
    """Resident MB of the service and its database, by requests answered so far.

    The load is *mix*; one request in two thousand is for somebody of an identity of ten thousand contacts.
    """
    url = loaded_database(server, "memory", CONTACTS + GIANTS * GIANT)
    with connect(url) as connection:
        connection.execute(
            "UPDATE contacts SET linked_id = id - mod(id - 1, %(size)s), link_precedence = 'secondary'"
            " WHERE id > %(others)s AND mod(id - 1, %(size)s) > 0",
            {"size": GIANT, "others": CONTACTS},
        )
        connection.execute("VACUUM ANALYZE contacts")
    measured: dict[str, dict[str, float]] = {}
    answered = 0
    with service(url) as (port, process):
        serving = psutil.Process(process.pid)
        while answered < requests:
            result = wrk(port, "giants", 32, STEP)
            answered += int(result["requests"])
            measured[str(answered)] = {
                "service MB": serving.memory_info().rss / 2**20,
                "database MB": _resident(url) / 2**20,
                "rate": result["rate"],
                "p99": result["p99"],
            }
            print(answered, measured[str(answered)], file=sys.stderr)
    return measured


def _resident(url: URL) -> float:
    """Bytes that the processes of the database hold, what they share counted once."""
    with connect(url) as connection:
        postmaster = psutil.Process(connection.info.backend_pid).parent()
    held = 0.0
    for process in [] if postmaster is None else [postmaster, *postmaster.children()]:
        with suppress(psutil.NoSuchProcess):  # some come and go
            held += process.memory_full_info().pss
    return held
