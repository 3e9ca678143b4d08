"""The use case of an import: identify many details, in the order in which they come.

It decides by the rules of `reconcile` like everything else, thousands of details in each transaction. A
transaction reads the identities that it matches whole. To keep the work for one of the details
from growing with an identity that very many of them share, a transaction decides on more details
the more it has to read, up to a limit, because other clients wait for it.
"""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime

from attrs import frozen

from identity_core.errors import RepositoryBusy
from identity_core.identify import decide
from identity_core.model.decision import Decision, Outcome
from identity_core.model.details import ContactDetails
from identity_core.model.snapshot import Snapshot
from identity_core.ports import ContactRepository
from identity_core.rules.reconcile import KeptApart, find_outcomes, reconcile_in_turn

BATCH_SIZE = 4_000
"""How many details one transaction decides on; other clients wait for it that long."""

PARTS = 2
"""In how many parts a batch is decided on, so that one is decided on while the one before is written."""

CONTACTS_PER_DETAILS = 5
"""How many contacts the largest identity may have for each of the details before a transaction decides on
more of them."""

GROWTH = 5
"""By which factor a transaction may grow at most."""


@frozen
class ImportReport:
    """How many details were imported so far.

    Attributes:
        read: all of them.
        created: those that became a new identity.
        linked: those that became another contact of an identity.
        merged: those that made one identity of two or more.
        corroborated: those that confirmed an identity by a new pair or an earlier date.
        held: those whose pair does not count; each value was taken alone.
        known: those that added nothing new.
        blocked: those that identify nobody, because all their values are blocked.
        suppressed: those that are not recorded, because one of their values is kept out.
    """

    read: int = 0
    created: int = 0
    linked: int = 0
    merged: int = 0
    corroborated: int = 0
    held: int = 0
    known: int = 0
    blocked: int = 0
    suppressed: int = 0


async def import_contacts(
    repository: ContactRepository,
    details: AsyncIterable[ContactDetails],
    *,
    batch_size: int = BATCH_SIZE,
    on_progress: Callable[[ImportReport], None] | None = None,
) -> ImportReport:
    """Identify details in the order in which they come.

    It is safe beside live traffic. An interrupted import keeps what it has written, and finds it
    known when everything is imported again. Import whole histories in the order of their times:
    then nothing but the history determines which contacts there are.

    Args:
        repository: where the contacts are kept.
        details: in order.
        batch_size: how many details one transaction decides on; up to five times as many where
            they belong to large identities.
        on_progress: called with the report so far after each transaction.

    Raises:
        RepositoryUnavailable: it cannot be done for now.

    >>> import asyncio
    >>> from identity_core import ContactDetails, import_contacts
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> async def orders():
    ...     yield ContactDetails("doc@hillvalley.edu", "555-0123")
    ...     yield ContactDetails("emmett@brown.com", "555-0123")
    >>> report = asyncio.run(import_contacts(InMemoryContactRepository(), orders()))
    >>> report.read, report.created, report.linked
    (2, 1, 1)
    """
    report = ImportReport()
    is_known = False
    limit = batch_size
    largest = 0
    rest = aiter(details)
    while batch := await _take(rest, limit):
        # Each part may read a large identity whole.
        parts = PARTS if PARTS * largest <= 2 * batch_size else 1
        counts, largest = await _identify(repository, batch, parts, reads_first=is_known)
        limit = max(batch_size, min(largest // CONTACTS_PER_DETAILS, GROWTH * batch_size))
        # Reading what was imported before is quick and takes no lock.
        is_known = counts[Outcome.KNOWN] + counts[Outcome.HELD] > len(batch) / 2
        report = _add(report, len(batch), counts)
        if on_progress is not None:
            on_progress(report)
    return report


_CORROBORATED = "corroborated"


def _add(report: ImportReport, details: int, counts: Counter[str]) -> ImportReport:
    return ImportReport(
        read=report.read + details,
        created=report.created + counts[Outcome.CREATED],
        linked=report.linked + counts[Outcome.LINKED],
        merged=report.merged + counts[Outcome.MERGED],
        corroborated=report.corroborated + counts[_CORROBORATED],
        held=report.held + counts[Outcome.HELD],
        known=report.known + counts[Outcome.KNOWN],
        blocked=report.blocked + counts[Outcome.BLOCKED],
        suppressed=report.suppressed + counts[Outcome.SUPPRESSED],
    )


async def _identify(
    repository: ContactRepository, batch: Sequence[ContactDetails], parts: int, *, reads_first: bool
) -> tuple[Counter[str], int]:
    """What became of the details of a batch, and how many contacts the largest matched identity had."""
    counts: Counter[str] = Counter()
    largest = 0
    if reads_first:
        try:
            snapshot = await repository.load(batch)
        except RepositoryBusy:
            if len(batch) == 1:
                raise
            for half in _divide(batch, 2):
                of_half, largest_of_half = await _identify(repository, half, parts, reads_first=True)
                counts += of_half
                largest = max(largest, largest_of_half)
            return counts, largest
        largest = snapshot.size_of_largest
        outcomes = find_outcomes(batch, snapshot)
        counts.update(outcome for outcome in outcomes if outcome is not None)
        batch = [details for details, outcome in zip(batch, outcomes, strict=True) if outcome is None]
    decisions, largest_of_decided = await _decide(repository, batch, parts)
    for decision in decisions:
        counts.update(decision.outcomes)
        counts[Outcome.KNOWN] -= decision.corroborated
        counts[_CORROBORATED] += decision.corroborated
    return counts, max(largest, largest_of_decided)


async def _decide(
    repository: ContactRepository, batch: Sequence[ContactDetails], number: int
) -> tuple[list[Decision], int]:
    """Decide on a batch in a number of parts; the decisions, and the size of the largest matched identity.

    Fewer of the details are decided on at a time if they match too many contacts.
    """
    decisions: list[Decision] = []
    largest = 0
    size = len(batch)
    parts: list[Sequence[ContactDetails]] = []

    def measure(snapshot: Snapshot) -> Snapshot:
        nonlocal largest
        largest = max(largest, snapshot.size_of_largest)
        return snapshot

    def decide_in_turn(
        snapshots: Iterator[Snapshot], now: datetime, ids: Iterator[int]
    ) -> Iterator[Decision]:
        return reconcile_in_turn(parts, map(measure, snapshots), now, ids)

    while batch:
        parts = _divide(batch[:size], number)
        try:
            try:
                made = await repository.transact_in_turn(parts, decide_in_turn)
            except KeptApart:
                made = [await decide(repository, parts[0])]
        except RepositoryBusy:
            if size == 1:
                raise
            size = -(-min(size, len(batch)) // 2)
        else:
            decisions += made
            batch = batch[sum(map(len, parts[: len(made)])) :]
    created = [contact for decision in decisions for contact in decision.writes.created]
    linked = Counter(contact.linked_id for contact in created if contact.linked_id is not None)
    return decisions, largest + max(linked.values(), default=0)


def _divide(batch: Sequence[ContactDetails], parts: int) -> list[Sequence[ContactDetails]]:
    """Divide a batch into so many, of about equal size."""
    size = max(1, -(-len(batch) // parts))
    return [batch[start : start + size] for start in range(0, len(batch), size)]


async def _take(details: AsyncIterator[ContactDetails], limit: int) -> list[ContactDetails]:
    """The next of the details; none at the end."""
    batch: list[ContactDetails] = []
    while len(batch) < limit and (one := await anext(details, None)) is not None:
        batch.append(one)
    return batch
