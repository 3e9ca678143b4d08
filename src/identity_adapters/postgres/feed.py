"""The feed of changes from PostgreSQL.

Ids alone do not tell what is new: a slow transaction commits smaller ones later. So a cursor is
a transaction snapshot: every event of a transaction that had ended by then was delivered. Events
of transactions that ended between two snapshots come in the order of ids. These are drawn under
the locks: of two events of one identity, the one that the other builds upon has the smaller id,
and its transaction ended before.
"""

from identity_adapters.postgres import statements
from identity_adapters.postgres.cursor import Cursor
from identity_adapters.postgres.database import Database, execute
from identity_adapters.postgres.rows import to_recorded_event
from identity_core import RecordedEvent


class PostgresChangeFeed:
    """A `ChangeFeed` over the tables that `migrate` sets up.

    Args:
        database: the database with these tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[RecordedEvent], str]:
        cursor = Cursor() if after is None else Cursor.parse(after)

        async def attempt() -> tuple[list[RecordedEvent], str]:
            async with self._database.connection() as connection:
                until = cursor.until
                if until is None:
                    [(until,)] = await execute(connection, statements.CURRENT_SNAPSHOT, {})
                statement = statements.CHANGES if cursor.since is None else statements.CHANGES_SINCE
                parameters = {"since": cursor.since, "until": until, "after": cursor.event_id, "limit": limit}
                found = [*map(to_recorded_event, await execute(connection, statement, parameters))]
            if len(found) < limit:
                return found, str(Cursor(since=until))
            return found, str(Cursor(cursor.since, until, found[-1].id))

        return await self._database.retry(attempt)
