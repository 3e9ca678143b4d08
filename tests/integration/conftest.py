"""One embedded PostgreSQL for all tests, and a database of its own for each that asks."""

import shutil
import subprocess
import time
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import (
    Database,
    PostgresChangeFeed,
    PostgresContactRepository,
    PostgresIdentityReader,
    create_engine,
    migrate,
)

PATIENCE = 120.0
"""Seconds that whatever has to happen may take on a slow machine. Nothing waits for them to pass."""

_numbers = count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URL of a running server."""
    with embedded_database(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="session")
def migrated(server):
    """The name of an empty database that is migrated; others are copies of it."""
    url = new_database(server)
    migrate(url)
    return url.database


@pytest.fixture
def empty_url(server, request):
    """The URL of an empty database, which is migrated only if the test asks for `url`."""
    if "url" in request.fixturenames:
        return new_database(server, template=request.getfixturevalue("migrated"))
    return new_database(server)


@pytest.fixture
def url(empty_url):
    """The URL of an empty database that is migrated."""
    return empty_url


@pytest.fixture
def sql(empty_url):
    """Runs SQL on the database of the test; the rows."""
    with connect(empty_url) as connection:

        def run(query, *values):
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture(scope="session")
def size(request):
    """Gives the first size, or the second if the slow tests are to run at their full size."""
    return lambda usual, full: full if request.config.getoption("--nightly") else usual


@pytest.fixture(scope="session")
def orders():
    """The file of real orders, where it is at hand."""
    path = Path(__file__).parents[3] / "shared" / "data" / "orders.csv"
    if not path.exists():
        pytest.skip("the file of real orders is not here")
    return path


def eventually(condition):
    """Wait for a condition, however long that takes on a slow machine; what it came to."""
    give_up_at = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < give_up_at, "it did not come to that"
        time.sleep(0.01)
    return found


def plain(url):
    """A URL as people write it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def connect(url):
    """A connection whose times are UTC, as those of the tables are, wherever the server is."""
    return psycopg.connect(plain(url), autocommit=True, options="-c timezone=UTC")


@pytest.fixture
def small_disk(tmp_path):
    """Makes a disk of so many megabytes; its folder."""
    disk = tmp_path / "disk"

    def make(megabytes):
        disk.mkdir()
        mounted = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)]
        if not shutil.which("mount") or subprocess.run(mounted, capture_output=True, check=False).returncode:
            pytest.skip("only root can make a small disk, and not everywhere")
        return disk

    yield make
    if disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True)


def new_database(server, encoding="UTF8", template="template0"):
    """The URL of a new database on a server, which is a copy of another."""
    name = f"test_{next(_numbers)}"
    with connect(server) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE {template}")
    return server.set(database=name)


def patient_engine(url, **options):
    """An engine that gives nobody up because the machine is busy, unless it is told to."""
    patience = {"pool_timeout": PATIENCE, "statement_timeout": PATIENCE, "lock_timeout": PATIENCE}
    return create_engine(url, **patience | options)


class AllPorts(PostgresContactRepository, PostgresIdentityReader, PostgresChangeFeed):
    """The adapters of all three ports in one, on an engine."""

    def __init__(self, engine, emails):
        self.engine, self.database = engine, Database(engine)
        super().__init__(self.database, emails)


@asynccontextmanager
async def repository_on(url, *, emails=None, **options):
    """A repository, a reader and a feed in one, on a database as it is."""
    engine = patient_engine(url, **options)
    try:
        yield AllPorts(engine, emails)
    finally:
        await engine.dispose()


@asynccontextmanager
async def emptied_repository_on(url):
    """A repository on a database whose rows are all removed."""
    async with repository_on(url) as repository:
        async with repository.engine.begin() as connection:
            await connection.execute(
                text("TRUNCATE contacts, contact_evidence, contact_events RESTART IDENTITY")
            )
        yield repository
