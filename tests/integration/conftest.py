"""One embedded PostgreSQL for all tests, and a database of its own for each that asks."""

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import migrate
from tests.support.databases import connect, new_database, plain


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URL of a running server."""
    folder = tmp_path_factory.mktemp("server")
    with embedded_database(folder) as url:
        with connect(url) as connection:  # nobody crashes this one, so nothing of it has to reach a disk
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("ALTER SYSTEM SET max_wal_size = '128MB'")
            connection.execute("SELECT pg_reload_conf()")
        yield url
    shutil.rmtree(folder, ignore_errors=True)  # gigabytes, in memory where the folders of tests are


@pytest.fixture(scope="session")
def migrated(server):
    """The name of an empty database that is migrated; others are copies of it."""
    url = new_database(server)
    migrate(url)
    return url.database


@pytest.fixture(scope="session")
def make_database(server, migrated):
    """Makes an empty database that is migrated; its URL as people write it."""
    return lambda: plain(new_database(server, template=migrated))


@pytest.fixture
def empty_url(server, request):
    """The URL of an empty database, which is migrated only if the test asks for `url`."""
    template = request.getfixturevalue("migrated") if "url" in request.fixturenames else "template0"
    url = new_database(server, template=template)
    yield url
    with connect(server) as connection:  # hundreds of them would be gigabytes, in memory
        connection.execute(f"DROP DATABASE {url.database} WITH (FORCE)")


@pytest.fixture
def url(empty_url):
    """The URL of an empty database that is migrated."""
    return empty_url


@pytest.fixture(scope="module")
def pair_of_urls(server, migrated):
    """Two databases, which each example empties."""
    return [new_database(server, template=migrated) for _ in range(2)]


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


@pytest.fixture(scope="module")
def browser():
    """A browser."""
    from tests.support.explorer import browsing  # few tests need one

    with browsing() as one:
        yield one


@pytest.fixture
def visit(browser):
    """Gives windows of a new profile of the browser on a service; nothing may go wrong in them."""
    from tests.support.explorer import windows

    with ExitStack() as stack:
        yield lambda running, **options: stack.enter_context(windows(browser, running.address, **options))
