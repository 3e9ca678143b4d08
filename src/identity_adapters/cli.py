"""The command line: ``identity``."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
import uvicorn
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from identity_adapters.container import database
from identity_adapters.embedded import EmbeddedDatabaseUnavailable
from identity_adapters.postgres import SchemaUnusable, migrate
from identity_adapters.settings import InvalidSetting, Settings

FINISH_WITHIN = 30
"""Seconds that requests in flight have to finish once the service is told to stop."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="identity-reconciliation")
def main() -> None:
    """Says which orders belong to one customer.

    Settings come from the environment or a file .env; DB_CONNECTION_STRING names the database.
    Without it, the command uses one that is embedded in it.
    """


@main.command()
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on.  [default: 8000]")
@click.option("--workers", type=click.IntRange(1, 64), help="How many processes serve.  [default: 1]")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve POST /identify over HTTP."""
    _exit_cleanly_on(signal.SIGTERM)
    with _migrated_database() as (settings, url):
        os.environ["DB_CONNECTION_STRING"] = url.render_as_string(hide_password=False)
        uvicorn.run(
            "identity_adapters.asgi:app",
            host=host if host is not None else settings.host,
            port=port if port is not None else settings.port,
            workers=workers if workers is not None else settings.workers,
            access_log=False,  # a request line may hold personal values
            server_header=False,
            timeout_graceful_shutdown=FINISH_WITHIN,
        )


@main.command("migrate")
def migrate_command() -> None:
    """Bring the database to this version's schema; serve does so by itself."""
    with _migrated_database():
        click.echo("The database is ready.", err=True)


@contextmanager
def _migrated_database() -> Iterator[tuple[Settings, URL]]:
    """Settings and database of a command; where they fail, it ends with a message and code 1."""
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
            migrate(url)
            yield settings, url
    except (InvalidSetting, EmbeddedDatabaseUnavailable, SchemaUnusable) as error:
        sys.exit(f"identity: {error}")
    except SQLAlchemyError as error:
        sys.exit(f"identity: the database cannot be used: {getattr(error, 'orig', error)}".rstrip())


def _exit_cleanly_on(number: signal.Signals) -> None:
    def handler(_: int, __: FrameType | None) -> Any:
        sys.exit(0)

    signal.signal(number, handler)
