"""``identity migrate``."""

import click


@click.command("migrate")
def migrate_command() -> None:
    """Migrate the database to the schema of this version; serve does this at its start."""
    from identity_adapters.cli.database import open_container
    from identity_adapters.postgres import migrate

    with open_container() as container:
        migrate(container.database_url())
        click.echo("The database is ready.", err=True)
