"""The reference consumer ends with exactly the identities of the service, however often it is killed."""

import asyncio
import json
import re
import runpy
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random

import psycopg
import pytest
from sqlalchemy import URL

from identity_adapters.embedded import as_unprivileged_user, packaged_programs
from identity_adapters.postgres import migrate, repair_database, verify
from tests.support.databases import connect, plain, repository_on
from tests.support.kafka import broker, connect_worker, for_java, skip_without_debezium
from tests.support.operations import find_primaries, operations
from tests.support.processes import environment, free_port, service
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONSUMER = ROOT / "deploy" / "identity_consumer.py"
CONNECTOR = json.loads((ROOT / "deploy" / "debezium-connector.json").read_text())
STATEMENTS = re.findall(
    r"^```sql\n(.*?)^```", (ROOT / "docs/how-to/stream-to-kafka.md").read_text(), re.MULTILINE | re.DOTALL
)
"""What the page has the owner of the database run."""

USER = CONNECTOR["config"]["database.user"]
TOPIC = "identity.public.contact_events"
PASSWORD = "IDENTITY_REPLICATION_PASSWORD"

LEFT_BY_OTHERS = """
INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at, deleted_at) VALUES
    (1, '1@x', '101', NULL, 'primary', '2020-01-02', NULL),
    (2, '2@x', '101', 1, 'secondary', '2020-01-01', NULL),
    (3, '3@x', '102', 2, 'secondary', '2020-01-03', NULL),
    (4, '4@x', '104', NULL, 'primary', '2020-01-04', '2020-01-06'),
    (5, '5@x', '104', 4, 'secondary', '2020-01-05', NULL);
SELECT setval(pg_get_serial_sequence('contacts', 'id'), 100);
"""
"""A primary that is younger than its secondary, a secondary of a secondary, and a deleted primary."""

CUSTOMER = """
WITH customer AS (
    INSERT INTO contacts (email, link_precedence) VALUES (gen_random_uuid() || '@x', 'primary') RETURNING id
)
INSERT INTO contact_events (happened_at, kind, primary_id, contact_id, absorbed_ids)
SELECT now(), 'created', id, id, '{}' FROM customer
"""

consumer = runpy.run_path(str(CONSUMER))


@contextmanager
def server_with_slots(folder):
    """The URL of a server of its own that can be replicated from."""
    programs, port = packaged_programs(), free_port()
    start = as_unprivileged_user()
    create = [*start, programs / "initdb", "-D", folder, "--username=identity", "--auth=trust", "--locale=C"]
    subprocess.run([*create, "--encoding=UTF8"], check=True, capture_output=True)
    settings = (f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "wal_level=logical")
    options = [word for setting in (*settings, "fsync=off") for word in ("-c", setting)]
    with (folder.parent / "postgres.log").open("w") as log:
        process = subprocess.Popen(
            [*start, programs / "postgres", "-D", folder, *options], stdout=log, stderr=log
        )
    url = URL.create("postgresql+psycopg", "identity", host="127.0.0.1", port=port, database="postgres")

    def answers():
        try:
            connect(url).close()
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_until(answers)
        with connect(url) as connection:
            connection.execute("CREATE DATABASE identity")
        yield url.set(database="identity")
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Followers:
    """One process of the consumer after the other, on one map."""

    def __init__(self, folder, *options):
        self.path = folder / "map.db"
        self._options = options
        self._log = folder / "consumer.log"
        self._process = None

    def restart(self):
        """Kill the process wherever it is, and start another."""
        self.stop()
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, CONSUMER, self.path, *self._options],
                env=environment(),
                stdout=log,
                stderr=log,
            )

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    def find_primaries(self):
        """The map, as anybody may read it meanwhile."""
        assert self._process is None or self._process.poll() is None, self._log.read_text()
        return read_map(self.path)


def read_map(path):
    try:
        with closing(sqlite3.connect(path)) as database:
            return dict(database.execute("SELECT id, primary_id FROM contacts").fetchall())
    except sqlite3.OperationalError:  # it is not created yet
        return {}


@contextmanager
def followers(folder, *options):
    """Followers that are killed in the end."""
    some = Followers(folder, *options)
    try:
        yield some
    finally:
        some.stop()


def test_the_consumer_follows_the_service_whenever_it_is_killed(tmp_path, url):
    random = Random(1)
    with connect(url) as connection:
        connection.execute(LEFT_BY_OTHERS)

    async def follow(running):
        async with operations(url, random) as act:
            for _ in range(5):
                await act()
            assert read_contacts(url, tmp_path) == await find_primaries(url)
            with followers(tmp_path, "--http", f"http://127.0.0.1:{running.port}") as following:
                for _ in range(40):
                    await act()
                    if random.random() < 0.2:
                        following.restart()
                async with repository_on(url) as ports:
                    await repair_database(url, ports, ports)
                following.restart()
                await wait_for_map(following, url)
                following.stop()
                assert read_contacts(url, tmp_path) == await find_primaries(url)
                for _ in range(5):
                    await act()
                following.restart()
                await wait_for_map(following, url)

    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        asyncio.run(follow(running))
    assert verify(url) == []


async def wait_for_map(following, url):
    """Wait until the map is what the service answers."""
    expected = await find_primaries(url)
    await asyncio.to_thread(wait_until, lambda: following.find_primaries() == expected)


def read_contacts(url, folder):
    """Begin with the contacts as they are; what the map is then."""
    command = [sys.executable, CONSUMER, folder / "map.db", "--from-contacts", plain(url)]
    subprocess.run(command, env=environment(), check=True, timeout=PATIENCE)
    return read_map(folder / "map.db")


