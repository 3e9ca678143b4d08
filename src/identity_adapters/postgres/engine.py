"""How the service connects to PostgreSQL."""

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
    """An engine whose connections are set up as `PostgresContactRepository` needs them.

    Args:
        url: of the form ``postgresql+psycopg://…``.
        pool_size: how many connections there are at most.
        pool_timeout: seconds to wait for one of them.
        statement_timeout: seconds that one statement may take.
        lock_timeout: seconds that one statement may wait for a lock.
        prepare_statements: whether the server keeps statements; a pooler may be in between that does not.
    """
    from sqlalchemy.ext.asyncio import create_async_engine  # takes long to import

    # A pooler may leave these out. Nothing is wrong then, but slower.
    session = {
        "timezone": "UTC",
        "statement_timeout": f"{statement_timeout:g}s",
        "lock_timeout": f"{lock_timeout:g}s",
        # Every statement finds each of its rows by an index. The planner does not know how few
        # there are: it would read whole tables or indexes, even more so where they were small
        # when it last counted.
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "jit": "off",
        # That plan is as good for all values, and is made once.
        "plan_cache_mode": "force_generic_plan",
        # Room for hashing is taken for as many rows as the planner expects, which after an identity
        # of thousands are millions, and given back at once: several MB for each statement.
        "work_mem": "512kB",
        "hash_mem_multiplier": "1",
    }
    engine = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",  # transactions are begun where they are needed
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        hide_parameters=True,
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            "connect_timeout": 3,
            # A database whose machine is gone is noticed within seconds, not within hours.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "application_name": "identity",
        },
    )

    async def set_up(driver: psycopg.AsyncConnection[Any]) -> None:
        # The locks make it enough; what is stricter would refuse what they keep apart.
        await driver.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
        if not prepare_statements:
            driver.prepare_threshold = None
        if driver.info.parameter_status("TimeZone") != "UTC":  # a pooler, which keeps this one
            await driver.set_autocommit(True)
            await driver.execute("SET timezone = 'UTC'")

    @event.listens_for(engine.sync_engine, "connect")
    def set_up_pooled(connection: Any, _: Any) -> None:
        connection.run_async(set_up)

    return engine
