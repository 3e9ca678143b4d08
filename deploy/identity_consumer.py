"""Follows the events of identities, and keeps in a SQLite file which identity each contact belongs to.

    python identity_consumer.py map.db --from-contacts postgresql://user@host/database
    python identity_consumer.py map.db --kafka broker:9092        # what Debezium streams there
    python identity_consumer.py map.db --http http://service:8000  # GET /changes

It is a reference: copy `find_changes`, and keep your map where your data is. Three things make it exact,
whenever it is killed:

- What an event changes, its id, and the position after it are written in one transaction.
- An event whose id was applied before is skipped, because Debezium repeats some after a crash. That they
  are applied again would not do: contacts that joined since would go along with an old merge. Nor would
  a comparison with the largest id: a slow transaction commits smaller ids later.
- Events come in the order of their commits: `GET /changes` keeps it, and so does a topic of one partition.

Everything is an id; no event has an email or a phone number.
"""

import argparse
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlencode

BATCH = 1_000
"""The maximum number of events that are written in one transaction."""

WAIT = 20
"""Seconds that the service waits for an event before it answers that there is none."""

RETRY_DELAY = 1.0
"""Seconds until a service that does not answer is asked again."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS contacts (id INTEGER PRIMARY KEY, primary_id INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS contacts_primary_id ON contacts (primary_id);
CREATE TABLE IF NOT EXISTS applied_events (id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS positions (source TEXT PRIMARY KEY, position TEXT NOT NULL);
"""


class Event(NamedTuple):
    """What of an event says where contacts belong."""

    id: int
    kind: str
    primary_id: int
    contact_id: int | None
    absorbed_ids: tuple[int, ...]
    moved_ids: tuple[int, ...]


def find_changes(event: Event, members: Callable[[int], Iterable[int]]) -> dict[int, int | None]:
    """Which contacts an event moves, and to which primary; None for those that were erased.

    It is the same for all kinds of events but one.

    Args:
        event: what happened.
        members: gives the contacts that belong to a primary before the event.
    """
    if event.kind == "erased":
        return dict.fromkeys(event.moved_ids)
    caused = () if event.contact_id is None else (event.contact_id,)
    joined = (id for primary_id in event.absorbed_ids for id in members(primary_id))
    return dict.fromkeys((*caused, *joined, *event.moved_ids), event.primary_id)


class Map:
    """The primary of each contact, and how far the events were applied, in a SQLite file."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)

    def find_position(self, source: str) -> str | None:
        """Where to go on in a source; None if nothing of it was applied."""
        found = self._database.execute("SELECT position FROM positions WHERE source = ?", [source])
        return next((str(position) for (position,) in found), None)

    def is_empty(self) -> bool:
        """Whether no contact and no event is known."""
        found = "SELECT EXISTS (SELECT 1 FROM contacts) OR EXISTS (SELECT 1 FROM applied_events)"
        return bool(self._database.execute(found).fetchone() == (0,))

    def apply(self, events: Iterable[Event], source: str, position: str) -> None:
        """Apply the events of a source that are new, and remember the position after them."""
        with self._transaction():
            for event in events:
                new = self._database.execute("INSERT OR IGNORE INTO applied_events VALUES (?)", [event.id])
                if new.rowcount:
                    for contact_id, primary_id in find_changes(event, self._find_members).items():
                        self._put(contact_id, primary_id)
            self._database.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", [source, position])

    def replace(self, primaries: Iterable[tuple[int, int]], event_ids: Iterable[tuple[int]]) -> None:
        """Begin anew with the primaries of contacts, and the ids of the events that led there.

        Events are read from the first one then, and skipped if they did: what is known may be less than was
        applied before, for example if it is that of a replica.
        """
        with self._transaction():
            for table in ("contacts", "applied_events", "positions"):
                self._database.execute(f"DELETE FROM {table}")
            self._database.executemany("INSERT INTO contacts VALUES (?, ?)", primaries)
            self._database.executemany("INSERT INTO applied_events VALUES (?)", event_ids)

    def _find_members(self, primary_id: int) -> list[int]:
        found = self._database.execute("SELECT id FROM contacts WHERE primary_id = ?", [primary_id])
        return [id for (id,) in found]

    def _put(self, contact_id: int, primary_id: int | None) -> None:
        if primary_id is None:
            self._database.execute("DELETE FROM contacts WHERE id = ?", [contact_id])
        else:
            self._database.execute("INSERT OR REPLACE INTO contacts VALUES (?, ?)", [contact_id, primary_id])

    def _transaction(self) -> sqlite3.Connection:
        """What begins is committed at the end of the block, or rolled back if it fails."""
        self._database.execute("BEGIN IMMEDIATE")
        return self._database


# Where events come from: each yields batches of them, with the position after each batch.


def follow_kafka(bootstrap: str, topic: str, kept: Map, source: str) -> Iterator[tuple[list[Event], str]]:
    """The events that Debezium writes to a topic, as JSON without schemas."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

    # The position is kept with the map, so that the group of the consumer has none.
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "identity-consumer",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    except KafkaException as error:
        sys.exit(f"the broker does not answer: {error.args[0].str()}")
    if len(partitions) != 1:
        sys.exit(
            f"the topic {topic} has {len(partitions)} partitions; only in one do events keep their order"
        )
    partition = TopicPartition(topic, *partitions)
    position = kept.find_position(source)
    first, _ = consumer.get_watermark_offsets(partition, timeout=30)
    if position is None and first > 0 and kept.is_empty():
        sys.exit(f"the first events of {topic} are gone; begin with --from-contacts")
    partition.offset = OFFSET_BEGINNING if position is None else int(position)
    consumer.assign([partition])
    while True:
        messages = consumer.consume(BATCH, timeout=1)
        for error in filter(None, (message.error() for message in messages)):
            if error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
                sys.exit(f"events of {topic} are gone that were not read; begin with --from-contacts")
        records = [message for message in messages if message.error() is None]
        if records:
            events = [parse_debezium(value) for message in records if (value := message.value())]
            yield events, str((records[-1].offset() or 0) + 1)


