"""Counting everything that is recorded."""

from typing import NamedTuple

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Database, execute

CENSUS_TIMEOUT = 60.0
"""Seconds that a census may take."""

LARGEST = 10
"""The number of largest identities in a census."""


class Census(NamedTuple):
    """The numbers of contacts, identities and merges, and of contacts of the largest identities."""

    contacts: int
    identities: int
    merges: int
    largest: list[int]


async def take_census(database: Database) -> Census:
    """Count everything that is recorded. It reads whole tables, which takes seconds for millions of contacts.

    Raises:
        RepositoryUnavailable: the database cannot be read for now.
    """

    async def attempt() -> Census:
        async with database.connection() as connection, connection.transaction():
            await connection.execute(statements.READ_TABLES, prepare=False)
            [row] = await execute(connection, statements.CENSUS, {"limit": LARGEST})
        contacts, identities, merges, largest = row
        lone = min(LARGEST, identities) - len(largest)
        return Census(contacts, identities, merges, largest + lone * [1])

    return await database.retry(attempt, answer_timeout=CENSUS_TIMEOUT, retry_period=0)
