"""What every command on the database does with settings and errors."""

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

_logger = structlog.get_logger(__name__)

EMBEDDED = (
    "Using the embedded PostgreSQL; its data lie in {folder}."
    " To use a database of your own, set DB_CONNECTION_STRING=postgresql://user:password@host:5432/database"
    " in the environment or in a file .env."
)


@contextmanager
def open_container(failure: int = 1, *, is_service: bool = False, **options: Any) -> Iterator[Container]:
    """The container of a command, with its database open; where that fails, the command ends with a message.

    Args:
        failure: the exit code then.
        is_service: whether what there is to say is logged, rather than shown.
        options: settings that were given to the command; None where they were not.
    """
    try:
        settings = Settings.load().override("command line", **options)
        configure_logs(settings.log_format if is_service else LogFormat.TEXT, settings.log_level)
        container = Container(settings=settings, pool_sizes=(1, 1))  # a command does one thing at a time
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
        # The first line alone: the others quote the statement and values.
        cause = error.orig if isinstance(error, DBAPIError) else error
        fail(failure, f"the database cannot be used: {str(cause).strip().partition(chr(10))[0]}")
