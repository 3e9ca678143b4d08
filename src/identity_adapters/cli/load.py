"""``identity load``."""

import json
from pathlib import Path

import click

from identity_adapters.cli import fail, fail_missing_package


@click.command("load")
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@click.option("--json", "is_json", is_flag=True, help="Write the summary as JSON.")
def load_command(folder: Path, is_json: bool) -> None:
    """Load identities that identity build made into an empty database.

    Everything is written in one transaction. If it is interrupted, the database stays empty. Whoever else
    uses the database meanwhile waits, or is refused.

    Exit code 0: everything was loaded. 2: nothing was.
    """
    from identity_adapters.cli.database import open_container
    from identity_adapters.postgres import migrate

    try:
        from identity_adapters.files.loading import BuiltIdentities, FolderUnusable
        from identity_adapters.postgres import first_load
    except ModuleNotFoundError as error:
        fail_missing_package(error)
    try:
        built = BuiltIdentities.open(folder)
        with open_container(failure=2) as container:
            if container.settings().migrate_at_start:
                migrate(container.database_url())
            in_force = first_load.find_rules(container.database_url())
            if in_force is None:
                fail(
                    2,
                    "the database is not empty, or erased people are kept out of it;"
                    " import orders into it instead",
                )
            if not in_force.rules.is_off:
                fail(2, "rules are in force, which identity build does not apply; apply them afterwards")
            if built.last_id:
                first_load.load(container.database_url(), in_force, built.last_id, built.make_rows)
    except FolderUnusable as error:
        fail(2, f"{folder} {error}")
    except first_load.NoLongerEmpty:
        fail(2, "others wrote to the database meanwhile; nothing was loaded")
    except KeyboardInterrupt:
        fail(2, "interrupted; nothing was loaded")
    if is_json:
        click.echo(json.dumps(built.counts))
        return
    for name in ("contacts", "evidence", "events"):
        click.echo(f"{built.counts[name]:>14,}  {name}")
