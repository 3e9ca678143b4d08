"""The first load of ``identity import``: all rows at once, into an empty database."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import pyarrow as pa
from attrs import asdict, define, evolve, field
from sqlalchemy import URL

from identity_adapters.files.history import History, Rows
from identity_adapters.files.sorting import SortedDetails
from identity_adapters.files.tables import CONTACTS, RULED_EVENTS, RULED_EVIDENCE
from identity_adapters.memory import InMemoryContactRepository
from identity_adapters.postgres import first_load
from identity_core import (
    Contact,
    ContactDetails,
    Event,
    EventKind,
    Evidence,
    ImportReport,
    Record,
    RecordedEvent,
    RuleSet,
    import_contacts,
)

MAX_ASIDE = 200_000
"""How many details may be set aside, because they are decided in memory."""

IDS_ASIDE = 4
"""How many ids each of them may take; see `identity_core.reconcile`."""


@define
class Plan:
    """What a first load writes.

    Attributes:
        ids: how many new ids it needs, and as many for events.
        make_rows: makes the rows of the tables, once, see `MakeRows`.
        report: what became of the details, once the rows are made.
    """

    ids: int
    make_rows: first_load.MakeRows = field(init=False)
    report: ImportReport = field(init=False, factory=ImportReport)


def load_first(url: URL, details: SortedDetails, *, is_dry_run: bool) -> ImportReport | None:
    """Import details into a database that is empty, all at once.

    Returns:
        None if that is not possible, and nothing was written: the database is not empty, or something,
        such as people who are kept out, needs that the details are decided one after the other.

    Raises:
        psycopg.Error: the database fails. Nothing is written.
    """
    in_force = first_load.find_rules(url)
    plan = None if in_force is None else plan_first_load(details, in_force.rules, datetime.now(UTC))
    if in_force is None or plan is None:
        return None
    if is_dry_run:
        for _, _, batches in plan.make_rows(datetime.now(UTC), 1, 1):
            deque(batches, maxlen=0)
    elif plan.ids:
        click.echo(
            "The database is empty: all rows are written at once. Whoever else uses it waits, or is refused.",
            err=True,
        )
        try:
            first_load.load(url, in_force, plan.ids, plan.make_rows)
        except first_load.NoLongerEmpty:
            return None
    return plan.report


def plan_first_load(details: SortedDetails, rules: RuleSet, now: datetime) -> Plan | None:
    """Find out what details come to in an empty database.

    Returns:
        None if they are to be decided one after the other: rules touch very many of them, or there are
        times after now beside details without a time.
    """
    history = History(details.database)
    if not history.is_known_order(now):
        return None
    aside: list[ContactDetails] = []
    if not rules.is_off:
        if history.set_aside(rules) > MAX_ASIDE:
            return None
        aside = [*history.read_aside()]
    plan = Plan(history.size + IDS_ASIDE * len(aside))

    def make_rows(now: datetime, first_id: int, first_event_id: int) -> Iterator[Rows]:
        yield from history.make_rows(now, first_id, first_event_id)
        first_ids = first_id + history.size, first_event_id + history.size
        report, rows = _decide_aside(aside, rules, now, *first_ids)
        plan.report = _add(report, history)
        yield from rows

    plan.make_rows = make_rows
    return plan


def _add(report: ImportReport, history: History) -> ImportReport:
    """Add what a history came to."""
    kinds = history.kinds
    return evolve(
        report,
        read=report.read + history.kinds.total(),
        created=report.created + kinds[EventKind.CREATED],
        linked=report.linked + kinds[EventKind.LINKED],
        merged=report.merged + kinds[EventKind.MERGED],
        corroborated=report.corroborated + kinds[EventKind.CORROBORATED],
        known=report.known + kinds[None],
    )


def _decide_aside(
    aside: Sequence[ContactDetails], rules: RuleSet, now: datetime, first_id: int, first_event_id: int
) -> tuple[ImportReport, list[Rows]]:
    """Decide on details one after the other, in memory."""
    if not aside:
        return ImportReport(), []
    memory = InMemoryContactRepository(lambda: now, first_id)
    memory.adopt(Record(rules=rules))

    async def identify() -> tuple[ImportReport, Record, list[RecordedEvent]]:
        report = await import_contacts(memory, _in_order(aside))
        record = await memory.record({one for details in aside for one in details.identifiers})
        events, _ = await memory.changes(limit=sys.maxsize)
        return report, record, events

    report, record, events = asyncio.run(identify())
    updated = {"updated_at": _to_naive(now)}
    contacts = [_to_row(contact) | updated for contact in record.contacts]
    evidence = [_to_row(piece) for piece in record.evidence]
    numbered = [{"id": id} | _to_row(one.event) for id, one in enumerate(events, first_event_id)]
    return report, [
        _to_rows("contact_events", RULED_EVENTS, numbered),
        _to_rows("contacts", CONTACTS, sorted(contacts, key=lambda row: row["id"])),
        _to_rows("contact_evidence", RULED_EVIDENCE, evidence),
    ]


async def _in_order(details: Iterable[ContactDetails]) -> AsyncIterator[ContactDetails]:
    for one in details:
        yield one


def _to_row(value: Contact | Evidence | Event) -> dict[str, Any]:
    return {name: _to_naive(one) if isinstance(one, datetime) else one for name, one in asdict(value).items()}


def _to_naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _to_rows(table: str, schema: pa.Schema, rows: Sequence[dict[str, Any]]) -> Rows:
    return table, schema, [pa.RecordBatch.from_pylist(rows, schema)]
