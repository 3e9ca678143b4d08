"""What every `IdentityReader` must do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    Contact,
    ContactDetails,
    ContactRepository,
    Decision,
    Event,
    EventKind,
    Evidence,
    IdentityReader,
    Standing,
    WriteSet,
)
from identity_core.testing.conformance.contacts import (
    SECONDARY,
    A,
    B,
    C,
    D,
    contact,
    identify,
    imperfect_contacts,
    of_any_subclass,
    seed,
)
from identity_core.testing.strategies import EPOCH, contact_details


class IdentityReaderConformance:
    """Subclass it under a name that pytest collects, and define `empty_reader`."""

    def empty_reader(self) -> AbstractAsyncContextManager[tuple[ContactRepository, IdentityReader]]:
        """A repository without any contact, and a reader of what it holds; entered once for each example."""
        raise NotImplementedError

    def check(self, body: Callable[[ContactRepository, IdentityReader], Awaitable[None]]) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_reader() as (repository, reader):
                await body(repository, reader)

        asyncio.run(on_empty_repository())

    def test_find_returns_the_identity_of_any_contact_that_ever_existed(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "2"), (C, "2"), (A, "2"))
            for contact_id in (1, 2, 3):
                found = await reader.find(contact_id)
                assert found is not None
                assert [contact.id for contact in found] == [1, 2, 3]
                assert found == (await reader.load([ContactDetails(C)])).identities[0]
            extra = Contact(2, B, "2", 1, SECONDARY, EPOCH)
            decision = Decision(WriteSet(deleted=(extra,)), ())
            await repository.transact([ContactDetails(B)], lambda snapshot, now, ids: decision)
            found = await reader.find(2)
            assert found is not None
            assert [contact.id for contact in found] == [1, 3]
            assert await reader.find(1_000_000) is None

        self.check(body)

    def test_what_does_not_exist_has_no_page(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await seed(repository, contact(1, email=A, age=9), contact(2, email=B, linked_id=1, age=8))
            extra = Contact(2, B, None, 1, SECONDARY, EPOCH)
            decision = Decision(WriteSet(deleted=(extra,)), ())
            await repository.transact([ContactDetails(A)], lambda snapshot, now, ids: decision)
            assert [page.total_contacts for page in await reader.pages(2)] == [1]
            assert await reader.pages(ContactDetails(B)) == []
            assert await reader.pages(1_000_000) == []

        self.check(body)

    def test_contacts_of_the_same_date_are_on_one_page_each(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await seed(repository, contact(1, email=A), *(contact(id, B, str(id), 1) for id in range(2, 7)))
            for limit in (1, 2, 5):
                [contacts] = await read_pages(reader, 1, limit)
                assert [one.id for one in contacts] == [1, 2, 3, 4, 5, 6]

        self.check(body)

    @of_any_subclass
    @given(imperfect_contacts(), contact_details(pool=4), st.integers(1, 5))
    def test_pages_of_any_limit_make_up_the_identities(
        self, contacts: list[Contact], details: ContactDetails, limit: int
    ) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await seed(repository, *contacts)
            for one in contacts:
                found = await reader.find(one.id)
                assert found is not None
                assert await read_pages(reader, one.id, limit) == [found]
            identities = (await reader.load([details])).identities
            assert await read_pages(reader, details, limit) == list(identities)

        self.check(body)

    def test_evidence_returns_the_evidence_of_contacts(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"), (A, "3"), (B, "3"), (C, "9"))
            found = await reader.find(1)
            assert found is not None
            evidence = await reader.evidence(found)
            assert [(e.email, e.phone_number) for e in evidence] == [(A, "2"), (B, "3")]
            assert [e.id for e in evidence] == sorted(e.id for e in evidence)
            assert all(e.seen_at.utcoffset() == timedelta(0) for e in evidence)
            assert await reader.evidence(found[:0]) == []

        self.check(body)

    def test_events_returns_the_events_of_an_identity(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (C, "9"), (A, "2"), (B, "3"), (B, "1"), (A, "3"))
            found = await reader.find(4)
            assert found is not None
            recorded_events = await reader.events(found)
            events = [recorded.event for recorded in recorded_events]
            assert [(event.kind, event.primary_id, event.absorbed_ids) for event in events] == [
                (EventKind.CREATED, 1, ()),
                (EventKind.LINKED, 1, ()),
                (EventKind.CREATED, 4, ()),
                (EventKind.MERGED, 1, (4,)),
                (EventKind.CORROBORATED, 1, ()),
            ]
            assert [event.contact_id for event in events[:3]] == [1, 3, 4]
            assert events[3].evidence_id is not None
            ids = [recorded.id for recorded in recorded_events]
            assert ids == sorted(set(ids))
            assert await reader.events(found, after=ids[1], limit=2) == recorded_events[2:4]

        self.check(body)

    def test_merges_returns_the_latest_merges_of_all_identities(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            assert await reader.merges() == []
            await identify(repository, (A, "1"), (B, "2"), (C, "3"), (D, "4"))
            await identify(repository, (A, "2"), (A, "5"), (C, "4"), (C, "1"))
            merges = await reader.merges()
            assert [(recorded.event.kind, details) for recorded, details in merges] == [
                (EventKind.MERGED, ContactDetails(C, "1")),
                (EventKind.MERGED, ContactDetails(C, "4")),
                (EventKind.MERGED, ContactDetails(A, "2")),
            ]
            found = await reader.find(1)
            assert found is not None
            recorded_events = await reader.events(found)
            assert [recorded for recorded, _ in merges] == [
                recorded for recorded in reversed(recorded_events) if recorded.event.kind is EventKind.MERGED
            ]
            assert await reader.merges(limit=2) == merges[:2]
            last_id = merges[1][0].id
            assert await reader.merges(last_id) == merges[2:]
            assert await reader.merges(last_id + 1, limit=1) == merges[1:2]
            assert await reader.merges(merges[2][0].id) == []

        self.check(body)

    def test_merges_returns_the_details_of_each_as_long_as_they_are_recorded(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            contacts = (
                contact(1, A, "1", age=9),
                contact(2, B, None, 1),  # its pair stopped counting
                contact(3, C, "3", 1),
                contact(4, None, "4", 1),
            )
            evidence = (Evidence(2, B, "2", EPOCH, Standing.UNDONE), Evidence(5, A, "4", EPOCH))
            # Each of these events has a cause: a contact, evidence, both, or none that is recorded.
            causes = [(1, None), (2, None), (3, None), (4, None), (None, 5), (4, 5), (1_000_000, None)]
            causes += [(1, 1_000_000), (None, None)]
            events = [Event(EPOCH, EventKind.MERGED, 1, *cause) for cause in causes]
            writes = WriteSet(created=contacts, evidence=evidence, events=tuple(events))
            batch = [ContactDetails(A, "1"), ContactDetails(B, "2"), ContactDetails(C, "3")]
            await repository.transact(batch, lambda snapshot, now, ids: Decision(writes, ()))
            deletion = WriteSet(deleted=(contacts[2],))
            await repository.transact(batch, lambda snapshot, now, ids: Decision(deletion, ()))
            merges = await reader.merges()
            assert [recorded.event for recorded, _ in merges] == events[::-1]
            assert [details and details.key for _, details in reversed(merges)] == [
                (A, "1"), (B, "2"), (C, "3"), (None, "4"), (A, "4"), (A, "4"), None, None, None
            ]  # fmt: skip

        self.check(body)


async def read_pages(
    reader: IdentityReader, of: ContactDetails | int, limit: int
) -> list[tuple[Contact, ...]]:
    """The contacts of each identity, assembled from pages that each tell the size of the identity."""
    identities = []
    for first in await reader.pages(of, limit=limit):
        page, contacts = first, list(first.contacts)
        while page.last is not None:
            assert len(page.contacts) == limit
            [page] = await reader.pages(first.primary_contact_id, page.last, limit)
            contacts += page.contacts
        assert page == evolve(first, contacts=page.contacts, last=None)
        assert first.primary_contact_id == contacts[0].id
        assert first.total_contacts == len(contacts)
        assert first.total_emails == len({contact.email for contact in contacts} - {None})
        assert first.total_phone_numbers == len({contact.phone_number for contact in contacts} - {None})
        [beyond] = await reader.pages(first.primary_contact_id, contacts[-1].seniority, limit)
        assert beyond == evolve(first, contacts=(), last=None)
        identities.append(tuple(contacts))
    return identities
