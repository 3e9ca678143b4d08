"""``identity ledger``."""

import sys
from pathlib import Path

import click


@click.command("ledger")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Add to this file what it lacks, in place of writing everything to standard output.",
)
def ledger_command(output: Path | None) -> None:
    """Write the ledger of erasures: a line of JSON for each, in ids alone.

    Keep it apart from the database and its backups, and replay it after each restore.
    """
    from identity_adapters.cli import fail
    from identity_adapters.cli.database import open_container
    from identity_adapters.container import run
    from identity_adapters.files.ledger import InvalidLedger, complete_ledger, encode_entry, read_trail
    from identity_adapters.postgres import check_schema
    from identity_core import AuditTrail

    async def write_all(trail: AuditTrail) -> None:
        async for entry in read_trail(trail):
            sys.stdout.buffer.write(encode_entry(entry))

    with open_container() as container:
        check_schema(container.database_url())
        trail = container.audit_trail()
        try:
            run(container, write_all(trail) if output is None else complete_ledger(output, trail))
        except (InvalidLedger, OSError) as error:
            fail(1, str(error) if isinstance(error, InvalidLedger) else f"{output}: {error.strerror}")
