"""``identity verify``."""

import json
import sys
from typing import Any

import click


@click.command("verify")
@click.option("--repair", "is_repair", is_flag=True, help="Repair violations.")
@click.option("--dry-run", is_flag=True, help="With --repair: only show what would be repaired.")
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
def verify_command(is_repair: bool, dry_run: bool, is_json: bool) -> None:
    """Check every invariant of the database, which may be in use.

    Exit code 0: all hold. 1: some are violated. 2: the check failed.
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
    if is_json:
        report: dict[str, Any] = {"violations": [attrs.asdict(violation) for violation in violations]}
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
    sys.exit(1 if violations else 0)
