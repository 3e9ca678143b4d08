"""``identity verify``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from identity_adapters.cli import fail

if TYPE_CHECKING:
    from identity_core import AuditTrail, Leftover


@click.command("verify")
@click.option("--repair", "is_repair", is_flag=True, help="Repair violations.")
@click.option("--dry-run", is_flag=True, help="With --repair: only show what would be repaired.")
@click.option(
    "--erased",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="LEDGER",
    help="Also check that nothing is left of whom this ledger of erasures names.",
)
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
def verify_command(is_repair: bool, dry_run: bool, erased: Path | None, is_json: bool) -> None:
    """Check every invariant of the database, which may be in use.

    Exit code 0: all hold. 1: some are violated, or something is left. 2: the check failed.
    """
    import attrs

    from identity_adapters.cli.database import open_container
    from identity_adapters.container import run
    from identity_adapters.postgres import check_schema, repair_database, verify

    if dry_run and not is_repair:
        raise click.UsageError("--dry-run needs --repair")
    with open_container(failure=2) as container:
        url = container.database_url()
        check_schema(url)
        repaired = None
        if is_repair:
            ports = container.repository(), container.reader()
            repaired = run(container, repair_database(url, *ports, dry_run=dry_run))
        violations = verify(url)
        left = [] if erased is None else run(container, _find_left(container.audit_trail(), erased))
    if is_json:
        report: dict[str, Any] = {"violations": [attrs.asdict(violation) for violation in violations]}
        if erased is not None:
            report["leftOfErased"] = [{"table": one.table, "id": one.id} for one in left]
        if repaired is not None:
            report["wouldRepair" if dry_run else "repaired"] = attrs.asdict(repaired)
        click.echo(json.dumps(report, indent=2))
    else:
        if repaired is not None:
            click.echo(
                f"{'Would repair' if dry_run else 'Repaired'} {repaired.identities} identities:"
                f" {repaired.linked} contacts relinked, {repaired.deleted} duplicate contacts deleted,"
                f" {repaired.evidence} redundant pieces of evidence removed."
            )
        for violation in violations:
            examples = ", ".join(map(str, violation.examples))
            click.echo(f"{violation.count:>9}  {violation.kind} (for example {examples})")
        click.echo("Some invariants are violated." if violations else "All invariants hold.")
        if erased is not None:
            click.echo(_describe_left(left))
    sys.exit(1 if violations or left else 0)


async def _find_left(trail: "AuditTrail", ledger: Path) -> "list[Leftover]":
    """What is left of the erasures of a ledger."""
    from identity_adapters.files.ledger import InvalidLedger, read_ledger

    try:
        return [one for entry in read_ledger(ledger) for one in await trail.find_left(entry)]
    except (InvalidLedger, OSError) as error:
        fail(2, f"{ledger}: {error if isinstance(error, InvalidLedger) else error.strerror}")


def _describe_left(left: "Sequence[Leftover]") -> str:
    if not left:
        return "Nothing is left of the erased."
    lines = [f"Something is left of the erased: {len(left):,} rows, for example these."]
    lines += [f"  {one.table} {one.id}" for one in left[:10]]
    return "\n".join(lines)
