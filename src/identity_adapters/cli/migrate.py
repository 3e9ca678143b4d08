"""``identity migrate``."""

import click


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database to this version's schema; serve does so by itself."""
    from identity_adapters.cli.database import open_container
    from identity_adapters.postgres import migrate

    with open_container() as container:
        migrate(container.database_url())
        click.echo("The database is ready.", err=True)
