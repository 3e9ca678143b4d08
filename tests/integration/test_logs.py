"""Marked values in every input, through every failure: none is ever written."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat

import pytest

from identity_adapters.embedded import embedded_database
from identity_adapters.keys import Scope, generate_key
from tests.support.databases import connect, plain
from tests.support.processes import run, service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

EMAIL = "marked.somebody@secret.example"
PHONE_NUMBER = "5550147963"
PASSWORD = "markedPassw0rd"
MARKS = ("marked", "secret.example", PHONE_NUMBER, "Passw0rd")
DETAILS = {"email": EMAIL, "phoneNumber": PHONE_NUMBER}
JSON = {"Content-Type": "application/json"}

BODIES = [
    json.dumps(DETAILS),
    json.dumps(DETAILS)[:-1],
    json.dumps(DETAILS) * 2,
    json.dumps([EMAIL, PHONE_NUMBER]),
    json.dumps({"email": EMAIL + "@", "phoneNumber": PHONE_NUMBER}),
    json.dumps({"email": EMAIL + "\0"}),
    json.dumps({"phoneNumber": PHONE_NUMBER + "x"}),
    json.dumps({"email": {EMAIL: EMAIL}}),
    json.dumps({"email": EMAIL * 100}),
    json.dumps({"one": DETAILS, "other": {"email": EMAIL}}),
    json.dumps({"one": {"email": EMAIL}, "other": {"phoneNumber": PHONE_NUMBER}}),
    json.dumps({EMAIL: PHONE_NUMBER * 10_000}),
    EMAIL,
    "[" * 5000 + EMAIL,
]
PATHS = [
    "/identify",
    "/lookup",
    "/access",
    "/explain",
    f"/identify?email={EMAIL}&dryRun={PHONE_NUMBER}",
    f"/{EMAIL}/{PHONE_NUMBER}",
    f"/identities/{PHONE_NUMBER}",
    f"/identities/{EMAIL}/history?after={EMAIL}",
    f"/identities/1?after={EMAIL}&asOf={EMAIL}&limit={PHONE_NUMBER}",
    f"/identities/{PHONE_NUMBER}/graph?asOf={EMAIL}",
    f"/changes?after={EMAIL}",
]
HEADERS = [
    {},
    {"Authorization": f"Bearer {PASSWORD}"},
    {"Content-Type": f"text/{EMAIL}"},
    {"X-Request-ID": EMAIL, "traceparent": EMAIL, "Cookie": EMAIL, "User-Agent": EMAIL, "Referer": EMAIL},
]


def send_everything(running, key):
    """Everything that can be sent, in every place."""
    asked = [
        (method, path, body, JSON | {"Authorization": f"Bearer {key}"} | headers)
        for path in PATHS
        for method in ("POST", "GET")
        for body, headers in [*zip(BODIES, repeat({})), *zip(repeat(BODIES[0]), HEADERS)]
    ]
    with ThreadPoolExecutor(8) as pool:
        statuses = {status for status, _, _ in pool.map(lambda one: running.request(*one), asked)}
    for raw in (EMAIL * 2, f"GET /{EMAIL}" * 5000, f"POST /{EMAIL} HTTP/9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(raw.encode())
    return statuses


def assert_unmarked(text):
    lowered = text.lower()
    for mark in MARKS:
        at = lowered.find(mark.lower())
        assert at < 0, text[max(at - 300, 0) : at + 100]


def test_nothing_that_was_sent_is_ever_written(tmp_path):
    key, configured = generate_key("shop", [*Scope])
    with ExitStack() as serving:
        with embedded_database(tmp_path / "data") as url, connect(url) as other:
            other.execute(f"CREATE USER marked_user PASSWORD '{PASSWORD}' SUPERUSER")
            running = serving.enter_context(
                service(
                    tmp_path,
                    DB_CONNECTION_STRING=plain(url.set(username="marked_user", password=PASSWORD)),
                    IDENTITY_API_KEYS=configured.entry,
                    IDENTITY_LOG_LEVEL="debug",
                    IDENTITY_ACCESS_LOG="yes",
                    IDENTITY_LOCK_TIMEOUT="0.2",
                    IDENTITY_COUNT_EVERY="0.01",
                )
            )
            assert send_everything(running, key) >= {200, 400, 401, 404, 405, 413, 415}
            # Rows that are locked, rows that collide, statements that fail, connections that end.
            new = {"email": EMAIL, "phoneNumber": PHONE_NUMBER + "1"}
            authorized = JSON | {"Authorization": f"Bearer {key}"}
            with other.transaction():
                other.execute("SELECT * FROM contacts FOR UPDATE")
                assert running.request("POST", "/identify", json.dumps(new), authorized)[0] == 503
            other.execute("CREATE UNIQUE INDEX one_email ON contacts (email)")
            assert running.request("POST", "/identify", json.dumps(new), authorized)[0] == 503
            other.execute("DROP INDEX one_email")
            other.execute("ALTER TABLE contacts ADD CONSTRAINT short CHECK (phone_number NOT LIKE '%9631')")
            assert running.request("POST", "/identify", json.dumps(new), authorized)[0] == 500
            other.execute("ALTER TABLE contacts DROP CONSTRAINT short")
            other.execute("ALTER TABLE contact_evidence RENAME COLUMN seen_at TO seen")
            assert 500 in send_everything(running, key)
            other.execute("ALTER TABLE contact_evidence RENAME COLUMN seen TO seen_at")
            other.execute("DROP TABLE contact_events")
            assert running.request("POST", "/identify", json.dumps(new), authorized)[0] == 503
        assert 503 in send_everything(running, key)
    written = running.output()
    assert_unmarked(written)
    assert_unmarked((tmp_path / "data" / "postgres.log").read_text())
    assert key not in written
    lines = [json.loads(line) for line in written.splitlines()]
    assert {"request failed", "internal error", "request"} <= {line["event"] for line in lines}
    [line, *_] = [line for line in lines if line["event"] == "internal error"]
    assert line["error"] == "CheckViolation"
    assert any("repository.py" in frame for frame in line["frames"])
    answered = next(line for line in lines if line["event"] == "request" and line["outcome"] == "created")
    assert answered["operation"] == "identify"
    assert answered["key"] == "shop"
    assert len(answered["request_id"]) == 32


def test_no_command_writes_what_it_was_given_where_it_fails(tmp_path):
    marked = f"postgresql://marked:{PASSWORD}@127.0.0.1:1/marked"
    (tmp_path / "orders.csv").write_text(f"email,phone_number,created_at\n{EMAIL}@,{PHONE_NUMBER},now\n")
    with service(tmp_path, IDENTITY_DATA_DIR=tmp_path / "data"):
        for arguments in (
            ["lookup", "--email", EMAIL + "@"],
            ["explain", EMAIL + "@", PHONE_NUMBER],
            ["import", "orders.csv"],
            ["import", "--strict", "orders.csv"],
            ["verify"],
            ["config"],
        ):
            done = run(*arguments, cwd=tmp_path, IDENTITY_DATA_DIR=tmp_path / "data")
            assert_unmarked(done.stderr + (done.stdout if arguments[0] != "explain" else ""))
    for arguments in (["serve"], ["lookup", "--email", "a@x"], ["config"]):
        done = run(*arguments, cwd=tmp_path, DB_CONNECTION_STRING=marked)
        assert PASSWORD not in done.stderr + done.stdout
    done = run("serve", cwd=tmp_path, IDENTITY_API_KEYS=f"{PASSWORD} {EMAIL}")
    assert done.returncode == 1
    assert_unmarked(done.stderr)


def test_an_id_comes_back_as_it_was_sent(tmp_path):
    with service(tmp_path, IDENTITY_DATA_DIR=tmp_path / "data", IDENTITY_ACCESS_LOG="yes") as running:
        sent = {"X-Request-ID": "abc-1"}
        trace_requests = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
        ids = [
            running.request("POST", path, json.dumps({"email": "a@x"}), headers)[1]["x-request-id"]
            for path in ("/identify", "/nowhere")
            for headers in (sent, trace_requests, sent | trace_requests, {}, {"X-Request-ID": "a b"})
        ]
        own = [3, 4, 8, 9]
        assert [one for number, one in enumerate(ids) if number not in own] == [
            "abc-1", "4bf92f3577b34da6a3ce929d0e0e4736", "abc-1",
        ] * 2  # fmt: skip
        assert len({ids[number] for number in own}) == 4
        # The line of a request is written after its answer.
        wait_until(lambda: all(f'"request_id": "{one}"' in running.output() for one in ids))
