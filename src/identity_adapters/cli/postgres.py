"""``identity postgres``: PostgreSQL's own programs on the database of the service."""

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from identity_adapters.cli import fail

if TYPE_CHECKING:
    from sqlalchemy import URL


@click.command("postgres", context_settings={"ignore_unknown_options": True})
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def postgres_command(program: str, arguments: tuple[str, ...]) -> None:
    """Run a program of PostgreSQL's, such as psql or pg_dump, on the database of the service.

    The program finds the database in its environment. For the embedded database, the packaged programs are
    on its PATH.
    """
    from identity_adapters.cli.database import open_container
    from identity_adapters.embedded import packaged_programs

    with open_container() as container:
        settings = container.settings()
        environment = os.environ | _to_libpq_variables(container.database_url())
        if settings.database_url is None:
            programs = settings.postgres_programs or packaged_programs()
            environment["PATH"] = f"{programs}:{environment['PATH']}"
        try:
            sys.exit(subprocess.run([program, *arguments], env=environment, check=False).returncode)
        except OSError as error:
            fail(1, f"{program} cannot be run: {error.strerror}")


def _to_libpq_variables(url: "URL") -> dict[str, str]:
    """Convert a URL to the environment variables of PostgreSQL's programs."""
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.pq import Conninfo

    parts = conninfo_to_dict(url.set(drivername="postgresql").render_as_string(hide_password=False))
    names = {
        option.keyword.decode(): option.envvar.decode()
        for option in Conninfo.get_defaults()
        if option.envvar is not None
    }
    return {names[part]: str(value) for part, value in parts.items() if part in names}
