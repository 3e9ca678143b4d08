"""Access to the database: connections, statements, pipelines, timeouts, and retries of transient failures.

A decision is pure and idempotent. So an attempt is retried after a deadlock, a serialization failure or
a lost connection, even if the connection was lost during the commit and the outcome is unknown.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from random import uniform
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import greenlet_spawn

from identity_adapters.offload import LARGE
from identity_adapters.postgres import statements
from identity_adapters.postgres.failures import NO_ANSWER, classify

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

RETRY_PERIOD = 3.0
"""Seconds during which a transient failure is retried."""

CHECK_TIMEOUT = 2.0
"""Seconds within which the database must answer a check."""

Connection: TypeAlias = psycopg.AsyncConnection[Any]
Cursor: TypeAlias = psycopg.AsyncCursor[Any]
T = TypeVar("T")


class Database:
    """A migrated database, as the adapters of the ports use it.

    Args:
        engine: made by `create_engine`.
        answer_timeout: seconds after which an attempt without an answer fails.
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
            RepositoryUnavailable: one of the two does not hold.
        """
        await self.fetch(statements.CHECK, {}, answer_timeout=CHECK_TIMEOUT, retry_period=0)

    async def fetch(self, statement: str, values: dict[str, Any], **timeouts: float) -> list[tuple[Any, ...]]:
        """Run a single statement and return its rows; `timeouts` is passed to `retry`."""

        async def attempt() -> list[tuple[Any, ...]]:
            async with self.connection() as connection:
                return await execute(connection, statement, values)

        return await self.retry(attempt, **timeouts)

    async def send(self, statement: str, values: dict[str, Any]) -> None:
        """Execute one statement that returns nothing, in a transaction of its own."""

        async def attempt() -> None:
            async with self.connection() as connection, connection.transaction():
                await send(connection, statement, values)

        await self.retry(attempt)

    async def retry(
        self,
        attempt: Callable[[], Coroutine[Any, Any, T]],
        *,
        answer_timeout: float | None = None,
        retry_period: float = RETRY_PERIOD,
    ) -> T:
        """Run an attempt, and retry it after transient failures.

        Raises:
            RepositoryUnavailable: the failure lasts too long, or is not transient.
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
        """A pooled connection of the driver, because statements take twice as long through SQLAlchemy.

        It returns to the pool only outside any transaction.
        """
        pooled = await self._engine.raw_connection()
        connection = cast(Connection, pooled.driver_connection)
        try:
            yield connection
        finally:
            if connection.info.transaction_status == TransactionStatus.IDLE:
                pooled.close()
            else:
                await greenlet_spawn(pooled.invalidate)

    @asynccontextmanager
    async def further_connection(self, connection: Connection) -> AsyncIterator[Connection]:
        """Another connection for who has one; the same if there can be no other."""
        pool = self._engine.pool
        if isinstance(pool, QueuePool) and pool.size() == 1:
            yield connection
        else:
            async with self.connection() as further:
                yield further


@asynccontextmanager
async def pipelined_transaction(connection: Connection) -> AsyncIterator[None]:
    """A transaction in few round trips, whose statements are sent without awaiting their results.

    The server executes them one after the other, as if each result had been awaited; after a failure it
    executes none, and does not commit. `receive` awaits the results of everything sent so far, and the end
    of the block those of the rest. A failure is raised at either, or when the next statement is sent.
    `psycopg.Rollback` rolls back and leaves the block.
    """
    failure: BaseException | None = None
    try:
        async with connection.pipeline():
            # The driver would log, and quote, what else fails while it ends a pipeline after an error.
            try:
                await connection.execute(statements.BEGIN, prepare=False)
                yield
                await connection.execute(statements.COMMIT, prepare=False)
            except BaseException as error:  # noqa: BLE001 - it is raised below
                failure = error
    except BaseException as error:  # noqa: BLE001 - it is raised below
        failure = failure or error
    if failure is not None:
        with suppress(psycopg.Error):  # of a lost connection, which does not return to the pool
            await connection.rollback()
        if not isinstance(failure, psycopg.Rollback):
            raise failure


async def execute(connection: Connection, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run one of `statements` and return its rows."""
    return await receive(await send(connection, statement, values))


async def send(connection: Connection, statement: str, values: dict[str, Any]) -> Cursor:
    """Send one of `statements`, and await its result unless it is in a pipeline."""
    is_prepared = statement not in statements.REPLANNED
    return await connection.execute(statement, values, prepare=is_prepared, binary=True)


async def receive(cursor: Cursor) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that was sent."""
    rows = await cursor.fetchmany(LARGE)
    while len(rows) < cursor.rowcount:
        await asyncio.sleep(0)
        rows += await cursor.fetchmany(LARGE)
    return rows


async def _with_timeout(seconds: float, attempt: Coroutine[Any, Any, T]) -> T:
    """Await an attempt until a timeout.

    An unresponsive connection takes seconds to cancel. The caller does not wait for that.
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
            task.add_done_callback(lambda cancelled: cancelled.cancelled() or cancelled.exception())
