"""The service as processes: started, shared, stopped and killed."""

import json
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from identity_adapters.embedded import embedded_database
from tests.integration.test_embedded import servers
from tests.integration.test_transactions import WAITING
from tests.support.databases import connect, plain
from tests.support.processes import has_ended, kill, run, service, spawned_service
from tests.support.waiting import PATIENCE, wait_until


def test_it_knows_after_a_restart_what_it_knew_before(tmp_path):
    data = tmp_path / "data"
    with service(tmp_path, IDENTITY_DATA_DIR=data) as first:
        before = first.identify("a@x", "1")
        said = first.output()
        assert f"Using the embedded PostgreSQL; its data are in {data}." in said
        assert "DB_CONNECTION_STRING=postgresql://user:password@host:5432/database" in said
        assert first.stop() == 0
    assert servers(data) == []
    with service(tmp_path, IDENTITY_DATA_DIR=data) as second:
        assert second.identify("a@x") == before


def test_workers_share_one_embedded_database(tmp_path):
    data = tmp_path / "data"
    with service(tmp_path, "--workers", "3", IDENTITY_DATA_DIR=data) as running:
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: running.identify("a@x", "1"), range(200)))
        assert len({str(answer) for answer in answers}) == 1
        assert len(servers(data)) == 1
        family = running.family()
        assert len(family) >= 4
        assert running.stop() == 0
        wait_until(lambda: all(map(has_ended, family)))


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_killed_it_leaves_nothing_behind_and_the_next_start_recovers(tmp_path, options):
    data = tmp_path / "data"
    with service(tmp_path, *options, IDENTITY_DATA_DIR=data) as first:
        before = first.identify("a@x", "1")
        family = first.family()
        first.stop(signal.SIGKILL)
        wait_until(lambda: all(map(has_ended, family)))
    assert servers(data) == []
    with service(tmp_path, IDENTITY_DATA_DIR=data) as second:
        assert second.identify("a@x") == before


def test_an_embedded_server_that_is_killed_is_started_again(tmp_path):
    data = tmp_path / "data"
    with service(tmp_path, "--workers", "2", IDENTITY_DATA_DIR=data) as running:
        for number in range(3):
            before = running.identify("a@x", str(number))
            [server] = servers(data)
            kill(server)
            wait_until(lambda server=server: {one.pid for one in servers(data)} - {server.pid})
            wait_until(lambda before=before: running.post({"email": "a@x"}) == (200, {"contact": before}))
        assert len(servers(data)) == 1
    assert servers(data) == []


def test_a_worker_that_starts_while_the_database_is_away_waits_for_it(tmp_path):
    data = tmp_path / "data"
    with ExitStack() as serving:
        with embedded_database(data) as url:
            running = serving.enter_context(
                service(tmp_path, "--workers", "2", DB_CONNECTION_STRING=plain(url))
            )
            before = running.identify("a@x", "1")
            wait_until(lambda: running.output().count("Application startup complete") == 2)
        kill(running.workers()[0])
        wait_until(lambda: running.output().count("Application startup complete") == 3)
        assert running.request("GET", "/health/ready")[0] == 503
        with embedded_database(data):
            wait_until(lambda: running.post({"email": "a@x"}) == (200, {"contact": before}))


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_finishes_what_is_in_flight(tmp_path, by):
    data = tmp_path / "data"
    with service(tmp_path, IDENTITY_DATA_DIR=data) as running:
        running.identify("a@x", "1")
        with embedded_database(data) as url, connect(url) as other, ThreadPoolExecutor() as pool:
            other.execute("BEGIN")
            other.execute("SELECT * FROM contacts FOR UPDATE")
            in_flight = pool.submit(running.identify, "a@x", "2")
            wait_until(lambda: other.execute(WAITING).fetchone() == (1,))
            running.process.send_signal(by)
            wait_until(lambda: "Shutting down" in running.output())
            assert not in_flight.done()
            other.execute("COMMIT")
            assert in_flight.result()["phoneNumbers"] == ["1", "2"]
        assert running.process.wait(PATIENCE) == 0
    assert "Traceback" not in running.output()
    assert servers(data) == []


def test_a_database_of_ones_own_is_named_in_the_environment_or_a_file(tmp_path, empty_url, sql):
    (tmp_path / ".env").write_text(f"DB_CONNECTION_STRING={plain(empty_url)}\n")
    with service(tmp_path) as running:
        assert "embedded" not in running.output()
        running.identify("a@x", "1")
    assert sql("SELECT email FROM contacts") == [("a@x",)]
    other_driver = plain(empty_url).replace("postgresql:", "postgresql+asyncpg:")
    with service(tmp_path, DB_CONNECTION_STRING=other_driver) as running:
        assert running.identify("a@x")["phoneNumbers"] == ["1"]


