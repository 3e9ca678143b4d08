"""``identity serve`` and ``identity migrate``."""

import os
import signal
import sys
from types import FrameType
from typing import Any

import click
import uvicorn

from identity_adapters.cli.database import configured
from identity_adapters.postgres import migrate

FINISH_WITHIN = 30
"""Seconds that requests in flight have to finish once the service is told to stop."""


@click.command()
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on.  [default: 8000]")
@click.option("--workers", type=click.IntRange(1, 64), help="How many processes serve.  [default: 1]")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve POST /identify over HTTP."""
    _exit_cleanly_on(signal.SIGTERM)
    with configured() as (settings, url):
        if settings.migrate_at_start:
            migrate(url)
        # Once is enough. A worker that starts while the database is away waits for it like the others.
        os.environ["IDENTITY_MIGRATE_AT_START"] = "no"
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


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database to this version's schema; serve does so by itself."""
    with configured() as (_, url):
        migrate(url)
        click.echo("The database is ready.", err=True)


def _exit_cleanly_on(number: signal.Signals) -> None:
    def handler(_: int, __: FrameType | None) -> Any:
        sys.exit(0)

    signal.signal(number, handler)
