"""The command line: ``identity``.

Each command is imported when it runs, and imports its dependencies inside its function, because most of
the service is slow to import.
"""

import sys
from importlib import import_module
from typing import NoReturn

import click

COMMANDS = {
    "access": "access:access_command",
    "build": "build:build_command",
    "config": "config:config_command",
    "deliver": "deliver:deliver_command",
    "erase": "erase:erase_command",
    "explain": "explain:explain_command",
    "export": "export:export_command",
    "graph": "graph:graph_command",
    "held": "held:held_group",
    "history": "history:history_command",
    "import": "import_:import_command",
    "key": "key:key_group",
    "ledger": "ledger:ledger_command",
    "load": "load:load_command",
    "lookup": "lookup:lookup_command",
    "merges": "merges:merges_command",
    "migrate": "migrate:migrate_command",
    "pin": "pin:pin_group",
    "postgres": "postgres:postgres_command",
    "restore": "restore:restore_command",
    "rules": "rules:rules_group",
    "rulings": "rulings:rulings_group",
    "serve": "serve:serve",
    "split": "split:split_command",
    "statistics": "statistics:statistics_command",
    "undo": "undo:undo_command",
    "verify": "verify:verify_command",
    "webhooks": "webhooks:webhooks_group",
}
"""The module and the attribute of each command."""


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
    """Find out which orders belong to one customer.

    Settings come from the environment or a file .env; DB_CONNECTION_STRING names the database.
    Without it, commands use an embedded database.
    """


def fail(code: int, message: str) -> NoReturn:
    """End the command with an exit code and a message on standard error."""
    click.echo(f"identity: {message}", err=True)
    sys.exit(code)


def fail_missing_package(error: ModuleNotFoundError, extra: str = "files") -> NoReturn:
    """End the command, because a package of an extra is missing."""
    fail(2, f"{error.name} is not installed; run pip install 'identity-reconciliation[{extra}]'")
