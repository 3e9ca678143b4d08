"""The use case: identify customers by the details they gave."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from identity_core.changes import Evidence, Foresight, Identified, Outcome
from identity_core.contact import Contact
from identity_core.details import ContactDetails
from identity_core.explain import Explanation, Identifier, Kind, explain, identifiers_of
from identity_core.history import Happening, as_of
from identity_core.identity import Identity
from identity_core.page import Page
from identity_core.reconcile import foresee, reconcile, settled
from identity_core.repository import ContactRepository
from identity_core.turns import in_turns


class IdentifyContacts:
    """Links details with what is known, and says whose they are.

    Details that teach nothing new are answered from what was read, without any lock; most
    are of that kind. Only the others are decided on under the repository's exclusive access.

    >>> import asyncio
    >>> from identity_core import ContactDetails, IdentifyContacts
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> identify = IdentifyContacts(InMemoryContactRepository())
    >>> identity = asyncio.run(identify(ContactDetails(email="doc@hillvalley.edu", phone_number="555-0123")))
    >>> identity.primary_contact_id, identity.phone_numbers
    (1, ('5550123',))
    """

    def __init__(self, repository: ContactRepository) -> None:
        self._repository = repository

    async def __call__(self, details: ContactDetails) -> Identity:
        """The identity of one customer, after the details were linked to it.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        [identity] = await self.many([details])
        return identity

    async def many(self, batch: Sequence[ContactDetails]) -> list[Identity]:
        """The identity of each of the details, as if they came one after the other.

        The whole batch costs as many round trips to the repository as one of the details.
        Each identity is as it was at some moment after the call.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        return [identified.identity for identified in await self.with_outcomes(batch)]

    async def with_outcomes(self, batch: Sequence[ContactDetails]) -> list[Identified]:
        """As `many`, and what became of each of the details.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        known = await self.known(batch)
        unsettled = [details for details, identified in zip(batch, known, strict=True) if identified is None]
        decided = iter(await self.decide(unsettled) if unsettled else ())
        return [identified if identified is not None else next(decided) for identified in known]

    async def foresee(self, details: ContactDetails) -> Foresight:
        """What would become of details; nothing is written, and nobody is kept waiting.

        Raises:
            RepositoryUnavailable: ask again later.
        """
        snapshot = await self._repository.load([details])
        return await in_turns(snapshot.size, foresee, details, snapshot)

    async def look_up(self, details: ContactDetails) -> Sequence[Sequence[Contact]]:
        """The contacts, oldest first, of each identity that details touch; none where they are not known.

        Raises:
            RepositoryUnavailable: ask again later.
        """
        return (await self._repository.load([details])).identities

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        """A page of each identity that details, or a contact, are of; see `ContactRepository.pages`."""
        return await self._repository.pages(of, after, limit)

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        """The contacts of the identity that a contact belongs to; see `ContactRepository.find`."""
        return await self._repository.find(contact_id)

    async def history(
        self, contact_id: int, after: int = 0, limit: int | None = None
    ) -> list[tuple[Happening, ContactDetails | None]] | None:
        """What happened to the identity of a contact, in order; None if there never was the contact.

        Each event comes with the details that it was about; None where they are not on record any more.

        Args:
            contact_id: any that ever existed.
            after: only events with larger ids.
            limit: how many at most.

        Raises:
            RepositoryUnavailable: ask again later.
        """
        contacts = await self._repository.find(contact_id)
        if contacts is None:
            return None
        happenings = await self._repository.happenings(contacts, after, limit)
        has_evidence = any(happening.event.evidence_id is not None for happening in happenings)
        evidence = await self._repository.evidence(contacts) if has_evidence else ()
        return await in_turns(len(contacts), _with_details, happenings, contacts, evidence)

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[Happening], str]:
        """All that happened after some place, and the place after it; see `ContactRepository.changes`."""
        return await self._repository.changes(after, limit)

    async def as_of(self, contact_id: int, moment: datetime) -> tuple[Contact, ...] | None:
        """The contacts that the identity of a contact had at some time; None if there never was the contact.

        Raises:
            RepositoryUnavailable: ask again later.
        """
        contacts = await self._repository.find(contact_id)
        if contacts is None:
            return None
        happenings = await self._repository.happenings(contacts)
        return await in_turns(len(contacts), as_of, contacts, happenings, contact_id, moment)

    async def explain(self, one: Identifier | int, other: Identifier | int) -> Explanation | None:
        """Why two identifiers, or contacts by their ids, are one customer; None if they are not.

        Raises:
            RepositoryUnavailable: ask again later.
        """
        contacts = await self._contacts_with(one)
        start, end = _identifier(one, contacts), _identifier(other, contacts)
        if start is None or end is None:
            return None
        evidence = await self._repository.evidence(contacts)
        return await in_turns(len(contacts), explain, contacts, evidence, start, end)

    async def _contacts_with(self, one: Identifier | int) -> Sequence[Contact]:
        if isinstance(one, int):
            return await self._repository.find(one) or ()
        details = ContactDetails.on_record(
            one.value if one.kind is Kind.EMAIL else None,
            one.value if one.kind is Kind.PHONE_NUMBER else None,
        )
        snapshot = await self._repository.load([details])
        return next(iter(snapshot.identities), ())

    async def known(self, batch: Sequence[ContactDetails]) -> list[Identified | None]:
        """The first half of `with_outcomes`: what teaches nothing new, and None for all else.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        snapshot = await self._repository.load(batch)
        identities = await in_turns(snapshot.size, settled, batch, snapshot)
        return [None if one is None else Identified(one, Outcome.KNOWN) for one in identities]

    async def decide(self, batch: Sequence[ContactDetails]) -> list[Identified]:
        """The second half of `with_outcomes`: decides on details and has what is decided persisted.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        decided = await self._repository.transact(batch, partial(reconcile, batch))
        return list(map(Identified, decided.identities, decided.outcomes))


def _identifier(one: Identifier | int, contacts: Sequence[Contact]) -> Identifier | None:
    """Itself, or what the contact with this id holds."""
    if not isinstance(one, int):
        return one
    held = [identifier for contact in contacts if contact.id == one for identifier in identifiers_of(contact)]
    return held[0] if held else None


def _with_details(
    happenings: Sequence[Happening], contacts: Iterable[Contact], evidence: Iterable[Evidence]
) -> list[tuple[Happening, ContactDetails | None]]:
    keys = {contact.id: contact.key for contact in contacts}
    keys |= {piece.id: (piece.email, piece.phone_number) for piece in evidence}
    of_event = (keys.get(one.event.contact_id or one.event.evidence_id or 0) for one in happenings)
    details = (None if key is None else ContactDetails.on_record(*key) for key in of_event)
    return list(zip(happenings, details, strict=True))
