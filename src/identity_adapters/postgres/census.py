"""Counting everything that is recorded."""

from typing import NamedTuple

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Database, execute

CENSUS_TIMEOUT = 60.0
"""Seconds that a census may take."""

LARGEST = 10
"""The number of largest identities in a census."""


class Census(NamedTuple):
    """How much there is of everything.

    Attributes:
        contacts: live contacts.
        identities: primary contacts.
        merges: identities that became one, so far.
        splits: identities that came apart, so far.
        held_pairs: pairs that do not count, because they would join what a pin keeps apart.
        undone_pairs: pairs and inherited links that rulings undo.
        pins: pins in force.
        largest: the numbers of contacts of the largest identities.
    """

    contacts: int
    identities: int
    merges: int
    splits: int
    held_pairs: int
    undone_pairs: int
    pins: int
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
        census = Census(*row)
        lone = min(LARGEST, census.identities) - len(census.largest)
        return census._replace(largest=census.largest + lone * [1])

    return await database.retry(attempt, answer_timeout=CENSUS_TIMEOUT, retry_period=0)
