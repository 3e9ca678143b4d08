"""Databases on a server, connections to them, and repositories on them."""

from contextlib import asynccontextmanager
from itertools import count

import psycopg
from sqlalchemy import text

from identity_adapters.postgres import (
    Database,
    PostgresAuditTrail,
    PostgresChangeFeed,
    PostgresContactRepository,
    PostgresIdentityReader,
    PostgresRuleBook,
    create_engine,
)
from tests.support.waiting import PATIENCE

_numbers = count(1)


def plain(url):
    """A URL as people write it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def connect(url):
    """A connection whose times are UTC, as those of the tables are, wherever the server is."""
    return psycopg.connect(plain(url), autocommit=True, options="-c timezone=UTC")


def new_database(server, encoding="UTF8", template="template0"):
    """The URL of a new database on a server, which is a copy of another.

    Its files are copied as they are; else all that is in them is written to the log, too.
    """
    name = f"test_{next(_numbers)}"
    options = f"ENCODING '{encoding}' TEMPLATE {template} STRATEGY file_copy"
    with connect(server) as connection:
        connection.execute(f"CREATE DATABASE {name} {options}")
    return server.set(database=name)


def patient_engine(url, **options):
    """An engine that gives nobody up because the machine is busy, unless it is told to."""
    patience = {"pool_timeout": PATIENCE, "statement_timeout": PATIENCE, "lock_timeout": PATIENCE}
    return create_engine(url, **patience | options)


class AllPorts(
    PostgresContactRepository,
    PostgresIdentityReader,
    PostgresChangeFeed,
    PostgresRuleBook,
    PostgresAuditTrail,
):
    """The adapters of all ports in one, on an engine."""

    def __init__(self, engine, emails, suppression_key=None):
        self.engine, self.database = engine, Database(engine)
        super().__init__(self.database, emails, suppression_key=suppression_key)


@asynccontextmanager
async def repository_on(url, *, emails=None, suppression_key=None, **options):
    """A repository, a reader and a feed in one, on a database as it is."""
    engine = patient_engine(url, **options)
    try:
        yield AllPorts(engine, emails, suppression_key)
    finally:
        await engine.dispose()


@asynccontextmanager
async def emptied_repository_on(url, **options):
    """A repository on a database whose rows are all removed."""
    async with repository_on(url, **options) as repository:
        async with repository.engine.begin() as connection:
            await connection.execute(
                text(
                    "TRUNCATE contacts, contact_evidence, contact_events, contact_rulings, contact_rules,"
                    " contact_audit, contact_last_seen, contact_last_seen_since, contact_suppressions,"
                    " contact_webhooks"
                    " RESTART IDENTITY"
                )
            )
        yield repository
