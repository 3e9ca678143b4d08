"""``identity erase``."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from identity_adapters.cli import fail
from identity_adapters.cli.arguments import parse_target
from identity_adapters.cli.output import format_table
from identity_adapters.cli.retention import parse_months, run_retention
from identity_adapters.cli.rule import confirm, find_user, parse_name

if TYPE_CHECKING:
    from identity_adapters.container import Container
    from identity_core import Contact, ErasurePreview, LedgerEntry

SHOWN = 20
"""How many contacts, pairs and rulings are listed."""


@click.command("erase")
@click.option("--contact", type=click.IntRange(0, 2**63 - 1), metavar="ID", help="Any contact of the person.")
@click.option("--email", metavar="E", help="An email of the person.")
@click.option("--phone-number", metavar="P", help="A phone number of the person.")
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="LEDGER",
    help="After a restore: erase again whom this ledger names.",
)
@click.option(
    "--unseen-for",
    "months",
    callback=parse_months,
    metavar="TIME",
    help="Everybody who was not seen for 24months or 2years.",
)
@click.option("--by", metavar="NAME", default=find_user, show_default="your user name", help="Who erases.")
@click.option("--dry-run", is_flag=True, help="Show what would be erased, and write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--suppress", is_flag=True, help="Keep their values out for IDENTITY_SUPPRESS_DAYS.")
@click.option("--plan", metavar="TOKEN", help="The plan of a dry run: erase that person alone.")
@click.option("--json", "is_json", is_flag=True, help="Write the JSON of the HTTP answer.")
def erase_command(
    contact: int | None,
    email: str | None,
    phone_number: str | None,
    replay: Path | None,
    months: int | None,
    by: str | None,
    dry_run: bool,
    yes: bool,
    suppress: bool,
    plan: str | None,
    is_json: bool,
) -> None:
    """Erase a person: all contacts of an identity, and whatever names one of its values.

    Shows what would go, warns where strangers would, and asks. Only a backup can bring them back. A value
    that identifies nobody is erased alone.
    """
    named = [one for one in (contact, email, phone_number, replay, months) if one is not None]
    if len(named) != 1:
        raise click.UsageError("Name one of --contact, --email, --phone-number, --replay and --unseen-for")
    if replay is not None:
        replay_ledger(replay, dry_run=dry_run)
        return
    if months is not None:
        run_retention(months, dry_run=dry_run, yes=yes, by=by, is_json=is_json)
        return

    from identity_adapters.container import run

    def work(container: "Container") -> None:
        name = parse_name(by)
        target = parse_target(contact, email, phone_number, container.make_details())
        chosen = plan
        if dry_run or not yes:
            preview = run(container, container.erase().preview(target))
            if dry_run and is_json:
                _write_json(preview=preview)
                return
            click.echo("\n".join(_describe(preview)), err=not dry_run)
            if dry_run:
                return
            confirm()
            chosen = plan or preview.plan
        days = container.settings().suppress_days
        until = datetime.now(UTC) + timedelta(days=days) if suppress else None
        entry = run(container, container.erase()(target, name, plan=chosen, suppressed_until=until))
        if is_json:
            _write_json(entry=entry)
        else:
            click.echo("\n".join(_describe_receipt(entry)))

    run_erasure(work)


def run_erasure(work: "Callable[[Container], None]") -> None:
    """Run a command that erases, on the configured database; errors end it with a message."""
    from identity_adapters.cli.database import open_container
    from identity_adapters.postgres import check_schema
    from identity_core import (
        CannotSuppress,
        Erased,
        InvalidDetails,
        NotRecorded,
        StalePlan,
        StillReferenced,
    )

    try:
        with open_container() as container:
            check_schema(container.database_url())
            work(container)
    except (InvalidDetails, NotRecorded) as error:
        fail(1, f"{_OPTIONS.get(error.field, error.field)} {error.reason}")
    except StalePlan:
        fail(1, "nothing was erased, because this person is no longer who was shown; run it again")
    except CannotSuppress:
        fail(1, "nothing was erased, because keeping out needs the setting IDENTITY_SUPPRESSION_KEY")
    except (Erased, StillReferenced) as error:
        fail(1, f"nothing was erased: {error}")


_OPTIONS = {"contactId": "--contact", "email": "--email", "phone_number": "--phone-number"}


def _write_json(preview: "ErasurePreview | None" = None, entry: "LedgerEntry | None" = None) -> None:
    import msgspec

    from identity_adapters.api.erasures import ErasureAnswer, to_preview_record, to_receipt

    answer = ErasureAnswer(
        None if preview is None else to_preview_record(preview), None if entry is None else to_receipt(entry)
    )
    click.echo(msgspec.json.encode(answer))


def _describe(preview: "ErasurePreview") -> Iterator[str]:
    """Describe what an erasure would remove, and whom besides."""
    yield f"Erases {_count(len(preview.contacts) + len(preview.deleted), 'contact')} with these values:"
    yield from (f"  {value}" for value in _cut([identifier.value for identifier in preview.values]))
    if preview.contacts or preview.deleted:
        contacts: list[tuple[Contact, datetime | None]] = [(one, None) for one in preview.contacts]
        contacts += [(one.contact, one.deleted_at) for one in preview.deleted]
        rows = [(c.id, c.email, c.phone_number, c.created_at, at) for c, at in contacts[:SHOWN]]
        yield format_table(("contact", "email", "phone number", "created at", "deleted at"), rows)
    if preview.evidence:
        yield f"Also {_count(len(preview.evidence), 'pair')} that no contact holds:"
        pairs = [(p.id, p.email, p.phone_number, p.standing, p.seen_at) for p in preview.evidence[:SHOWN]]
        yield format_table(("id", "email", "phone number", "standing", "seen at"), pairs)
    if rulings := (*preview.rulings, *preview.withdrawn):
        yield f"Also {_count(len(rulings), 'ruling')}, {len(preview.rulings):,} in force:"
        rows_of_rulings = [(r.id, r.verdict, r.one.value, r.other.value, r.reason) for r in rulings[:SHOWN]]
        yield format_table(("ruling", "verdict", "one", "other", "reason"), rows_of_rulings)
    for blocked in preview.blocked:
        yield f"The rules no longer block {blocked.value}."
    for weak in preview.weak_values:
        yield (
            f"Warning: {weak.value.value} alone joins {weak.one.value} and {weak.other.value}. If they are"
            f" two persons, part them first: identity split {weak.one.value} {weak.other.value} --reason …"
        )
    yield f"Plan: {preview.plan}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _cut(values: list[str]) -> list[str]:
    more = len(values) - SHOWN
    return [*values[:SHOWN], f"and {more:,} more"] if more > 0 else values


def _describe_receipt(entry: "LedgerEntry") -> Iterator[str]:
    from identity_adapters.api.erasures import LEFT_TO_DO

    yield (
        f"Erased {_count(len(entry.contact_ids), 'contact')},"
        f" {_count(len(entry.evidence_ids), 'pair')} that no contact held"
        f" and {_count(len(entry.ruling_ids), 'ruling')}: erasure {entry.id}"
        f" at {entry.erased_at:%Y-%m-%d %H:%M:%S} UTC."
    )
    if entry.contact_ids:
        yield f"Contacts: {', '.join(_cut([*map(str, entry.contact_ids)]))}."
    if entry.suppressed_until is not None:
        yield f"Kept out until {entry.suppressed_until:%Y-%m-%d}."
    yield "Still to do:"
    yield from (f"- {text}" for text in LEFT_TO_DO)


def replay_ledger(path: Path, *, dry_run: bool) -> None:
    """Erase again whom a ledger names, as far as a backup brought them back."""
    from identity_adapters.container import run
    from identity_adapters.files.ledger import InvalidLedger

    def work(container: "Container") -> None:
        again, newer = run(container, _replay(container, path, dry_run=dry_run))
        verb = "Would erase" if dry_run else "Erased"
        click.echo(f"{verb} again what was left of {_count(again, 'erasure')}.")
        if newer:
            click.echo(
                f"{_count(len(newer), 'contact')} written after the erasure stay, and may be somebody else by"
                f" now. Look at them: {', '.join(_cut([*map(str, newer)]))}.",
                err=True,
            )

    try:
        run_erasure(work)
    except InvalidLedger as error:
        fail(1, f"{path}: {error}")
    except OSError as error:
        fail(1, f"{path}: {error.strerror}")


async def _replay(container: "Container", path: Path, *, dry_run: bool) -> tuple[int, list[int]]:
    """How many erasures something was left of, and the contacts that stay because they are newer."""
    from identity_adapters.files.ledger import read_ledger

    trail, erase = container.audit_trail(), container.erase()
    again = 0
    newer: list[int] = []
    if not dry_run:
        await trail.skip_ids(max((entry.last_id for entry in read_ledger(path)), default=0))
    for entry in read_ledger(path):
        left = await trail.find_left(entry)
        newer += [one.id for one in left if one.is_newer]
        if dry_run:
            again += any(not one.is_newer for one in left)
        else:
            again += await erase.erase_again(entry)
    if not dry_run:
        # What was seen after the backup is not on record.
        await container.sightings().end_recording()
    return again, newer
