"""What every command does with settings, database and errors."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn

import click
import structlog
from psycopg import Error
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from identity_adapters.container import database
from identity_adapters.domains import ascii_form, unicode_form
from identity_adapters.embedded import EmbeddedDatabaseUnavailable
from identity_adapters.logs import configure_logs
from identity_adapters.postgres import PostgresContactRepository, SchemaUnusable, create_engine
from identity_adapters.settings import InvalidSetting, LogFormat, Settings
from identity_core import RepositoryUnavailable

_logger = structlog.get_logger(__name__)

EMBEDDED = (
    "Using the embedded PostgreSQL; its data lie in {folder}."
    " To use a database of your own, set DB_CONNECTION_STRING=postgresql://user:password@host:5432/database"
    " in the environment or in a file .env."
)


@contextmanager
def configured(
    failure: int = 1, *, is_service: bool = False, **options: Any
) -> Iterator[tuple[Settings, URL]]:
    """Settings and database of a command; where they fail, it ends with a message and this code.

    Args:
        failure: the code.
        is_service: whether what there is to say is logged, rather than shown.
        options: settings that were given to the command; None where they were not.
    """
    try:
        settings = Settings.load().given("command line", **options)
        configure_logs(settings.log_format if is_service else LogFormat.TEXT, settings.log_level)
        with database(settings) as url:
            if settings.database_url is None:
                note = EMBEDDED.format(folder=settings.data_folder.absolute())
                if is_service:
                    _logger.info(note)
                else:
                    click.echo(note, err=True)
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
        prepare_statements=settings.prepare_statements,
    )
    try:
        yield PostgresContactRepository(engine, ascii_form=ascii_form, unicode_form=unicode_form)
    finally:
        await engine.dispose()


def fail(code: int, message: str) -> NoReturn:
    click.echo(f"identity: {message}", err=True)
    sys.exit(code)
