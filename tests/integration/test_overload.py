"""Too many clients, and a database that is slow, full, locked or away."""

import json
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import migrate
from tests.integration.test_embedded import servers
from tests.integration.test_transactions import WAITING
from tests.support.clients import Load
from tests.support.databases import connect, plain
from tests.support.processes import has_ended, service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def refusal(running, **details):
    """The headers and the problem document of a refused request."""
    status, headers, body = running.request("POST", "/identify", json.dumps(details))
    problem = json.loads(body)
    assert status == problem["status"] == 503, problem
    assert headers["content-type"] == "application/problem+json"
    assert headers["retry-after"] == "1"
    return problem["detail"].partition(";")[0]


def test_who_would_wait_behind_too_many_is_refused_at_once(tmp_path, url):
    limits = {"IDENTITY_MAX_WAITING": 20, "IDENTITY_MAX_BATCH": 5, "IDENTITY_LOCK_TIMEOUT": 60}
    with (
        service(
            tmp_path, DB_CONNECTION_STRING=plain(url), IDENTITY_STATEMENT_TIMEOUT=60, **limits
        ) as running,
        connect(url) as other,
        ThreadPoolExecutor(100) as pool,
    ):
        other.execute("BEGIN")
        other.execute("LOCK TABLE contacts IN EXCLUSIVE MODE")  # it can be read, but not written
        known = [pool.submit(running.post, {"email": f"{n}@x"}) for n in range(100)]
        wait_until(lambda: sum(one.done() for one in known) >= 100 - 20 - 4 * 5)
        refused = [one for one in known if one.done()]
        assert {one.result()[0] for one in refused} == {503}
        assert refusal(running, email="another@x") == "too many requests are waiting"
        other.execute("COMMIT")
        statuses = [one.result()[0] for one in known]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 20, "who waited was answered"
        assert running.post({"email": "another@x"})[0] == 200


def test_queries_that_are_stuck_leave_the_connections_of_others_alone(tmp_path, url):
    patience = {f"IDENTITY_{name}_TIMEOUT": 60 for name in ("LOCK", "STATEMENT", "ANSWER")}
    with (
        service(tmp_path, DB_CONNECTION_STRING=plain(url), IDENTITY_MAX_WAITING=5, **patience) as running,
        connect(url) as other,
        ThreadPoolExecutor(60) as pool,
    ):
        running.identify("a@x", "1")
        other.execute("BEGIN")
        other.execute("LOCK TABLE contact_events IN ACCESS EXCLUSIVE MODE")
        paths = ["/identities/1/history", "/identities/1?asOf=2999-01-01T00:00:00Z"] * 30
        stuck = [pool.submit(running.request, "GET", path) for path in paths]
        wait_until(lambda: sum(one.done() for one in stuck) >= len(paths) - 1 - 5)
        assert other.execute(WAITING).fetchone() == (1,)
        assert running.identify("a@x")["phoneNumbers"] == ["1"]
        assert running.request("GET", "/identities/1")[0] == 200
        lookup = json.dumps({"email": "a@x"})
        assert running.request("POST", "/lookup", lookup, {"Content-Type": "application/json"})[0] == 200
        other.execute("COMMIT")
        answers = [one.result() for one in stuck]
        statuses = [status for status, _, _ in answers]
        assert set(statuses) == {200, 503}
        assert {headers["retry-after"] for status, headers, _ in answers if status == 503} == {"1"}
        assert running.request("GET", "/identities/1/history")[0] == 200


def test_a_large_identity_is_queried_by_many_and_nobody_else_is_kept_from_an_answer(tmp_path, url, sql, size):
    number = size(3_000, 30_000)
    sql(
        "INSERT INTO contacts (email, phone_number, linked_id, link_precedence, created_at)"
        " SELECT 'large@x', n, nullif(least(n - 1, 1), 0), CASE n WHEN 1 THEN 'primary' ELSE 'secondary' END,"
        " timestamp '2020-01-01' + n * interval '1 second' FROM generate_series(1, %s) AS n",
        number,
    )
    ends = json.dumps({"one": {"phoneNumber": "1"}, "other": {"phoneNumber": str(number)}})
    as_of = "/identities/9?asOf=2999-01-01T00:00:00Z&limit=1"
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running, ThreadPoolExecutor(100) as pool:
        running.identify("a@x", "70001")
        before = psutil.Process(running.process.pid).memory_info().rss
        asked = [pool.submit(running.request, "POST", "/explain", ends) for _ in range(60)]
        asked += [pool.submit(running.request, "GET", as_of) for _ in range(40)]
        most, others = before, []
        while not all(one.done() for one in asked):
            others.append(running.post({"email": "a@x"})[0])
            others.append(running.post({"email": "a@x", "phoneNumber": str(80_000 + len(others))})[0])
            most = max(most, psutil.Process(running.process.pid).memory_info().rss)
        assert set(others) == {200}
        statuses = {one.result()[0] for one in asked}
        assert 200 in statuses <= {200, 503}
        assert most - before < 150 * 2**20


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("IDENTITY_LOCK_TIMEOUT", "the database was locked for too long"),
        ("IDENTITY_STATEMENT_TIMEOUT", "the database took too long"),
    ],
)
def test_whoever_waits_too_long_is_told_and_their_neighbours_are_served(tmp_path, url, limit, reason):
    with (
        service(tmp_path, DB_CONNECTION_STRING=plain(url), **{limit: "3"}) as running,
        connect(url) as other,
        ThreadPoolExecutor(40) as pool,
    ):
        running.identify("locked@x", "1")
        other.execute("BEGIN")
        other.execute("SELECT * FROM contacts FOR UPDATE")
        locked = pool.submit(refusal, running, email="locked@x", phoneNumber="2")
        wait_until(lambda: other.execute(WAITING).fetchone()[0] >= 1)
        neighbours = [pool.submit(running.post, {"email": f"{n}@x"}) for n in range(30)]
        also_locked = pool.submit(refusal, running, email="locked@x", phoneNumber="3")
        assert {one.result()[0] for one in neighbours} == {200}
        assert running.post({"email": "locked@x"})[0] == 200, "what is known is answered without a lock"
        assert locked.result() == also_locked.result() == reason
        other.execute("COMMIT")
        assert running.identify("locked@x", "2")["phoneNumbers"] == ["1", "2"]


