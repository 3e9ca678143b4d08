"""What one request and one contact cost: processor time, log, disk and memory."""

import http.client
import json
from contextlib import ExitStack, suppress

import psutil
import psycopg
from sqlalchemy import URL

from benchmarks.load import CONTACTS, wrk
from benchmarks.servers import KEY, connect, create_loaded_database, run_service

CONNECTIONS = 128
IDLE = 500
"""How many idle connections are opened to see what one takes."""

SIZES = """
SELECT pg_current_wal_insert_lsn() - '0/0',
    pg_total_relation_size('contacts') + pg_total_relation_size('contact_evidence')
        + pg_total_relation_size('contact_events'),
    (SELECT count(*) FROM contacts)
"""


def capacity(server: URL, seconds: float) -> dict[str, dict[str, float]]:
    """Measure costs by what requests do, and of memory.

    A request is *known* (nothing is written), *new* (a contact is written) or a *merge* (two identities
    become one). Processor time is in microseconds, the rest in bytes; memory is in MB, of a connection in KB.
    """
    url = create_loaded_database(server, "capacity", CONTACTS)
    measured: dict[str, dict[str, float]] = {}
    with connect(url) as connection, run_service(url) as (port, process):
        postmaster = psutil.Process(connection.info.backend_pid).parent()
        serving = psutil.Process(process.pid)
        assert postmaster is not None
        wrk(port, "known", CONNECTIONS, 1)
        for workload in ("known", "new", "merge"):
            connection.execute("CHECKPOINT")
            before = _measure(connection), _sum_times(serving), _sum_times(postmaster)
            result = wrk(port, workload, CONNECTIONS, seconds)
            after = _measure(connection), _sum_times(serving), _sum_times(postmaster)
            requests = result["requests"]
            log, disk, contacts = (now - then for now, then in zip(after[0], before[0], strict=True))
            measured[workload] = {
                "requests": requests,
                "rate": result["rate"],
                "service µs": (after[1] - before[1]) * 1e6 / requests,
                "database µs": (after[2] - before[2]) * 1e6 / requests,
                "log bytes": log / requests,
            }
            if workload == "new":
                measured[workload]["disk bytes of a contact"] = disk / contacts
        measured["memory"] = _measure_memory(connection, port, serving)
    return measured


def _measure(connection: psycopg.Connection) -> tuple[int, int, int]:
    """The position of the log, the bytes of the tables with their indexes, and the number of contacts."""
    row = connection.execute(SIZES).fetchone()
    assert row is not None
    log, disk, contacts = row
    return int(log), disk, contacts


def _sum_times(process: psutil.Process) -> float:
    """The processor time of a process and all its children, those that ended included, in seconds."""
    total = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += sum(child.cpu_times()[:4])
    return total


def _measure_memory(connection: psycopg.Connection, port: int, serving: psutil.Process) -> dict[str, float]:
    backends = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'identity'")
    sizes = [psutil.Process(backend).memory_full_info().uss for (backend,) in backends.fetchall()]
    before = serving.memory_info().rss
    with ExitStack() as stack:
        for _ in range(IDLE):
            client = stack.enter_context(_Client("127.0.0.1", port))
            body = json.dumps({"email": "0@example.org"})
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
            client.request("POST", "/identify", body, headers)
            client.getresponse().read()
        after = serving.memory_info().rss
    return {
        "service MB": before / 2**20,
        "KB of a client's connection": (after - before) / IDLE / 2**10,
        "connections to the database": len(sizes),
        "MB of one of them": sum(sizes) / len(sizes) / 2**20,
    }


class _Client(http.client.HTTPConnection):
    def __enter__(self) -> "_Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
