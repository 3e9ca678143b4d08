"""When values were last seen, as PostgreSQL keeps it."""

from collections.abc import Mapping
from datetime import date

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Database, execute, send
from identity_adapters.postgres.locks import LAST_SEEN_LOCK
from identity_adapters.postgres.rows import EmailForms, to_seen
from identity_core import Identifier, Unseen

FIND_TIMEOUT = 600.0
"""Seconds that finding who is unseen may take."""


class PostgresSightings:
    """`Sightings` over the tables that `migrate` sets up.

    Args:
        database: the database with these tables.
        emails: the forms in which an email may be stored.
    """

    def __init__(self, database: Database, emails: EmailForms | None = None) -> None:
        self._database = database
        self._emails = emails or EmailForms()

    async def begin_recording(self, month: date) -> None:
        await self._database.send(statements.BEGIN_RECORDING, {"month": month})

    async def end_recording(self) -> None:
        await self._database.send(statements.END_RECORDING, {})

    async def recorded_since(self) -> date | None:
        rows = await self._database.fetch(statements.RECORDED_SINCE, {})
        return rows[0][0] if rows else None

    async def record_seen(self, seen: Mapping[Identifier, date]) -> int:
        values = {"seen": to_seen(seen, self._emails)}

        async def attempt() -> int:
            async with self._database.connection() as connection, connection.transaction():
                await send(connection, statements.SHARE_LAST_SEEN, {"lock": LAST_SEEN_LOCK})
                return (await send(connection, statements.RECORD_SEEN, values)).rowcount

        return await self._database.retry(attempt)

    async def find_unseen(self, before: date, after: int = 0, limit: int = 1000) -> list[Unseen]:
        async def attempt() -> list[Unseen]:
            async with self._database.connection() as connection, connection.transaction():
                await connection.execute(statements.READ_TABLES, prepare=False)
                await connection.execute(statements.ALLOW_MINUTES, prepare=False)
                values = {"before": before, "after": after, "limit": limit}
                return [Unseen(*row) for row in await execute(connection, statements.UNSEEN, values)]

        return await self._database.retry(attempt, answer_timeout=FIND_TIMEOUT, retry_period=0)
