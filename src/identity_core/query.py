"""The use case that only looks: who a customer is, why, and since when."""

from collections.abc import Sequence
from datetime import datetime

from identity_core.model.contact import Contact
from identity_core.model.decision import Preview
from identity_core.model.details import ContactDetails
from identity_core.model.events import RecordedEvent
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.page import Page
from identity_core.ports import IdentityReader, Offload, run_inline
from identity_core.queries.explain import Explanation, explain
from identity_core.queries.history import add_details, as_of
from identity_core.rules.preview import preview


class QueryIdentities:
    """Answers queries about identities; it writes nothing and takes no lock.

    Every method raises `RepositoryUnavailable` if it cannot be answered for now.

    Args:
        reader: where identities are read.
        offload: runs the work on very large identities.

    >>> import asyncio
    >>> from identity_core import ContactDetails, IdentifyContacts, QueryIdentities
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> repository = InMemoryContactRepository()
    >>> details = ContactDetails(email="doc@hillvalley.edu", phone_number="555-0123")
    >>> identity = asyncio.run(IdentifyContacts(repository)(details))
    >>> [page] = asyncio.run(QueryIdentities(repository).pages(details))
    >>> page.total_contacts, page.contacts[0].phone_number
    (1, '5550123')
    """

    def __init__(self, reader: IdentityReader, *, offload: Offload = run_inline) -> None:
        self._reader = reader
        self._offload = offload

    async def preview(self, details: ContactDetails) -> Preview:
        """What identifying details would do."""
        snapshot = await self._reader.load([details])
        return await self._offload(snapshot.size, preview, details, snapshot)

    async def look_up(self, details: ContactDetails) -> Sequence[Sequence[Contact]]:
        """The contacts, oldest first, of each identity that details match; none if they are unknown."""
        return (await self._reader.load([details])).identities

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        """The contacts of the identity that a contact belongs to; see `IdentityReader.find`."""
        return await self._reader.find(contact_id)

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        """A page of each identity that details match, or a contact belongs to; see `IdentityReader.pages`."""
        return await self._reader.pages(of, after, limit)

    async def history(
        self, contact_id: int, after: int = 0, limit: int | None = None
    ) -> list[tuple[RecordedEvent, ContactDetails | None]] | None:
        """The events of the identity of a contact, in order; None if the contact never existed.

        Each event comes with the details that caused it; None if they are no longer recorded.

        Args:
            contact_id: of any contact that ever existed.
            after: only events with larger ids.
            limit: how many at most; None for all.
        """
        contacts = await self._reader.find(contact_id)
        if contacts is None:
            return None
        events = await self._reader.events(contacts, after, limit)
        has_evidence = any(recorded.event.evidence_id is not None for recorded in events)
        evidence = await self._reader.evidence(contacts) if has_evidence else ()
        return await self._offload(len(contacts), add_details, events, contacts, evidence)

    async def as_of(self, contact_id: int, moment: datetime) -> tuple[Contact, ...] | None:
        """The contacts that the identity of a contact had at some time; None if it never existed."""
        contacts = await self._reader.find(contact_id)
        if contacts is None:
            return None
        events = await self._reader.events(contacts)
        return await self._offload(len(contacts), as_of, contacts, events, contact_id, moment)

    async def explain(self, one: Identifier | int, other: Identifier | int) -> Explanation | None:
        """Why two identifiers, or contacts by their ids, are one customer; None if they are not."""
        contacts = await self._find_contacts(one)
        start, end = _to_identifier(one, contacts), _to_identifier(other, contacts)
        if start is None or end is None:
            return None
        evidence = await self._reader.evidence(contacts)
        return await self._offload(len(contacts), explain, contacts, evidence, start, end)

    async def _find_contacts(self, one: Identifier | int) -> Sequence[Contact]:
        if isinstance(one, int):
            return await self._reader.find(one) or ()
        details = ContactDetails.from_trusted(
            one.value if one.kind is IdentifierKind.EMAIL else None,
            one.value if one.kind is IdentifierKind.PHONE_NUMBER else None,
        )
        snapshot = await self._reader.load([details])
        return next(iter(snapshot.identities), ())


def _to_identifier(one: Identifier | int, contacts: Sequence[Contact]) -> Identifier | None:
    """Itself, or the first identifier of the contact with this id."""
    if not isinstance(one, int):
        return one
    return next((held for contact in contacts if contact.id == one for held in contact.identifiers), None)
