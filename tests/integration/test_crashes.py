"""Everything that can be killed is killed under load, again and again.

Nothing acknowledged is missing, nothing half-written is visible, the service serves again by itself,
and what was not acknowledged may be sent again.
"""

import asyncio
import signal
from contextlib import suppress
from itertools import chain

import psutil
import psycopg
import pytest

from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import migrate, verify
from tests.integration.test_embedded import servers
from tests.support.clients import Load, adversarial, check, components, partition
from tests.support.databases import connect, repository_on
from tests.support.processes import has_ended, kill, service
from tests.support.proxy import commit_cutter
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ROUNDS = (3, 12)
DETAILS = (4_000, 60_000)


@pytest.fixture
def server(tmp_path):
    """The URL of a server of the test's own, and the folder of its data."""
    folder = tmp_path / "server"
    with embedded_database(folder) as url:
        migrate(url)
        yield url, folder


def plain(url, **changes):
    return url.set(**changes).render_as_string(hide_password=False)


def can_connect(url):
    with suppress(psycopg.OperationalError), connect(url) as connection:
        return connection.execute("SELECT").rowcount == 1


EVENT = """
INSERT INTO contact_events (happened_at, kind, primary_id, absorbed_ids) VALUES (now(), 'created', 1, '{}')
"""


class Clients:
    """Clients that post details, by one load after the other, and what came of all of them."""

    def __init__(self, url, details):
        self._url = url
        self._details = details
        self._left = iter(details)
        self._loads = []

    def post_to(self, running):
        """Post what is left of the details, until all is posted or the load is stopped."""
        self._loads.append(Load([running.port], self._left, clients=64))
        return self._loads[-1]

    def check_and_post_again(self, running):
        """What was acknowledged is there, and whole; what was not may be sent again."""
        assert verify(self._url) == []
        part_of = {value: part for part in partition(self._url)[0] for value in part}
        acknowledged = list(chain.from_iterable(load.acknowledged for load in self._loads))
        assert acknowledged
        for part in components(acknowledged):
            assert part <= part_of.get(next(iter(part)), frozenset()), "something acknowledged is missing"
        again = [*chain.from_iterable(load.unacknowledged for load in self._loads), *self._left]
        assert Load([running.port], again, clients=64).wait().statuses.keys() <= {200}
        check(self._url, self._details)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_a_service_that_is_ended(tmp_path, server, size, by):
    url, _ = server
    clients = Clients(url, adversarial(size(*DETAILS), seed=1))
    for _ in range(size(*ROUNDS)):
        with service(tmp_path, "--workers", "2", DB_CONNECTION_STRING=plain(url)) as running:
            load = clients.post_to(running)
            load.has_gone_on()
            code = running.stop(by)
            load.stop()
            if by == signal.SIGTERM:
                assert code == 0
                assert load.statuses.keys() <= {200, None}, "who was heard was answered"
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        clients.check_and_post_again(running)


def test_a_worker_that_is_killed(tmp_path, server, size):
    url, _ = server
    clients = Clients(url, adversarial(size(*DETAILS), seed=2))
    with service(tmp_path, "--workers", "2", DB_CONNECTION_STRING=plain(url)) as running:
        load = clients.post_to(running)
        for _ in range(size(*ROUNDS)):
            load.has_gone_on()
            kill(wait_until(running.workers)[0])
        load.wait()
        clients.check_and_post_again(running)


def a_backend(url, _):
    """One that the service uses; the server ends all others then, and recovers as after a crash."""
    with connect(url) as connection:
        backends = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'identity' ORDER BY random() LIMIT 1"
        ).fetchall()
    with suppress(psutil.NoSuchProcess):
        return [psutil.Process(backend) for (backend,) in backends]


def the_whole_server(_, folder):
    [postmaster] = servers(folder)
    return [postmaster, *postmaster.children(recursive=True)]


@pytest.mark.parametrize("killed", [a_backend, the_whole_server])
def test_a_database_of_which_something_is_killed(tmp_path, server, size, killed):
    url, folder = server
    clients = Clients(url, adversarial(size(*DETAILS), seed=3))
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        load = clients.post_to(running)
        for _ in range(size(*ROUNDS)):
            load.has_gone_on()
            kill(*wait_until(lambda: killed(url, folder)))
            wait_until(lambda: running.request("GET", "/health/ready")[0] == 200)
        load.wait()
        clients.check_and_post_again(running)


def test_a_connection_that_is_cut_while_it_commits(tmp_path, server, size):
    url, folder = server
    clients = Clients(url, adversarial(size(*DETAILS), seed=4))
    proxied = tmp_path / "proxy"
    proxied.mkdir()
    with (
        commit_cutter(proxied, folder, every=7) as cutter,
        service(tmp_path, DB_CONNECTION_STRING=plain(url, query={"host": str(proxied)})) as running,
    ):
        load = clients.post_to(running).wait()
        assert cutter.cuts > 10
        assert load.statuses[200] > 0.9 * load.count(), "most are made again without anybody noticing"
        clients.check_and_post_again(running)


def test_a_cursor_takes_no_transaction_for_ended_that_a_crash_forgets(server):
    url, folder = server

    async def follow(cursor=None):
        async with repository_on(url) as repository:
            return await repository.changes(cursor)

    [postmaster] = servers(folder)
    [log_writer] = [one for one in postmaster.children() if "walwriter" in " ".join(one.cmdline())]
    with connect(url) as connection:
        connection.execute(EVENT)
        log_writer.suspend()  # who rolls back does not wait for the disk
        for _ in range(9):
            connection.execute("BEGIN; SELECT pg_current_xact_id(); ROLLBACK")
        _, cursor = asyncio.run(follow())
        log_writer.kill()
        wait_until(lambda: has_ended(log_writer))
    wait_until(lambda: can_connect(url))
    with connect(url) as connection:
        connection.execute(EVENT)
    [event], _ = asyncio.run(follow(cursor))
    assert event.id > 1
