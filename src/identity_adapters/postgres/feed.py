"""The feed of changes from PostgreSQL.

Ids alone do not tell what is new: a slow transaction commits smaller ones later. So a cursor is
a transaction snapshot: every event of a transaction that had ended by then was delivered. Events
of transactions that ended between two snapshots come in the order of ids. These are drawn under
the locks: of two events of one identity, the one that the other builds upon has the smaller id,
and its transaction ended before.

Transactions are numbered by one server. A cursor names it, and no other server takes it.
"""

from datetime import datetime
from typing import Any

from attrs import evolve

from identity_adapters.postgres import statements
from identity_adapters.postgres.census import CENSUS_TIMEOUT
from identity_adapters.postgres.cursor import Cursor, Moment
from identity_adapters.postgres.database import Connection, Database, execute
from identity_adapters.postgres.rows import to_naive, to_recorded_event
from identity_core import RecordedEvent

NEAR = 100
"""For each event that is wanted, among how many ids the next ones are looked for first."""

MAX_ID = 2**63 - 1


class PostgresChangeFeed:
    """A `ChangeFeed` over the tables that `migrate` sets up.

    Args:
        database: the database with these tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[RecordedEvent], str]:
        cursor = _parse(after)

        async def attempt() -> tuple[list[RecordedEvent], str]:
            async with self._database.connection() as connection:
                now = await _read_moment(connection)
                now.check(cursor)
                until = cursor.until or now.snapshot
                found = [*map(to_recorded_event, await _read_changes(connection, cursor, until, limit))]
            if len(found) < limit:
                return found, str(Cursor(since=until, server=now.server))
            return found, str(Cursor(cursor.since, until, found[-1].id, now.server))

        return await self._database.retry(attempt)

    async def bound(self, after: str | None = None) -> str:
        cursor = _parse(after)

        async def attempt() -> str:
            async with self._database.connection() as connection:
                now = await _read_moment(connection)
            now.check(cursor)
            if cursor.until is not None:
                return str(cursor)
            return str(evolve(cursor, until=now.snapshot, server=now.server))

        return await self._database.retry(attempt)

    async def seek(self, at: datetime | None) -> str:
        async def find_end() -> str:
            async with self._database.connection() as connection:
                now = await _read_moment(connection)
            return str(Cursor(since=now.snapshot, server=now.server))

        async def find_time() -> str:
            async with self._database.connection() as connection, connection.transaction():
                await connection.execute(statements.READ_TABLES, prepare=False)
                [(first_id, *columns)] = await execute(connection, statements.SEEK, {"at": to_naive(at)})
            now = _to_moment(*columns)
            if first_id is None:
                return str(Cursor(since=now.snapshot, server=now.server))
            # What had not ended is delivered after this snapshot, whatever its ids.
            return str(Cursor(None, now.snapshot, first_id - 1, now.server))

        if at is None:
            return await self._database.retry(find_end)
        return await self._database.retry(find_time, answer_timeout=CENSUS_TIMEOUT, retry_period=0)


def _parse(after: str | None) -> Cursor:
    return Cursor() if after is None else Cursor.parse(after)


async def _read_changes(
    connection: Connection, cursor: Cursor, until: str, limit: int
) -> list[tuple[Any, ...]]:
    values = {"since": cursor.since, "until": until, "after": cursor.event_id, "limit": limit}
    if cursor.since is None:
        return await execute(connection, statements.CHANGES, values)
    if cursor.event_id:
        last_id = min(cursor.event_id + NEAR * limit, MAX_ID)
        found = await execute(connection, statements.NEAR_CHANGES_SINCE, values | {"last_id": last_id})
        if len(found) == limit:
            return found
    return await execute(connection, statements.CHANGES_SINCE, values)


async def _read_moment(connection: Connection) -> Moment:
    [columns] = await execute(connection, statements.MOMENT, {})
    return _to_moment(*columns)


def _to_moment(server: int, is_replica: bool, snapshot: str, last: str | None) -> Moment:
    return Moment.of(server, is_replica, snapshot, None if last is None else int(last))
