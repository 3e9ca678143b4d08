"""The database as the ports need it: connections, statements, timeouts, and retries of what passes.

A decision is pure, and making it twice is making it once. So after a deadlock with another
transaction, a serialization failure or a lost connection the attempt is made again, even if the
connection was lost while committing and nobody knows the outcome.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import uniform
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from identity_adapters.offload import LARGE
from identity_adapters.postgres import statements
from identity_adapters.postgres.failures import NO_ANSWER, classify

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

RETRY_PERIOD = 3.0
"""Seconds for which a failure that passes is retried."""

CHECK_TIMEOUT = 2.0
"""Seconds within which the database has to answer a check."""

Connection: TypeAlias = psycopg.AsyncConnection[Any]
T = TypeVar("T")


class Database:
    """A migrated database, as the adapters of the ports use it.

    Args:
        engine: as `create_engine` makes it.
        answer_timeout: seconds after which a database that does not answer is given up.
        on_retry: called with the reason of each retry.
    """

    def __init__(
        self,
        engine: "AsyncEngine",
        *,
        answer_timeout: float = 15.0,
        on_retry: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._answer_timeout = answer_timeout
        self._on_retry = on_retry

    async def check(self) -> None:
        """Check that the database is reachable and migrated.

        Raises:
            RepositoryUnavailable: it is not.
        """
        await self.fetch(statements.CHECK, {}, answer_timeout=CHECK_TIMEOUT, retry_period=0)

    async def fetch(self, statement: str, values: dict[str, Any], **timeouts: float) -> list[tuple[Any, ...]]:
        """The rows of a single statement; `timeouts` is passed to `retry`."""

        async def attempt() -> list[tuple[Any, ...]]:
            async with self.connection() as connection:
                return await execute(connection, statement, values)

        return await self.retry(attempt, **timeouts)

    async def retry(
        self,
        attempt: Callable[[], Coroutine[Any, Any, T]],
        *,
        answer_timeout: float | None = None,
        retry_period: float = RETRY_PERIOD,
    ) -> T:
        """Run an attempt, again and again while it ends in a failure that passes.

        Raises:
            RepositoryUnavailable: it failed for too long, or in a failure that does not pass.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + retry_period
        delay = 0.01
        while True:
            try:
                return await _with_timeout(
                    self._answer_timeout if answer_timeout is None else answer_timeout, attempt()
                )
            except (psycopg.Error, DBAPIError, PoolTimeoutError) as error:
                failure = classify(error)
                if failure is None:
                    raise
                if not failure.is_transient or clock() + delay > deadline:
                    raise failure.to_error() from None
            self._on_retry(failure.reason)
            await asyncio.sleep(uniform(delay / 2, delay))
            delay = min(2 * delay, 0.5)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection, as the driver has it; through SQLAlchemy a statement takes twice as long."""
        async with self._engine.connect() as pooled:
            connection = cast(Connection, (await pooled.get_raw_connection()).driver_connection)
            try:
                yield connection
            finally:
                if connection.info.transaction_status != TransactionStatus.IDLE:
                    await pooled.invalidate()


async def execute(connection: Connection, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run one of `statements`; its rows."""
    is_prepared = statement not in statements.REPLANNED
    cursor = await connection.execute(statement, values, prepare=is_prepared, binary=True)
    if cursor.description is None:
        return []
    rows = await cursor.fetchmany(LARGE)
    while len(rows) < cursor.rowcount:
        await asyncio.sleep(0)
        rows += await cursor.fetchmany(LARGE)
    return rows


async def _with_timeout(seconds: float, attempt: Coroutine[Any, Any, T]) -> T:
    """The result of an attempt that ends in time.

    A connection that does not answer takes seconds to give up. Nobody waits for that.
    """
    task = asyncio.create_task(attempt)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
        raise NO_ANSWER.to_error()
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(lambda given_up: given_up.cancelled() or given_up.exception())