def test_a_database_that_stands_still_hangs_nobody(tmp_path):
    data = tmp_path / "data"
    with embedded_database(data) as url:
        migrate(url)
        with service(tmp_path, DB_CONNECTION_STRING=plain(url), IDENTITY_ANSWER_TIMEOUT=3) as running:
            running.identify("a@x", "1")
            [postmaster] = servers(data)
            stopped = [postmaster, *postmaster.children(recursive=True)]
            for process in stopped:
                process.suspend()
            try:
                assert refusal(running, email="a@x") == "the database does not answer"
                status, _, problem = running.request("GET", "/health/ready")
                assert (status, json.loads(problem)["status"]) == (503, 503)
                assert running.request("GET", "/health/live")[0] == 200
            finally:
                for process in stopped:
                    process.resume()
            wait_until(lambda: running.request("GET", "/health/ready")[0] == 200)
            assert running.identify("a@x")["phoneNumbers"] == ["1"]


def test_a_database_that_is_away_is_waited_for(tmp_path):
    data = tmp_path / "data"
    with embedded_database(data) as url:
        migrate(url)
    with service(tmp_path, IDENTITY_DATA_DIR=data) as running:
        running.identify("a@x", "1")
        # The folder is out of the way, so that the server cannot be started again.
        [postmaster] = servers(data)
        (data / "postgres").rename(data / "elsewhere")
        postmaster.send_signal(signal.SIGQUIT)
        wait_until(lambda: has_ended(postmaster))
        assert refusal(running, email="a@x") == "the database cannot be reached"
        assert running.request("GET", "/health/ready")[0] == 503
        assert running.request("GET", "/health/live")[0] == 200
        shutil.rmtree(data / "postgres", ignore_errors=True)
        (data / "elsewhere").rename(data / "postgres")
        wait_until(lambda: running.request("GET", "/health/ready")[0] == 200)
        assert running.identify("a@x")["phoneNumbers"] == ["1"]


def test_ready_is_who_can_answer(tmp_path, url, sql):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        assert running.request("GET", "/health/ready")[0] == 200
        sql("ALTER TABLE contact_evidence RENAME TO elsewhere")
        status, _, problem = running.request("GET", "/health/ready")
        assert (status, json.loads(problem)["detail"].partition(";")[0]) == (
            503,
            "the database is not migrated",
        )
        sql("ALTER TABLE elsewhere RENAME TO contact_evidence")
        assert running.request("GET", "/health/ready")[0] == 200


def test_a_full_disk_is_told_of_and_passes(tmp_path, small_disk):
    disk = small_disk(megabytes=200)
    with service(tmp_path, IDENTITY_DATA_DIR=disk / "data") as running:
        before = running.identify("a@x", "1")
        filler = disk / "filler"
        with filler.open("wb") as file:
            left = shutil.disk_usage(disk).free - 128 * 1024
            file.write(bytes(left))
        numbers = iter(range(1_000_000))
        load = Load([running.port], ((f"{n}@x", str(10**9 + n)) for n in numbers), clients=20)
        wait_until(lambda: load.statuses[503] > 0)
        load.stop()
        assert load.statuses.keys() <= {200, 503}
        filler.unlink()
        wait_until(lambda: running.request("GET", "/health/ready")[0] == 200)
        wait_until(lambda: running.post({"email": "b@x"})[0] == 200)
        assert running.identify("a@x") == before
        for email, phone_number in load.acknowledged[-20:]:
            assert phone_number in running.identify(email)["phoneNumbers"]


def test_clients_that_go_away_cost_nothing(tmp_path, url):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running, connect(url) as other:
        running.identify("a@x", "1")
        other.execute("BEGIN")
        other.execute("SELECT * FROM contacts FOR UPDATE")
        for n in range(500):
            body = json.dumps({"email": "a@x", "phoneNumber": str(n)})
            with socket.create_connection(("127.0.0.1", running.port)) as client:
                head = f"POST /identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
                client.sendall(f"{head}{body}".encode())
        other.execute("COMMIT")
        wait_until(lambda: running.post({"email": "b@x", "phoneNumber": "99999"})[0] == 200)
        idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'identity' AND state <> 'idle'"
        wait_until(lambda: other.execute(idle).fetchone() == (0,))
        connections = psutil.Process(running.process.pid).net_connections
        wait_until(lambda: all(one.status != psutil.CONN_ESTABLISHED for one in connections("tcp")))
        assert "Traceback" not in running.output()
