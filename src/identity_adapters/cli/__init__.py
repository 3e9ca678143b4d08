"""The command line: ``identity``."""

import click

from identity_adapters.cli.configuration import config_command, key_group
from identity_adapters.cli.files import export_command, import_command
from identity_adapters.cli.look import explain_command, history_command, lookup_command
from identity_adapters.cli.postgres import postgres_command
from identity_adapters.cli.serve import migrate_command, serve
from identity_adapters.cli.verify import verify_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="identity-reconciliation")
def main() -> None:
    """Says which orders belong to one customer.

    Settings come from the environment or a file .env; DB_CONNECTION_STRING names the database.
    Without it, the command uses one that is embedded in it.
    """


for command in (
    serve,
    migrate_command,
    config_command,
    key_group,
    verify_command,
    postgres_command,
    import_command,
    export_command,
    lookup_command,
    explain_command,
    history_command,
):
    main.add_command(command)
