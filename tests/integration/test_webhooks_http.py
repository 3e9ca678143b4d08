"""Webhooks as clients of the service manage them."""

import base64
import json
import os
import socket
from datetime import datetime, timedelta

import pytest

from identity_adapters.embedded.cluster import packaged_programs
from identity_adapters.keys import Scope, generate_key
from tests.support.databases import connect, plain
from tests.support.openapi import checked
from tests.support.processes import run, service

KEY = "markedKeyOfWebhooks" * 2
URL = "https://markedhost.example/markedpath?token=markedtoken"
UNKNOWN = 10**9
PROGRAMS = {"PATH": f"{packaged_programs()}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def keys():
    """A key that manages webhooks, and one with all other scopes."""
    return {
        "admin": generate_key("ops", [Scope.ADMIN]),
        "rest": generate_key("shop", [scope for scope in Scope if scope is not Scope.ADMIN]),
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory, keys, pair_of_urls):
    folder = tmp_path_factory.mktemp("webhooks")
    entries = ",".join(key.entry for _, key in keys.values())
    database = plain(pair_of_urls[0])
    settings = {"DB_CONNECTION_STRING": database, "IDENTITY_API_KEYS": entries, "IDENTITY_WEBHOOK_KEY": KEY}
    with service(folder, **settings) as one:
        one.folder = folder
        yield checked(one)


@pytest.fixture
def sql(pair_of_urls):
    """Runs SQL on the database of the service, which has no webhook yet; the rows."""
    with connect(pair_of_urls[0]) as connection:

        def run_it(query, *values):
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

        run_it("TRUNCATE contact_webhooks, contact_events")
        yield run_it


@pytest.fixture
def ask(running, keys, sql):
    """Sends a request with the key that may; the decoded answer."""

    def send(method, path, body=None, *, expect=200, by="admin"):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {keys[by][0]}"}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = running.request(method, path, content, headers)
        assert status == expect, answer
        return json.loads(answer) if answer else None

    return send


@pytest.fixture
def add(ask):
    """Adds a webhook; what is known of it."""

    def added(members=(), **others):
        return ask("POST", "/webhooks", {"url": URL} | dict(members) | others, expect=201)["webhook"]

    return added


def read_time(text):
    return datetime.fromisoformat(text)


def happen(ask, number):
    """Have so many events happen."""
    for one in range(number):
        ask("POST", "/identify", {"email": f"{one}-{number}@x"}, by="rest")


def test_a_webhook_has_the_secret_of_its_first_answer_alone(ask, running, pair_of_urls):
    members = {"url": URL, "kinds": ["merged", "created"], "description": " the warehouse "}
    added = ask("POST", "/webhooks", members, expect=201)
    webhook = added["webhook"]
    assert (webhook["url"], webhook["description"], webhook["state"]) == (URL, "the warehouse", "active")
    assert webhook["kinds"] == ["created", "merged"]
    assert (webhook["allowsHttp"], webhook["allowedNetworks"], webhook["keyIsKnown"]) == (False, [], True)
    path = f"/webhooks/{webhook['id']}"
    rotated = ask("POST", f"{path}/rotate?keepHours=1.5")
    kept = read_time(rotated["webhook"]["previousSecretUntil"]) - read_time(webhook["createdAt"])
    assert timedelta(hours=1.5) <= kept < timedelta(hours=2)
    secrets = [added["secret"], rotated["secret"]]
    raw = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    assert raw[0] != raw[1]
    assert [len(one) for one in raw] == [32, 32]
    shown = [
        json.dumps(ask(method, path + rest, body))
        for method, rest, body in [
            ("GET", "", None), ("POST", "/pause", None), ("POST", "/resume", None),
            ("POST", "/replay", {"from": "end"}),
        ]
    ]  # fmt: skip
    shown.append(json.dumps(ask("GET", "/webhooks")))
    dump = running.folder / "dump"
    database = {"DB_CONNECTION_STRING": plain(pair_of_urls[0])}
    done = run(
        "postgres", "pg_dump", "--inserts", f"--file={dump}", cwd=running.folder, **database, **PROGRAMS
    )
    assert done.returncode == 0, done.stderr
    shown.append(dump.read_text())
    assert URL in shown[-1]
    for text in (*shown, running.output()):
        assert KEY not in text
        for secret, content in zip(secrets, raw, strict=True):
            assert secret.removeprefix("whsec_") not in text
            assert content.hex() not in text
    assert "marked" not in running.output()


def test_a_webhook_tells_how_many_events_are_left(ask, add, sql):
    happen(ask, 3)
    [(second,)] = sql("SELECT happened_at FROM contact_events ORDER BY id LIMIT 1 OFFSET 1")
    first = ask("GET", "/changes?limit=1", by="rest")["next"]
    left = {
        "beginning": 3,
        "end": 0,
        "1000-01-01": 3,
        f"{second.isoformat()}Z": 2,
        second.isoformat(): 2,
        "2999-01-01T00:00:00+02:00": 0,
        first: 2,
    }
    for start, number in left.items():
        webhook = add({"from": start})
        assert (webhook["pendingEvents"], webhook["pendingIsMore"]) == (number, False), start
        assert number or webhook["lagSeconds"] == 0
        assert add({"from": start, "kinds": ["merged"]})["pendingEvents"] == 0
    webhook = add()
    assert webhook["pendingEvents"] == 0
    for start, number in left.items():
        moved = ask("POST", f"/webhooks/{webhook['id']}/replay", {"from": start})
        assert moved["pendingEvents"] == number, start
    sql(
        "INSERT INTO contact_events (happened_at, kind, primary_id, absorbed_ids, moved_ids)"
        " SELECT now(), 'linked', 1, '{}', '{}' FROM generate_series(1, 1000)"
    )
    webhook = add({"from": "beginning", "kinds": ["created"]})
    assert (webhook["pendingEvents"], webhook["pendingIsMore"]) == (3, True)
    webhook = add({"from": "beginning"})
    assert (webhook["pendingEvents"], webhook["pendingIsMore"]) == (1000, True)
    sql("UPDATE contact_webhooks SET cursor = 'of another server' WHERE id = %s", webhook["id"])
    webhook = ask("GET", f"/webhooks/{webhook['id']}")
    assert (webhook["pendingEvents"], webhook["pendingIsMore"]) == (None, False)


def test_webhooks_are_listed_page_by_page(ask, add):
    ids = [add(description=str(number))["id"] for number in range(5)]
    listed, path = [], "/webhooks?limit=2"
    while path:
        page = ask("GET", path)
        listed += page["webhooks"]
        path = page["next"] and f"/webhooks?limit=2&after={page['next']}"
    assert [one["id"] for one in listed] == ids == sorted(ids)
    assert [one["description"] for one in listed] == [*"01234"]
    assert ask("GET", "/webhooks?limit=5")["next"] is None


def test_a_webhook_is_paused_and_resumed_and_removed(ask, add, sql):
    path = f"/webhooks/{add({'from': 'beginning'})['id']}"
    paused = ask("POST", f"{path}/pause")
    assert (paused["state"], paused["pausedBecause"]) == ("paused", "asked")
    assert ask("POST", f"{path}/pause")["pausedAt"] == paused["pausedAt"]
    assert ask("POST", f"{path}/replay", {"from": "end"})["state"] == "paused"
    resumed = ask("POST", f"{path}/resume")
    assert (resumed["state"], resumed["pausedAt"], resumed["pausedBecause"]) == ("active", None, None)
    assert resumed["nextAttemptInSeconds"] is None
    later = "clock_timestamp() AT TIME ZONE 'UTC' + interval '1 hour'"
    sql(
        f"UPDATE contact_webhooks SET failures = 2, failed_requests = 5, last_failure = 'status 500',"
        f" failing_since = created_at, next_attempt_at = {later}, leased_until = {later}"
    )
    failing = ask("GET", path)
    assert (failing["state"], failing["lastFailure"], failing["failedRequests"]) == (
        "failing", "status 500", 5
    )  # fmt: skip
    assert 3000 < failing["nextAttemptInSeconds"] <= 3600
    assert failing["isDelivering"]
    resumed = ask("POST", f"{path}/resume")
    assert (resumed["state"], resumed["isDelivering"]) == ("active", False)
    assert ask("DELETE", path, expect=204) is None
    assert ask("GET", "/webhooks") == {"webhooks": [], "next": None}


def test_what_no_webhook_has_the_id_of_is_not_found(ask):
    path = f"/webhooks/{UNKNOWN}"
    for method, rest, body in [
        ("GET", "", None), ("DELETE", "", None), ("POST", "/pause", None), ("POST", "/resume", None),
        ("POST", "/replay", {"from": "end"}), ("POST", "/rotate", None), ("POST", "/test", None),
    ]:  # fmt: skip
        problem = ask(method, path + rest, body, expect=404)
        assert problem["errors"] == [{"field": "id", "reason": "no webhook has this id"}]


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        ("POST", "/webhooks", {}, ["url"]),
        ("POST", "/webhooks", b"[]", ["body"]),
        ("POST", "/webhooks", {"url": URL, "secret": "marked"}, ["body"]),
        ("POST", "/webhooks?start=end", {"url": URL}, ["query"]),
        (
            "POST",
            "/webhooks",
            {"url": 1, "kinds": "merged", "description": 1, "from": 1},
            ["url", "kinds", "description", "from"],
        ),
        ("POST", "/webhooks", {"url": URL, "kinds": ["merged", "marked"]}, ["kinds"]),
        ("POST", "/webhooks", {"url": URL, "kinds": [["merged"]]}, ["kinds"]),
        ("POST", "/webhooks", {"url": URL, "description": "a" * 201}, ["description"]),
        ("POST", "/webhooks", {"url": URL, "description": "marked\0"}, ["description"]),
        ("POST", "/webhooks", {"url": URL, "from": "marked"}, ["from"]),
        ("POST", "/webhooks", {"url": URL, "from": "0001-01-01T00:00:00+01:00"}, ["from"]),
        ("POST", "/webhooks", {"url": URL, "from": ""}, ["from"]),
        ("POST", "/webhooks", {"url": "http://markedhost.example/"}, ["url"]),
        ("POST", "/webhooks", {"url": "https://user:marked@host.example/"}, ["url"]),
        ("POST", "/webhooks", {"url": "https://host.example/#marked"}, ["url"]),
        ("POST", "/webhooks", {"url": "https://"}, ["url"]),
        ("POST", "/webhooks", {"url": "https://host.example/" + "a" * 2048}, ["url"]),
        ("POST", "/webhooks", {"url": "https://host.example/\n"}, ["url"]),
        ("GET", "/webhooks?after=-1&limit=101", None, ["after", "limit"]),
        ("GET", "/webhooks/marked", None, ["id"]),
        ("DELETE", "/webhooks/-1", None, ["id"]),
        ("DELETE", "/webhooks/1?force=marked", None, ["query"]),
        ("POST", "/webhooks/marked/pause", None, ["id"]),
        ("POST", "/webhooks/marked/resume", None, ["id"]),
        ("POST", "/webhooks/marked/test", None, ["id"]),
        ("POST", "/webhooks/marked/replay", {}, ["id", "from"]),
        ("POST", "/webhooks/1/replay", {"from": "marked"}, ["from"]),
        ("POST", "/webhooks/1/replay", {"from": "end", "to": "marked"}, ["body"]),
        ("POST", "/webhooks/marked/rotate?keepHours=-1", None, ["id", "keepHours"]),
        ("POST", "/webhooks/1/rotate?keepHours=nan", None, ["keepHours"]),
        ("POST", "/webhooks/1/rotate?keep=1", None, ["query"]),
    ],
)
def test_every_field_that_is_wrong_is_named(ask, method, path, body, fields):
    problem = ask(method, path, body, expect=400)
    assert [error["field"] for error in problem["errors"]] == fields
    assert "marked" not in json.dumps(problem)
    assert ask("GET", "/webhooks")["webhooks"] == []


