"""The command line: ``identity``."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import attrs
import click
import uvicorn
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from identity_adapters.container import database
from identity_adapters.embedded import EmbeddedDatabaseUnavailable
from identity_adapters.postgres import (
    Mended,
    PostgresContactRepository,
    SchemaUnusable,
    create_engine,
    migrate,
    repair,
    verify,
)
from identity_adapters.settings import InvalidSetting, Settings
from identity_core import RepositoryUnavailable

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
    with _database() as (settings, url):
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


@main.command("migrate")
def migrate_command() -> None:
    """Bring the database to this version's schema; serve does so by itself."""
    with _database() as (_, url):
        migrate(url)
        click.echo("The database is ready.", err=True)


@main.command("verify")
@click.option("--repair", "is_repair", is_flag=True, help="Bring the database to the invariants.")
@click.option("--dry-run", is_flag=True, help="With --repair: only say what it would do.")
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
def verify_command(is_repair: bool, dry_run: bool, is_json: bool) -> None:
    """Check the database for every invariant, while the service runs.

    Exit code 0: all hold. 1: some are violated. 2: it could not be checked.
    """
    if dry_run and not is_repair:
        raise click.UsageError("--dry-run goes with --repair")
    with _database(failure=2) as (settings, url):
        mended = asyncio.run(_repair(settings, url, dry_run)) if is_repair else None
        violations = verify(url)
    if is_json:
        report: dict[str, Any] = {"violations": [attrs.asdict(violation) for violation in violations]}
        if mended is not None:
            report["wouldMend" if dry_run else "mended"] = attrs.asdict(mended)
        click.echo(json.dumps(report, indent=2))
    else:
        if mended is not None:
            click.echo(
                f"{'Would mend' if dry_run else 'Mended'} {mended.identities} identities: {mended.linked}"
                f" contacts linked anew, {mended.deleted} deleted that held the same as another,"
                f" {mended.evidence} pieces of evidence removed that a contact holds."
            )
        for violation in violations:
            examples = ", ".join(map(str, violation.examples))
            click.echo(f"{violation.count:>9}  {violation.kind} (for example {examples})")
        click.echo("Some invariants are violated." if violations else "All invariants hold.")
    sys.exit(1 if violations else 0)


async def _repair(settings: Settings, url: URL, dry_run: bool) -> Mended:
    engine = create_engine(
        url,
        pool_size=1,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )
    try:
        return await repair(url, PostgresContactRepository(engine), dry_run=dry_run)
    finally:
        await engine.dispose()


@contextmanager
def _database(failure: int = 1) -> Iterator[tuple[Settings, URL]]:
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
        _fail(failure, str(error))
    except DBAPIError as error:
        # The first line alone: the others quote the statement and values.
        reason = str(error.orig).strip().partition("\n")[0]
        _fail(failure, f"the database cannot be used: {reason}")


def _fail(code: int, message: str) -> NoReturn:
    click.echo(f"identity: {message}", err=True)
    sys.exit(code)


def _exit_cleanly_on(number: signal.Signals) -> None:
    def handler(_: int, __: FrameType | None) -> Any:
        sys.exit(0)

    signal.signal(number, handler)
