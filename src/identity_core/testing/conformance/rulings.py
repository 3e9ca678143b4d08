"""What every `ContactRepository` and `IdentityReader` must do about rulings."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    Contact,
    ContactDetails,
    ContactRepository,
    Contradiction,
    Decision,
    Event,
    EventKind,
    Evidence,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    IdentityReader,
    LinkReason,
    Note,
    NotRecorded,
    Outcome,
    Record,
    RuleOnIdentities,
    Ruling,
    Snapshot,
    StalePlan,
    Standing,
    Verdict,
    Withdrawal,
    WriteSet,
    reconcile,
    repair,
)
from identity_core.testing.conformance.contacts import (
    PRIMARY,
    SECONDARY,
    A,
    B,
    C,
    D,
    contact,
    identify,
    of_any_subclass,
    seed,
)
from identity_core.testing.invariants import violations
from identity_core.testing.model import components, partition, resolved
from identity_core.testing.strategies import EPOCH, batches, contact_details, identifiers, moments

NOTE = Note("somebody", "because")
POOL = 4
DATED = batches(POOL, moments() | st.none(), max_size=10)

Pair = tuple[str, str]
Body = Callable[[ContactRepository, IdentityReader], Awaitable[None]]


def email(value: str) -> Identifier:
    return Identifier(IdentifierKind.EMAIL, value)


def number(value: str) -> Identifier:
    return Identifier(IdentifierKind.PHONE_NUMBER, value)


class RulingConformance:
    """Subclass it under a name that pytest collects, and define `empty_reader`."""

    def empty_reader(self) -> AbstractAsyncContextManager[tuple[ContactRepository, IdentityReader]]:
        """A repository without any contact, and a reader of what it holds; entered once for each example."""
        raise NotImplementedError

    def check(self, body: Body) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_reader() as (repository, reader):
                await body(repository, reader)

        asyncio.run(on_empty_repository())

    # The record

    def test_an_empty_repository_has_an_empty_record(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            asked = [email(A), number("1")]
            assert await repository.load([ContactDetails(A, "1")]) == Snapshot()
            assert await reader.record(asked) == Record(asked=frozenset(asked))
            assert await reader.record([]) == Record()
            assert await reader.rulings() == []
            assert await reader.pair(1) is None
            assert await reader.event(1) is None
            assert await reader.lineage(1) is None

        self.check(body)

    def test_a_record_holds_whole_identities_and_all_that_is_known_of_their_pairs(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"), (B, "1"), (C, "3"), (D, "4"), (D, "3"))
            for value in (email(A), email(B), number("1"), number("2")):
                record = await reader.record([value])
                assert [[one.key for one in contacts] for contacts in record.identities] == [
                    [(A, "1"), (B, "2")]
                ]
                assert [(piece.pair, piece.standing) for piece in record.evidence] == [
                    ((A, "2"), Standing.COUNTS),
                    ((B, "1"), Standing.COUNTS),
                ]
                assert value in record.asked
            both = await reader.record([email(B), number("4"), number("99")])
            assert [len(contacts) for contacts in both.identities] == [2, 2]
            assert [piece.pair for piece in both.evidence] == [(A, "2"), (B, "1"), (D, "3")]
            assert number("99") in both.asked

        self.check(body)

    def test_a_record_tells_undone_pairs_from_both_ends_but_leads_no_further(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (A, "2"), (B, "2"))
            await RuleOnIdentities(repository, reader).undo((A, "2"), NOTE)
            for value, keys in ((email(A), {(A, "1"), (A, None)}), (number("2"), {(None, "2"), (B, "2")})):
                record = await reader.record([value])
                assert {one.key for one in record.contacts} == keys
                [piece] = record.evidence
                assert (piece.pair, piece.standing) == ((A, "2"), Standing.UNDONE)
                assert [(r.verdict, r.one, r.other) for r in record.rulings] == [
                    (Verdict.UNDONE, email(A), number("2"))
                ]

        self.check(body)

    def test_a_record_follows_held_pairs_in_any_number_of_steps(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "2"), (C, "3"))
            rule = RuleOnIdentities(repository, reader)
            await rule.pin(email(A), email(B), Verdict.DIFFERENT, NOTE)
            await rule.pin(email(B), email(C), Verdict.DIFFERENT, NOTE)
            await identify(repository, (A, "2"), (B, "3"))
            for value in (email(A), number("1"), email(B), email(C), number("3")):
                record = await reader.record([value])
                assert {one.key for one in record.contacts} == {(A, "1"), (B, "2"), (C, "3")}
                assert [(piece.pair, piece.standing) for piece in record.evidence] == [
                    ((A, "2"), Standing.HELD),
                    ((B, "3"), Standing.HELD),
                ]
                assert [ruling.verdict for ruling in record.rulings] == [Verdict.DIFFERENT] * 2

        self.check(body)

    def test_a_pin_between_strangers_is_on_the_record_of_both_alone(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (C, "3"))
            await RuleOnIdentities(repository, reader).pin(email(A), email(B), Verdict.DIFFERENT, NOTE)
            for value, other in ((number("1"), email(B)), (email(B), email(A))):
                record = await reader.record([value])
                assert [pin.values for pin in record.rulings] == [{email(A), email(B)}]
                assert other not in {value for one in record.contacts for value in one.identifiers}
            assert (await reader.record([email(C)])).rulings == ()

        self.check(body)

    def test_a_record_tells_where_deleted_contacts_lead(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "2"))
            rule = RuleOnIdentities(repository, reader)
            made = (await rule.undo((A, "1"), NOTE)).writes.created[0].id
            await rule.restore(await rule.find_undone((A, "1")), NOTE)
            assert (await reader.record([email(A)])).deleted == ((made, 1),)
            assert (await reader.record([email(B)])).deleted == ()

        self.check(body)

    # Revising

    def test_a_revision_gets_the_record_a_time_and_as_many_ids_as_it_draws(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"), (C, "3"))
            await RuleOnIdentities(repository, reader).undo((A, "2"), NOTE)
            values = [email(A), number("2")]
            expected = await reader.record(values)
            times: list[datetime] = []
            given_ids = [contact.id for contact in expected.contacts]
            given_ids += [piece.id for piece in expected.evidence]
            given_ids += [ruling.id for ruling in expected.rulings]

            def revise(record: Record, now: datetime, ids: Iterator[int]) -> Decision:
                assert record == expected
                times.append(now)
                given_ids.extend(next(ids) for _ in range(300))
                return Decision(WriteSet(), ())

            for _ in range(3):
                await repository.revise(values, revise)
            assert times == sorted(times)
            assert all(time.utcoffset() == timedelta(0) for time in times)
            assert len({*given_ids}) == len(given_ids)
            assert given_ids[-900:] == sorted(given_ids[-900:])

        self.check(body)

    def test_every_kind_of_revision_is_persisted_and_the_decision_returned(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await seed(
                repository,
                contact(1, A, "1", age=9),
                contact(2, B, "2", linked_id=1, age=8),
                contact(3, C, "3", linked_id=1, age=7),
                contact(4, D, linked_id=1, age=6),
            )
            dated = EPOCH + timedelta(microseconds=123456)
            first = Ruling(20, Verdict.DIFFERENT, email(A), email(B), dated, None, "")
            await repository.revise(
                [email(A)],
                lambda record, now, ids: Decision(
                    WriteSet(
                        evidence=(Evidence(10, A, "2", dated), Evidence(11, B, "3", dated, Standing.HELD)),
                        rulings=(first,),
                    ),
                    (),
                ),
            )
            before = await reader.record([email(A)])
            assert before.evidence == (
                Evidence(10, A, "2", dated),
                Evidence(11, B, "3", dated, Standing.HELD),
            )
            assert before.rulings == (first,)
            long = Ruling(21, Verdict.UNDONE, email(A), number("1"), dated, "ß" * 100, "ü" * 2_000, 20)
            taken = contact(1, A, age=9)
            given_back = contact(4, D, "4", linked_id=1, age=6)
            made = Contact(5, None, "1", None, PRIMARY, dated)
            writes = WriteSet(
                created=(made,),
                altered=(evolve(contact(2, B, "2", age=8), link_precedence=PRIMARY, created_at=dated),),
                deleted=(contact(3, C, "3", linked_id=2, age=7),),
                evidence=(
                    Evidence(1, A, "1", dated, Standing.UNDONE),
                    Evidence(11, B, "3", dated, Standing.COUNTS),
                ),
                superseded=((A, "2"),),
                events=(
                    Event(dated, EventKind.UNDONE, 1, 5, 1, (), 21),
                    Event(dated, EventKind.SPLIT, 2, None, None, (), 21, 1, (2, 3)),
                ),
                rewritten=(taken, given_back),
                rulings=(long,),
                withdrawals=(Withdrawal(20, dated, "me", "why"),),
            )
            decision = Decision(writes, ())
            assert await repository.revise([email(A)], lambda record, now, ids: decision) == decision
            values = [email(A), email(B), email(C), email(D), number("1")]
            after = await reader.record(values)
            assert after.identities == (writes.altered, (made,), (taken, given_back))
            assert after.evidence == writes.evidence
            assert after.rulings == (long,) == (*await reader.rulings(),)
            assert after.deleted == ((3, 2),)
            found = await reader.find(3)
            assert found == writes.altered
            events = [recorded.event for recorded in await reader.events(found)]
            assert events == [writes.events[1]]
            lineage = await reader.lineage(1)
            assert lineage is not None
            assert [recorded.event for recorded in lineage.events] == list(writes.events)
            assert [one.contact for one in lineage.deleted] == list(writes.deleted)

        self.check(body)

    def test_a_revision_that_raises_writes_nothing(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"))
            rule = RuleOnIdentities(repository, reader)
            before = await reader.record([email(A)])
            with pytest.raises(NotRecorded):
                await rule.undo((A, "2"), NOTE)
            with pytest.raises(Contradiction):
                await rule.pin(email(A), number("1"), Verdict.DIFFERENT, NOTE)
            with pytest.raises(StalePlan):
                await rule.undo((A, "1"), NOTE, plan="another")
            assert await reader.record([email(A)]) == before
            await rule.undo((A, "1"), NOTE)

        self.check(body)

    # Where numbers are

    def test_a_number_that_is_taken_from_a_contact_leads_there_no_more_until_it_is_given_back(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await identify(repository, (A, "1"), (A, "2"))
            one, other = ContactDetails(A), ContactDetails(phone_number="2")
            [before] = (await repository.load([one])).identities
            ruled = await rule.undo((A, "2"), NOTE)
            [made] = ruled.writes.created
            [of_email] = (await repository.load([one])).identities
            assert [(contact.id, contact.key) for contact in of_email] == [(1, (A, "1")), (2, (A, None))]
            assert (await repository.load([other])).identities == ((made,),)
            assert made.created_at == of_email[1].created_at
            assert await reader.find(made.id) == (made,)
            await rule.restore(ruled.writes.rulings[0], NOTE)
            assert (await repository.load([one])).identities == (before,)
            assert (await repository.load([other])).identities == (before,)
            assert await reader.find(made.id) == before
            [page] = await reader.pages(made.id)
            assert page.contacts == before

        self.check(body)

    def test_load_tells_pairs_that_count_from_those_that_do_not(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await identify(repository, (A, "1"), (B, "2"), (C, "1"))
            await rule.pin(email(A), email(B), Verdict.DIFFERENT, NOTE)
            await rule.undo((C, "1"), NOTE)
            await identify(repository, (A, "2"), (B, "3"), (B, "4"), (D, "3"), (D, "4"))
            pairs = [(A, "1"), (A, "2"), (C, "1"), (D, "4"), (B, "1")]
            snapshot = await repository.load([ContactDetails(*pair) for pair in pairs])
            assert snapshot.ignored == {(A, "2"), (C, "1")}
            assert snapshot.evidence == {(D, "4")}
            assert snapshot.apart == ()
            assert await repository.load([ContactDetails(A), ContactDetails(None, "2")]) == evolve(
                snapshot, identities=snapshot.identities[:2], evidence=frozenset(), ignored=frozenset()
            )

        self.check(body)

    def test_only_a_decision_gets_what_pins_keep_apart(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await identify(repository, (A, "1"), (B, "2"), (C, "3"))
            await rule.pin(number("1"), email(B), Verdict.DIFFERENT, NOTE)
            await rule.pin(email(A), email(C), Verdict.SAME, NOTE)
            removed = await rule.pin(email(B), email(C), Verdict.DIFFERENT, NOTE)
            await rule.unpin(removed.writes.rulings[0], NOTE)
            seen: list[set[frozenset[Identifier]]] = []

            def decide(snapshot: Snapshot, *_: object) -> Decision:
                seen.append({frozenset(pin) for pin in snapshot.apart})
                return Decision(WriteSet(), ())

            await repository.transact([ContactDetails(A, "2")], decide)
            await repository.transact([ContactDetails(C, "2"), ContactDetails(D)], decide)
            assert seen == [{frozenset([number("1"), email(B)])}] * 2

        self.check(body)

    # What is read by ids

    def test_pair_returns_the_pair_of_a_contact_or_of_evidence(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "2"), (A, "2"), (C, None), (None, "9"))
            record = await reader.record([email(A), email(C), number("9")])
            assert {one.id: await reader.pair(one.id) for one in record.contacts} == {
                one.id: None if None in one.key else one.key for one in record.contacts
            }
            [piece] = record.evidence
            assert await reader.pair(piece.id) == (A, "2")
            await RuleOnIdentities(repository, reader).undo((A, "1"), NOTE)
            assert await reader.pair(1) == (A, "1"), "which is that of the contact, and evidence now"
            assert await reader.pair(1_000_000) is None

        self.check(body)

    def test_event_returns_any_event(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (A, "2"))
            await RuleOnIdentities(repository, reader).undo((A, "2"), NOTE)
            lineage = await reader.lineage(1)
            assert lineage is not None
            kinds = [recorded.event.kind for recorded in lineage.events]
            assert kinds == [EventKind.CREATED, EventKind.LINKED, EventKind.UNDONE, EventKind.SPLIT]
            for recorded in lineage.events:
                assert await reader.event(recorded.id) == recorded.event
            assert await reader.event(1_000_000) is None
            assert await reader.event(0) is None

        self.check(body)

    def test_rulings_returns_those_in_force_page_by_page(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            made: list[Ruling] = []
            for position in range(7):
                one, other = email(f"{position}@example.org"), number(str(position))
                verdict = Verdict.SAME if position % 2 else Verdict.DIFFERENT
                made += (await rule.pin(one, other, verdict, NOTE)).writes.rulings
            assert await reader.rulings() == made
            for withdrawn in (made.pop(5), made.pop(0)):
                await rule.unpin(withdrawn, NOTE)
                with pytest.raises(NotRecorded):
                    await rule.unpin(withdrawn, NOTE)
                assert (await reader.record(withdrawn.values)).rulings == ()
            shown: list[Ruling] = []
            while page := await reader.rulings(after=shown[-1].id if shown else 0, limit=2):
                assert len(page) <= 2
                assert not shown or page[0].id > shown[-1].id
                shown += page
            assert shown == made
            assert all(ruling.decided_at.utcoffset() == timedelta(0) for ruling in shown)

        self.check(body)

    def test_a_lineage_is_what_was_one_identity_at_any_time(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await identify(repository, (A, "1"), (B, "1"), (C, "1"), (D, "4"))
            first = await rule.undo((B, "1"), NOTE)
            await rule.undo((C, "1"), NOTE)
            await rule.restore(first.writes.rulings[0], NOTE)
            ids = [1, 2, 3]
            for contact_id in ids:
                lineage = await reader.lineage(contact_id)
                assert lineage is not None
                assert [one.id for one in lineage.contacts] == ids
                assert lineage.deleted == ()
                events = lineage.events
                assert [recorded.id for recorded in events] == sorted({recorded.id for recorded in events})
                assert [recorded.event.kind.value for recorded in events] == [
                    *("created", "linked", "linked", "undone", "split", "undone", "split"),
                    *("restored", "merged"),
                ]
            alone = await reader.lineage(4)
            assert alone is not None
            assert [one.id for one in alone.contacts] == [4]
            assert len(alone.events) == 1
            assert await reader.lineage(1_000_000) is None

        self.check(body)

    def test_a_lineage_leads_over_contacts_that_were_deleted(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await identify(repository, (A, "1"))
            undone = await rule.undo((A, "1"), NOTE)
            [made] = undone.writes.created
            await identify(repository, (B, "1"))
            await rule.undo((B, "1"), NOTE)
            restored = await rule.restore(undone.writes.rulings[0], NOTE)
            for contact_id in (1, made.id):
                lineage = await reader.lineage(contact_id)
                assert lineage is not None
                assert [one.key for one in lineage.contacts] == [(A, "1"), (B, None)]
                [deleted] = lineage.deleted
                assert (deleted.contact.id, deleted.contact.key) == (made.id, (None, "1"))
                assert deleted.deleted_at == restored.writes.events[0].happened_at

        self.check(body)

    def test_events_of_an_identity_include_those_of_contacts_that_left_it(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "1"))
            await RuleOnIdentities(repository, reader).undo((B, "1"), NOTE)
            for contact_id in (1, 2):
                found = await reader.find(contact_id)
                assert found is not None
                [split] = [
                    recorded.event
                    for recorded in await reader.events(found)
                    if recorded.event.kind is EventKind.SPLIT
                ]
                assert (split.origin_id, split.primary_id, split.moved_ids) == (1, 2, (2,))

        self.check(body)

    # Links that another program wrote

    def test_what_an_inherited_link_joins_is_split_and_restored(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await seed(
                repository,
                contact(1, A, "1", age=9),
                contact(2, B, "2", linked_id=1, age=8),
                contact(3, C, "2", linked_id=1, age=7),
                contact(4, None, "4", linked_id=1, age=6),
            )
            before = await reader.record([email(A)])
            for end, apart in ((email(C), {"2", B, C}), (number("4"), {"4"})):
                ruled = await rule.split(email(A), end, NOTE)
                assert [link.reason for link in ruled.undone] == [LinkReason.INHERITED]
                assert apart in partition(await reader.record([email(A), end]))
                await IdentifyContacts(repository).many([ContactDetails(A, "1"), ContactDetails(B, "2")])
                assert apart in partition(await reader.record([email(A), end]))
                pin = next(one for one in ruled.writes.rulings if one.verdict is Verdict.DIFFERENT)
                await rule.restore(pin, NOTE)
                restored = await reader.record([end])
                assert restored.identities == before.identities
                verdicts = [ruling.verdict for ruling in restored.rulings]
                assert verdicts == [Verdict.INHERITED], "which is on record, and so is the pair"
            assert [piece.pair for piece in (await reader.record([email(A)])).evidence] == [(A, "4")]

        self.check(body)

    def test_repair_keeps_to_the_rulings(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await identify(repository, (A, "1"), (B, "2"), (C, "3"))
            await rule.pin(email(A), email(B), Verdict.DIFFERENT, NOTE)
            await rule.undo((C, "3"), NOTE)
            # Another program writes what the rulings forbid, and what they do not, all of it older.
            rows = contact(1_000, A, "2", linked_id=1), contact(1_001, C, "3"), contact(1_002, D, "1")
            await seed(repository, *rows)
            values = [email(value) for value in (A, B, C, D)]
            await repository.revise(values, repair)
            record = await reader.record(values)
            assert partition(record) == {frozenset(part) for part in ([A, "1", "2", D], [B], [C])}
            assert partition(await reader.record([number("3")])) == {frozenset(["3"])}
            standings = {piece.pair: piece.standing for piece in record.evidence}
            assert standings == {(B, "2"): Standing.HELD, (C, "3"): Standing.UNDONE}
            assert (await repository.revise(values, repair)).writes == WriteSet()

        self.check(body)

    # The properties of the rulings

    @of_any_subclass
    @given(
        DATED, st.lists(st.tuples(identifiers(POOL), identifiers(POOL), st.integers(0, 4)), max_size=5), DATED
    )
    def test_whatever_is_ruled_the_identities_are_what_the_record_says(
        self,
        details: list[ContactDetails],
        rulings: list[tuple[Identifier, Identifier, int]],
        late: list[ContactDetails],
    ) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await IdentifyContacts(repository).many(details)
            plain = await reader.record(_values(details))
            assert partition(plain) == components(details) == resolved(plain)
            pinned: list[Identifier] = []
            for one, other, way in rulings:
                pinned += await _rule_somehow(rule, one, other, way)
            await IdentifyContacts(repository).many(late)
            everything = [*details, *late]
            values = _values(everything) | {*pinned}
            record = await reader.record(values)
            parts = partition(record)
            assert parts == resolved(record)
            assert {value for part in parts for value in part} == {value for _, value in values}
            snapshot = await repository.load([*everything, *map(ContactDetails.of, pinned)])
            assert violations(snapshot, everything) == []
            for value in values:
                alone = await reader.record([value])
                assert partition(alone) == {part for part in resolved(alone) if part in parts}
                assert any(value.value in part for part in partition(alone))

        self.check(body)

    @of_any_subclass
    @given(DATED, st.data())
    def test_what_is_undone_is_as_if_only_its_values_had_come_each_alone(
        self, details: list[ContactDetails], data: st.DataObject
    ) -> None:
        pairs = _pairs(details)
        undone = data.draw(st.lists(st.sampled_from(pairs), unique=True) if pairs else st.just([]))

        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await IdentifyContacts(repository).many(details)
            before = await reader.record(_values(details))
            for pair in undone:
                await rule.undo(pair, NOTE)
            expected = components(
                alone
                for one in details
                for alone in (map(ContactDetails.of, one.identifiers) if one.pair in undone else [one])
            )
            assert partition(await reader.record(_values(details))) == expected
            again = await IdentifyContacts(repository).with_outcomes(details)
            after = await reader.record(_values(details))
            assert partition(after) == expected
            assert [one.outcome is Outcome.HELD for one in again] == [one.pair in undone for one in details]
            assert [pair for pair in pairs if after.holds(pair)] == pairs
            for pair in data.draw(st.permutations(undone)):
                await rule.restore(await rule.find_undone(pair), NOTE)
            restored = await reader.record(_values(details))
            assert partition(restored) == components(details)
            assert _dates(restored) == _dates(before)
            assert restored.rulings == ()

        self.check(body)

    @of_any_subclass
    @given(batches(POOL, max_size=10), st.data())
    def test_undoing_every_piece_in_any_order_leaves_each_value_alone(
        self, details: list[ContactDetails], data: st.DataObject
    ) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            await IdentifyContacts(repository).many(details)
            for pair in data.draw(st.permutations(_pairs(details))):
                await rule.undo(pair, NOTE)
            alone = await reader.record(_values(details))
            assert partition(alone) == {frozenset([value]) for _, value in _values(details)}
            assert all(len(contacts) == 1 for contacts in alone.identities)
            await IdentifyContacts(repository).many(details)
            assert await reader.record(_values(details)) == alone

        self.check(body)

    @of_any_subclass
    @given(
        st.lists(contact_details(POOL, moments() | st.none()), max_size=12),
        st.lists(st.tuples(identifiers(POOL), identifiers(POOL)), min_size=1, max_size=3),
        st.booleans(),
    )
    def test_what_a_pin_keeps_apart_is_never_joined_and_is_as_before_without_it(
        self, details: list[ContactDetails], pins: list[tuple[Identifier, Identifier]], concurrently: bool
    ) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule, identify = RuleOnIdentities(repository, reader), IdentifyContacts(repository)
            for one, other in pins:
                if one != other:
                    await rule.pin(one, other, Verdict.DIFFERENT, NOTE)
            apart = [ruling.values for ruling in await reader.rulings()]
            if concurrently:
                await asyncio.gather(*map(identify, details))
            for each in details:
                identity = await identify(each)
                values = {*identity.emails, *identity.phone_numbers}
                assert not any({value for _, value in pin} <= values for pin in apart)
            named = {value for pin in apart for value in pin}
            record = await reader.record(_values(details) | named)
            assert partition(record) == resolved(record)
            for ruling in await reader.rulings():
                await rule.unpin(ruling, NOTE)
            free = await reader.record(_values(details) | named)
            assert partition(free) == components([*details, *map(ContactDetails.of, named)])
            assert all(piece.standing is Standing.COUNTS for piece in free.evidence)

        self.check(body)

    def test_a_pin_and_the_details_that_it_keeps_apart_may_come_at_once(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule, identify = RuleOnIdentities(repository, reader), IdentifyContacts(repository)
            for attempt in range(5):
                ends = [ContactDetails(f"{attempt}-{n}@example.org", f"{attempt}000{n}") for n in range(8)]
                joins = [ContactDetails(one.email, other.phone_number) for one, other in pairwise(ends)]
                await identify.many(ends)
                one, other = ends[0].identifiers[0], ends[-1].identifiers[1]

                async def pin(one: Identifier = one, other: Identifier = other) -> None:
                    with suppress(Contradiction):
                        await rule.pin(one, other, Verdict.DIFFERENT, NOTE)

                middle = 2 * attempt % len(joins)
                calls = [*map(identify, joins)]
                await asyncio.gather(*calls[:middle], pin(), *calls[middle:])
                record = await reader.record([one, other])
                assert partition(record) == resolved(record)
                snapshot = await repository.load([*ends, *joins])
                assert violations(snapshot, [*ends, *joins]) == []
                assert (len(snapshot.identities) == 2) == bool(record.rulings)

        self.check(body)

    def test_splits_of_one_identity_at_once_each_part_what_they_are_about(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule = RuleOnIdentities(repository, reader)
            path = [ContactDetails(f"{n // 2}@example.org", f"000{(n + 1) // 2}") for n in range(16)]
            await IdentifyContacts(repository).many(path)
            emails = [email(f"{n}@example.org") for n in range(8)]
            await asyncio.gather(
                *(rule.split(one, other, NOTE) for one, other in zip(emails[::2], emails[1::2], strict=True))
            )
            record = await reader.record(_values(path))
            parts = partition(record)
            assert parts == resolved(record)
            assert len(parts) == 5
            for one, other in zip(emails[::2], emails[1::2], strict=True):
                assert not any({one.value, other.value} <= part for part in parts)

        self.check(body)

    def test_an_undo_and_what_races_with_it_come_out_as_the_record_says(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            rule, identify = RuleOnIdentities(repository, reader), IdentifyContacts(repository)
            for attempt in range(5):
                one, other = f"{attempt}-a@example.org", f"{attempt}-b@example.org"
                joined = [ContactDetails(one, f"{attempt}1"), ContactDetails(other, f"{attempt}1")]
                racing = [
                    ContactDetails(one, f"{attempt}1"),
                    ContactDetails(other, f"{attempt}2"),
                    ContactDetails(one, f"{attempt}3"),
                    ContactDetails(other, f"{attempt}1"),
                ]
                await identify.many(joined)
                await asyncio.gather(
                    *map(identify, racing[:2]),
                    rule.undo((other, f"{attempt}1"), NOTE),
                    *map(identify, racing[2:]),
                )
                record = await reader.record([email(one), email(other)])
                assert partition(record) == resolved(record)
                assert len(record.identities) == 2
                assert violations(await repository.load([*joined, *racing]), [*joined, *racing]) == []

        self.check(body)

    def test_a_decision_after_a_ruling_sees_it(self) -> None:
        async def body(repository: ContactRepository, reader: IdentityReader) -> None:
            await identify(repository, (A, "1"), (B, "1"))
            await RuleOnIdentities(repository, reader).undo((B, "1"), NOTE)
            batch = [ContactDetails(B, "1"), ContactDetails(C, "1"), ContactDetails(B, "2")]
            decision = await repository.transact(batch, partial(reconcile, batch))
            assert [one.emails for one in decision.identities] == [(B,), (A, C), (B,)]
            assert decision.outcomes == (Outcome.HELD, Outcome.LINKED, Outcome.LINKED)
            [of_b] = (await repository.load([ContactDetails(B)])).identities
            assert [(one.key, one.link_precedence) for one in of_b] == [
                ((B, None), PRIMARY),
                ((B, "2"), SECONDARY),
            ]

        self.check(body)


async def _rule_somehow(
    rule: RuleOnIdentities, one: Identifier, other: Identifier, way: int
) -> Sequence[Identifier]:
    """Pin, split or undo, or take something back, unless it is refused; the values that are known by it."""
    if one == other:
        return ()
    with suppress(NotRecorded, Contradiction):
        if way == 0:
            await rule.pin(one, other, Verdict.SAME, NOTE)
            return one, other
        if way == 1:
            await rule.pin(one, other, Verdict.DIFFERENT, NOTE)
            return one, other
        if way == 2:
            await rule.split(one, other, NOTE)
        elif way == 3 and one.kind is not other.kind:
            pair = {value.kind: value.value for value in (one, other)}
            await rule.undo((pair[IdentifierKind.EMAIL], pair[IdentifierKind.PHONE_NUMBER]), NOTE)
        elif way == 4:
            for ruling in (await rule.rulings())[:1]:
                take_back = rule.restore if ruling.verdict is Verdict.UNDONE else rule.unpin
                await take_back(ruling, NOTE)
    return ()


def _values(details: Sequence[ContactDetails]) -> set[Identifier]:
    return {value for one in details for value in one.identifiers}


def _pairs(details: Sequence[ContactDetails]) -> list[Pair]:
    return [*dict.fromkeys(one.pair for one in details if one.pair is not None)]


def _dates(record: Record) -> dict[frozenset[Identifier], datetime]:
    """The date of each identity, by its values."""
    return {
        frozenset(value for contact in contacts for value in contact.identifiers): contacts[0].created_at
        for contacts in record.identities
    }
