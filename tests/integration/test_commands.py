"""What the commands import, and what those that only read do to a database."""

import subprocess
import sys

import pytest

from identity_adapters.cli.database import open_container
from identity_adapters.container import run as run_work
from identity_adapters.embedded import embedded_database
from identity_core import ContactDetails
from tests.support.databases import connect, plain
from tests.support.processes import COMMAND, environment, run

pytestmark = pytest.mark.slow

HEAVY = {
    "alembic",
    "asyncio",
    "dependency_injector",
    "duckdb",
    "httpcore",
    "identity_core",
    "litestar",
    "msgspec",
    "phonenumbers",
    "prometheus_client",
    "psutil",
    "psycopg",
    "pyarrow",
    "sqlalchemy",
    "structlog",
    "uvicorn",
}

READS = [
    (["lookup", "--email", "a@x"], 1),
    (["explain", "a@x", "1"], 1),
    (["history", "1"], 1),
    (["merges"], 1),
    (["statistics"], 1),
    (["export"], 1),
    (["import", "--dry-run", "orders.csv"], 2),
    (["undo", "--contact-id", "1", "--reason", "why", "--dry-run"], 1),
    (["split", "a@x", "1", "--reason", "why", "--dry-run"], 1),
    (["pin", "list"], 1),
    (["rulings", "export"], 1),
    (["verify"], 2),
    (["verify", "--repair"], 2),
    (["verify", "--repair", "--dry-run"], 2),
]
"""Commands that do not migrate, each with the exit code of its failures."""

ACCESS = ["access", "--email", "a@x"]
"""The command that only reads, but records that it did; it does not migrate either."""

TABLES = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"


def imported(*arguments, cwd, **settings):
    """The modules that a command has imported by its end."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], *arguments],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize("arguments", [["--help"], ["config"], ["key", "new", "shop", "--scope", "read"]])
def test_a_command_without_a_database_imports_nothing_of_the_service(tmp_path, arguments):
    assert not HEAVY & imported(*arguments, cwd=tmp_path)


def test_a_connection_string_is_checked_without_connecting(tmp_path):
    modules = imported("config", cwd=tmp_path, DB_CONNECTION_STRING="postgresql://user@127.0.0.1:1/db")
    assert "sqlalchemy" in modules
    assert not modules & (HEAVY - {"sqlalchemy", "asyncio"} | {"sqlalchemy.ext.asyncio"})


def test_a_command_on_a_database_imports_nothing_of_http_or_files(tmp_path, url):
    done = imported("verify", cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
    service = {
        "duckdb",
        "httpcore",
        "litestar",
        "phonenumbers",
        "prometheus_client",
        "psutil",
        "pyarrow",
        "uvicorn",
    }
    assert not done & (service | {"alembic", "sqlalchemy.ext.asyncio"})
    with connect(url) as connection:
        connection.execute("INSERT INTO contacts (email, link_precedence) VALUES ('a@x', 'primary')")
    found = imported("lookup", "--contact", "1", cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
    assert not found & (service | {"alembic"})


@pytest.fixture
def unmigrated(tmp_path, empty_url):
    (tmp_path / "orders.csv").write_text("email,phone_number,created_at\na@x,1,2020-01-01\n")
    return {"cwd": tmp_path, "DB_CONNECTION_STRING": plain(empty_url)}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [*READS, (ACCESS, 1)],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_a_command_that_only_reads_does_not_migrate(unmigrated, sql, arguments, code):
    done = run(*arguments, **unmigrated)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == "identity: the database is not migrated; run 'identity migrate' first\n"
    assert sql(TABLES) == [(0,)]


def test_a_command_that_only_reads_says_that_the_schema_is_older_and_leaves_it_so(unmigrated, sql):
    run("migrate", **unmigrated)
    sql("UPDATE identity_schema_version SET version_num = '0001'")
    for arguments, code in READS[::4]:
        done = run(*arguments, **unmigrated)
        assert done.returncode == code
        assert "the schema of an older version; run 'identity migrate' first" in done.stderr
    assert sql("SELECT version_num FROM identity_schema_version") == [("0001",)]


def test_a_user_who_may_only_read_can_run_the_commands_that_only_read(unmigrated, empty_url, sql):
    run("import", "orders.csv", **unmigrated)
    reader = f"reader_of_{empty_url.database}"
    tables = "contacts, contact_evidence, contact_events, contact_rulings, contact_rules"
    tables += ", contact_audit, contact_last_seen, contact_suppressions, identity_schema_version"
    sql(f"CREATE ROLE {reader} LOGIN; GRANT SELECT ON {tables} TO {reader}")
    unmigrated["DB_CONNECTION_STRING"] = plain(empty_url.set(username=reader))
    for arguments, _ in READS:
        done = run(*arguments, **unmigrated)
        assert done.returncode == 0, done.stderr
    done = run(*ACCESS, **unmigrated)
    assert (done.returncode, done.stdout) == (1, "")
    assert "permission denied" in done.stderr


def test_a_newer_schema_is_read_as_it_is(unmigrated, sql):
    run("import", "orders.csv", **unmigrated)
    sql("UPDATE identity_schema_version SET version_num = '0099_later'")
    assert '"email":"a@x"' in run("lookup", "--email", "a@x", **unmigrated).stdout


def test_an_import_migrates_unless_it_is_told_not_to(unmigrated, sql):
    done = run("import", "orders.csv", IDENTITY_MIGRATE_AT_START="no", **unmigrated)
    assert done.returncode == 2
    assert "run 'identity migrate' first" in done.stderr
    assert sql(TABLES) == [(0,)]
    assert run("import", "orders.csv", **unmigrated).returncode == 0
    assert sql("SELECT email FROM contacts") == [("a@x",)]


def test_a_command_that_only_reads_does_not_migrate_the_embedded_database(tmp_path):
    data = tmp_path / "data"
    done = run("lookup", "--email", "a@x", cwd=tmp_path, IDENTITY_DATA_DIR=data)
    assert done.returncode == 1
    assert "run 'identity migrate' first" in done.stderr
    with embedded_database(data) as url, connect(url) as connection:
        assert connection.execute(TABLES).fetchone() == (0,)


def test_a_command_gives_up_a_database_that_does_not_answer_in_time(tmp_path, url):
    settings = {
        "IDENTITY_ANSWER_TIMEOUT": 0.2,
        "IDENTITY_LOCK_TIMEOUT": 10,
        "IDENTITY_STATEMENT_TIMEOUT": 3600,
    }
    with connect(url) as other:
        other.execute("BEGIN; LOCK TABLE contacts")
        done = run("lookup", "--email", "a@x", cwd=tmp_path, DB_CONNECTION_STRING=plain(url), **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "identity: the database does not answer"


def test_a_command_closes_every_connection(url, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DB_CONNECTION_STRING", plain(url))
    with open_container() as container:
        details = ContactDetails("a@x")
        run_work(container, container.identify_contacts()(details))
        assert run_work(container, container.query_identities().look_up(details))
        for engine in (container.engine(), container.query_engine()):
            assert engine.pool.checkedin() == engine.pool.checkedout() == 0
