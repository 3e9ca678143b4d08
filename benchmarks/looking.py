"""Looking at an identity of 10,000 contacts."""

import http.client
import json
import statistics
import time

import psutil
from sqlalchemy import URL

from benchmarks.servers import KEY, connect, loaded_database, service

CONTACTS = 10_000


def looking(server: URL) -> dict[str, dict[str, float]]:
    """Milliseconds that one client waits, and what the service holds in memory after thirty requests."""
    measured = {}
    url = loaded_database(server, "looking", CONTACTS, CONTACTS)
    with service(url) as (port, process), connect(url) as connection:
        # As if each contact but the first had been linked by an event.
        connection.execute(
            "INSERT INTO contact_events (happened_at, kind, primary_id, contact_id, absorbed_ids)"
            " SELECT created_at, CASE WHEN id = 1 THEN 'created' ELSE 'linked' END, 1, id, '{}' FROM contacts"
        )
        connection.execute("VACUUM ANALYZE")
        ends = {"one": {"email": "0@example.org"}, "other": {"phoneNumber": "1000009999"}}
        for name, method, path, body in (
            ("its first page", "GET", "/identities/9000", None),
            ("look-up", "POST", "/lookup", {"email": "9000@example.org"}),
            ("preview", "POST", "/preview", {"email": "9000@example.org", "phoneNumber": "1"}),
            ("explain", "POST", "/explain", ends),
            ("history", "GET", "/identities/9000/history", None),
            ("as of a time", "GET", "/identities/9000?asOf=2999-01-01T00:00:00Z", None),
        ):
            took = []
            headers = {"Authorization": f"Bearer {KEY}"}
            client = http.client.HTTPConnection("127.0.0.1", port)
            for _ in range(30):
                started = time.perf_counter()
                client.request(method, path, None if body is None else json.dumps(body), headers)
                answer = client.getresponse()
                answer.read()
                took.append(1000 * (time.perf_counter() - started))
                if answer.status != 200:
                    raise RuntimeError(f"{path} answered {answer.status}")
            measured[name] = {"p50": statistics.median(took), "most": max(took[3:])}
            measured[name]["service MB"] = psutil.Process(process.pid).memory_info().rss / 2**20
    return measured
