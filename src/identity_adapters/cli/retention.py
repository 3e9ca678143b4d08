"""``identity erase --unseen-for``: identities go that nobody was identified by for long."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from identity_adapters.cli import fail
from identity_adapters.cli.output import format_table
from identity_adapters.cli.rule import confirm, run_rulings

if TYPE_CHECKING:
    from identity_adapters.container import Container
    from identity_core import LedgerEntry, RetentionReport, Unseen

SHOWN = 20
"""How many identities a dry run lists; as JSON, it lists all."""

MAX_MONTHS = 1200
"""How long a time may be."""

HINT = "; IDENTITY_RECORD_LAST_SEEN=yes has the service record it, and nobody is erased by date of creation"
"""What a message ends with if it is not recorded."""


def parse_months(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """The number of whole months of an option: of ``24months`` or ``2years``."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6}) ?(month|year)s?", text.strip())
    if found is None:
        raise click.BadParameter("must be whole months or years, such as 24months or 2years")
    months = int(found[1]) * (12 if found[2] == "year" else 1)
    if not 1 <= months <= MAX_MONTHS:
        raise click.BadParameter(f"must be from 1 to {MAX_MONTHS} months")
    return months


def run_retention(
    months: int,
    *,
    dry_run: bool,
    yes: bool,
    by: str | None,
    is_json: bool = False,
    on_erased: "Callable[[LedgerEntry], None]" = lambda _: None,
) -> None:
    """Erase the identities that are unseen for some months: show them, ask, and do it.

    Args:
        months: how many.
        dry_run: whether to show them only.
        yes: whether not to ask.
        by: who erases.
        is_json: whether the answer is written as JSON.
        on_erased: called after each erasure.
    """
    from identity_adapters.container import run
    from identity_core import LastSeenUnknown

    erased = 0

    def count(entry: "LedgerEntry") -> None:
        nonlocal erased
        erased += 1
        on_erased(entry)

    async def find(container: "Container") -> "list[Unseen]":
        return [unseen async for unseen in container.erase_unseen().find(months, datetime.now(UTC))]

    async def erase(container: "Container") -> "RetentionReport":
        return await container.erase_unseen()(months, datetime.now(UTC), by, on_erased=count)

    def work(container: "Container") -> None:
        if dry_run or not yes:
            found = run(container, find(container))
            if dry_run and is_json:
                click.echo(json.dumps(_to_json(found)))
                return
            click.echo(_describe(found, months), err=not dry_run)
            if dry_run or not found:
                return
            confirm()
        report = run(container, erase(container))
        click.echo(json.dumps(_report_to_json(report)) if is_json else _describe_report(report))

    try:
        run_rulings(work)
    except LastSeenUnknown as error:
        fail(1, f"{error}{HINT}")
    except KeyboardInterrupt:
        fail(1, f"interrupted after {erased:,} identities; running the command again goes on")


def _to_json(found: "list[Unseen]") -> dict[str, Any]:
    return {
        "identities": len(found),
        "contacts": sum(unseen.contacts for unseen in found),
        "unseen": [
            {
                "primaryContactId": unseen.primary_id,
                "contacts": unseen.contacts,
                "lastSeen": f"{unseen.last_seen:%Y-%m}",
            }
            for unseen in found
        ],
    }


def _report_to_json(report: "RetentionReport") -> dict[str, Any]:
    return {
        "identities": report.identities,
        "contacts": report.contacts,
        "kept": report.kept,
        "referenced": report.referenced,
    }


def _describe(found: "list[Unseen]", months: int) -> str:
    if not found:
        return f"Nobody is unseen for {months} months."
    contacts = sum(unseen.contacts for unseen in found)
    lines = [f"{len(found):,} identities with {contacts:,} contacts are unseen for {months} months:"]
    rows = [(one.primary_id, one.contacts, f"{one.last_seen:%Y-%m}") for one in found[:SHOWN]]
    lines.append(format_table(("primary", "contacts", "last seen"), rows))
    if len(found) > SHOWN:
        lines.append(f"and {len(found) - SHOWN:,} more; --json lists all")
    return "\n".join(lines)


def _describe_report(report: "RetentionReport") -> str:
    lines = [f"Erased {report.identities:,} identities with {report.contacts:,} contacts."]
    if report.kept:
        lines.append(f"{report.kept:,} were seen, changed or erased meanwhile, and were left alone.")
    if report.referenced:
        ids = ", ".join(map(str, report.referenced[:SHOWN]))
        rest = f" and {len(report.referenced) - SHOWN:,} more" if len(report.referenced) > SHOWN else ""
        lines.append(f"Another table of the database refers to contacts of these, which stay: {ids}{rest}.")
    return "\n".join(lines)
