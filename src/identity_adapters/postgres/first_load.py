"""The first load: a whole history in one transaction, into tables that are empty.

The invariant: other sessions see the tables empty, or they see everything. One transaction holds the
global lock, which keeps off every decision, and locks the tables, which keeps off every other program.
It drops the indexes and the foreign keys, writes the rows by COPY, and makes what it dropped again: to
sort once is far quicker than to insert in random order. Whatever ends it early, PostgreSQL rolls all of it
back. The transaction before emptied the tables, so the rows are frozen as they are written, and what an
earlier attempt left in the files is gone.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pgpq
import psycopg
import pyarrow as pa
from sqlalchemy import URL

from identity_adapters.postgres import statements
from identity_adapters.postgres.locks import GLOBAL_LOCK
from identity_adapters.postgres.rows import to_rules_in_force
from identity_adapters.postgres.statements import first_load
from identity_core import RulesInForce

Rows: TypeAlias = tuple[str, pa.Schema, Iterable[pa.RecordBatch]]
"""A table, its columns, and its rows."""

MakeRows: TypeAlias = Callable[[datetime, int, int], Iterable[Rows]]
"""What is written at a time in UTC, with ids from a first one on, and those of events from another one on.

Each table is read before the next."""

LOCK_TIMEOUT = "5s"
"""How long a first load waits for those who use the tables, because others wait behind it meanwhile."""

_AHEAD = 4
"""How many blocks are made while the database writes."""


class NoLongerEmpty(Exception):
    """Others wrote to the database, or changed its rules, before a first load began."""


def find_rules(url: URL) -> RulesInForce | None:
    """Find the rules in force in an empty database.

    Returns:
        None if no first load is possible: the database holds contacts, evidence, events or rulings, erased
        people are kept out of it, or its ids are of an unusual type.

    Raises:
        psycopg.Error: the database fails.
    """
    with _connect(url) as connection:
        return _read_rules(connection)


def load(url: URL, in_force: RulesInForce, ids: int, make_rows: MakeRows) -> None:
    """Write a whole history into an empty database, in one transaction.

    Args:
        url: of the form ``postgresql+psycopg://…``; the database is migrated.
        in_force: the rules by which the rows are made.
        ids: how many ids they need, and events as well.
        make_rows: makes them; called once, when nobody else can write.

    Raises:
        NoLongerEmpty: others wrote meanwhile, or changed the rules. Nothing is written.
        psycopg.Error: the database fails, or somebody uses the tables for too long. Nothing is written.
    """
    with _connect(url) as connection:
        connection.execute(statements.LOCK_GLOBALLY, {"global_lock": GLOBAL_LOCK})
        connection.execute(first_load.LOCK_TABLES)
        if _read_rules(connection) != in_force:
            raise NoLongerEmpty
        [(is_own, can_empty)] = _fetch(connection, first_load.IS_OWN)
        is_emptied = is_own and can_empty
        dropped = _fetch(connection, first_load.DROPPABLE) if is_own else []
        for statement in [first_load.EMPTY_TABLES] * is_emptied + [drop for drop, *_ in dropped]:
            connection.execute(statement)
        [(now, first_ids)] = _fetch(connection, first_load.NOW_AND_FIRST_IDS, {"count": ids})
        for table, schema, batches in make_rows(now.astimezone(UTC), *first_ids):
            types = dict(_fetch(connection, first_load.COLUMN_TYPES, {"table": table}))
            schema = pa.schema(
                [field.with_type(_INTEGERS.get(types[field.name], field.type)) for field in schema]
            )
            columns = ", ".join(schema.names)
            frozen = "FREEZE, " if is_emptied else ""
            with connection.cursor().copy(
                f"COPY {table} ({columns}) FROM STDIN ({frozen}FORMAT binary)"
            ) as copy:
                for block in _make_ahead(_encode(schema, batches)):
                    copy.write(block)
        for _, create, _ in reversed(dropped):
            connection.execute(create)
        connection.execute(first_load.RESTART_RECORDING)
        connection.execute(first_load.ANALYZE)


_INTEGERS = {"integer": pa.int32(), "bigint": pa.int64()}
"""Tables that others made may have smaller ids."""


@contextmanager
def _connect(url: URL) -> "Iterator[psycopg.Connection[Any]]":
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    options: dict[str, Any] = {"autocommit": True, "connect_timeout": 3, "application_name": "identity"}
    with psycopg.connect(plain, **options) as connection, connection.transaction():
        connection.execute(first_load.SET_UP, {"lock_timeout": LOCK_TIMEOUT})
        yield connection


def _fetch(
    connection: "psycopg.Connection[Any]", statement: str, values: Mapping[str, Any] | None = None
) -> list[Any]:
    return connection.execute(statement, values).fetchall()


def _read_rules(connection: "psycopg.Connection[Any]") -> RulesInForce | None:
    types = dict(_fetch(connection, first_load.COLUMN_TYPES, {"table": "contacts"}))
    [(has_rows,)] = _fetch(connection, first_load.HAS_ROWS)
    if has_rows or not {types["id"], types["linked_id"]} <= _INTEGERS.keys():
        return None
    rules = [*map(to_rules_in_force, _fetch(connection, statements.RULES_IN_FORCE))]
    return rules[0] if rules else RulesInForce()


def _encode(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
    yield encoder.write_header()
    for batch in batches:
        for part in pa.Table.from_batches([batch]).cast(schema).to_batches():
            yield encoder.write_batch(part)
    yield encoder.finish()


def _make_ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Make blocks in a thread, some of them while the database works on those before."""
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, blocks, None) for _ in range(_AHEAD))
        while (block := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, blocks, None))
            yield block
