"""Rulings on an identity of 10,000 contacts and its erasure, and what its neighbours notice of them."""

import http.client
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from sqlalchemy import URL

from benchmarks.servers import (
    CONFIGURED_RULING_KEY,
    RULING_KEY,
    connect,
    create_loaded_database,
    run_service,
)

CONTACTS = 10_000
ROUNDS = 12

# Two halves of 50 emails with 100 phone numbers each. Evidence joins the emails of a half one after the
# other, and one piece of evidence joins the halves.
IDENTITY = f"""
INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at)
SELECT 1000000 + n, mod(n, 100) || '@large.example.org', 2000000000 + n, nullif(1000000, 1000000 + n),
    CASE n WHEN 0 THEN 'primary' ELSE 'secondary' END, now() - interval '1 day' + n * interval '1 second'
FROM generate_series(0, {CONTACTS - 1}) n;

INSERT INTO contact_evidence (id, email, phone_number, seen_at)
SELECT 2000000 + n, n || '@large.example.org', 2000000000 + n + 1, now() FROM generate_series(0, 98) n;

SELECT setval('contacts_id_seq', 3000000);
"""
ENDS = {"one": {"email": "7@large.example.org"}, "other": {"email": "90@large.example.org"}}


def rulings(server: URL) -> dict[str, dict[str, float]]:
    """Measure the milliseconds of each ruling, and those of others who identify meanwhile or do not.

    Also measured are those of handing the identity out and of erasing it, alone and once.
    """
    url = create_loaded_database(server, "rulings", 100_000)
    with connect(url) as connection:
        connection.execute(IDENTITY)
        connection.execute("VACUUM ANALYZE")
    measured: dict[str, list[float]] = {}
    with (
        run_service(url, IDENTITY_API_KEYS=CONFIGURED_RULING_KEY.entry) as (port, _),
        ThreadPoolExecutor() as pool,
    ):

        def rule(name: str, path: str, **body: Any) -> Any:
            duration, answer = _post(port, path, {"reason": "a benchmark", **body})
            measured.setdefault(name, []).append(duration)
            return answer

        def neighbours(name: str, until: Callable[[], bool]) -> None:
            """Identify others, known and new, and measure each."""
            n = 0
            while not until():
                n += 1
                details = {"email": f"{n % 100_000}@example.org", "phoneNumber": str(10**9 + n)}
                measured.setdefault(f"known details, {name}", []).append(_post(port, "/identify", details)[0])
                details = {"email": f"{name}{n}@new.example.org", "phoneNumber": str(3 * 10**9 + n)}
                measured.setdefault(f"new details, {name}", []).append(_post(port, "/identify", details)[0])

        started = time.perf_counter()
        neighbours("alone", lambda: time.perf_counter() - started > 5)
        done = Event()
        beside = pool.submit(neighbours, "beside the rulings", done.is_set)
        for _ in range(ROUNDS):
            plan = rule("split, dry run", "/split?dryRun=true", **ENDS)["plan"]
            split = rule("split", "/split", plan=plan, **ENDS)
            rule("restore", "/restore", rulingId=min(split["rulingIds"]))
        done.set()
        beside.result()
        somebody = {"email": ENDS["one"]["email"]}
        for name, path in (
            ("access", "/access"),
            ("erase, dry run", "/erase?dryRun=true"),
            ("erase", "/erase"),
        ):
            duration, _ = _post(port, path, somebody)
            measured[name] = [duration]
    return {
        name: {
            "p50": statistics.median(durations),
            "most": max(durations),
        }
        for name, durations in measured.items()
    }


def _post(port: int, path: str, body: dict[str, Any]) -> tuple[float, Any]:
    """Measure the milliseconds until a request is answered; the answer too."""
    client = http.client.HTTPConnection("127.0.0.1", port)
    started = time.perf_counter()
    headers = {"Authorization": f"Bearer {RULING_KEY}", "Content-Type": "application/json"}
    client.request("POST", path, json.dumps(body), headers)
    answer = client.getresponse()
    content = answer.read()
    client.close()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}")
    return 1000 * (time.perf_counter() - started), json.loads(content)
