"""A backup is made while the service works, and brings everything back somewhere else."""

import asyncio
import os
import shutil
from itertools import chain, count

import pytest

from identity_adapters.embedded import embedded_database, packaged_programs
from identity_core import ContactDetails, IdentifyContacts, InvalidCursor
from tests.support.clients import Load, adversarial
from tests.support.databases import connect, new_database, plain, repository_on
from tests.support.processes import run, service

pytestmark = pytest.mark.slow

ROWS = {
    "contacts": "SELECT * FROM contacts ORDER BY id",
    "contact_evidence": "SELECT * FROM contact_evidence ORDER BY id",
    "contact_events": "SELECT id, happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids"
    " FROM contact_events ORDER BY id",
}


def rows(url):
    with connect(url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in ROWS.items()}


def test_a_backup_of_the_embedded_database_is_restored_into_another(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with service(tmp_path, IDENTITY_DATA_DIR=old) as running:
        for number in range(50):
            running.identify(f"{number % 20}@x", str(number % 30))
        before = running.identify("0@x")
        dump = ["pg_dump", "--format=custom", "--file=backup"]
        done = run("postgres", *dump, cwd=tmp_path, IDENTITY_DATA_DIR=old)
        assert done.returncode == 0, done.stderr
        after_backup = running.identify("after@x")
    restore = ["pg_restore", "--exit-on-error", "--dbname=", "backup"]
    restored = run("postgres", *restore, cwd=tmp_path, IDENTITY_DATA_DIR=new)
    assert restored.returncode == 0, restored.stderr
    assert run("verify", cwd=tmp_path, IDENTITY_DATA_DIR=new).returncode == 0
    with service(tmp_path, IDENTITY_DATA_DIR=new) as running:
        assert running.identify("0@x") == before
        assert running.identify("another@x")["primaryContactId"] == after_backup["primaryContactId"]


def test_a_backup_that_is_made_under_load_is_whole(tmp_path, server, url):
    here = {"DB_CONNECTION_STRING": plain(url)}
    programs = {"PATH": f"{packaged_programs()}:{os.environ['PATH']}"}
    with service(tmp_path, **here) as running:
        endless = ((f"{n}@x", str(10**9 + n)) for n in count())
        load = Load([running.port], chain(adversarial(2_000), endless), clients=16)
        for number in range(3):
            load.has_gone_on()
            dump = ["pg_dump", "--format=custom", f"--file={number}"]
            done = run("postgres", *dump, cwd=tmp_path, **here, **programs)
            assert done.returncode == 0, done.stderr
        load.stop()
    for number in range(3):
        there = {"DB_CONNECTION_STRING": plain(new_database(server))}
        restore = ["pg_restore", "--exit-on-error", "--dbname=", str(number)]
        restored = run("postgres", *restore, cwd=tmp_path, **there, **programs)
        assert restored.returncode == 0, restored.stderr
        checked = run("verify", cwd=tmp_path, **there)
        assert checked.returncode == 0, checked.stdout


BURN_TRANSACTIONS = """
DO $$ BEGIN FOR n IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$
"""


def identify_and_follow(url, details, cursor=None):
    """Identify details, then return all events after a cursor, and the cursor after them."""

    async def body():
        async with repository_on(url) as repository:
            await IdentifyContacts(repository).many([ContactDetails(*one) for one in details])
            return await repository.changes(cursor)

    return asyncio.run(body())


def test_a_younger_server_delivers_every_restored_event_and_takes_no_cursor_of_the_old_one(
    tmp_path, server, url
):
    programs = {"PATH": f"{packaged_programs()}:{os.environ['PATH']}"}
    with connect(url) as connection:
        connection.execute(BURN_TRANSACTIONS)
    events, old_cursor = identify_and_follow(url, [("a@x", "1"), ("b@x", "2"), ("a@x", "2")])
    dump = ["pg_dump", "--format=custom", "--file=backup"]
    here = {"DB_CONNECTION_STRING": plain(url)}
    assert run("postgres", *dump, cwd=tmp_path, **here, **programs).returncode == 0
    with embedded_database(tmp_path / "younger") as other:
        there = {"DB_CONNECTION_STRING": plain(other)}
        restore = ["pg_restore", "--exit-on-error", "--no-owner", "--dbname=", "backup"]
        restored = run("postgres", *restore, cwd=tmp_path, **there, **programs)
        assert restored.returncode == 0, restored.stderr
        assert identify_and_follow(other, [])[0] == []  # by the numbers of the older server
        assert run("migrate", cwd=tmp_path, **there).returncode == 0
        found, cursor = identify_and_follow(other, [])
        assert found == events
        later, _ = identify_and_follow(other, [("c@x", "2")], cursor)
        assert len(later) == 1
        assert run("migrate", cwd=tmp_path, **there).returncode == 0
        with connect(other) as connection:
            new = "SELECT count(*) FROM contact_events WHERE transaction_id IS NOT NULL"
            assert connection.execute(new).fetchone() == (1,)
        assert identify_and_follow(other, [])[0] == [*events, *later]
        for in_the_future in (old_cursor, old_cursor.rpartition("_")[0]):
            with pytest.raises(InvalidCursor):
                identify_and_follow(other, [], in_the_future)
        with connect(other) as connection:
            for _ in range(2):
                connection.execute(BURN_TRANSACTIONS)
        with pytest.raises(InvalidCursor):
            identify_and_follow(other, [], old_cursor)


def test_one_moves_from_the_embedded_database_to_ones_own(tmp_path, server):
    data = {"IDENTITY_DATA_DIR": tmp_path / "data"}
    with service(tmp_path, **data) as running:
        running.identify("a@x", "1")
        before = running.identify("b@x", "1")
    dump = ["pg_dump", "--format=custom", "--no-owner", "--file=identity.dump"]
    assert run("postgres", *dump, cwd=tmp_path, **data).returncode == 0
    with connect(server) as connection:
        connection.execute("CREATE ROLE own_user LOGIN CREATEDB")
    own = new_database(server)
    with connect(own) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO own_user")
    settings = {
        "DB_CONNECTION_STRING": plain(own.set(username="own_user")),
        "PATH": f"{packaged_programs()}:{os.environ['PATH']}",
    }
    restore = ["pg_restore", "--exit-on-error", "--no-owner", "--dbname=", "identity.dump"]
    restored = run("postgres", *restore, cwd=tmp_path, **settings)
    assert restored.returncode == 0, restored.stderr
    assert run("verify", cwd=tmp_path, **settings).returncode == 0
    with service(tmp_path, **settings) as running:
        assert running.identify("b@x") == before
        assert running.identify("b@x", "2")["phoneNumbers"] == ["1", "2"]


def test_a_copy_of_the_folder_is_a_backup_of_the_embedded_database_that_is_stopped(tmp_path):
    with service(tmp_path, IDENTITY_DATA_DIR=tmp_path / "data") as running:
        before = running.identify("a@x", "1")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    with embedded_database(tmp_path / "data") as one, embedded_database(tmp_path / "copy") as other:
        assert rows(one) == rows(other)
    with service(tmp_path, IDENTITY_DATA_DIR=tmp_path / "copy") as running:
        assert running.identify("a@x") == before


def test_a_program_that_is_not_there_and_one_that_fails_say_so(tmp_path, url):
    here = {"DB_CONNECTION_STRING": plain(url)}
    done = run("postgres", "no_such_program", cwd=tmp_path, **here)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1, "identity: no_such_program cannot be run: No such file or directory",
    )  # fmt: skip
    assert run("postgres", "sh", "-c", "exit 7", cwd=tmp_path, **here).returncode == 7


@pytest.mark.parametrize("query", ["", "?sslmode=prefer&application_name=mine"])
def test_a_program_finds_the_database_in_its_environment(tmp_path, query):
    url = f"postgresql://user:p%40ss@host:5433/db{query}"
    shown = run("postgres", "sh", "-c", "env | grep ^PG | sort", cwd=tmp_path, DB_CONNECTION_STRING=url)
    expected = ["PGDATABASE=db", "PGHOST=host", "PGPASSWORD=p@ss", "PGPORT=5433", "PGUSER=user"]
    if query:
        expected += ["PGSSLMODE=prefer", "PGAPPNAME=mine"]
    assert shown.stdout.splitlines() == sorted(expected)
