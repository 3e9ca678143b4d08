"""The use case that only looks: who a customer is, why, and since when."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain

from identity_core.model.contact import Contact
from identity_core.model.decision import Preview
from identity_core.model.details import ContactDetails
from identity_core.model.events import RecordedEvent
from identity_core.model.identifiers import Identifier
from identity_core.model.page import Page
from identity_core.model.snapshot import Snapshot
from identity_core.ports import IdentityReader, Offload, run_inline
from identity_core.queries.explain import Explanation, explain
from identity_core.queries.graph import IdentityGraph, draw, draw_as_of
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
        record = await self._reader.record(details.identifiers)
        return await self._offload(record.size, preview, details, record)

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
        history = await self._offload(len(contacts), add_details, events, contacts, evidence)
        if all(details is not None or not recorded.event.has_details for recorded, details in history):
            return history
        # The details may have left the identity.
        lineage = await self._reader.lineage(contact_id)
        if lineage is None:
            return history
        evidence = await self._reader.evidence(lineage.contacts)
        return await self._offload(len(lineage.contacts), add_details, events, lineage.contacts, evidence)

    async def merges(
        self, before: int | None = None, limit: int = 100
    ) -> list[tuple[RecordedEvent, ContactDetails | None]]:
        """The latest merges of all identities, newest first; see `IdentityReader.merges`."""
        return await self._reader.merges(before, limit)

    async def as_of(self, contact_id: int, moment: datetime) -> tuple[Contact, ...] | None:
        """The contacts that the identity of a contact had at some time; None if it never existed."""
        lineage = await self._reader.lineage(contact_id)
        if lineage is None:
            return None
        contacts = [*lineage.contacts, *(deleted.contact for deleted in lineage.deleted)]
        evidence = await self._reader.evidence(contacts)
        return await self._offload(len(lineage.contacts), as_of, lineage, evidence, contact_id, moment)

    async def graph(self, contact_id: int) -> IdentityGraph | None:
        """The evidence graph of the identity of a contact; None if there is none."""
        found = await self._reader.find(contact_id)
        if not found:
            return None
        asked = next((one.identifiers for one in found if one.identifiers), ())
        record = await self._reader.record(asked)
        return await self._offload(record.size, draw, record, found)

    async def graph_as_of(self, contact_id: int, moment: datetime) -> IdentityGraph | None:
        """The evidence graph that the identity of a contact had at some time; None if there was none."""
        lineage = await self._reader.lineage(contact_id)
        if lineage is None:
            return None
        identities = Snapshot.of(lineage.contacts).identities
        values = (
            next((one.identifiers for one in contacts if one.identifiers), ()) for contacts in identities
        )
        record = await self._reader.record({*chain.from_iterable(values)})
        size = max(len(lineage.contacts), record.size)
        return await self._offload(size, draw_as_of, lineage, record, contact_id, moment)

    async def explain(self, one: Identifier | int, other: Identifier | int) -> Explanation | None:
        """Why two identifiers, or contacts by their ids, are one customer, or not.

        None if they have nothing to do with each other.
        """
        start, end = await self.find_identifier(one), await self.find_identifier(other)
        if start is None or end is None:
            return None
        record = await self._reader.record([start, end])
        return await self._offload(record.size, explain, record, start, end)

    async def find_identifier(self, one: Identifier | int) -> Identifier | None:
        """Itself, or the first identifier of the contact with this id; None if there is none."""
        if not isinstance(one, int):
            return one
        contacts = await self._reader.find(one) or ()
        return next((held for contact in contacts if contact.id == one for held in contact.identifiers), None)
