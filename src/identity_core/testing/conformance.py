"""What every `ContactRepository` must do, as tests that pytest collects."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity_core import (
    Changes,
    Contact,
    ContactDetails,
    ContactRepository,
    Event,
    EventKind,
    Evidence,
    Happening,
    IdentifyContacts,
    Identity,
    InvalidPlace,
    LinkPrecedence,
    Reconciliation,
    Snapshot,
    reconcile,
)
from identity_core.testing.invariants import violations
from identity_core.testing.model import components
from identity_core.testing.strategies import EPOCH, batches, contact_details, moments

PRIMARY, SECONDARY = LinkPrecedence.PRIMARY, LinkPrecedence.SECONDARY

A, B, C, D = (f"{letter}@example.org" for letter in "abcd")
LONGEST = ContactDetails("ß" * 250 + "@ü.at", "+" + "9" * 19)

of_any_subclass = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


@st.composite
def imperfect_contacts(draw: st.DrawFn) -> list[Contact]:
    """Contacts of few values and dates, linked in any way, also in circles."""
    details = draw(st.lists(contact_details(pool=4), max_size=10))
    links, ages = st.none() | st.integers(1, len(details)), st.integers(1, 3)
    return [contact(id, *one.key, draw(links), draw(ages)) for id, one in enumerate(details, start=1)]


class ContactRepositoryConformance:
    """Subclass it under a name that pytest collects, and say what `empty_repository` is."""

    def empty_repository(self) -> AbstractAsyncContextManager[ContactRepository]:
        """A repository without any contact; entered once for each example."""
        raise NotImplementedError

    def check(self, body: Callable[[ContactRepository], Awaitable[None]]) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_repository() as repository:
                await body(repository)

        asyncio.run(on_empty_repository())

    # What is read

    def test_knows_nothing_at_first(self) -> None:
        async def body(repository: ContactRepository) -> None:
            assert await repository.load([ContactDetails(A, "1"), ContactDetails(B)]) == Snapshot()
            assert await repository.load([]) == Snapshot()

        self.check(body)

    def test_loads_the_identities_touched_whole_and_no_other(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "1"), (B, "2"), (C, "3"), (D, "4"))
            for touching in (ContactDetails(A), ContactDetails(phone_number="2"), ContactDetails(B, "9")):
                [contacts] = (await repository.load([touching])).identities
                assert [contact.key for contact in contacts] == [(A, "1"), (B, "1"), (B, "2")]
            both = await repository.load([ContactDetails(A), ContactDetails(C), ContactDetails(A, "3")])
            assert [len(contacts) for contacts in both.identities] == [3, 1]

        self.check(body)

    def test_keeps_email_and_phone_number_apart(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await seed(repository, contact(1, email="1@1", phone_number=None))
            await seed(repository, contact(2, email=None, phone_number="1"))
            loaded = await repository.load([ContactDetails(phone_number="1")])
            assert [c.id for contacts in loaded.identities for c in contacts] == [2]

        self.check(body)

    def test_loads_the_evidence_asked_for_and_no_other(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"), (B, "1"))
            loaded = await repository.load([ContactDetails(A, "2"), ContactDetails(A, "1")])
            assert loaded.evidence == {(A, "2")}
            assert (await repository.load([ContactDetails(B, "1")])).evidence == {(B, "1")}
            assert (
                await repository.load([ContactDetails(B), ContactDetails(None, "1")])
            ).evidence == frozenset()

        self.check(body)

    def test_gives_back_what_it_was_given_to_the_letter(self) -> None:
        async def body(repository: ContactRepository) -> None:
            exact = datetime(2001, 2, 3, 4, 5, 6, 789123, tzinfo=UTC)
            kept = (
                Contact(1, LONGEST.email, LONGEST.phone_number, None, PRIMARY, exact),
                Contact(2, LONGEST.email, None, 1, SECONDARY, exact + timedelta(microseconds=1)),
                Contact(3, None, LONGEST.phone_number, 1, SECONDARY, datetime.max.replace(tzinfo=UTC)),
            )
            await seed(repository, *kept)
            assert (await repository.load([LONGEST])).identities == (kept,)

        self.check(body)

    def test_follows_links_in_any_number_of_steps(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await seed(
                repository,
                contact(1, email=A, age=9),
                contact(2, email=B, linked_id=1, age=8),
                contact(3, email=C, linked_id=2, age=7),
                contact(4, email=D, linked_id=3, age=6),
            )
            for touching in (A, B, C, D):
                [contacts] = (await repository.load([ContactDetails(touching)])).identities
                assert [c.id for c in contacts] == [1, 2, 3, 4]

        self.check(body)

    def test_loads_two_identities_that_hold_one_email(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await seed(repository, contact(1, email=A, age=9), contact(2, email=A, age=8))
            assert len((await repository.load([ContactDetails(A)])).identities) == 2
            assert (await IdentifyContacts(repository)(ContactDetails(A))).secondary_contact_ids == (2,)
            assert violations(await repository.load([ContactDetails(A)])) == [
                "1 details are held by more than one contact"
            ]

        self.check(body)

    def test_finds_the_identity_of_any_contact_that_ever_was(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (C, "2"), (A, "2"))
            for contact_id in (1, 2, 3):
                found = await repository.find(contact_id)
                assert found is not None
                assert [contact.id for contact in found] == [1, 2, 3]
                assert found == (await repository.load([ContactDetails(C)])).identities[0]
            extra = Contact(2, B, "2", 1, SECONDARY, EPOCH)
            decided = Reconciliation(Changes(deleted=(extra,)), ())
            await repository.transact([ContactDetails(B)], lambda snapshot, now, ids: decided)
            found = await repository.find(2)
            assert found is not None
            assert [contact.id for contact in found] == [1, 3]
            assert await repository.find(1_000_000) is None

        self.check(body)

    def test_what_is_not_there_has_no_page(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await seed(repository, contact(1, email=A, age=9), contact(2, email=B, linked_id=1, age=8))
            extra = Contact(2, B, None, 1, SECONDARY, EPOCH)
            decided = Reconciliation(Changes(deleted=(extra,)), ())
            await repository.transact([ContactDetails(A)], lambda snapshot, now, ids: decided)
            assert [page.total_contacts for page in await repository.pages(2)] == [1]
            assert await repository.pages(ContactDetails(B)) == []
            assert await repository.pages(1_000_000) == []

        self.check(body)

    @of_any_subclass
    @given(imperfect_contacts(), contact_details(pool=4), st.integers(1, 5))
    def test_pages_of_any_limit_make_up_the_identities(
        self, contacts: list[Contact], details: ContactDetails, limit: int
    ) -> None:
        async def body(repository: ContactRepository) -> None:
            await seed(repository, *contacts)
            for contact in contacts:
                found = await repository.find(contact.id)
                assert found is not None
                assert await paged(repository, contact.id, limit) == [found]
            identities = (await repository.load([details])).identities
            assert await paged(repository, details, limit) == list(identities)

        self.check(body)

    def test_gives_the_evidence_of_contacts(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"), (A, "3"), (B, "3"), (C, "9"))
            found = await repository.find(1)
            assert found is not None
            evidence = await repository.evidence(found)
            assert [(e.email, e.phone_number) for e in evidence] == [(A, "2"), (B, "3")]
            assert [e.id for e in evidence] == sorted(e.id for e in evidence)
            assert all(e.seen_at.utcoffset() == timedelta(0) for e in evidence)
            assert await repository.evidence(found[:0]) == []

        self.check(body)

    def test_tells_what_happened_to_an_identity(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (C, "9"), (A, "2"), (B, "3"), (B, "1"), (A, "3"))
            found = await repository.find(4)
            assert found is not None
            happenings = await repository.happenings(found)
            events = [happening.event for happening in happenings]
            assert [(event.kind, event.primary_id, event.absorbed_ids) for event in events] == [
                (EventKind.CREATED, 1, ()),
                (EventKind.LINKED, 1, ()),
                (EventKind.CREATED, 4, ()),
                (EventKind.MERGED, 1, (4,)),
                (EventKind.CORROBORATED, 1, ()),
            ]
            assert [event.contact_id for event in events[:3]] == [1, 3, 4]
            assert events[3].evidence_id is not None
            ids = [happening.id for happening in happenings]
            assert ids == sorted(set(ids))
            assert await repository.happenings(found, after=ids[1], limit=2) == happenings[2:4]

        self.check(body)

    def test_tells_of_every_event_once_a_few_at_a_time(self) -> None:
        async def body(repository: ContactRepository) -> None:
            told: list[Happening] = []
            place: str | None = None
            for number in range(7):
                await identify(repository, (A, str(number)), (B, str(100 + number)))
                for _ in range(3):
                    happenings, place = await repository.changes(place, limit=1)
                    told += happenings
            assert (await repository.changes(place))[0] == []
            everything, _ = await repository.changes()
            assert told == everything
            assert len(told) == 14
            with pytest.raises(InvalidPlace):
                await repository.changes("nowhere")

        self.check(body)

    # What is decided and written

    def test_a_decision_is_given_what_load_returns_a_time_and_new_ids(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"))
            batch = [ContactDetails(A, "2"), ContactDetails(C), ContactDetails(D)]
            times: list[datetime] = []
            given_ids: list[int] = [1, 2, 3]

            def decide(snapshot: Snapshot, now: datetime, ids: Iterator[int]) -> Reconciliation:
                assert snapshot == expected
                times.append(now)
                given_ids.extend(next(ids) for _ in batch)
                return Reconciliation(Changes(), ())

            expected = await repository.load(batch)
            for _ in range(3):
                await repository.transact(batch, decide)
            assert times == sorted(times)
            assert all(time.utcoffset() == timedelta(0) for time in times)
            assert given_ids == sorted(set(given_ids))

        self.check(body)

    def test_every_kind_of_change_is_persisted_and_the_decision_returned(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"))
            batch = [ContactDetails(A, "2"), ContactDetails(B, "1"), ContactDetails(C, "1")]
            before = await repository.load(batch)
            [[first, second]] = before.identities
            older = Contact(second.id, B, "2", None, PRIMARY, EPOCH)
            linked = Contact(first.id, A, "1", second.id, SECONDARY, first.created_at)
            made = Contact(100, C, "1", second.id, SECONDARY, first.created_at + timedelta(days=1))
            also = Contact(101, C, None, second.id, SECONDARY, first.created_at + timedelta(days=2))
            decided = Reconciliation(
                Changes(
                    created=(made, also),
                    altered=(linked, older),
                    evidence=(Evidence(102, B, "1", EPOCH),),
                    superseded=((A, "2"),),
                    events=(Event(first.created_at, EventKind.LINKED, second.id, 100, None, (first.id,)),),
                ),
                (),
            )
            assert await repository.transact(batch, lambda snapshot, now, ids: decided) == decided
            assert await repository.load(batch) == Snapshot(
                ((older, linked, made, also),), frozenset([(B, "1")])
            )

        self.check(body)

    def test_a_decision_that_fails_leaves_nothing_behind(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"))

            def decide(snapshot: Snapshot, now: datetime, ids: Iterator[int]) -> Reconciliation:
                reconcile([ContactDetails(B, "1")], snapshot, now, ids)
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await repository.transact([ContactDetails(B, "1")], decide)
            assert [c.key for [c] in (await repository.load([ContactDetails(B, "1")])).identities] == [
                (A, "1")
            ]
            await identify(repository, (B, "1"))

        self.check(body)

    def test_takes_a_thousand_details_at_once(self) -> None:
        async def body(repository: ContactRepository) -> None:
            batch = [ContactDetails(f"{n % 700}@example.org", str(n % 900)) for n in range(1000)]
            await IdentifyContacts(repository).many(batch)
            snapshot = await repository.load(batch)
            assert violations(snapshot, batch) == []
            assert partition(snapshot) == components(batch)

        self.check(body)

    # What holds whatever comes

    @of_any_subclass
    @given(batches(seen_at=moments() | st.none(), max_size=20), st.data())
    def test_any_order_in_any_batches_gives_the_same_partition(
        self, details: list[ContactDetails], data: st.DataObject
    ) -> None:
        shuffled = data.draw(st.permutations(details))
        cuts = sorted(data.draw(st.sets(st.integers(0, len(details)))) | {0, len(details)})

        async def body(repository: ContactRepository) -> None:
            identities: dict[ContactDetails, Identity] = {}
            for start, end in pairwise(cuts):
                batch = shuffled[start:end]
                identities.update(zip(batch, await IdentifyContacts(repository).many(batch), strict=True))
            snapshot = await repository.load(details)
            assert violations(snapshot, details) == []
            assert partition(snapshot) == components(details)
            for contacts in snapshot.identities:
                known = {value for contact in contacts for value in contact.key}
                dates = [d.seen_at for d in details if d.seen_at and known.intersection({*d.key} - {None})]
                assert not dates or contacts[0].created_at == min(dates)

        self.check(body)

    @of_any_subclass
    @given(batches(seen_at=moments() | st.none()))
    def test_doing_it_twice_is_doing_it_once(self, details: list[ContactDetails]) -> None:
        async def body(repository: ContactRepository) -> None:
            identify = IdentifyContacts(repository)
            first = await identify.many(details)
            once = await repository.load(details)
            for one in reversed(details):
                await identify(one)
            again = await identify.many(details)
            assert await repository.load(details) == once
            assert {i.primary_contact_id for i in first} == {i.primary_contact_id for i in again}

        self.check(body)

    # What holds among many at once

    def test_all_at_once_with_the_same_details_make_one_contact(self) -> None:
        async def body(repository: ContactRepository) -> None:
            answers = await at_once(repository, [ContactDetails(A, "1")] * 30)
            assert len(set(answers)) == 1
            [contacts] = (await repository.load([ContactDetails(A, "1")])).identities
            assert len(contacts) == 1

        self.check(body)

    def test_rings_that_close_at_once_are_one_identity(self) -> None:
        async def body(repository: ContactRepository) -> None:
            for ring in range(8):
                links = [
                    ContactDetails(f"{ring}-{n // 2}@example.org", f"{ring}000{(n + 1) // 2 % 10}")
                    for n in range(20)
                ]
                await at_once(repository, links)
                snapshot = await repository.load(links)
                assert violations(snapshot, links) == []
                assert partition(snapshot) == components(links)

        self.check(body)

    def test_merges_of_merging_identities_are_one_identity(self) -> None:
        async def body(repository: ContactRepository) -> None:
            for chain in range(4):
                ends = [ContactDetails(f"{chain}-{n}@example.org", f"{chain}00{n}") for n in range(16)]
                joins = [ContactDetails(one.email, other.phone_number) for one, other in pairwise(ends)]
                await IdentifyContacts(repository).many(ends)
                await at_once(
                    repository, joins + [ContactDetails(end.email, "9" + str(end.key[1])) for end in ends]
                )
                snapshot = await repository.load(ends + joins)
                assert violations(snapshot, ends + joins) == []
                assert len(snapshot.identities) == 1

        self.check(body)

    @of_any_subclass
    @given(st.lists(contact_details(pool=4, seen_at=moments() | st.none()), max_size=16))
    def test_any_details_at_once_give_the_partition(self, details: list[ContactDetails]) -> None:
        async def body(repository: ContactRepository) -> None:
            await at_once(repository, details)
            snapshot = await repository.load(details)
            assert violations(snapshot, details) == []
            assert partition(snapshot) == components(details)

        self.check(body)

    def test_what_is_read_is_never_half_written(self) -> None:
        async def body(repository: ContactRepository) -> None:
            ends = [ContactDetails(f"{n}@example.org", str(n)) for n in range(20)]
            joins = [ContactDetails("0@example.org", str(n)) for n in range(1, 20)]
            await IdentifyContacts(repository).many(ends)

            async def read() -> None:
                for _ in range(20):
                    assert violations(await repository.load(ends)) == []

            await asyncio.gather(read(), read(), at_once(repository, joins))

        self.check(body)


def contact(
    id: int,
    email: str | None = None,
    phone_number: str | None = None,
    linked_id: int | None = None,
    age: int = 1,
) -> Contact:
    """A contact that is so many days old."""
    precedence = PRIMARY if linked_id is None else SECONDARY
    created_at = datetime(2020, 1, 31, tzinfo=UTC) - timedelta(days=age)
    return Contact(id, email, phone_number, linked_id, precedence, created_at)


async def seed(repository: ContactRepository, *contacts: Contact) -> None:
    """Have a repository hold contacts as they are, right or not."""
    as_they_are = Reconciliation(Changes(created=contacts), ())
    batch = [ContactDetails(*contact.key) for contact in contacts]
    await repository.transact(batch, lambda snapshot, now, ids: as_they_are)


async def identify(repository: ContactRepository, *keys: tuple[str | None, str | None]) -> None:
    """Identify details one after the other."""
    for key in keys:
        await IdentifyContacts(repository)(ContactDetails(*key))


async def at_once(repository: ContactRepository, batch: Sequence[ContactDetails]) -> list[int]:
    """Identify details all at once; the primaries' ids."""
    identities = await asyncio.gather(*map(IdentifyContacts(repository), batch))
    return [identity.primary_contact_id for identity in identities]


async def paged(
    repository: ContactRepository, of: ContactDetails | int, limit: int
) -> list[tuple[Contact, ...]]:
    """The contacts of each identity, put together of pages that tell how much there is of it."""
    identities = []
    for first in await repository.pages(of, limit=limit):
        page, contacts = first, list(first.contacts)
        while page.last is not None:
            assert len(page.contacts) == limit
            [page] = await repository.pages(first.primary_contact_id, page.last, limit)
            contacts += page.contacts
        assert page == evolve(first, contacts=page.contacts, last=None)
        assert first.primary_contact_id == contacts[0].id
        assert first.total_contacts == len(contacts)
        assert first.total_emails == len({contact.email for contact in contacts} - {None})
        assert first.total_phone_numbers == len({contact.phone_number for contact in contacts} - {None})
        [beyond] = await repository.pages(first.primary_contact_id, contacts[-1].age, limit)
        assert beyond == evolve(first, contacts=(), last=None)
        identities.append(tuple(contacts))
    return identities


def partition(snapshot: Snapshot) -> set[frozenset[str]]:
    """The identities as sets of emails and phone numbers."""
    return {
        frozenset(value for contact in contacts for value in contact.key if value is not None)
        for contacts in snapshot.identities
    }
