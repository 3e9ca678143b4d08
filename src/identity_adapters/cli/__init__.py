"""The command line: ``identity``.

Each command is imported when it is asked for, and imports inside of it what it needs: most of what
the service is made of takes long to import.
"""

import sys
from importlib import import_module
from typing import NoReturn

import click

COMMANDS = {
    "config": "configuration:config_command",
    "explain": "look:explain_command",
    "export": "files:export_command",
    "history": "look:history_command",
    "import": "files:import_command",
    "key": "configuration:key_group",
    "lookup": "look:lookup_command",
    "migrate": "serve:migrate_command",
    "postgres": "postgres:postgres_command",
    "serve": "serve:serve",
    "verify": "verify:verify_command",
}
"""Each command with its module and its name in there."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), attribute)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="identity-reconciliation")
def main() -> None:
    """Says which orders belong to one customer.

    Settings come from the environment or a file .env; DB_CONNECTION_STRING names the database.
    Without it, the command uses one that is embedded in it.
    """


def fail(code: int, message: str) -> NoReturn:
    """End the command with an exit code, and say why on standard error."""
    click.echo(f"identity: {message}", err=True)
    sys.exit(code)
