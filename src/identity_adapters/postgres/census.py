"""Counting everything that is recorded."""

from typing import NamedTuple

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Database, execute
from identity_core import Hold

CENSUS_TIMEOUT = 60.0
"""Seconds that a census may take."""

LARGEST = 10
"""The number of largest identities in a census."""

LIMITS = tuple(hold for hold in Hold if hold is not Hold.UNCHECKED)
"""The limits, by what they hold."""


class Census(NamedTuple):
    """How much there is of everything.

    Attributes:
        contacts: live contacts.
        identities: primary contacts.
        merges: identities that became one, so far.
        splits: identities that came apart, so far.
        held_pairs: pairs that do not count, because they would join what a pin keeps apart.
        blocked_pairs: pairs that do not count, because one of their values is blocked.
        undone_pairs: pairs and inherited links that rulings undo.
        pins: pins in force.
        rules_version: how often the rules were changed.
        rules_settled: whether everything is in line with the rules in force.
        held_by_limit: by limit, the pairs that it holds.
        largest: the numbers of contacts of the largest identities.
    """

    contacts: int
    identities: int
    merges: int
    splits: int
    held_pairs: int
    blocked_pairs: int
    undone_pairs: int
    pins: int
    rules_version: int
    rules_settled: bool
    held_by_limit: dict[str, int]
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
        return census._replace(
            held_by_limit={limit: census.held_by_limit.get(limit, 0) for limit in LIMITS},
            largest=census.largest + lone * [1],
        )

    return await database.retry(attempt, answer_timeout=CENSUS_TIMEOUT, retry_period=0)
