"""What every `ContactRepository` must do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
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
    Identifier,
    IdentifyContacts,
    Identity,
    IdentityError,
    Outcome,
    Snapshot,
    WriteSet,
    find_known,
    reconcile,
    reconcile_in_turn,
)
from identity_core.testing.conformance.contacts import (
    LONGEST,
    PRIMARY,
    SECONDARY,
    A,
    B,
    C,
    D,
    contact,
    identify,
    identify_concurrently,
    imperfect_contacts,
    of_any_subclass,
    seed,
)
from identity_core.testing.invariants import violations
from identity_core.testing.model import components, partition
from identity_core.testing.strategies import EPOCH, batches, contact_details, moments


class ContactRepositoryConformance:
    """Subclass it under a name that pytest collects, and define `empty_repository`."""

    def empty_repository(self) -> AbstractAsyncContextManager[ContactRepository]:
        """A repository without any contact; entered once for each example."""
        raise NotImplementedError

    def check(self, body: Callable[[ContactRepository], Awaitable[None]]) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_repository() as repository:
                await body(repository)

        asyncio.run(on_empty_repository())

    # Loading

    def test_an_empty_repository_loads_nothing(self) -> None:
        async def body(repository: ContactRepository) -> None:
            assert await repository.load([ContactDetails(A, "1"), ContactDetails(B)]) == Snapshot()
            assert await repository.load([]) == Snapshot()

        self.check(body)

    def test_load_returns_matched_identities_whole_and_no_others(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "1"), (B, "2"), (C, "3"), (D, "4"))
            for touching in (ContactDetails(A), ContactDetails(phone_number="2"), ContactDetails(B, "9")):
                [contacts] = (await repository.load([touching])).identities
                assert [contact.key for contact in contacts] == [(A, "1"), (B, "1"), (B, "2")]
            both = await repository.load([ContactDetails(A), ContactDetails(C), ContactDetails(A, "3")])
            assert [len(contacts) for contacts in both.identities] == [3, 1]

        self.check(body)

    def test_an_email_never_matches_a_phone_number(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await seed(repository, contact(1, email="1@1", phone_number=None))
            await seed(repository, contact(2, email=None, phone_number="1"))
            loaded = await repository.load([ContactDetails(phone_number="1")])
            assert [c.id for contacts in loaded.identities for c in contacts] == [2]

        self.check(body)

    def test_load_returns_the_evidence_of_the_pairs_and_no_other(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"), (B, "1"))
            loaded = await repository.load([ContactDetails(A, "2"), ContactDetails(A, "1")])
            assert loaded.evidence == {(A, "2")}
            assert (await repository.load([ContactDetails(B, "1")])).evidence == {(B, "1")}
            assert (
                await repository.load([ContactDetails(B), ContactDetails(None, "1")])
            ).evidence == frozenset()

        self.check(body)

    def test_values_are_stored_exactly(self) -> None:
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

    def test_load_follows_links_in_any_number_of_steps(self) -> None:
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

    def test_load_returns_every_identity_that_holds_an_email(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await seed(repository, contact(1, email=A, age=9), contact(2, email=A, age=8))
            assert len((await repository.load([ContactDetails(A)])).identities) == 2
            assert (await IdentifyContacts(repository)(ContactDetails(A))).secondary_contact_ids == (2,)
            assert violations(await repository.load([ContactDetails(A)])) == [
                "1 details are held by more than one contact"
            ]

        self.check(body)

    @of_any_subclass
    @given(imperfect_contacts(), batches(pool=4, seen_at=moments() | st.none(), max_size=6))
    def test_known_details_are_answered_the_same_from_columns(
        self, contacts: list[Contact], batch: list[ContactDetails]
    ) -> None:
        async def body(repository: ContactRepository) -> None:
            await seed(repository, *contacts)
            await identify(repository, (A, "1"), (B, "2"), (A, "2"))
            known = [*batch, ContactDetails(A, "2"), ContactDetails(B, "1"), ContactDetails(A, "1")]
            for some in (known, *([details] for details in known)):
                columns = await repository.load_columns(some)
                assert find_known(some, columns) == find_known(some, await repository.load(some))

        self.check(body)

    def test_a_decision_gets_what_load_returns_a_time_and_new_ids(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"))
            batch = [ContactDetails(A, "2"), ContactDetails(C), ContactDetails(D)]
            times: list[datetime] = []
            given_ids: list[int] = [1, 2, 3]

            def decide(snapshot: Snapshot, now: datetime, ids: Iterator[int]) -> Decision:
                assert snapshot == expected
                times.append(now)
                given_ids.extend(next(ids) for _ in batch)
                return Decision(WriteSet(), ())

            expected = await repository.load(batch)
            for _ in range(3):
                await repository.transact(batch, decide)
            assert times == sorted(times)
            assert all(time.utcoffset() == timedelta(0) for time in times)
            assert given_ids == sorted(set(given_ids))

        self.check(body)

    def test_every_kind_of_write_is_persisted_and_the_decision_returned(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"))
            batch = [ContactDetails(A, "2"), ContactDetails(B, "1"), ContactDetails(C, "1")]
            before = await repository.load(batch)
            [[first, second]] = before.identities
            older = Contact(second.id, B, "2", None, PRIMARY, EPOCH)
            linked = Contact(first.id, A, "1", second.id, SECONDARY, first.created_at)
            made = Contact(100, C, "1", second.id, SECONDARY, first.created_at + timedelta(days=1))
            also = Contact(101, C, None, second.id, SECONDARY, first.created_at + timedelta(days=2))
            decision = Decision(
                WriteSet(
                    created=(made, also),
                    altered=(linked, older),
                    evidence=(Evidence(102, B, "1", EPOCH),),
                    superseded=((A, "2"),),
                    events=(Event(first.created_at, EventKind.LINKED, second.id, 100, None, (first.id,)),),
                ),
                (),
            )
            assert await repository.transact(batch, lambda snapshot, now, ids: decision) == decision
            assert await repository.load(batch) == Snapshot(
                ((older, linked, made, also),), frozenset([(B, "1")])
            )

        self.check(body)

    def test_a_decision_that_raises_writes_nothing(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"))

            def decide(snapshot: Snapshot, now: datetime, ids: Iterator[int]) -> Decision:
                reconcile([ContactDetails(B, "1")], snapshot, now, ids)
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await repository.transact([ContactDetails(B, "1")], decide)
            assert [c.key for [c] in (await repository.load([ContactDetails(B, "1")])).identities] == [
                (A, "1")
            ]
            await identify(repository, (B, "1"))

        self.check(body)

    @of_any_subclass
    @given(st.lists(batches(pool=4, seen_at=moments() | st.none(), max_size=3), max_size=6))
    def test_batches_in_turn_are_decided_as_if_each_came_by_itself(
        self, in_turn: list[list[ContactDetails]]
    ) -> None:
        async def body(repository: ContactRepository) -> None:
            everything = [details for batch in in_turn for details in batch]
            decisions = await repository.transact_in_turn(in_turn, partial(reconcile_in_turn, in_turn))
            snapshot = await repository.load(everything)
            assert violations(snapshot, everything) == []
            assert partition(snapshot) == components(everything)
            known: set[Identifier] = set()
            for batch, decision in zip(in_turn, decisions, strict=True):
                for details, outcome in zip(batch, decision.outcomes, strict=True):
                    assert (outcome is Outcome.CREATED) is known.isdisjoint(details.identifiers)
                    known.update(details.identifiers)

        self.check(body)

    def test_batches_in_turn_may_have_an_identity_in_common_and_no_value(self) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify(repository, (A, "1"), (B, "2"), (B, "3"))
            in_turn = [[ContactDetails(A, "2")], [ContactDetails(C, "3")]]
            await repository.transact_in_turn(in_turn, partial(reconcile_in_turn, in_turn))
            everything = [details for batch in in_turn for details in batch]
            snapshot = await repository.load(everything)
            assert violations(snapshot, everything) == []
            assert partition(snapshot) == {frozenset([A, B, C, "1", "2", "3"])}

        self.check(body)

    def test_batches_in_turn_end_before_one_that_is_refused(self) -> None:
        async def body(repository: ContactRepository) -> None:
            in_turn = [[ContactDetails(A)], [ContactDetails(B)]]

            def decide(
                snapshots: Iterator[Snapshot], now: datetime, ids: Iterator[int]
            ) -> Iterator[Decision]:
                yield from reconcile_in_turn(in_turn[:made], snapshots, now, ids)
                raise IdentityError("refused")

            made = 1
            assert len(await repository.transact_in_turn(in_turn, decide)) == 1
            loaded = await repository.load([ContactDetails(A), ContactDetails(B)])
            assert [contact.email for contacts in loaded.identities for contact in contacts] == [A]
            made = 0
            with pytest.raises(IdentityError, match="refused"):
                await repository.transact_in_turn(in_turn[1:], decide)
            assert await repository.load([ContactDetails(B)]) == Snapshot()

        self.check(body)

    def test_a_batch_may_have_a_thousand_details(self) -> None:
        async def body(repository: ContactRepository) -> None:
            batch = [ContactDetails(f"{n % 700}@example.org", str(n % 900)) for n in range(1000)]
            await IdentifyContacts(repository).many(batch)
            snapshot = await repository.load(batch)
            assert violations(snapshot, batch) == []
            assert partition(snapshot) == components(batch)

        self.check(body)

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
    def test_identifying_is_idempotent(self, details: list[ContactDetails]) -> None:
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

    def test_concurrent_calls_with_the_same_details_make_one_contact(self) -> None:
        async def body(repository: ContactRepository) -> None:
            answers = await identify_concurrently(repository, [ContactDetails(A, "1")] * 30)
            assert len(set(answers)) == 1
            [contacts] = (await repository.load([ContactDetails(A, "1")])).identities
            assert len(contacts) == 1

        self.check(body)

    def test_rings_that_concurrent_calls_close_are_one_identity(self) -> None:
        async def body(repository: ContactRepository) -> None:
            for ring in range(8):
                links = [
                    ContactDetails(f"{ring}-{n // 2}@example.org", f"{ring}000{(n + 1) // 2 % 10}")
                    for n in range(20)
                ]
                await identify_concurrently(repository, links)
                snapshot = await repository.load(links)
                assert violations(snapshot, links) == []
                assert partition(snapshot) == components(links)

        self.check(body)

    def test_concurrent_merges_of_merging_identities_make_one_identity(self) -> None:
        async def body(repository: ContactRepository) -> None:
            for chain in range(4):
                ends = [ContactDetails(f"{chain}-{n}@example.org", f"{chain}00{n}") for n in range(16)]
                joins = [ContactDetails(one.email, other.phone_number) for one, other in pairwise(ends)]
                await IdentifyContacts(repository).many(ends)
                await identify_concurrently(
                    repository, joins + [ContactDetails(end.email, "9" + str(end.key[1])) for end in ends]
                )
                snapshot = await repository.load(ends + joins)
                assert violations(snapshot, ends + joins) == []
                assert len(snapshot.identities) == 1

        self.check(body)

    @of_any_subclass
    @given(st.lists(contact_details(pool=4, seen_at=moments() | st.none()), max_size=16))
    def test_concurrent_details_give_the_partition(self, details: list[ContactDetails]) -> None:
        async def body(repository: ContactRepository) -> None:
            await identify_concurrently(repository, details)
            snapshot = await repository.load(details)
            assert violations(snapshot, details) == []
            assert partition(snapshot) == components(details)

        self.check(body)

    def test_no_read_sees_half_a_write(self) -> None:
        async def body(repository: ContactRepository) -> None:
            ends = [ContactDetails(f"{n}@example.org", str(n)) for n in range(20)]
            joins = [ContactDetails("0@example.org", str(n)) for n in range(1, 20)]
            await IdentifyContacts(repository).many(ends)

            async def read() -> None:
                for _ in range(20):
                    assert violations(await repository.load(ends)) == []

            await asyncio.gather(read(), read(), identify_concurrently(repository, joins))

        self.check(body)