def test_a_batch_and_the_position_after_it_are_written_together_or_not_at_all(tmp_path):
    kept = consumer["Map"](str(tmp_path / "map.db"))

    def make_events(ids):
        for id in ids:
            yield consumer["Event"](id, "created", id, id, (), ())
        if 3 in ids:
            raise KeyboardInterrupt

    kept.apply(make_events([1]), "events", "one")
    with pytest.raises(KeyboardInterrupt):
        kept.apply(make_events([2, 3]), "events", "three")
    assert read_map(tmp_path / "map.db") == {1: 1}
    assert kept.find_position("events") == "one"
    kept.apply(make_events([2]), "events", "two")
    assert read_map(tmp_path / "map.db") == {1: 1, 2: 2}


def test_events_that_come_again_change_nothing(tmp_path, url):
    random = Random(2)

    async def record():
        async with operations(url, random) as act:
            for _ in range(40):
                await act()
        async with repository_on(url) as ports:
            return (await ports.changes(limit=100_000))[0], await find_primaries(url)

    recorded, expected = asyncio.run(record())
    events = [
        consumer["Event"](
            one.id,
            one.event.kind,
            one.event.primary_id,
            one.event.contact_id,
            one.event.absorbed_ids,
            one.event.moved_ids,
        )
        for one in recorded
    ]
    path = tmp_path / "map.db"
    kept = consumer["Map"](str(path))
    known = place = 0
    maps = [{}, *map_after_each(events)]
    while place < len(events):
        some = events[place : place + random.randint(1, 50)]
        kept.apply(some, "events", str(place + len(some)))
        place += len(some)
        known = max(known, place)
        assert read_map(path) == maps[known]
        if random.random() < 0.3:
            place = max(0, place - random.randint(0, 100))
    assert read_map(path) == expected
    assert kept.find_position("events") == str(len(events))


def map_after_each(events):
    """The map after each event that comes once."""
    primaries = {}
    for event in events:
        members = partial(find_members, primaries)
        changes = consumer["find_changes"](event, members)
        primaries = {id: one for id, one in (primaries | changes).items() if one is not None}
        yield primaries


def find_members(primaries, primary_id):
    return [id for id, one in primaries.items() if one == primary_id]


def test_the_consumer_refuses_a_topic_that_does_not_keep_the_order(tmp_path):
    pytest.importorskip("confluent_kafka")
    with broker(TOPIC, partitions=2) as address:
        assert f"the topic {TOPIC} has 2 partitions" in follow_in_vain(tmp_path, address)
    assert read_map(tmp_path / "map.db") == {}


def test_the_consumer_skips_nothing_that_is_gone_from_the_topic(tmp_path):
    pytest.importorskip("confluent_kafka")
    consumer["Map"](str(tmp_path / "map.db")).apply([], f"kafka {TOPIC}", "999")
    with broker(TOPIC) as address:
        assert f"events of {TOPIC} are gone that were not read" in follow_in_vain(tmp_path, address)


def follow_in_vain(folder, address):
    """What the consumer says before it ends."""
    command = [sys.executable, CONSUMER, folder / "map.db", "--kafka", address]
    done = subprocess.run(
        command, env=environment(), check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    return done.stderr


def test_debezium_streams_events_to_the_consumer_whatever_is_killed(tmp_path):
    skip_without_debezium()
    random = Random(3)
    with (
        server_with_slots(tmp_path / "postgres") as url,
        broker(TOPIC) as address,
        for_java(address) as bootstrap,
        followers(tmp_path, "--kafka", address) as following,
    ):
        migrate(url)
        with connect(url) as connection:
            for statement in STATEMENTS:
                connection.execute(statement)
        assert read_contacts(url.set(username=USER), tmp_path) == {}
        there = {"database.hostname": url.host, "database.port": str(url.port)}
        connector = CONNECTOR | {"config": CONNECTOR["config"] | there}

        async def stream():
            async with operations(url, random) as act:
                for is_last in (False, False, True):
                    if is_last:
                        await asyncio.to_thread(drop_slot, url)
                    for _ in range(random.randint(4, 8)):
                        await act()  # while nobody streams
                    known = read_position(following.path)
                    with connect_worker(tmp_path, bootstrap, connector, **{PASSWORD: "secret"}) as worker:

                        def has_moved_on(known=known, worker=worker):
                            assert worker.is_alive(), (tmp_path / "connect.log").read_text()
                            return read_position(following.path) != known

                        following.restart()
                        await asyncio.to_thread(wait_until, has_moved_on)
                        with slow_transaction(url):
                            for _ in range(10):
                                await act()
                                if random.random() < 0.3:
                                    following.restart()
                        if is_last:
                            await wait_for_map(following, url)

        asyncio.run(stream())
        with connect(url) as connection:
            events = {id for (id,) in connection.execute("SELECT id FROM contact_events")}
        with closing(sqlite3.connect(following.path)) as database:
            assert {id for (id,) in database.execute("SELECT id FROM applied_events")} == events
        assert verify(url) == []


@contextmanager
def slow_transaction(url):
    """A customer comes in a transaction that draws an id first, and commits last."""
    with connect(url) as connection, connection.transaction():
        connection.execute(CUSTOMER)
        yield


def drop_slot(url):
    """Lose the place from which the log is kept, once the server knows that its reader was killed."""
    with connect(url) as connection:
        is_free = "SELECT NOT active FROM pg_replication_slots"
        wait_until(lambda: connection.execute(is_free).fetchone() == (True,))
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


def read_position(path):
    """How far the map has come."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT position FROM positions").fetchall()
