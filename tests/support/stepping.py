"""Transactions of the repository, stepped through one section at a time in any order."""

import asyncio
from collections import deque
from contextlib import asynccontextmanager

from identity_adapters.postgres import Database, PostgresContactRepository, statements

UNSTOPPED = frozenset(
    [
        statements.BEGIN,
        statements.SUPPRESSED,
        statements.PINS_APART,
        statements.RULINGS_ABOUT,
        statements.EVIDENCE_ABOUT,
    ]
)
"""What is no section: the beginning, and what is read after the contacts, under the same locks."""


class Transaction(Database):
    """The transactions of one work, as if of its own process: each stops before each of its sections."""

    def __init__(self, engine, work):
        super().__init__(engine)
        self._go_on = asyncio.Event()
        self.stands_before = None
        self.backend = None
        self._pipeline = None
        self.task = asyncio.create_task(work(PostgresContactRepository(self)))

    @asynccontextmanager
    async def connection(self):
        async with super().connection() as connection:
            self._real = connection
            self._has_written = False
            self.backend = connection.info.backend_pid
            yield self

    # What the repository sees is a connection that stops at each section. A server executes a pipeline one
    # statement after the other, and others may come between any two of them. So each statement is awaited
    # here before the next is sent, or else the sections would all be with the server at once.

    @asynccontextmanager
    async def pipeline(self):
        async with self._real.pipeline() as self._pipeline:
            yield
        self._pipeline = None

    @asynccontextmanager
    async def transaction(self):
        async with self._real.transaction():
            yield
            await self._stop_before("commit")

    async def rollback(self):
        await self._real.rollback()

    async def execute(self, statement, values=None, **options):
        if statement in (statements.LOCK_IDENTIFIERS, statements.LOCK_GLOBALLY):
            await self._stop_before("lock identifiers")
        elif statement in (statements.SHARE_LAST_SEEN, statements.LOCK_LAST_SEEN):
            await self._stop_before("lock what was last seen")
        elif statement is statements.LOCK_PRIMARIES:
            await self._stop_before("lock primaries")
        elif statement in (statements.LOAD, statements.LOAD_TO_DECIDE):
            await self._stop_before("load")
        elif statement is statements.COMMIT:
            await self._stop_before("commit")
        elif statement in UNSTOPPED:
            pass
        elif not self._has_written:
            self._has_written = True
            await self._stop_before("write")
        cursor = await self._real.execute(statement, values, **options)
        if self._pipeline is not None:
            await self._pipeline.sync()
        return cursor

    async def _stop_before(self, section):
        self.stands_before = section
        await self._go_on.wait()
        self._go_on.clear()
        self.stands_before = None

    def step(self):
        """Let it go on to the next section, if it stands before one."""
        if self.stands_before is not None:
            self.stands_before = None
            self._go_on.set()


async def run_in_order(engines, order, works, is_waiting):
    """Run transactions in an order of their sections, and whatever is left of them in turn.

    Args:
        engines: one for each transaction.
        order: which of them takes its next step first, by number. One that waits for a lock, or has
            ended, misses its turn.
        works: what each does with its repository: a function that returns a coroutine.
        is_waiting: tells of the backend with a process id whether it waits for a lock.

    Returns:
        For each step, which of the transactions could take it; that which did comes first.
    """
    transactions = [Transaction(engine, work) for engine, work in zip(engines, works, strict=True)]

    async def settle():
        # The server tells nobody when a transaction begins to wait, so it is asked again and again.
        for one in transactions:
            while not (one.stands_before or one.task.done() or (one.backend and is_waiting(one.backend))):  # noqa: ASYNC110
                await asyncio.sleep(0)

    steps, wanted = [], deque(order)
    while not all(one.task.done() for one in transactions):
        await settle()
        able = [number for number, one in enumerate(transactions) if one.stands_before]
        chosen = wanted.popleft() if wanted else next(iter(able), None)
        if chosen in able:
            transactions[chosen].step()
            steps.append([chosen, *(number for number in able if number != chosen)])
    await asyncio.gather(*(one.task for one in transactions))
    return steps
