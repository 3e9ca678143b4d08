"""API keys, as clients and operators see them."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from identity_adapters.keys import Scope, generate_key
from tests.support.openapi import checked
from tests.support.processes import run, service

JSON = {"Content-Type": "application/json"}
DETAILS = json.dumps({"email": "a@x", "phoneNumber": "1"})
ENDS = json.dumps({"one": {"email": "a@x"}, "other": {"email": "a@x"}})
NUMBER = json.dumps({"phoneNumber": "1"})
PERSON = json.dumps({"email": "a@x"})
REASON = {"reason": "a typo"}
UNDO = json.dumps(json.loads(DETAILS) | REASON)
SPLIT = json.dumps({"one": {"email": "a@x"}, "other": {"phoneNumber": "1"}} | REASON)
PIN = json.dumps({"one": {"email": "a@x"}, "other": {"email": "b@x"}, "verdict": "different"} | REASON)
PREVIEWED_RULES = json.dumps({"blocked": {}, "limits": {}})
RULES = json.dumps(json.loads(PREVIEWED_RULES) | REASON)
ASKED = {
    Scope.IDENTIFY: [("POST", "/identify", DETAILS), ("POST", "/preview", DETAILS)],
    Scope.READ: [
        ("POST", "/lookup", DETAILS),
        ("POST", "/access", PERSON),
        ("POST", "/explain", ENDS),
        ("GET", "/identities/1", None),
        ("GET", "/identities/1/history", None),
        ("GET", "/merges", None),
        ("GET", "/identities/1/graph", None),
        ("GET", "/changes", None),
        ("GET", "/statistics", None),
        ("GET", "/rulings", None),
        ("GET", "/pins", None),
        ("GET", "/held", None),
    ],
    Scope.DECIDE: [
        ("POST", "/pins", PIN),
        ("POST", "/undo?dryRun=true", UNDO),
        ("POST", "/undo", UNDO),
        ("POST", "/restore", UNDO),
        ("POST", "/split?dryRun=true", SPLIT),
        ("DELETE", "/pins/2?dryRun=true", None),
    ],
    Scope.ADMIN: [
        ("GET", "/metrics", None),
        ("GET", "/webhooks", None),
        ("GET", "/rules", None),
        ("GET", "/rules/suggestions", None),
        ("POST", "/rules/preview", PREVIEWED_RULES),
        ("PUT", "/rules", RULES),
    ],
    Scope.ERASE: [("POST", "/erase?dryRun=true", PERSON), ("POST", "/erase", NUMBER)],
}
OPEN = [
    "/health",
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/docs",
    "/redoc",
    "/",
    "/explorer/app.js",
]


@pytest.fixture(scope="module")
def keys():
    """Each scope with a key for it alone, and the old and the new key of somebody who changes keys."""
    made = {scope: generate_key(scope, [scope]) for scope in Scope}
    return made | {name: generate_key("shop", [Scope.IDENTIFY]) for name in ("old", "new")}


@pytest.fixture(scope="module")
def running(tmp_path_factory, keys, make_database):
    folder = tmp_path_factory.mktemp("access")
    entries = ",".join(key.entry for _, key in keys.values())
    with service(folder, DB_CONNECTION_STRING=make_database(), IDENTITY_API_KEYS=entries) as one:
        one.request("POST", "/identify", DETAILS, JSON | bearer(keys[Scope.IDENTIFY][0]))
        one.request("POST", "/pins", PIN, JSON | bearer(keys[Scope.DECIDE][0]))
        yield checked(one)


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("needed", Scope)
def test_a_key_is_for_its_scopes_alone(running, keys, needed):
    for method, path, body in ASKED[needed]:
        for scope in Scope:
            status, headers, answer = running.request(method, path, body, JSON | bearer(keys[scope][0]))
            assert status == (200 if scope is needed else 403), (path, scope)
            if status == 403:
                assert headers["content-type"] == "application/problem+json"
                assert json.loads(answer)["detail"].endswith(f"needs the scope {needed}")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer \xff", "identity_x"]
)
def test_without_a_key_that_is_known_nothing_is_told(running, header):
    headers = {} if header is None else {"Authorization": header}
    for asked in ASKED.values():
        for method, path, body in asked:
            status, answered, answer = running.request(method, path, body, JSON | headers)
            assert (status, answered["www-authenticate"]) == (401, "Bearer")
            assert json.loads(answer) == {
                "title": "Unauthorized",
                "status": 401,
                "detail": "an API key is required: Authorization: Bearer …",
            }


def test_any_key_is_told_what_it_may_do(running, keys):
    for scope in Scope:
        status, _, answer = running.request("GET", "/key", None, bearer(keys[scope][0]))
        assert (status, json.loads(answer)) == (
            200, {"name": scope, "scopes": [scope], "isRequired": True}
        )  # fmt: skip
    assert running.request("GET", "/key?scope=read", None, bearer(keys[scope][0]))[0] == 400
    for secret in ("", "wrong"):
        status, headers, _ = running.request("GET", "/key", None, bearer(secret))
        assert (status, headers["www-authenticate"]) == (401, "Bearer")


def test_several_keys_are_known_at_once(running, keys):
    for name in ("old", "new"):
        assert running.request("POST", "/identify", DETAILS, JSON | bearer(keys[name][0]))[0] == 200


@pytest.mark.parametrize("path", OPEN)
def test_health_and_documentation_are_for_everybody(running, path):
    assert running.request("GET", path)[0] == 200


def test_no_key_is_written_anywhere(running, keys):
    for secret, key in keys.values():
        assert secret not in running.output()
        assert key.hash.hex() not in running.output()


def test_a_key_that_was_made_by_the_command_is_a_key(tmp_path):
    made = json.loads(run("key", "new", "shop", "--scope", "identify", "--json", cwd=tmp_path).stdout)
    shown = run("key", "new", "shop", "--scope", "identify", "--scope", "read", cwd=tmp_path).stdout.split()
    entries = [made["entry"], next(word for word in shown if word.startswith("shop:identify+read:"))]
    secrets = [made["key"], next(word for word in shown if word.startswith("identity_"))]
    settings = {"IDENTITY_DATA_DIR": tmp_path / "data", "IDENTITY_API_KEYS": ",".join(entries)}
    with service(tmp_path, **settings) as running:
        for secret in secrets:
            assert running.request("POST", "/identify", DETAILS, JSON | bearer(secret))[0] == 200
        shown = run("config", cwd=tmp_path, **settings).stdout
        assert "shop (identify), shop (identify read)" in shown
        assert not any(entry.rpartition(":")[2] in shown for entry in entries)
    refused = run("key", "new", "a shop", "--scope", "read", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path, keys):
    entries = ",".join(key.entry for _, key in keys.values())
    settings = {"IDENTITY_API_KEYS": entries, "IDENTITY_RATE_LIMIT": "5"}
    with service(tmp_path, IDENTITY_DATA_DIR=tmp_path / "data", **settings) as running:
        checked(running)

        def ask(secret):
            return running.request("POST", "/identify", DETAILS, JSON | bearer(secret))

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: ask(keys["old"][0]), range(100)))
        refused = [(headers, json.loads(body)) for status, headers, body in answers if status == 429]
        assert 5 <= 100 - len(refused) < 100
        for headers, body in refused:
            assert int(headers["retry-after"]) >= 1
            assert body["detail"] == "the API key allows 5 requests per second"
        assert ask(keys["new"][0])[0] == 200


@pytest.mark.parametrize(
    ("host", "is_warned"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)]
)
def test_an_address_for_everybody_without_keys_is_warned_of(tmp_path, host, is_warned):
    data = {"IDENTITY_DATA_DIR": tmp_path / "data"}
    with service(tmp_path, "--host", host, **data) as running:
        assert ("no API keys are configured" in running.output()) == is_warned
