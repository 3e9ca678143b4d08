"""Queries that read an identity whole: one at a time, and a bounded number waits.

Such a query holds all contacts of an identity, and keeps a processor and a connection busy, for as
long as it takes. Several at once would take no less time, since Python runs one of them at a time,
but more memory, and leave less to all others. So they wait in line, and are rejected when the line
is full or after some seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from identity_core import (
    Contact,
    ContactDetails,
    ContactRepository,
    Explanation,
    Foresight,
    Happening,
    Identifier,
    IdentifyContacts,
    RepositoryOverloaded,
)


class BoundedQueries(IdentifyContacts):
    """The use case for many callers at once, who only query.

    Args:
        repository: where from.
        max_waiting: how many queries wait at most.
        timeout: seconds that a query waits at most.
    """

    def __init__(self, repository: ContactRepository, *, max_waiting: int, timeout: float = 5.0) -> None:
        super().__init__(repository)
        self._running = asyncio.Lock()
        self._waiting = 0
        self._max_waiting = max_waiting
        self._timeout = timeout

    async def foresee(self, details: ContactDetails) -> Foresight:
        async with self._turn():
            return await super().foresee(details)

    async def look_up(self, details: ContactDetails) -> Sequence[Sequence[Contact]]:
        async with self._turn():
            return await super().look_up(details)

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        async with self._turn():
            return await super().find(contact_id)

    async def history(
        self, contact_id: int, after: int = 0, limit: int | None = None
    ) -> list[tuple[Happening, ContactDetails | None]] | None:
        async with self._turn():
            return await super().history(contact_id, after, limit)

    async def as_of(self, contact_id: int, moment: datetime) -> tuple[Contact, ...] | None:
        async with self._turn():
            return await super().as_of(contact_id, moment)

    async def explain(self, one: Identifier | int, other: Identifier | int) -> Explanation | None:
        async with self._turn():
            return await super().explain(one, other)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The turn of one query.

        Raises:
            RepositoryOverloaded: there is no room in the line, or the wait is too long.
        """
        if self._waiting >= self._max_waiting:
            raise RepositoryOverloaded("too many requests are waiting")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._running.acquire()
        except TimeoutError:
            raise RepositoryOverloaded("too many requests are waiting") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._running.release()
