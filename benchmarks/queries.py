"""Queries of an identity of 10,000 contacts."""

import http.client
import json
import statistics
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import psutil
from sqlalchemy import URL

from benchmarks.servers import KEY, connect, create_loaded_database, run_service

CONTACTS = 10_000
MANY = 60
"""The number of concurrent queries."""


def queries(server: URL) -> dict[str, dict[str, float]]:
    """Measure the milliseconds that one client waits, and the memory of the service afterwards."""
    measured = {}
    url = create_loaded_database(server, "queries", CONTACTS + 1, CONTACTS)
    with run_service(url) as (port, process), connect(url) as connection:
        # As if each contact but the first had been linked by an event.
        connection.execute(
            "INSERT INTO contact_events (happened_at, kind, primary_id, contact_id, absorbed_ids)"
            " SELECT created_at, CASE WHEN id = 1 THEN 'created' ELSE 'linked' END, 1, id, '{}'"
            " FROM contacts WHERE id <= %s",
            [CONTACTS],
        )
        connection.execute("VACUUM ANALYZE")
        ends = {"one": {"email": "0@example.org"}, "other": {"phoneNumber": "1000009999"}}
        known = ("POST", "/identify", {"email": f"{CONTACTS}@example.org"})
        for name, *request in (
            ("its first page", "GET", "/identities/9000", None),
            ("look-up", "POST", "/lookup", {"email": "9000@example.org"}),
            ("preview", "POST", "/preview", {"email": "9000@example.org", "phoneNumber": "1"}),
            ("explain", "POST", "/explain", ends),
            ("history", "GET", "/identities/9000/history", None),
            ("as of a time", "GET", "/identities/9000?asOf=2999-01-01T00:00:00Z", None),
            ("graph", "GET", "/identities/9000/graph", None),
            ("graph as of a time", "GET", "/identities/9000/graph?asOf=2999-01-01T00:00:00Z", None),
            ("`/identify` for somebody else, alone", *known),
        ):
            durations = [_time_request(port, *request) for _ in range(30)]
            measured[name] = _summarize(durations[3:], process)
        with ThreadPoolExecutor(MANY) as pool:
            explaining = [pool.submit(_time_request, port, "POST", "/explain", ends) for _ in range(MANY)]
            durations = []
            while not all(one.done() for one in explaining):
                durations.append(_time_request(port, *known))
        measured[f"the same, while {MANY} explain"] = _summarize(durations, process)
    return measured


def _time_request(port: int, method: str, path: str, body: Mapping[str, object] | None) -> float:
    """Measure the milliseconds until a request is answered or rejected."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    started = time.perf_counter()
    headers = {"Authorization": f"Bearer {KEY}"}
    client.request(method, path, None if body is None else json.dumps(body), headers)
    answer = client.getresponse()
    answer.read()
    client.close()
    if answer.status != 200 and path != "/explain":
        raise RuntimeError(f"{path} answered {answer.status}")
    return 1000 * (time.perf_counter() - started)


def _summarize(durations: list[float], process: subprocess.Popen[bytes]) -> dict[str, float]:
    megabytes = psutil.Process(process.pid).memory_info().rss / 2**20
    return {"p50": statistics.median(durations), "most": max(durations), "service MB": megabytes}
