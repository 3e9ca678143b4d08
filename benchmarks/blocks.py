"""A value that a million contacts share is blocked, and what others notice of it."""

import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from typing import Any

from sqlalchemy import URL

from benchmarks.servers import CONFIGURED_RULING_KEY, RULING_KEY, connect, create_loaded_database, run_service

OTHERS = 100_000
SHARED = "5550123"
ALONE = 10.0
"""Seconds in which the others are measured alone."""

# Everybody typed the same phone number, the primary too.
IDENTITY = f"""
INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at)
SELECT 1000000 + n, n || '@stranger.example.org', '{SHARED}', nullif(1000000, 1000000 + n),
    CASE n WHEN 0 THEN 'primary' ELSE 'secondary' END, now() - interval '1 year' + n * interval '1 second'
FROM generate_series(0, %(contacts)s - 1) n;

SELECT setval('contacts_id_seq', 1000000 + %(contacts)s);
"""


def blocks(server: URL, contacts: int) -> dict[str, dict[str, float]]:
    """Measure how long it takes until all are apart, and the milliseconds of others meanwhile."""
    url = create_loaded_database(server, "blocks", OTHERS)
    with connect(url) as connection:
        connection.execute(IDENTITY % {"contacts": contacts})
        connection.execute("VACUUM ANALYZE")
    measured: dict[str, list[float]] = {}
    with (
        run_service(url, IDENTITY_API_KEYS=CONFIGURED_RULING_KEY.entry) as (port, _),
        ThreadPoolExecutor() as pool,
    ):

        def identify(name: str, details: Iterator[dict[str, str]], until: Callable[[], bool]) -> None:
            durations = measured.setdefault(name, [])
            client = _Client(port)
            while not until():
                durations.append(client.send("POST", "/identify", next(details))[0])

        def measure(phase: str, until: Callable[[], bool], *, with_shared: bool) -> list[Any]:
            kinds = {"known": _known(), "new": _new(phase)}
            if with_shared:
                kinds["new with the shared value"] = _shared(phase)
            return [
                pool.submit(identify, f"{kind}, {phase}", details, until) for kind, details in kinds.items()
            ]

        started = time.perf_counter()
        for one in measure("alone", lambda: time.perf_counter() - started > ALONE, with_shared=False):
            one.result()
        client, is_done = _Client(port), Event()
        settled: dict[str, float] = {}
        for phase, numbers in {"while it is blocked": [SHARED], "while it is unblocked": []}.items():
            started = time.perf_counter()
            rules = {"blocked": {"phoneNumbers": numbers}, "limits": {}}
            client.send("PUT", "/rules", {**rules, "reason": "a benchmark"})
            is_done.clear()
            waiting = measure(phase, is_done.is_set, with_shared=bool(numbers))
            while not client.send("GET", "/rules")[1]["isSettled"]:
                time.sleep(0.5)
            settled[phase] = time.perf_counter() - started
            is_done.set()
            for one in waiting:
                one.result()
    with connect(url) as connection:
        [(size,)] = connection.execute("SELECT count(*) FROM contacts WHERE linked_id = 1000000").fetchall()
    results = {phase: {"s": seconds, "contacts/s": contacts / seconds} for phase, seconds in settled.items()}
    results["together again"] = {"contacts": size + 1}
    for name, durations in measured.items():
        results[name] = {
            "requests": len(durations),
            "p50": statistics.median(durations),
            "p99": statistics.quantiles(durations, n=100)[-1],
            "most": max(durations),
        }
    return results


def _known() -> Iterator[dict[str, str]]:
    for n in count():
        yield {"email": f"{n % OTHERS}@example.org", "phoneNumber": str(10**9 + n % OTHERS)}


def _new(phase: str) -> Iterator[dict[str, str]]:
    for n in count():
        yield {
            "email": f"{n}.{hash(phase)}@new.example.org",
            "phoneNumber": str(3 * 10**9 + hash((phase, n))),
        }


def _shared(phase: str) -> Iterator[dict[str, str]]:
    for n in count():
        yield {"email": f"{n}.{hash(phase)}@newer.example.org", "phoneNumber": SHARED}


class _Client:
    """Keeps a connection to the service."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[float, Any]:
        """The milliseconds until a request is answered; the answer too."""
        headers = {"Authorization": f"Bearer {RULING_KEY}", "Content-Type": "application/json"}
        started = time.perf_counter()
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        duration = 1000 * (time.perf_counter() - started)
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {content!r}")
        return duration, json.loads(content)