def test_phone_numbers_of_a_region_become_international(tmp_path, url, sql):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url), IDENTITY_DEFAULT_REGION="us") as running:
        first = running.identify("a@x", "(650) 253-0000")
        assert first["phoneNumbers"] == ["+16502530000"]
        assert running.identify(None, "+1 650-253-0000") == running.identify(None, 6502530000) == first


def test_another_asgi_server_may_serve_the_application(tmp_path):
    data = tmp_path / "data"
    command = [sys.executable, "-m", "uvicorn", "identity_adapters.asgi:app", "--port", "0", "--workers", "2"]
    with (
        spawned_service(command, tmp_path, IDENTITY_DATA_DIR=data) as running,
        ThreadPoolExecutor(8) as pool,
    ):
        assert len({str(answer) for answer in pool.map(lambda _: running.identify("a@x"), range(50))}) == 1
    wait_until(lambda: servers(data) == [])


def test_migrate_sets_a_database_up(tmp_path, empty_url, sql):
    for _ in range(2):
        done = run("migrate", cwd=tmp_path, DB_CONNECTION_STRING=plain(empty_url))
        assert (done.returncode, done.stderr) == (0, "The database is ready.\n")
    assert sql("SELECT count(*) FROM contacts") == [(0,)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"DB_CONNECTION_STRING": "mysql://user:secret@host/db"},
            "identity: DB_CONNECTION_STRING must start with postgresql://",
        ),
        (
            {"DB_CONNECTION_STRING": "secret"},
            "identity: DB_CONNECTION_STRING must be like postgresql://user:password@host:5432/database",
        ),
        ({"IDENTITY_PORT": "secret"}, "identity: IDENTITY_PORT must be a whole number from 0 to 65535"),
        ({"IDENTITY_WORKERS": "0"}, "identity: IDENTITY_WORKERS must be a whole number from 1 to 64"),
        (
            {"IDENTITY_LOCK_TIMEOUT": "nan"},
            "identity: IDENTITY_LOCK_TIMEOUT must be a number from 0.1 to 3600",
        ),
        (
            {"IDENTITY_DEFAULT_REGION": "Utopia"},
            "identity: IDENTITY_DEFAULT_REGION must be a two-letter country code, such as US",
        ),
        (
            {"DB_CONNECTION_STRING": "postgresql://user:secret@127.0.0.1:1/db"},
            "identity: the database cannot be used: ",
        ),
        ({"IDENTITY_DATA_DIR": "/proc/nothing"}, "identity: the folder /proc/nothing cannot be used: "),
    ],
)
@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_bad_setting_stops_the_start_with_a_message_that_names_it(tmp_path, settings, message, command):
    ended = run(command, cwd=tmp_path, **settings)
    assert ended.returncode == 1
    assert ended.stderr.startswith(message)
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_stops_the_start(tmp_path):
    with service(tmp_path, IDENTITY_DATA_DIR=tmp_path / "data") as running:
        ended = run("serve", "--port", str(running.port), cwd=tmp_path, IDENTITY_DATA_DIR=tmp_path / "data")
        assert ended.returncode != 0
        assert "address already in use" in ended.stderr
        assert running.identify("a@x")


@pytest.mark.parametrize("command", [(), ("serve",), ("migrate",)])
def test_every_command_explains_itself(tmp_path, command):
    explained = run(*command, "--help", cwd=tmp_path)
    assert explained.returncode == 0
    assert explained.stdout.startswith("Usage: identity")
    assert run("--version", cwd=tmp_path).stdout.startswith("identity")


def test_the_configuration_is_shown_as_it_is_in_force(tmp_path):
    (tmp_path / ".env").write_text("IDENTITY_PORT=81\nIDENTITY_WORKERS=2\n")
    shown = run("config", "--json", cwd=tmp_path, IDENTITY_PORT=82)
    settings = {one["variable"]: (one["value"], one["origin"]) for one in json.loads(shown.stdout)}
    assert settings["IDENTITY_PORT"] == ("82", "environment")
    assert settings["IDENTITY_WORKERS"] == ("2", ".env")
    assert settings["IDENTITY_MAX_BATCH"] == ("128", "default")
    lines = run("config", cwd=tmp_path, IDENTITY_PORT=82).stdout.splitlines()
    assert ["IDENTITY_PORT", "82", "environment"] in [line.split() for line in lines]
    assert len(lines) == len(settings)
