"""Connections to PostgreSQL."""

from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import URL, event

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


def create_engine(
    url: URL,
    *,
    pool_size: int = 10,
    pool_timeout: float = 5.0,
    statement_timeout: float = 10.0,
    lock_timeout: float = 5.0,
    prepare_statements: bool = True,
) -> "AsyncEngine":
    """Create an engine whose connections have the settings that `PostgresContactRepository` needs.

    Args:
        url: of the form ``postgresql+psycopg://…``.
        pool_size: the maximum number of connections.
        pool_timeout: seconds to wait for a free connection.
        statement_timeout: seconds that one statement may take.
        lock_timeout: seconds that one statement may wait for a lock.
        prepare_statements: whether to prepare statements on the server, which some poolers do not support.
    """
    from sqlalchemy.ext.asyncio import create_async_engine  # slow to import

    # A pooler may drop these. Everything still works then, but slower.
    session = {
        "timezone": "UTC",
        "statement_timeout": f"{statement_timeout:g}s",
        "lock_timeout": f"{lock_timeout:g}s",
        # Every statement finds its rows by an index. The planner overestimates their number and would
        # read whole tables or indexes, especially if these were small at the last analysis.
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "jit": "off",
        # The same plan suits all values, and is made once.
        "plan_cache_mode": "force_generic_plan",
        # PostgreSQL allocates hash tables for the expected number of rows. After an identity with
        # thousands of contacts it expects millions: several MB for each statement.
        "work_mem": "512kB",
        "hash_mem_multiplier": "1",
    }
    engine = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",  # transactions are started explicitly
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        pool_reset_on_return=None,  # `Database.connection` returns none that is in a transaction
        hide_parameters=True,
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            "connect_timeout": 3,
            # A lost database machine is noticed within seconds, not hours.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "application_name": "identity",
        },
    )

    async def set_up(driver: psycopg.AsyncConnection[Any]) -> None:
        # The locks make this level sufficient; a stricter one would reject transactions that they order.
        await driver.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
        if not prepare_statements:
            driver.prepare_threshold = None
        if driver.info.parameter_status("TimeZone") != "UTC":  # behind a pooler that dropped it
            await driver.set_autocommit(True)
            await driver.execute("SET timezone = 'UTC'")

    @event.listens_for(engine.sync_engine, "connect")
    def set_up_pooled(connection: Any, _: Any) -> None:
        connection.run_async(set_up)

    return engine