def parse_debezium(value: bytes) -> Event:
    """The event in a record of Debezium: a row that was inserted, or read by its first snapshot."""
    row = json.loads(value)["after"]
    return Event(
        row["id"],
        row["kind"],
        row["primary_id"],
        row["contact_id"],
        tuple(row["absorbed_ids"]),
        tuple(row["moved_ids"]),
    )


def follow_http(address: str, kept: Map, source: str) -> Iterator[tuple[list[Event], str]]:
    """The events that `GET /changes` answers; IDENTITY_API_KEY is the key, if the service needs one."""
    key = os.environ.get("IDENTITY_API_KEY")
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    position = kept.find_position(source)
    while True:
        query = {"limit": BATCH, "wait": WAIT} | ({} if position is None else {"after": position})
        request = urllib.request.Request(f"{address}/changes?{urlencode(query)}", headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=WAIT + 40) as answer:  # noqa: S310
                found = json.load(answer)
        except (OSError, HTTPException, ValueError) as error:  # it restarts, or is cut off, or takes long
            if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code != 429:
                sys.exit(f"the service answers GET /changes with {error.code}")
            time.sleep(RETRY_DELAY)
            continue
        position = found["next"]
        yield [parse_answered(event) for event in found["events"]], position


def parse_answered(event: dict[str, Any]) -> Event:
    """The event in an answer of the service."""
    return Event(
        event["id"],
        event["kind"],
        event["primaryContactId"],
        event["contactId"],
        tuple(event["absorbedPrimaryContactIds"]),
        tuple(event["movedContactIds"]),
    )


def load_contacts(url: str, kept: Map) -> None:
    """Begin with the contacts of the database as it is at one moment.

    Contacts that the service adopted have no event, nor has what other programs write. The events until then
    count as applied, wherever they are read from afterwards.
    """
    import psycopg

    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        rows = connection.execute(
            "SELECT id, linked_id, CASE WHEN deleted_at IS NULL THEN created_at END FROM contacts"
        ).fetchall()
        events = connection.execute("SELECT id FROM contact_events")
        kept.replace(find_primaries(rows).items(), events)


def find_primaries(rows: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    """The primary of each contact: the oldest of all that links join.

    Args:
        rows: id, the id of the contact that it is linked to or None, and when it was created, or None if it
            was deleted. Other programs may leave chains of links, and primaries that are younger or deleted.
    """
    rows = list(rows)
    above = {id: id if linked_id is None else linked_id for id, linked_id, _ in rows}

    def find_end(id: int) -> int:
        passed = [id]
        while (next_id := above.get(id, id)) != id and next_id not in passed:
            passed.append(next_id)
            id = next_id
        if next_id != id:
            id = min(passed[passed.index(next_id) :])  # a circle
        above.update(dict.fromkeys(passed, id))
        return id

    oldest: dict[int, tuple[datetime, int]] = {}
    for id, _, created_at in rows:
        if created_at is not None:
            end = find_end(id)
            oldest[end] = min(oldest.get(end, (created_at, id)), (created_at, id))
    ends = ((id, find_end(id)) for id, _, _ in rows)
    return {id: oldest[end][1] for id, end in ends if end in oldest}


def main() -> None:
    """Apply events until somebody ends it."""
    parser = argparse.ArgumentParser(description="Keeps which identity each contact belongs to, in SQLite.")
    parser.add_argument("map", help="the SQLite file; it is created")
    parser.add_argument(
        "--from-contacts", metavar="URL", help="begin anew with the contacts of this database"
    )
    sources = parser.add_mutually_exclusive_group()
    sources.add_argument("--kafka", metavar="HOST:PORT", help="follow Debezium's topic")
    sources.add_argument("--http", metavar="ADDRESS", help="follow GET /changes of the service")
    parser.add_argument("--topic", default="identity.public.contact_events", help="default: %(default)s")
    options = parser.parse_args()
    kept = Map(options.map)
    if options.from_contacts:
        load_contacts(options.from_contacts, kept)
    if options.kafka:
        source = f"kafka {options.topic}"
        batches = follow_kafka(options.kafka, options.topic, kept, source)
    elif options.http:
        source = "http"
        batches = follow_http(options.http.rstrip("/"), kept, source)
    elif options.from_contacts:
        return
    else:
        parser.error("name where events come from: --kafka or --http, or --from-contacts to load once")
    for events, position in batches:
        kept.apply(events, source, position)


if __name__ == "__main__":
    main()
