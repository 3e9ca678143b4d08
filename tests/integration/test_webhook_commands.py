"""The commands that manage webhooks: what they show, ask, do and refuse."""

import json
from datetime import datetime, timedelta

import pytest

from identity_adapters.cli.webhooks import KINDS
from identity_core import EventKind
from tests.integration.test_looking import on_a_terminal
from tests.support.databases import plain
from tests.support.processes import run
from tests.support.receivers import accept_the_first, receiving

KEY = "markedKeyOfWebhooks" * 2
URL = "https://markedhost.example/markedpath"


@pytest.fixture
def settings(url):
    return {"DB_CONNECTION_STRING": plain(url), "IDENTITY_WEBHOOK_KEY": KEY}


@pytest.fixture
def webhooks(tmp_path, settings):
    """Runs ``identity webhooks``; standard output."""

    def run_it(*arguments, code=0, **options):
        done = run("webhooks", *map(str, arguments), cwd=tmp_path, **settings | options)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert KEY not in done.stdout + done.stderr
        run_it.stderr = done.stderr
        return done.stdout

    return run_it


def test_a_webhook_is_added_tested_rotated_and_removed(webhooks, settings, tmp_path):
    with receiving(till=accept_the_first) as endpoints:
        url, messages = endpoints.url("till"), endpoints.accepted["till"]
        private = ("--allow-http", "--allow-network", "127.0.0.0/8", "--allow-network", "fd00::/8")
        secret = webhooks("add", url, "--kind", "merged", "--description", "a till", *private)
        assert "Webhook 1 is added" in webhooks.stderr
        assert secret.strip() not in webhooks.stderr
        assert secret.startswith("whsec_")
        shown = json.loads(webhooks("show", 1))
        assert (shown["url"], shown["kinds"], shown["description"]) == (url, ["merged"], "a till")
        assert (shown["allowsHttp"], shown["allowedNetworks"]) == (True, ["127.0.0.0/8", "fd00::/8"])

        assert "The endpoint accepted the message: status 200" in webhooks("test", 1)
        [message] = messages
        assert message.is_signed_with(secret.strip())
        assert (message.content["type"], message.content["data"]) == ("identity.test", {})

        rotated = json.loads(webhooks("rotate", 1, "--keep-hours", "1", "--json"))
        until, added_at = (rotated["webhook"][name] for name in ("previousSecretUntil", "createdAt"))
        kept = datetime.fromisoformat(until) - datetime.fromisoformat(added_at)
        assert timedelta(hours=1) <= kept < timedelta(hours=2)
        tested = json.loads(webhooks("test", 1, "--json", code=1))
        assert (tested["isAccepted"], tested["status"], tested["failure"]) == (False, 500, "status 500")
        for one in (secret.strip(), rotated["secret"]):
            assert messages[-1].is_signed_with(one)
            assert one not in webhooks("list") + webhooks("show", 1)
        third = webhooks("rotate", 1, "--keep-hours", "0").strip()
        assert "did not accept the message: status 500" in webhooks("test", 1, code=1)
        assert messages[-1].is_signed_with(third)
        assert not messages[-1].is_signed_with(rotated["secret"])

    rows = on_a_terminal(tmp_path, ["webhooks", "list"], **settings).splitlines()
    assert rows[0].split() == ["id", "state", "url", "description", "pending", "delivered", "at",
        "failures", "last", "failure"]  # fmt: skip
    assert rows[1].split()[:5] == ["1", "active", url, "a", "till"]
    shown = on_a_terminal(tmp_path, ["webhooks", "show", "1"], **settings)
    assert "allows http" in shown
    assert "127.0.0.0/8, fd00::/8" in shown
    webhooks("remove", 1, code=1)
    assert url in webhooks.stderr
    assert webhooks("remove", 1, "--yes") == "Webhook 1 is removed.\n"
    assert json.loads(webhooks("list")) == {"webhooks": [], "next": None}


def test_a_webhook_is_paused_resumed_and_replayed(webhooks, tmp_path, settings):
    (tmp_path / "orders.csv").write_text("email,phone_number\na@x,1\nb@x,1\nc@x,3\n")
    assert run("import", "orders.csv", cwd=tmp_path, **settings).returncode == 0
    added = json.loads(webhooks("add", URL, "--from", "beginning", "--json"))
    assert (added["webhook"]["cursor"], added["webhook"]["pendingEvents"]) == (None, 3)
    assert json.loads(webhooks("pause", 1))["state"] == "paused"
    assert json.loads(webhooks("replay", 1, "--from", "end"))["pendingEvents"] == 0
    assert json.loads(webhooks("replay", 1, "--from", "2001-01-01"))["pendingEvents"] == 3
    assert json.loads(webhooks("resume", 1, "--json"))["state"] == "active"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["add", "http://markedhost.example/"],
            1,
            "URL must begin with https:// or, with --allow-http, http",
        ),
        (["add", "ftp://markedhost.example/", "--allow-http"], 1, "URL must begin with https://"),
        (["add", URL, "--allow-network", "10.0.0.1/8"], 1, "--allow-network must be a network such as"),
        (["add", URL, "--description", "a" * 201], 1, "--description must have at most 200 characters"),
        (["add", URL, "--from", "marked"], 1, "--from must be beginning, end, a time"),
        (["add", URL, "--kind", "changed"], 2, "--kind"),
        (["replay", "1"], 2, "--from"),
        (["rotate", "1", "--keep-hours", "-1"], 2, "--keep-hours"),
        (["show", "7"], 1, "no webhook has this id"),
        (["remove", "7", "--yes"], 1, "no webhook has this id"),
        (["show", "x"], 2, "ID"),
    ],
)
def test_what_is_wrong_is_named(webhooks, arguments, code, message):
    assert webhooks(*arguments, code=code) == ""
    assert message in webhooks.stderr
    assert "marked" not in webhooks.stderr


def test_without_a_key_the_setting_is_named(webhooks):
    webhooks("add", URL, code=1, IDENTITY_WEBHOOK_KEY="")
    assert "IDENTITY_WEBHOOK_KEY" in webhooks.stderr
    assert "secrets.token_urlsafe" in webhooks.stderr


def test_the_kinds_of_the_option_are_those_of_events():
    assert [*KINDS] == [*EventKind]
