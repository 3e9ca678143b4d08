"""On a streaming replica the service answers what only looks."""

import asyncio
import json
import subprocess
from contextlib import contextmanager

import psycopg
import pytest

from identity_adapters.embedded import as_unprivileged_user, embedded_database, packaged_programs
from identity_core import RepositoryUnavailable
from tests.support.databases import connect, plain, repository_on
from tests.support.processes import free_port, run, service
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}


@contextmanager
def replica_of(url, folder):
    """The URL of a server that follows another."""
    programs, port = packaged_programs(), free_port()
    copy = [programs / "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", f"--pgdata={folder}"]
    subprocess.run([*copy, "--host", url.query["host"], "--username", url.username], check=True)
    log = (folder.parent / "replica.log").open("w")
    settings = (
        "max_connections=200",
        f"port={port}",
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
    )
    options = [word for setting in settings for word in ("-c", setting)]
    process = subprocess.Popen(
        [*as_unprivileged_user(), programs / "postgres", "-D", folder, *options], stdout=log, stderr=log
    )
    replica = url.set(host="127.0.0.1", port=port, query={})

    def answers():
        try:
            with connect(replica) as connection:
                return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        except psycopg.OperationalError:
            return False

    try:
        wait_until(answers)
        yield replica
    finally:
        process.terminate()
        process.wait(PATIENCE)
        log.close()


EVENT = """
INSERT INTO contact_events (happened_at, kind, primary_id, absorbed_ids) VALUES (now(), 'created', %s, '{}')
"""


def check_feed(url, replica, observer):
    """A replica delivers every event once, though it does not know which transactions are in progress."""

    def wait_until_it_has(number):
        count = "SELECT count(*) FROM contact_events WHERE primary_id IN (1001, 1002)"
        wait_until(lambda: observer.execute(count).fetchone() == (number,))

    async def body():
        async with repository_on(url) as there, repository_on(replica) as here:
            _, cursor = await here.changes()
            with connect(url) as slow, connect(url) as quick:
                slow.execute("BEGIN")
                slow.execute(EVENT, [1001])
                quick.execute(EVENT, [1002])
                wait_until_it_has(1)
                before, cursor = await here.changes(cursor)
                _, ahead = await there.changes()
                with pytest.raises(RepositoryUnavailable):
                    await here.changes(ahead)
                slow.execute("COMMIT")
                wait_until_it_has(2)
                after, _ = await here.changes(cursor)
            delivered = [recorded.event.primary_id for recorded in before + after]
            assert sorted(delivered) == [1001, 1002]
            assert [recorded.event.primary_id for recorded in (await here.changes(ahead))[0]] == [1001]

    asyncio.run(body())


def test_a_replica_answers_what_only_looks(tmp_path):
    with embedded_database(tmp_path / "data") as url:
        with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as primary:
            primary.identify("a@x", "1")
        with (
            replica_of(url, tmp_path / "replica") as replica,
            service(tmp_path, DB_CONNECTION_STRING=plain(url)) as primary,
        ):
            there = {"DB_CONNECTION_STRING": plain(replica), "IDENTITY_MIGRATE_AT_START": "no"}
            known = primary.identify("b@x", "1")
            with connect(replica) as connection:
                count = "SELECT count(*) FROM contacts"
                wait_until(lambda: connection.execute(count).fetchone() == (2,))
                check_feed(url, replica, connection)
            with service(tmp_path, **there) as looking:
                assert looking.request("GET", "/health/ready")[0] == 200
                assert looking.identify("b@x", "1") == known
                ends = {"one": {"email": "a@x"}, "other": {"email": "b@x"}}
                for method, path, body in [
                    ("POST", "/preview", {"email": "c@x", "phoneNumber": "1"}),
                    ("POST", "/lookup", {"email": "a@x"}),
                    ("POST", "/explain", ends),
                    ("GET", "/identities/2", None),
                    ("GET", "/identities/2/history", None),
                    ("GET", "/changes", None),
                ]:
                    asked = (method, path, body and json.dumps(body), JSON)
                    status, _, answer = looking.request(*asked)
                    assert (status, answer) == (200, primary.request(*asked)[2]) or path == "/changes"
                    assert status == 200
                status, problem = looking.post({"email": "new@x"})
                assert (status, problem["detail"].partition(";")[0]) == (503, "the database is read-only")
                # Who gets what has to be recorded.
                status, _, answer = looking.request("POST", "/access", json.dumps({"email": "a@x"}), JSON)
                assert (status, b"a@x" in answer, b"read-only" in answer) == (503, False, True)
            assert run("verify", cwd=tmp_path, **there).returncode == 0
            exported = run("export", "--format=csv", cwd=tmp_path, **there)
            assert len(exported.stdout.splitlines()) == 3
