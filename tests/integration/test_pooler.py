"""Behind pgbouncer in transaction pooling, nothing of a session is there in the next transaction."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from identity_adapters.embedded import as_unprivileged_user, embedded_database
from identity_adapters.postgres import create_engine, migrate
from tests.support.clients import Load, adversarial, check
from tests.support.databases import connect, new_database, plain
from tests.support.processes import environment, free_port, service
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

PASSWORD = "of-the-pooler"


@pytest.fixture
def pooled(tmp_path):
    """The database itself, and the URL of a pooler in front of it that has few connections to it."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    with embedded_database(tmp_path / "data") as url:
        port = free_port()
        (tmp_path / "pgbouncer.ini").write_text(
            f"[databases]\npooled = host={url.query['host']} port=5432 dbname=postgres user={url.username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = plain\nauth_file = users.txt\n"
            "pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200\n"
            "ignore_startup_parameters = options\n"
        )
        (tmp_path / "users.txt").write_text(f'"{url.username}" "{PASSWORD}"\n')
        with running(program, tmp_path):
            yield url, url.set(host="127.0.0.1", port=port, database="pooled", password=PASSWORD, query={})


@contextmanager
def running(program, folder):
    command = [*as_unprivileged_user(), program, "pgbouncer.ini"]
    with (folder / "pgbouncer.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_it_is_right_behind_a_pooler(tmp_path, pooled):
    url, pooler = pooled
    migrate(url)
    with connect(url) as connection:
        connection.execute("ALTER DATABASE postgres SET timezone = 'America/New_York'")
    settings = {
        "IDENTITY_MIGRATE_AT_START": "no",
        "DB_CONNECTION_STRING": plain(pooler),
        "IDENTITY_PREPARE_STATEMENTS": "no",
    }
    details = adversarial(4000)
    with service(tmp_path, **settings) as one, service(tmp_path, **settings) as other:
        wait_until(lambda: one.request("GET", "/health/ready")[0] == 200)
        one.identify("a@x", "1")
        page = json.loads(one.request("GET", "/identities/1")[2])
        assert page["contacts"][0]["createdAt"].endswith("Z")
        load = Load([one.port, other.port], details, clients=64).wait()
        assert set(load.statuses) == {200}
        with connect(url) as connection:
            [(sessions,)] = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                " AND pid <> pg_backend_pid()"
            )
        assert sessions <= 4
    check(url, [("a@x", "1"), *details])


def test_what_a_role_is_to_be_given_is_what_a_session_of_the_service_has(server):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "deploy.md"
    advised = re.findall(r"^ALTER ROLE identity SET (\w+) = .*;$", page.read_text(), re.MULTILINE)
    url = new_database(server)
    with connect(url) as connection:
        connection.execute("CREATE ROLE advised LOGIN")
        for statement in re.findall(r"^ALTER ROLE .*;$", page.read_text(), re.MULTILINE):
            connection.execute(statement.replace("identity", "advised", 1))
    settings = "SELECT lower(name), setting FROM pg_settings"

    async def session():
        engine = create_engine(url)
        async with engine.connect() as connection:
            rows = (await connection.exec_driver_sql(settings)).all()
        await engine.dispose()
        return dict(rows)

    with connect(url) as connection:
        usual = dict(connection.execute(settings).fetchall())
    with connect(url.set(username="advised")) as connection:
        given = dict(connection.execute(settings).fetchall())
    own = asyncio.run(session())
    assert {name: given[name] for name in advised} == {name: own[name] for name in advised}
    of_the_driver = {"application_name", "tcp_user_timeout"}
    assert {name for name in usual if own[name] != usual[name]} - of_the_driver <= set(advised)
