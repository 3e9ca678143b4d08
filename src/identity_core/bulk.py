"""Many details at once, in the order in which they come: the use case of an import.

It decides by `reconcile` like everything else, some thousands of details in each transaction. Each
transaction reads the identities that it touches whole. So that the work for one of the details does
not grow with an identity that very many of them share, a transaction decides on more details the
more it has to read, up to a limit, since others wait for it.
"""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from functools import partial

from attrs import frozen

from identity_core.changes import EventKind
from identity_core.details import ContactDetails
from identity_core.errors import RepositoryBusy
from identity_core.reconcile import reconcile, unsettled
from identity_core.repository import ContactRepository

AT_ONCE = 4_000
"""How many details one transaction decides on; others wait for it that long."""

CONTACTS_FOR_EACH = 5
"""How many contacts may be read for each of the details before a transaction decides on more of them."""

GROWTH = 5
"""How many times as many details that may be at most."""


@frozen
class ImportReport:
    """What became of the details so far.

    Attributes:
        read: how many there were.
        created: of them, how many became a new identity.
        linked: how many became another contact of an identity.
        merged: how many made two or more identities one.
        corroborated: how many confirmed an identity by a new pair or an earlier date.
        known: how many taught nothing new.
    """

    read: int = 0
    created: int = 0
    linked: int = 0
    merged: int = 0
    corroborated: int = 0
    known: int = 0


async def import_contacts(
    repository: ContactRepository,
    details: AsyncIterable[ContactDetails],
    *,
    at_once: int = AT_ONCE,
    on_progress: Callable[[ImportReport], None] | None = None,
) -> ImportReport:
    """Identify details in the order in which they come.

    Safe beside others. What was done stays if it is interrupted, and is known when all of it is
    imported again. Whole histories are best imported in the order of their times: then which
    contacts come to be does not depend on anything else.

    Args:
        repository: where to.
        details: in order.
        at_once: how many to decide on in one transaction; up to five times as many where they are of
            large identities.
        on_progress: told of the report so far after each transaction.

    Raises:
        RepositoryUnavailable: it cannot be done for now.

    >>> import asyncio
    >>> from identity_core import ContactDetails, import_contacts
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> async def orders():
    ...     yield ContactDetails("doc@hillvalley.edu", "555-0123")
    ...     yield ContactDetails("emmett@brown.com", "555-0123")
    >>> asyncio.run(import_contacts(InMemoryContactRepository(), orders()))
    ImportReport(read=2, created=1, linked=1, merged=0, corroborated=0, known=0)
    """
    report = ImportReport()
    is_known = False
    limit = at_once
    rest = aiter(details)
    while batch := await _next(rest, limit):
        kinds, contacts = await _identify(repository, batch, reads_first=is_known)
        limit = max(at_once, min(contacts // CONTACTS_FOR_EACH, GROWTH * at_once))
        # What was imported before is read quickly, without any lock.
        is_known = 2 * kinds.total() < len(batch)
        report = _after(report, len(batch), kinds)
        if on_progress is not None:
            on_progress(report)
    return report


def _after(report: ImportReport, details: int, kinds: Counter[EventKind]) -> ImportReport:
    return ImportReport(
        read=report.read + details,
        created=report.created + kinds[EventKind.CREATED],
        linked=report.linked + kinds[EventKind.LINKED],
        merged=report.merged + kinds[EventKind.MERGED],
        corroborated=report.corroborated + kinds[EventKind.CORROBORATED],
        known=report.known + details - kinds.total(),
    )


async def _identify(
    repository: ContactRepository, batch: Sequence[ContactDetails], *, reads_first: bool
) -> tuple[Counter[EventKind], int]:
    """How many events of each kind a batch came to, and how many contacts are of what it touched."""
    contacts = 0
    try:
        if reads_first:
            snapshot = await repository.load(batch)
            contacts = snapshot.size
            batch = unsettled(batch, snapshot)
            if not batch:
                return Counter(), contacts
        decided = await repository.transact(batch, partial(reconcile, batch))
    except RepositoryBusy:
        if len(batch) == 1:
            raise
        middle = len(batch) // 2
        first, one = await _identify(repository, batch[:middle], reads_first=reads_first)
        second, other = await _identify(repository, batch[middle:], reads_first=reads_first)
        return first + second, one + other
    sizes = {one.primary_contact_id: 1 + len(one.secondary_contact_ids) for one in decided.identities}
    return Counter(event.kind for event in decided.changes.events), max(contacts, sum(sizes.values()))


async def _next(details: AsyncIterator[ContactDetails], limit: int) -> list[ContactDetails]:
    """The next of the details; none at their end."""
    batch: list[ContactDetails] = []
    while len(batch) < limit and (one := await anext(details, None)) is not None:
        batch.append(one)
    return batch
