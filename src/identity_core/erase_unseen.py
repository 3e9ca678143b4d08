"""The use case of retention: identities go that nobody was identified by for long.

When each value was last seen is known by the month, and only since that is recorded. So a value is taken
to have been seen last in the latest of three months: the one that is recorded of it, the one in which
recording began, and the one in which its contact was created. An identity is unseen for some months if the
latest month of all its values is before all of these. Whoever was seen in the first of them stays until
the next month, because the day is not known.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import UTC, date, datetime

from attrs import frozen

from identity_core.erase import EraseIdentities
from identity_core.errors import Erased, LastSeenUnknown, NotRecorded, StalePlan, StillReferenced
from identity_core.model.erasure import LedgerEntry
from identity_core.model.identifiers import Identifier
from identity_core.model.unseen import Unseen, add_months, to_month
from identity_core.ports import IdentityReader, Sightings
from identity_core.read_dossier import read_dossier
from identity_core.rules.erase import Scope

PAGE = 10_000
"""How many identities are found at a time; whoever finds them may have to read everything each time."""


@frozen
class RetentionReport:
    """What became of identities that nobody was identified by for long.

    Attributes:
        identities: how many were erased.
        contacts: how many contacts these had, deleted ones included.
        kept: how many were seen, changed or erased meanwhile.
        referenced: the primaries of those that another table refers to, so that they stay.
    """

    identities: int = 0
    contacts: int = 0
    kept: int = 0
    referenced: tuple[int, ...] = ()


class EraseUnseen:
    """Erases the identities none of whose values was seen for some months.

    Every method raises `RepositoryUnavailable` if it cannot be done for now.

    Args:
        erase: erases each of them.
        reader: reads the same contacts.
        sightings: knows when their values were last seen.
    """

    def __init__(self, erase: EraseIdentities, reader: IdentityReader, sightings: Sightings) -> None:
        self._erase = erase
        self._reader = reader
        self._sightings = sightings

    async def find(self, months: int, now: datetime) -> AsyncIterator[Unseen]:
        """Find the identities that are unseen for some months, in the order of their primaries.

        Args:
            months: how many, at least one.
            now: the time, with an offset from UTC.

        Raises:
            LastSeenUnknown: it is not recorded, or not for so long.
        """
        _, before = await self._find_months(months, now)
        after = 0
        while found := await self._sightings.find_unseen(before, after, PAGE):
            for unseen in found:
                yield unseen
            after = found[-1].primary_id

    async def __call__(
        self,
        months: int,
        now: datetime,
        by: str | None = None,
        *,
        on_erased: Callable[[LedgerEntry], None] = lambda _: None,
    ) -> RetentionReport:
        """Erase the identities that are unseen for some months, each in a transaction of its own.

        Each is looked up again right before. If it is interrupted, the next call goes on.

        Args:
            months: how many, at least one.
            now: the time, with an offset from UTC.
            by: who erases; None if nobody says.
            on_erased: called after each erasure.

        Raises:
            LastSeenUnknown: it is not recorded, or not for so long.
        """
        since, before = await self._find_months(months, now)
        identities = contacts = kept = 0
        referenced: list[int] = []
        async for unseen in self.find(months, now):
            try:
                entry = await self._erase_one(unseen.primary_id, since, before, by)
            except StillReferenced:
                referenced.append(unseen.primary_id)
                continue
            if entry is None:
                kept += 1
                continue
            identities += 1
            contacts += len(entry.contact_ids)
            on_erased(entry)
        return RetentionReport(identities, contacts, kept, tuple(referenced))

    async def _find_months(self, months: int, now: datetime) -> tuple[date, date]:
        """Since when it is recorded, and the first month that does not count any more.

        Raises:
            LastSeenUnknown: it is not recorded, or not for so long.
        """
        since = await self._sightings.recorded_since()
        if since is None:
            raise LastSeenUnknown("when values were last seen is not recorded")
        before = add_months(to_month(now.astimezone(UTC)), -months)
        if since >= before:
            earliest = add_months(since, months + 1)
            raise LastSeenUnknown(
                f"when values were last seen is recorded since {since:%Y-%m} only, so that nobody is known to"
                f" be unseen for {months} months before {earliest:%Y-%m}"
            )
        return since, before

    async def _erase_one(
        self, primary_id: int, since: date, before: date, by: str | None
    ) -> LedgerEntry | None:
        """Erase an identity, unless it was seen, changed or erased meanwhile; None if it was."""
        try:
            dossier, person, _ = await read_dossier(self._reader, primary_id)
            if not _is_unseen(person, dossier.last_seen, since, before):
                return None
            return await self._erase(primary_id, by, plan=person.plan)
        except (Erased, NotRecorded, StalePlan):
            return None


def _is_unseen(person: Scope, last_seen: Mapping[Identifier, date], since: date, before: date) -> bool:
    contacts = [*person.contacts, *(one.contact for one in person.deleted)]
    created: Collection[date] = [to_month(contact.created_at) for contact in contacts]
    return (
        max([since, *created, *(last_seen[value] for value in person.values if value in last_seen)]) < before
    )
