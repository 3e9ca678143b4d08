"""The settings, the database and the errors of a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import structlog
from psycopg import Error
from sqlalchemy.exc import DBAPIError

from identity_adapters.cli import fail
from identity_adapters.container import Container, open_database
from identity_adapters.embedded import EmbeddedDatabaseUnavailable
from identity_adapters.logs import configure_logs
from identity_adapters.postgres import SchemaOutdated, SchemaUnusable
from identity_adapters.settings import InvalidSetting, LogFormat, Settings
from identity_core import RepositoryUnavailable

POOL_SIZES = (2, 1)
"""The connections of a command: an import reads beside what it writes."""

_logger = structlog.get_logger(__name__)

EMBEDDED = (
    "Using the embedded PostgreSQL; its data are in {folder}."
    " To use a database of your own, set DB_CONNECTION_STRING=postgresql://user:password@host:5432/database"
    " in the environment or in a file .env."
)


@contextmanager
def open_container(
    failure: int = 1, *, is_service: bool = False, pool_sizes: tuple[int, int] = POOL_SIZES, **options: Any
) -> Iterator[Container]:
    """Open the container and the database of a command; errors end the command with a message.

    Args:
        failure: the exit code of errors.
        is_service: whether messages are logged instead of printed.
        pool_sizes: how many connections there are to identify with, and for queries.
        options: settings from the command line; None for those that were not given.
    """
    try:
        settings = Settings.load().override("command line", **options)
        configure_logs(settings.log_format if is_service else LogFormat.TEXT, settings.log_level)
        container = Container(settings=settings, pool_sizes=pool_sizes)
        with open_database(container):
            if settings.database_url is None:
                note = EMBEDDED.format(folder=settings.data_folder.absolute())
                if is_service:
                    _logger.info(note)
                else:
                    click.echo(note, err=True)
            yield container
    except (
        InvalidSetting,
        EmbeddedDatabaseUnavailable,
        SchemaOutdated,
        SchemaUnusable,
        RepositoryUnavailable,
    ) as error:
        fail(failure, str(error))
    except (DBAPIError, Error) as error:
        # Only the first line, because the others quote the statement and its values.
        cause = error.orig if isinstance(error, DBAPIError) else error
        fail(failure, f"the database cannot be used: {str(cause).strip().partition(chr(10))[0]}")