@pytest.mark.parametrize(
    "members",
    [{"allowHttp": True}, {"allowedNetworks": ["127.0.0.0/8"]}, {"allowHttp": None, "allowedNetworks": None}],
)
def test_what_opens_private_networks_is_set_by_the_command_line_alone(ask, members):
    problem = ask("POST", "/webhooks", {"url": URL} | members, expect=400)
    assert problem["errors"] == [
        {"field": name, "reason": "must be set by the command line"} for name in members
    ]
    assert ask("GET", "/webhooks")["webhooks"] == []


def test_a_key_for_webhooks_reaches_no_private_network(ask, add):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        port = canary.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
            webhook = add(url=f"https://{host}:{port}/")
            tested = ask("POST", f"/webhooks/{webhook['id']}/test")
            assert tested.pop("seconds") >= 0
            assert tested == {"isAccepted": False, "status": None, "failure": "address not allowed"}
            assert ask("GET", f"/webhooks/{webhook['id']}") == webhook
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_only_the_scope_for_it_manages_webhooks(running, ask, add):
    path = f"/webhooks/{add()['id']}"
    operations = [
        ("POST", "/webhooks", {"url": URL}), ("GET", "/webhooks", None), ("GET", path, None),
        ("DELETE", path, None), ("POST", f"{path}/pause", None), ("POST", f"{path}/resume", None),
        ("POST", f"{path}/replay", {"from": "end"}), ("POST", f"{path}/rotate", None),
        ("POST", f"{path}/test", None),
    ]  # fmt: skip
    described = running.document.document["paths"].items()
    assert len(operations) == sum(len(one) for name, one in described if name.startswith("/webhooks"))
    before = ask("GET", path)
    for method, asked, body in operations:
        assert ask(method, asked, body, expect=403, by="rest")["detail"].endswith("needs the scope admin")
        assert running.request(method, asked, body and json.dumps(body))[0] == 401
    assert ask("GET", path) == before


def test_a_secret_of_another_key_is_of_no_use_until_it_is_rotated(ask, add, sql):
    path = f"/webhooks/{add()['id']}"
    sql("UPDATE contact_webhooks SET key_id = '\\x0011223344556677'")
    assert ask("GET", path)["keyIsKnown"] is False
    assert "rotate the secret" in ask("POST", f"{path}/test", expect=400)["detail"]
    rotated = ask("POST", f"{path}/rotate")["webhook"]
    assert (rotated["keyIsKnown"], rotated["previousSecretUntil"]) == (True, None)


def test_without_a_key_the_setting_is_named(tmp_path, pair_of_urls):
    with service(tmp_path, DB_CONNECTION_STRING=plain(pair_of_urls[0])) as running:
        checked(running)
        headers = {"Content-Type": "application/json"}
        status, _, answer = running.request("POST", "/webhooks", json.dumps({"url": URL}), headers)
        assert status == 400
        assert "IDENTITY_WEBHOOK_KEY" in json.loads(answer)["detail"]
        assert "secrets.token_urlsafe" in json.loads(answer)["detail"]
        assert running.request("GET", "/webhooks")[0] == 200
