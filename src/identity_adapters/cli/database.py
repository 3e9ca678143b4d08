"""What every command does with settings, database and errors."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NoReturn

import click
from psycopg import Error
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from identity_adapters.container import database
from identity_adapters.embedded import EmbeddedDatabaseUnavailable
from identity_adapters.postgres import PostgresContactRepository, SchemaUnusable, create_engine
from identity_adapters.settings import InvalidSetting, Settings
from identity_core import RepositoryUnavailable


@contextmanager
def configured(failure: int = 1) -> Iterator[tuple[Settings, URL]]:
    """Settings and database of a command; where they fail, it ends with a message and this code."""
    try:
        settings = Settings.load()
        with database(settings) as url:
            if settings.database_url is None:
                click.echo(
                    f"Using the embedded PostgreSQL; its data lie in {settings.data_folder.absolute()}.\n"
                    "To use a database of your own, set"
                    " DB_CONNECTION_STRING=postgresql://user:password@host:5432/database\n"
                    "in the environment or in a file .env.",
                    err=True,
                )
            yield settings, url
    except (InvalidSetting, EmbeddedDatabaseUnavailable, SchemaUnusable, RepositoryUnavailable) as error:
        fail(failure, str(error))
    except (DBAPIError, Error) as error:
        # The first line alone: the others quote the statement and values.
        cause = error.orig if isinstance(error, DBAPIError) else error
        fail(failure, f"the database cannot be used: {str(cause).strip().partition(chr(10))[0]}")


@asynccontextmanager
async def repository_on(settings: Settings, url: URL) -> AsyncIterator[PostgresContactRepository]:
    """A repository for one command."""
    engine = create_engine(
        url,
        pool_size=1,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )
    try:
        yield PostgresContactRepository(engine)
    finally:
        await engine.dispose()


def fail(code: int, message: str) -> NoReturn:
    click.echo(f"identity: {message}", err=True)
    sys.exit(code)
