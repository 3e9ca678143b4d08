"""What every `RuleBook` must do, and every `ContactRepository` and `IdentityReader` about rules."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from functools import partial

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    NOBODY,
    AffectedIdentity,
    ChangeRules,
    ContactDetails,
    ContactRepository,
    Decision,
    Evidence,
    Hold,
    Identified,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    IdentityReader,
    Limits,
    Note,
    Outcome,
    Record,
    RuleBook,
    RuleOnIdentities,
    RuleSet,
    RulesInForce,
    RulesPreview,
    SharedValue,
    Snapshot,
    StalePlan,
    Standing,
    SuggestRules,
    Verdict,
    WriteSet,
    repair,
)
from identity_core.model.parts import Parts
from identity_core.model.rule_set import NO_RULES, UnsettledLink
from identity_core.rules.apply import apply_retroactively, apply_rules
from identity_core.rules.parts import detach
from identity_core.testing.conformance.contacts import A, B, C, D, contact, identify, of_any_subclass, seed
from identity_core.testing.conformance.rulings import email, number
from identity_core.testing.invariants import violations
from identity_core.testing.model import partition, resolved
from identity_core.testing.strategies import EPOCH, batches, low_limits, moments, rule_sets

NOTE = Note("somebody", "because")
POOL = 4
DATED = batches(POOL, moments() | st.none(), max_size=10)
ORDERED = batches(POOL, moments(), max_size=16).map(partial(sorted, key=lambda details: details.seen_at))
CLIENTS = 24
LARGE = 3


@frozen
class Ports:
    """The ports of one repository, and the use cases on them."""

    repository: ContactRepository
    reader: IdentityReader
    book: RuleBook

    @property
    def identify(self) -> IdentifyContacts:
        """Identifies customers."""
        return IdentifyContacts(self.repository)

    @property
    def change(self) -> ChangeRules:
        """Changes the rules."""
        return ChangeRules(self.repository, self.book)

    @property
    def rule(self) -> RuleOnIdentities:
        """Rules on what is recorded."""
        return RuleOnIdentities(self.repository, self.reader)

    async def see(self, *keys: tuple[str | None, str | None]) -> None:
        """Identify details one after the other."""
        await identify(self.repository, *keys)


Body = Callable[[Ports], Awaitable[None]]


class RuleConformance:
    """Subclass it under a name that pytest collects, and define `empty_ports`.

    Define `other_repository` as well, if several processes may keep the same contacts.
    """

    def empty_ports(self) -> AbstractAsyncContextManager[tuple[ContactRepository, IdentityReader, RuleBook]]:
        """A repository without any contact, a reader of it, and its rules; entered once for each example."""
        raise NotImplementedError

    def other_repository(
        self, repository: ContactRepository
    ) -> AbstractAsyncContextManager[ContactRepository]:
        """A repository of the same contacts, as another process has it."""
        return nullcontext(repository)

    def check(self, body: Body) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_ports() as (repository, reader, book):
                await body(Ports(repository, reader, book))

        asyncio.run(on_empty_repository())

    # The rules in force

    def test_there_are_no_rules_at_first(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"))
            in_force = await ports.book.rules()
            assert in_force == RulesInForce()
            assert in_force.is_settled
            assert await ports.book.unsettled(in_force, 100, LARGE) == ([], 0)
            assert await ports.reader.held() == []
            assert (await ports.repository.load([ContactDetails(A)])).rules == NO_RULES

        self.check(body)

    def test_rules_are_kept_as_they_were_put_with_who_put_them_and_why(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"), (A, "2"), (B, "2"))
            last_id = max(piece.id for piece in (await ports.reader.record([email(A)])).evidence)
            everything = RuleSet(
                emails=[A, "ß'\"\\@ü.at"],
                phone_numbers=map(str, range(1_000)),
                email_patterns=["*@example.org", "?%_[a]\\@*"],
                phone_number_patterns=["+43*", "?00"],
                presets=["reserved-domains"],
                one_digit=True,
                limits=Limits(1, 2, 3, 4),
            )
            put = await ports.book.put(everything, NOTE)
            assert put == await ports.book.rules()
            assert (put.rules, put.version, put.released) == (everything, 1, frozenset())
            assert (put.settled_id, put.is_settled) == (0, False)
            assert put.last_id >= last_id, "so that all that was recorded is looked at"
            assert put.note is not None
            assert put.note.at is not None
            assert (put.note.by, put.note.reason) == ("somebody", "because")
            assert put.note.at.utcoffset() == timedelta(0)
            dated = Note(None, "ü" * 2_000, EPOCH)
            raised = evolve(everything, limits=Limits(1, 3, None, 2))
            put = await ports.book.put(raised, dated)
            assert put == await ports.book.rules()
            assert (put.rules, put.version, put.note) == (raised, 2, dated)
            assert put.released == {Hold.EMAILS_PER_PHONE_NUMBER, Hold.VALUES_PER_IDENTITY}

        self.check(body)

    def test_limits_that_were_raised_before_everything_is_settled_stay_raised(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"))
            await ports.book.put(RuleSet(limits=Limits(1, 1)), NOTE)
            await ports.book.put(RuleSet(limits=Limits(2, 1)), NOTE)
            both = await ports.book.put(RuleSet(limits=Limits(2, 2)), NOTE)
            assert both.released == {Hold.PHONE_NUMBERS_PER_EMAIL, Hold.EMAILS_PER_PHONE_NUMBER}
            await ports.book.settle(both.version, both.last_id)
            again = await ports.book.put(RuleSet(limits=Limits(2, 3)), NOTE)
            assert again.released == {Hold.EMAILS_PER_PHONE_NUMBER}

        self.check(body)

    def test_rules_that_replace_other_ones_than_were_looked_at_are_refused(self) -> None:
        async def body(ports: Ports) -> None:
            first = await ports.book.put(RuleSet(emails=[A]), NOTE, version=0)
            for stale in (0, 2):
                with pytest.raises(StalePlan):
                    await ports.book.put(RuleSet(emails=[B]), NOTE, version=stale)
            assert await ports.book.rules() == first
            rules = [RuleSet(emails=[f"{position}@example.org"]) for position in range(CLIENTS)]
            put = [ports.book.put(one, NOTE, version=1) for one in rules]
            answers = await asyncio.gather(*put, return_exceptions=True)
            [accepted] = [one for one in answers if isinstance(one, RulesInForce)]
            assert all(isinstance(one, StalePlan) for one in answers if one is not accepted)
            assert await ports.book.rules() == accepted
            await asyncio.gather(*(ports.book.put(one, NOTE) for one in rules))
            assert (await ports.book.rules()).version == 2 + CLIENTS

        self.check(body)

    def test_how_far_everything_is_settled_is_recorded_for_the_rules_in_force_alone(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see(*((f"{position}@example.org", "1") for position in range(9)))
            first = await ports.book.put(RuleSet(emails=[A]), NOTE)
            await ports.book.settle(1, 5)
            assert await ports.book.rules() == evolve(first, settled_id=5)
            second = await ports.book.put(RuleSet(emails=[B]), NOTE)
            await ports.book.settle(1, first.last_id)
            assert await ports.book.rules() == second
            await ports.book.settle(2, second.last_id)
            assert (await ports.book.rules()).is_settled

        self.check(body)

    # What comes

    def test_rules_apply_at_once_to_whatever_any_repository_reads_and_decides(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"))
            async with self.other_repository(ports.repository) as other:
                await other.load([ContactDetails(A, "1")])
                for position, change in enumerate([ports.repository, other, ports.repository]):
                    rules = RuleSet(phone_numbers=["1"], limits=Limits(emails_per_phone_number=1 + position))
                    await ports.book.put(rules, NOTE)
                    for one in (other, ports.repository):
                        await _check_rules(one, rules, after=change is one)
                        key = (f"{position}@example.org", "1")
                        [identified] = await IdentifyContacts(one).with_outcomes([ContactDetails(*key)])
                        assert identified.ignored is IdentifierKind.PHONE_NUMBER
                        assert identified.identity.emails == key[:1]
                    assert (await ports.reader.record([email(A)])).rules == rules
                await ports.book.put(RuleSet(phone_numbers=["9"]), NOTE)
                assert [len(one) for one in (await other.load([ContactDetails(None, "1")])).identities] == [1]

        self.check(body)

    def test_load_leaves_out_identities_that_only_a_blocked_value_matches(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "20"), (C, "333"), (D, "4"), ("e@other.org", "5"))
            rules = RuleSet(
                emails=[A, D],
                phone_numbers=["1"],
                email_patterns=["*@other.*"],
                phone_number_patterns=["2?"],
                one_digit=True,
            )
            await ports.book.put(rules, NOTE)
            values = (A, "1"), (None, "20"), (None, "333"), (D, None), ("e@other.org", None)
            details = [ContactDetails(*value) for value in values]
            assert await ports.repository.load(details) == Snapshot(rules=rules)
            for one in details:
                assert await ports.repository.load([one]) == Snapshot(rules=rules)
            snapshot = await ports.repository.load([*details, ContactDetails(B, "1"), ContactDetails(C)])
            assert [[one.key for one in contacts] for contacts in snapshot.identities] == [
                [(B, "20")],
                [(C, "333")],
            ]

        self.check(body)

    def test_load_tells_pairs_that_are_blocked_or_held_as_ignored(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.book.put(RuleSet(phone_numbers=["9"], limits=Limits(emails_per_phone_number=1)), NOTE)
            await ports.see((A, "1"), (B, "1"), (C, "9"), (D, "2"), (D, "1"))
            pairs = [(A, "1"), (B, "1"), (C, "9"), (D, "9")]
            snapshot = await ports.repository.load([ContactDetails(*pair) for pair in pairs])
            assert snapshot.ignored == {(B, "1"), (C, "9")}
            assert snapshot.evidence == frozenset()
            assert (
                await ports.repository.load([ContactDetails(B), ContactDetails(None, "1")])
            ).ignored == set()

        self.check(body)

    def test_a_pair_that_does_not_count_keeps_why(self) -> None:
        async def body(ports: Ports) -> None:
            for limits, pair, hold in (
                (Limits(phone_numbers_per_email=1), (A, "2"), Hold.PHONE_NUMBERS_PER_EMAIL),
                (Limits(emails_per_phone_number=1), (B, "1"), Hold.EMAILS_PER_PHONE_NUMBER),
                (Limits(values_per_identity=2), (A, "3"), Hold.VALUES_PER_IDENTITY),
                (Limits(values_on_smaller_side=1), (C, "1"), Hold.VALUES_ON_SMALLER_SIDE),
            ):
                await ports.book.put(NO_RULES, NOTE)
                await ports.see((A, "1"), (C, "4"))
                await ports.book.put(RuleSet(limits=limits), NOTE)
                [done] = await ports.identify.with_outcomes([ContactDetails(*pair)])
                assert done.outcome is Outcome.HELD
                record = await ports.reader.record([email(pair[0])])
                [piece] = [piece for piece in record.evidence if piece.pair == pair]
                assert (piece.standing, piece.hold) == (Standing.HELD, hold)
            await ports.book.put(RuleSet(phone_numbers=["9"]), NOTE)
            await ports.see((D, "9"))
            [piece] = (await ports.reader.record([email(D)])).evidence
            assert (piece.pair, piece.standing, piece.hold) == ((D, "9"), Standing.BLOCKED, Hold.UNCHECKED)

        self.check(body)

    def test_a_decision_gets_in_how_many_pieces_of_evidence_a_value_is_and_which_pairs_are_accepted(
        self,
    ) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"), (C, "3"), (A, "2"), (A, "3"), (B, "3"), (D, "4"))
            await ports.rule.undo((B, "3"), NOTE)
            await ports.rule.pin(email(D), number("1"), Verdict.SAME, NOTE)
            batch = [ContactDetails(A, "9"), ContactDetails(D, "1"), ContactDetails(None, "3")]
            seen: list[Snapshot] = []

            def decide(snapshot: Snapshot, *_: object) -> Decision:
                seen.append(snapshot)
                return Decision(WriteSet(), ())

            await ports.repository.transact(batch, decide)
            await ports.book.put(RuleSet(limits=Limits(9, 9, 9, 9)), NOTE)
            await ports.repository.transact(batch, decide)
            plain, limited = seen
            assert (plain.paired, plain.accepted) == ({}, frozenset())
            assert {value: limited.paired.get(value, 0) for one in batch for value in one.identifiers} == {
                email(A): 2,
                number("9"): 0,
                email(D): 0,
                number("1"): 0,
                number("3"): 1,
            }
            assert limited.accepted & {one.pair for one in batch} == {(D, "1")}
            loaded = await ports.repository.load(batch)
            assert (loaded.paired, loaded.accepted) == ({}, frozenset())

        self.check(body)

    def test_pairs_in_evidence_count_for_a_limit_as_those_in_contacts_do(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"), (A, "2"))
            await ports.book.put(RuleSet(limits=Limits(2, 2)), NOTE)
            for key, outcome in (
                ((A, "3"), Outcome.HELD),
                ((C, "2"), Outcome.HELD),
                ((B, "1"), Outcome.KNOWN),
            ):
                [done] = await ports.identify.with_outcomes([ContactDetails(*key)])
                assert done.outcome is outcome
            await ports.rule.undo((A, "2"), NOTE)
            [done] = await ports.identify.with_outcomes([ContactDetails(A, "4")])
            assert done.outcome is Outcome.LINKED

        self.check(body)

    def test_details_that_are_blocked_whole_identify_nobody_and_are_not_recorded(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.book.put(RuleSet(emails=[A], phone_numbers=["1"]), NOTE)
            batch = [ContactDetails(A), ContactDetails(A, "1"), ContactDetails(B, "1")]
            first, second, third = await ports.identify.with_outcomes(batch)
            assert first == second == Identified(NOBODY, Outcome.BLOCKED)
            assert (third.identity.emails, third.outcome) == ((B,), Outcome.CREATED)
            record = await ports.reader.record([email(A), number("1"), email(B)])
            assert [one.key for one in record.contacts] == [(B, None)]
            assert [piece.pair for piece in record.evidence] == [(B, "1")]

        self.check(body)

    # What is held

    def test_held_returns_what_limits_hold_page_by_page_until_somebody_decides(self) -> None:
        async def body(ports: Ports) -> None:
            emails = [f"{letter}@example.org" for letter in "gfedcba"]
            await ports.see(("1@example.org", "1"), ("2@example.org", "2"))
            await ports.rule.pin(email("1@example.org"), email("2@example.org"), Verdict.DIFFERENT, NOTE)
            await ports.see(("1@example.org", "2"))
            await ports.book.put(RuleSet(phone_numbers=["9"], limits=Limits(emails_per_phone_number=1)), NOTE)
            await ports.see(*((one, "1") for one in emails), (A, "9"))
            expected = [((one, "1"), Hold.EMAILS_PER_PHONE_NUMBER) for one in emails]
            held = await ports.reader.held()
            assert [(piece.pair, piece.hold) for piece in held] == expected
            assert [piece.id for piece in held] == sorted(piece.id for piece in held)
            assert {piece.standing for piece in held} == {Standing.HELD}
            assert await _read_held(ports.reader, limit=2) == held
            record = await ports.reader.record([email(emails[0])])
            assert [piece for piece in record.evidence if piece in held] == held[:1]
            for piece in held:
                assert await ports.rule.find_held(piece.id) == piece
                assert await ports.rule.find_pair(id=piece.id) == piece.pair
            accepted = await ports.rule.pin(*held[1].identifiers, Verdict.SAME, NOTE)
            rejected = await ports.rule.undo(held[4].pair, NOTE)
            left = [*held[:1], *held[2:4], *held[5:]]
            assert await _read_held(ports.reader, limit=3) == left
            await ports.rule.unpin(accepted.writes.rulings[0], NOTE)
            await ports.rule.restore(rejected.writes.rulings[0], NOTE)
            assert await _read_held(ports.reader, limit=100) == held

        self.check(body)

    def test_a_record_does_not_follow_pairs_that_limits_hold_or_that_are_blocked(self) -> None:
        async def body(ports: Ports) -> None:
            many = [(f"{position}@example.org", "1") for position in range(300)]
            await ports.book.put(RuleSet(phone_numbers=["9"], limits=Limits(emails_per_phone_number=1)), NOTE)
            await ports.see((A, "1"))
            await ports.identify.many([ContactDetails(*key) for key in many])
            await ports.identify.many([ContactDetails(one, "9") for one, _ in many])
            of_number = await ports.reader.record([number("1")])
            assert [one.key for one in of_number.contacts] == [(A, "1")]
            assert {piece.pair for piece in of_number.evidence} == {*many}
            for value, _ in (many[0], many[-1]):
                record = await ports.reader.record([email(value)])
                assert [one.key for one in record.contacts] == [(value, None)]
                assert {piece.pair: piece.standing for piece in record.evidence} == {
                    (value, "1"): Standing.HELD,
                    (value, "9"): Standing.BLOCKED,
                }
            assert (await ports.reader.record([number("9")])).identities == ()

        self.check(body)

    def test_a_value_with_very_many_pairs_that_do_not_count_is_decided_on_all_the_same(self) -> None:
        async def body(ports: Ports) -> None:
            many = [ContactDetails(f"{position}@example.org", "1") for position in range(1_500)]
            await ports.book.put(RuleSet(limits=Limits(emails_per_phone_number=1)), NOTE)
            await ports.identify.many(many)
            held = await ports.reader.held(limit=2_000)
            assert [piece.pair for piece in held] == [one.pair for one in many[1:]]
            for piece in (held[0], held[700], held[-1]):
                await ports.rule.pin(*piece.identifiers, Verdict.SAME, NOTE)
                identity = await ports.identify(ContactDetails(*piece.pair))
                assert "1" in identity.phone_numbers
                assert "0@example.org" in identity.emails
            assert len(await ports.reader.held(limit=2_000)) == len(held) - 3
            [again] = await ports.identify.with_outcomes([ContactDetails(*held[1].pair)])
            assert (again.outcome, again.identity.emails) == (Outcome.HELD, (held[1].email,))

        self.check(body)

    # What is not settled

    def test_pairs_that_count_though_a_value_is_blocked_are_unsettled(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"), (B, "2"), (C, "3"), (D, "4"), (D, "3"), (None, "7"))
            await ports.see((A, "2"), ("e@other.org", "55"), ("f@example.org", "600"), (A, None))
            in_force = await ports.book.put(RuleSet(phone_numbers=["1", "3", "7"]), NOTE)
            assert await _find_unsettled(ports.book, in_force) == {(A, "1"), (B, "1"), (C, "3"), (D, "3")}
            in_force = await ports.book.put(RuleSet(emails=[A]), NOTE)
            assert await _find_unsettled(ports.book, in_force) == {(A, "1"), (A, "2")}
            patterns = RuleSet(email_patterns=["*@other.*"], phone_number_patterns=["6*"], one_digit=True)
            in_force = await ports.book.put(patterns, NOTE)
            assert await _find_unsettled(ports.book, in_force) == {
                *((A, "1"), (B, "1"), (B, "2"), (C, "3"), (D, "4"), (D, "3"), (A, "2")),
                *(("e@other.org", "55"), ("f@example.org", "600")),
            }
            in_force = await ports.book.put(RuleSet(limits=Limits(1, 1, 1, 1)), NOTE)
            assert await _find_unsettled(ports.book, in_force) == set(), "limits are for what comes"

        self.check(body)

    def test_blocked_pairs_of_which_a_value_is_blocked_no_longer_are_unsettled(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"), (C, "1"), (C, "3"))
            await ports.change.put(RuleSet(emails=[A], phone_numbers=["1", "2"]), NOTE)
            await ports.see((D, "1"), (A, "4"))
            assert (await ports.book.rules()).is_settled
            unblocked = await ports.book.put(RuleSet(emails=[A], phone_numbers=["2"]), NOTE)
            # Of the pair of A, the number 1 is not in any contact.
            assert await _find_unsettled(ports.book, unblocked) == {(C, "1"), (D, "1"), (A, "1")}
            unblocked = await ports.book.put(RuleSet(phone_numbers=["1", "2"]), NOTE)
            assert await _find_unsettled(ports.book, unblocked) == {(A, "4")}
            assert await _find_unsettled(ports.book, await ports.book.put(NO_RULES, NOTE)) == {
                *((A, "1"), (B, "2"), (C, "1"), (D, "1"), (A, "4"))
            }

        self.check(body)

    def test_a_value_that_is_blocked_no_longer_has_a_contact_again(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"))
            for rules, keys in (
                (RuleSet(emails=[A], phone_numbers=["1"]), {(A, None)}),
                (RuleSet(emails=[A]), {(A, None), (None, "1")}),
                (RuleSet(phone_numbers=["1"]), {(A, None), (None, "1")}),
                (NO_RULES, {(A, "1")}),
            ):
                await ports.change.put(rules, NOTE)
                record = await ports.reader.record([email(A), number("1")])
                assert {one.key for one in record.contacts} == keys
                assert (await ports.repository.revise([email(A), number("1")], repair)).writes == WriteSet()
                assert {one.created_at for one in record.contacts} == {next(record.contacts).created_at}

        self.check(body)

    def test_pairs_that_were_held_by_a_limit_that_is_raised_are_unsettled(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.book.put(RuleSet(phone_numbers=["9"], limits=Limits(1, 1)), NOTE)
            await ports.see((A, "1"), (A, "2"), (B, "1"), (C, "9"), (D, "9"))
            in_force = await ports.book.put(RuleSet(phone_numbers=["9"], limits=Limits(1, 2)), NOTE)
            assert await _find_unsettled(ports.book, in_force) == {(B, "1")}
            await ports.book.settle(in_force.version, in_force.last_id)
            in_force = await ports.book.put(RuleSet(limits=Limits(3, 2)), NOTE)
            assert await _find_unsettled(ports.book, in_force) == {(A, "2"), (C, "9"), (D, "9")}
            await ports.book.settle(in_force.version, in_force.last_id)
            in_force = await ports.book.put(RuleSet(emails=[A], limits=Limits(4, 2)), NOTE)
            assert (A, "2") in await _find_unsettled(ports.book, in_force), "it is blocked now"

        self.check(body)

    def test_rulings_in_force_are_unsettled(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"), (C, "3"))
            await ports.rule.pin(email(A), email(B), Verdict.DIFFERENT, NOTE)
            await ports.rule.undo((C, "3"), NOTE)
            gone = await ports.rule.pin(number("1"), number("3"), Verdict.SAME, NOTE)
            await ports.rule.unpin(gone.writes.rulings[0], NOTE)
            await ports.see((D, "4"))
            in_force = await ports.book.put(RuleSet(phone_numbers=["3"]), NOTE)
            assert await _find_unsettled(ports.book, in_force) == {(A, B), (C, "3")}

        self.check(body)

    def test_contacts_of_a_blocked_value_alone_that_belong_to_others_are_unsettled(self) -> None:
        async def body(ports: Ports) -> None:
            await seed(
                ports.repository,
                contact(1, A, "1", age=9),
                contact(2, None, "2", linked_id=1, age=8),
                contact(3, None, "3", age=7),
                contact(4, B, linked_id=1, age=6),
            )
            in_force = await ports.book.put(RuleSet(phone_numbers=["2", "3"]), NOTE)
            assert await _find_unsettled(ports.book, in_force) == {("2", "2")}
            await ports.change.settle()
            again = await ports.book.put(in_force.rules, NOTE)
            assert await _find_unsettled(ports.book, again) == {(A, "2")}, "of the ruling that keeps the link"
            [ruling] = await ports.reader.rulings()
            assert ruling.verdict is Verdict.INHERITED

        self.check(body)

    def test_what_is_unsettled_is_found_in_windows_of_ids_from_where_it_was_left(self) -> None:
        async def body(ports: Ports) -> None:
            pairs = [(f"{position}@example.org", str(1 + position % 2)) for position in range(20)]
            await ports.see(*pairs)
            in_force = await ports.book.put(RuleSet(phone_numbers=["1"]), NOTE)
            await ports.see((A, "1"))
            await ports.rule.pin(email(A), email(B), Verdict.DIFFERENT, NOTE)
            expected = pairs[::2]
            for limit in (1, 3, 1_000):
                start, found = in_force, list[tuple[str, ...]]()
                while not start.is_settled:
                    links, end = await ports.book.unsettled(start, limit, LARGE)
                    found += map(_show, links)
                    assert len(links) <= limit
                    assert start.settled_id < end <= min(start.settled_id + limit, start.last_id)
                    start = evolve(start, settled_id=end)
                assert found == expected, "in the order of ids, without what came later"
                assert await ports.book.unsettled(start, limit, LARGE) == ([], in_force.last_id)
            contacts = {one.key: one.id for one in (await ports.reader.record([email(pairs[0][0])])).contacts}
            await ports.book.settle(in_force.version, contacts[pairs[8]])
            assert await _find_unsettled(ports.book, await ports.book.rules()) == {*expected[5:]}

        self.check(body)

    # What other rules would do

    def test_proposed_rules_are_what_put_would_put_in_force_and_change_nothing(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"))
            first = await ports.book.put(RuleSet(limits=Limits(1, 1)), NOTE)
            await ports.book.settle(first.version, first.last_id)
            before = await ports.book.rules()
            for rules in (RuleSet(phone_numbers=["1"], limits=Limits(2, 1)), NO_RULES):
                proposed = await ports.book.propose(rules)
                assert await ports.book.rules() == before
                assert (proposed.rules, proposed.version, proposed.note) == (rules, 2, None)
                assert (proposed.settled_id, proposed.is_settled) == (0, False)
                unsettled = await _find_unsettled(ports.book, proposed)
                assert unsettled == ({(A, "1"), (B, "1")} if rules.blocks_any else set())
            put = await ports.book.put(NO_RULES, NOTE)
            assert (
                proposed.released
                == put.released
                == {*Hold} - {*(Hold.VALUES_PER_IDENTITY, Hold.VALUES_ON_SMALLER_SIDE, Hold.UNCHECKED)}
            )

        self.check(body)

    def test_a_record_by_other_rules_is_what_it_would_be_if_they_were_in_force(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"), (C, "3"))
            await ports.change.put(RuleSet(phone_numbers=["9"], limits=Limits(2, 2)), NOTE)
            await ports.see((D, "1"), (D, "9"), (A, "9"), (A, "3"), (B, "3"))
            await ports.rule.pin(email(D), number("9"), Verdict.SAME, NOTE)
            values = [email(A), email(D), number("1"), number("9")]
            for rules in (RuleSet(phone_numbers=["1"]), RuleSet(emails=[A, D], limits=Limits(1)), NO_RULES):
                before = await ports.book.rules(), await ports.reader.record(values)
                asked = [[value] for value in values]
                by_rules = [await ports.book.record_by(rules, ends) for ends in (values, *asked)]
                assert (await ports.book.rules(), await ports.reader.record(values)) == before
                await ports.book.put(rules, NOTE)
                assert by_rules == [await ports.reader.record(ends) for ends in (values, *asked)]

        self.check(body)

    def test_identities_are_counted(self) -> None:
        async def body(ports: Ports) -> None:
            assert await ports.book.count_identities() == 0
            await ports.see((A, "1"), (B, "1"), (C, "3"), (D, None))
            assert await ports.book.count_identities() == 3
            await ports.rule.undo((B, "1"), NOTE)
            assert await ports.book.count_identities() == 4
            await ports.see((C, "1"), (D, "3"))
            assert await ports.book.count_identities() == 2

        self.check(body)

    def test_unsettled_links_tell_the_primaries_of_their_values(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"), (C, "3"))
            await ports.change.put(RuleSet(phone_numbers=["9"], limits=Limits(1, 2)), NOTE)
            await ports.see((C, "1"), (D, "9"))
            [of_d] = (await ports.repository.load([ContactDetails(D)])).identities
            in_force = await ports.book.put(RuleSet(phone_numbers=["3"]), NOTE)
            links, _ = await ports.book.unsettled(in_force, 1_000, LARGE)
            assert {_show(link): link.primary_ids for link in links} == {
                (C, "3"): (3, 3),
                (C, "1"): (3, 1),
                (D, "9"): (of_d[0].id, None),
            }

        self.check(body)

    def test_unsettled_links_tell_which_identities_are_large(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"), (C, "1"), (D, "3"), (D, "4"))
            in_force = await ports.book.put(RuleSet(phone_numbers=["1", "3"]), NOTE)
            for large, expected in {2: {1, 4}, 3: {1}, 4: set()}.items():
                links, _ = await ports.book.unsettled(in_force, 1_000, large)
                assert {id for link in links for id in link.large_ids} == expected
                assert all(link.large_ids <= {*link.primary_ids} for link in links)

        self.check(body)

    # Parts of large identities

    def test_parts_have_all_that_belongs_to_some_values_and_the_primary(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"), (B, "2"), (None, "3"), (C, "3"), (C, "2"), (D, "1"))
            await ports.rule.undo((C, "3"), NOTE)
            await ports.book.put(RuleSet(phone_numbers=["1"]), NOTE)
            one = Identifier(IdentifierKind.EMAIL, B)
            parts = await _read_parts(ports, 1, [one])
            assert parts.primary is not None
            assert parts.primary.key == (A, "1")
            assert {(B, "1"), (B, "2"), (C, None)} <= {contact.key for contact in parts.contacts}
            assert parts.primary not in parts.contacts
            assert {(C, "2"), (C, "3")} <= {piece.pair for piece in parts.evidence}
            assert Verdict.UNDONE in {ruling.verdict for ruling in parts.rulings}
            assert one in parts.asked
            assert parts.rules == RuleSet(phone_numbers=["1"])
            assert parts.unread.isdisjoint(value for c in parts.contacts for value in c.identifiers)

        self.check(body)

    def test_parts_have_what_links_join_to_them(self) -> None:
        async def body(ports: Ports) -> None:
            await seed(
                ports.repository,
                contact(1, A, "1", age=9),
                contact(2, B, "2", age=8),
                contact(3, C, None, linked_id=2, age=7),
                contact(4, D, None, linked_id=3, age=6),
            )
            for linked in (B, C, D):
                parts = await _read_parts(ports, 1, [Identifier(IdentifierKind.EMAIL, linked)])
                assert {contact.id for contact in parts.contacts} >= {2, 3, 4}

        self.check(body)

    def test_parts_know_which_hubs_belong_to_the_identity(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"), (C, "3"))
            hubs = [Identifier(IdentifierKind.PHONE_NUMBER, number) for number in ("1", "2", "9")]
            parts = await _read_parts(ports, 1, [Identifier(IdentifierKind.EMAIL, C)], hubs)
            assert parts.hubs == {hubs[0]}
            assert (await _read_parts(ports, 1, [])).hubs == set()

        self.check(body)

    def test_an_identity_that_is_gone_has_no_primary(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"))
            parts = await _read_parts(ports, 99, [Identifier(IdentifierKind.EMAIL, A)])
            assert parts.primary is None

        self.check(body)

    def test_parts_by_other_rules_are_what_they_would_be_if_they_were_in_force(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"), (B, "2"))
            one, shared = Identifier(IdentifierKind.EMAIL, B), RuleSet(phone_numbers=["1"])
            for rules in (shared, NO_RULES):
                parts = await ports.book.parts_by(rules, 1, [one])
                await ports.book.put(rules, NOTE)
                in_force = await _read_parts(ports, 1, [one])
                assert evolve(parts, contacts=()) == evolve(in_force, contacts=())
                assert {*parts.contacts} == {*in_force.contacts}
                assert parts.rules == rules

        self.check(body)

    def test_the_record_of_an_identity_may_leave_out_contacts(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"), (B, "1"), (C, "1"), (D, "9"))
            await ports.rule.pin(number("2"), number("8"), Verdict.DIFFERENT, NOTE)
            values = _values([ContactDetails(A, "1"), ContactDetails(B, "2")])
            rules = RuleSet(phone_numbers=["1"])
            whole = await ports.book.record_without(rules, 1, set())
            [contacts] = whole.identities
            assert {contact.key for contact in contacts} == {(A, "1"), (B, "2"), (C, "1")}
            by_values = await ports.reader.record(values)
            assert (whole.evidence, whole.rulings) == (by_values.evidence, by_values.rulings)
            assert whole.rulings
            assert whole.rules == rules
            ids = {contact.id for contact in contacts if contact.email != C}
            rest = await ports.book.record_without(rules, 1, ids)
            [[left]] = rest.identities
            assert left.key == (C, "1")
            assert (await ports.book.record_without(rules, 99, set())).identities == ()

        self.check(body)

    def test_what_is_decided_on_parts_is_persisted(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"))
            shared = RuleSet(phone_numbers=["1"])
            await ports.book.put(shared, NOTE)
            values = [Identifier(IdentifierKind.EMAIL, B)]
            done = await ports.repository.revise_parts(1, values, detach)
            assert done.writes.rewritten
            record = await ports.reader.record(_values([ContactDetails(A), ContactDetails(B)]))
            assert partition(record) == {frozenset([A, "1"]), frozenset([B])}
            assert [piece.pair for piece in record.evidence] == [(B, "1")]

        self.check(body)

    # Changing the rules

    def test_settling_that_was_interrupted_goes_on_where_it_stopped(self) -> None:
        async def body(ports: Ports) -> None:
            batch = [ContactDetails(f"{position}@example.org", "1") for position in range(12)]
            await ports.identify.many(batch)
            in_force = await ports.book.put(RuleSet(phone_numbers=["1"]), NOTE)
            links, _ = await ports.book.unsettled(in_force, 5, LARGE)
            for link in links[:-1]:
                await ports.repository.revise(link.ends[:1], apply_rules)
            async with self.other_repository(ports.repository) as other:
                assert (await ChangeRules(other, ports.book).settle()).is_settled
            record = await ports.reader.record(_values(batch))
            assert partition(record) == {frozenset(one.key[:1]) for one in batch}
            assert {(piece.standing, piece.hold) for piece in record.evidence} == {(Standing.BLOCKED, None)}
            assert await _find_unsettled(ports.book, evolve(in_force, settled_id=0)) == set()

        self.check(body)

    @of_any_subclass
    @given(DATED, rule_sets(POOL), DATED, rule_sets(POOL))
    def test_whatever_the_rules_are_the_identities_are_what_the_record_says(
        self,
        details: list[ContactDetails],
        first: RuleSet,
        late: list[ContactDetails],
        second: RuleSet,
    ) -> None:
        async def body(ports: Ports) -> None:
            values = _values([*details, *late])
            for batch, rules in ((details, first), (late, second), (details, NO_RULES)):
                await ports.identify.with_outcomes(batch)
                assert (await ports.change.put(rules, NOTE)).is_settled
                record = await ports.reader.record(values)
                _check_record(record)
                assert record.rules == rules
                assert (await ports.repository.revise(values, repair)).writes == WriteSet()
                assert (await ports.repository.revise(values, apply_rules)).writes == WriteSet()
                held = [p for p in record.evidence if p.hold and p.standing is Standing.HELD]
                assert await _read_held(ports.reader, limit=2) == held

        self.check(body)

    @of_any_subclass
    @given(DATED, rule_sets(POOL))
    def test_previews_say_the_same_whether_identities_are_read_whole_or_part_by_part(
        self, details: list[ContactDetails], rules: RuleSet
    ) -> None:
        async def body(ports: Ports) -> None:
            await ports.identify.many(details)
            previews: list[tuple[RulesPreview, list[AffectedIdentity]]] = []
            for large in (1_000_000, 2, 2):
                affected: list[AffectedIdentity] = []
                change = ChangeRules(ports.repository, ports.book, large=large)
                preview = await change.preview(rules, on_affected=affected.append)
                previews.append((preview, sorted(affected, key=lambda one: one.primary_id)))
            whole, by_parts, again = previews
            assert (evolve(by_parts[0], plan=""), by_parts[1]) == (evolve(whole[0], plan=""), whole[1])
            assert again == by_parts

        self.check(body)

    @of_any_subclass
    @given(DATED, rule_sets(POOL))
    def test_blocking_and_unblocking_changes_nothing(
        self, details: list[ContactDetails], blocking: RuleSet
    ) -> None:
        async def body(ports: Ports) -> None:
            values = _values(details)
            await ports.identify.many(details)
            before = await ports.reader.record(values)
            await ports.change.put(evolve(blocking, limits=Limits()), NOTE)
            await ports.change.put(NO_RULES, NOTE)
            after = await ports.reader.record(values)
            assert partition(after) == partition(before)
            assert _find_dates(after) == _find_dates(before)
            assert {piece.standing for piece in after.evidence} <= {Standing.COUNTS}

        self.check(body)

    # Retroactive limits

    def test_whether_limits_are_retroactive_is_kept_until_everything_is_settled(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"))
            for retroactive in (False, True):
                proposed = await ports.book.propose(RuleSet(limits=Limits(1)), retroactive=retroactive)
                assert proposed.retroactive is retroactive
            assert not (await ports.book.put(RuleSet(limits=Limits(1)), NOTE)).retroactive
            put = await ports.book.put(RuleSet(limits=Limits(1)), NOTE, retroactive=True)
            assert put.retroactive
            assert put == await ports.book.rules()
            assert (await ports.book.propose(NO_RULES)).retroactive
            carried = await ports.book.put(RuleSet(limits=Limits(2)), NOTE)
            assert carried.retroactive
            assert carried == await ports.book.rules()
            await ports.book.settle(carried.version, carried.last_id)
            assert not (await ports.book.put(RuleSet(limits=Limits(1)), NOTE)).retroactive

        self.check(body)

    def test_pairs_that_retroactive_limits_may_concern_are_unsettled(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (A, "2"), (B, "1"), (B, "2"), (C, "3"), (D, None))
            await ports.see(("e@example.org", "5"), ("f@example.org", "5"), ("e@example.org", "6"))
            joined = {(A, "1"), (A, "2"), (B, "1"), (B, "2")}
            others = {("e@example.org", "5"), ("f@example.org", "5"), ("e@example.org", "6")}
            for limits, expected in (
                (Limits(), set()),
                (Limits(phone_numbers_per_email=1), joined | others - {("f@example.org", "5")}),
                (Limits(emails_per_phone_number=1), joined | others - {("e@example.org", "6")}),
                (Limits(values_per_identity=3), joined | others),
                (Limits(values_on_smaller_side=1), joined | others),
            ):
                proposed = await ports.book.propose(RuleSet(limits=limits), retroactive=True)
                unsettled = await _find_unsettled(ports.book, proposed)
                assert expected <= unsettled <= joined | others | ({(C, "3")} if expected else set())
            await ports.book.put(RuleSet(phone_numbers=["9"], limits=Limits(2, 2)), NOTE)
            await ports.see((A, "3"), (C, "4"), (C, "9"), (B, "9"))
            rules = RuleSet(emails=[B], phone_numbers=["9"], limits=Limits(2, 2))
            unsettled = await _find_unsettled(ports.book, await ports.book.propose(rules, retroactive=True))
            assert unsettled == {(B, "1"), (B, "2"), (A, "3")}, "what is held, and what is blocked"
            await ports.rule.undo((A, "3"), NOTE)
            unsettled = await _find_unsettled(
                ports.book, await ports.book.propose(NO_RULES, retroactive=True)
            )
            assert unsettled == {(A, "3"), (B, "9"), (C, "9")}

        self.check(body)

    @of_any_subclass
    @given(ORDERED, low_limits(), low_limits())
    def test_retroactive_limits_do_what_they_would_have_done_from_the_beginning(
        self, details: list[ContactDetails], first: Limits, second: Limits
    ) -> None:
        async def run(before: Limits, *, retroactive: bool) -> object:
            async with self.empty_ports() as (repository, reader, book):
                ports = Ports(repository, reader, book)
                await ports.change.put(RuleSet(limits=before), NOTE)
                await ports.identify.with_outcomes(details)
                if retroactive:
                    await ports.change.put(RuleSet(limits=second), NOTE, retroactive=True)
                record = await reader.record(_values(details))
                _check_record(record)
                _check_limits(record, second)
                return partition(record), {piece.pair: piece.hold for piece in await reader.held(limit=1_000)}

        async def body() -> None:
            assert await run(first, retroactive=True) == await run(second, retroactive=False)

        asyncio.run(body())

    @of_any_subclass
    @given(DATED, low_limits(), low_limits())
    def test_removing_retroactive_limits_gives_back_what_was_before(
        self, details: list[ContactDetails], first: Limits, second: Limits
    ) -> None:
        async def body(ports: Ports) -> None:
            values = _values(details)
            await ports.identify.with_outcomes(details)
            before = await ports.reader.record(values)
            for limits in (first, second):
                await ports.change.put(RuleSet(limits=limits), NOTE, retroactive=True)
                record = await ports.reader.record(values)
                _check_record(record)
                _check_limits(record, limits)
                assert (await ports.repository.revise(values, apply_retroactively)).writes == WriteSet()
                assert (await ports.repository.revise(values, apply_rules)).writes == WriteSet()
                assert (await ports.repository.revise(values, repair)).writes == WriteSet()
            await ports.change.put(NO_RULES, NOTE)
            after = await ports.reader.record(values)
            assert await ports.reader.held() == []
            assert partition(after) == partition(before)
            assert _find_dates(after) == _find_dates(before)
            assert [contacts[0].id for contacts in after.identities] == [
                contacts[0].id for contacts in before.identities
            ]

        self.check(body)

    def test_links_that_another_program_made_come_back_with_the_values_that_were_blocked(self) -> None:
        async def body(ports: Ports) -> None:
            await seed(
                ports.repository,
                contact(1, None, "1", age=9),
                contact(2, A, "1", age=8),
                contact(3, B, age=7),
            )
            await seed(ports.repository, contact(4, None, "4", linked_id=3, age=6))
            values = [email(A), email(B), number("1"), number("4")]
            await ports.repository.revise(values, repair)
            before = await ports.reader.record(values)
            await ports.change.put(RuleSet(emails=[B], phone_numbers=["1"]), NOTE)
            assert len((await ports.reader.record(values)).identities) == 2 + len(before.identities)
            await ports.change.put(NO_RULES, NOTE)
            after = await ports.reader.record(values)
            assert after.identities == before.identities

        self.check(body)

    # Which values join most

    def test_the_values_in_most_pairs_that_count_are_ranked_and_then_those_of_most_merges(self) -> None:
        async def body(ports: Ports) -> None:
            assert await ports.book.most_shared(9) == []
            await ports.see((B, "2"), (B, "1"), (A, "1"), (A, "9"), (C, "3"), (D, "4"), (C, None))
            assert await ports.book.most_shared(9) == [email(A), email(B), number("1")]
            assert await ports.book.most_shared(2) == [email(A), email(B)]
            await ports.see((C, "4"), (D, "3"), (D, "5"), (D, "6"))
            ranked = [email(D), email(A), email(B), email(C), number("1"), number("3"), number("4")]
            assert await ports.book.most_shared(9) == ranked
            assert await ports.book.most_shared(1) == [email(D), email(C)]
            assert await ports.book.most_shared(2) == [email(D), email(A), email(C), number("4")]
            await ports.rule.undo((D, "4"), NOTE)
            await ports.rule.undo((C, "4"), NOTE)
            assert (await ports.book.most_shared(9))[:4] == [email(D), email(A), email(B), number("1")]

        self.check(body)

    def test_a_value_that_a_pair_made_one_with_another_is_ranked_though_it_is_in_one_pair(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, None), (None, "1"))
            assert await ports.book.most_shared(9) == []
            await ports.see((A, "1"))
            assert await ports.book.most_shared(9) == [email(A), number("1")]

        self.check(body)

    def test_values_that_are_blocked_are_not_ranked_even_before_they_are_settled(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (A, "2"), (B, "1"), (B, "2"), (C, "3"), (C, "4"))
            await ports.book.put(RuleSet(emails=[A], email_patterns=["c@*"], phone_numbers=["2"]), NOTE)
            assert await ports.book.most_shared(9) == [email(B), number("1")]
            assert await ports.book.largest(9) == [number("1"), number("3")]
            await ports.change.settle()
            await ports.see((B, "5"), (D, "4"))
            assert await ports.book.most_shared(9) == [email(B)]

        self.check(body)

    def test_pairs_that_a_limit_holds_are_not_counted(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.book.put(RuleSet(limits=Limits(emails_per_phone_number=1)), NOTE)
            await ports.see((A, "1"), (B, "1"), (C, "1"))
            assert await ports.book.most_shared(9) == []
            assert [one.partners for one in await ports.book.weigh([email(B), number("1")])] == [0, 1]

        self.check(body)

    def test_the_largest_identities_are_ranked_by_contacts_and_then_by_primary(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((None, "7"), (A, "1"), (B, "2"), (B, "3"), (A, "4"), (C, None), (D, "5"))
            await ports.see((D, "6"), (D, "8"))
            assert await ports.book.largest(9) == [email(D), email(A), email(B)]
            assert await ports.book.largest(2) == [email(D), email(A)]

        self.check(body)

    def test_of_values_it_is_known_how_much_they_join(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((B, "2"), (A, "1"), (None, "3"), (A, "2"), (A, "2"), (C, None))
            await ports.see((B, "1"), (A, "3"), (A, "4"))
            values = [number("2"), email(D), email(C), email(A), number("4"), email(A)]
            weighed = await ports.book.weigh(values)
            primary_id = (await ports.reader.record([email(B)])).identities[0][0].id
            lone_id = (await ports.reader.record([email(C)])).identities[0][0].id
            assert weighed == [
                SharedValue(email(A), 4, 2, primary_id, 4),
                SharedValue(email(C), 0, 0, lone_id, 1),
                SharedValue(number("2"), 2, 1, primary_id, 4),
                SharedValue(number("4"), 1, 0, primary_id, 4),
            ]
            assert await ports.book.weigh([]) == []

        self.check(body)

    @of_any_subclass
    @given(DATED, rule_sets(POOL), st.integers(0, 11))
    def test_blocking_a_suggested_value_does_what_was_foretold(
        self, details: list[ContactDetails], rules: RuleSet, choice: int
    ) -> None:
        async def body(ports: Ports) -> None:
            await ports.change.put(rules, NOTE)
            await ports.identify.with_outcomes(details)
            suggestions = await SuggestRules(ports.book)(limit=12)
            for suggestion in suggestions[choice : choice + 1]:
                value = suggestion.value
                assert not rules.blocks(value.identifier)
                before = await ports.reader.record([value.identifier])
                [contacts] = [one for one in before.identities if one[0].id == value.primary_id]
                assert len(contacts) == value.contacts
                await ports.change.put(rules.block(value.identifier), NOTE)
                found = [await ports.reader.find(one.id) for one in contacts]
                parts = Counter(one[0].id for one in found if one)
                assert suggestion.parts == tuple(sorted(parts.values(), reverse=True))

        self.check(body)

    # Many at once

    def test_many_clients_at_once_never_exceed_a_limit(self) -> None:
        async def body(limits: Limits, keys: list[tuple[str, str]], ports: Ports) -> None:
            await ports.book.put(RuleSet(limits=limits), NOTE)
            await ports.see(keys[0])
            async with self.other_repository(ports.repository) as other:
                repositories = (ports.repository, other)
                for _ in range(2):
                    clients = (
                        IdentifyContacts(repositories[position % 2])(ContactDetails(*key))
                        for position, key in enumerate(keys)
                    )
                    await asyncio.gather(*clients)
            record = await ports.reader.record(_values(ContactDetails(*key) for key in keys))
            _check_record(record)
            _check_limits(record, limits)
            assert all(map(record.holds, keys))
            held = await ports.reader.held(limit=1_000)
            assert len(held) == CLIENTS - 3 or limits.values_per_identity

        emails = [f"{position}@example.org" for position in range(CLIENTS)]
        numbers = [str(position) for position in range(CLIENTS)]
        chain = [(emails[position // 2], numbers[(position + 1) // 2]) for position in range(CLIENTS)]
        self.check(partial(body, Limits(phone_numbers_per_email=3), [(A, number) for number in numbers]))
        self.check(partial(body, Limits(emails_per_phone_number=3), [(email, "1") for email in emails]))
        self.check(partial(body, Limits(values_per_identity=3), chain))

    @of_any_subclass
    @given(batches(POOL, max_size=16), st.integers(1, 3), st.integers(1, 3))
    def test_details_that_come_at_once_keep_to_limits(
        self, details: list[ContactDetails], numbers: int, emails: int
    ) -> None:
        async def body(ports: Ports) -> None:
            limits = Limits(numbers, emails, 1 + numbers + emails)
            await ports.book.put(RuleSet(limits=limits), NOTE)
            await asyncio.gather(*map(ports.identify, details))
            record = await ports.reader.record(_values(details))
            _check_record(record)
            _check_limits(record, limits)
            assert violations(await ports.repository.load(details), details) == []

        self.check(body)

    def test_rules_and_the_details_that_they_are_about_may_come_at_once(self) -> None:
        async def body(ports: Ports) -> None:
            async with self.other_repository(ports.repository) as other:
                for attempt in range(4):
                    details = [ContactDetails(f"{n}@example.org", f"{attempt}{n % 3}") for n in range(12)]
                    rules = RuleSet(phone_numbers=[f"{attempt}0", "00"], limits=Limits(3, 2))
                    calls: list[Awaitable[object]] = [
                        *(
                            IdentifyContacts((ports.repository, other)[n % 2])(one)
                            for n, one in enumerate(details)
                        )
                    ]
                    await asyncio.gather(*calls[:6], ports.change.put(rules, NOTE), *calls[6:])
                    assert (await ports.book.rules()).is_settled
                    record = await ports.reader.record(_values(details))
                    _check_record(record)
                    assert violations(await ports.repository.load(details), details) == []
                    assert (
                        await _find_unsettled(ports.book, evolve(await ports.book.rules(), settled_id=0))
                        == set()
                    )

        self.check(body)

    def test_of_rules_that_are_put_at_once_the_last_are_in_force_and_everything_is_in_line_with_them(
        self,
    ) -> None:
        async def body(ports: Ports) -> None:
            details = [ContactDetails(f"{n % 7}@example.org", str(n)) for n in range(21)]
            await ports.identify.many(details)
            async with self.other_repository(ports.repository) as other:
                changes = [ChangeRules(one, ports.book) for one in (ports.repository, other)]
                rules = [RuleSet(emails=[f"{n}@example.org"], phone_numbers=[str(n)]) for n in range(6)]
                await asyncio.gather(*(changes[n % 2].put(one, NOTE) for n, one in enumerate(rules)))
            in_force = await changes[0].settle()
            assert in_force.version == len(rules)
            record = await ports.reader.record(_values(details))
            assert record.rules == in_force.rules
            _check_record(record)

        self.check(body)


async def _check_rules(repository: ContactRepository, rules: RuleSet, *, after: bool) -> None:
    """Check that a repository reads and decides by rules; after a decision it reads, and the other way."""
    batch = [ContactDetails(None, "1"), ContactDetails(B)]
    seen: list[Snapshot] = []

    def decide(snapshot: Snapshot, *_: object) -> Decision:
        seen.append(snapshot)
        return Decision(WriteSet(), ())

    if after:
        await repository.transact(batch, decide)
        seen.append(await repository.load(batch))
    else:
        seen.append(await repository.load(batch))
        await repository.transact(batch, decide)
    for snapshot in seen:
        assert snapshot.rules == rules
        assert [[one.key for one in contacts] for contacts in snapshot.identities] == [[(B, "2")]]
    [record] = [await repository.revise([email(B)], _Looking)]
    assert record.record.rules == rules


class _Looking:
    """A revision that writes nothing and keeps the record."""

    writes = WriteSet()

    def __init__(self, record: Record, *_: object) -> None:
        self.record = record


class _LookingAtParts:
    """The same for parts of an identity."""

    writes = WriteSet()

    def __init__(self, parts: Parts, *_: object) -> None:
        self.parts = parts


async def _read_parts(
    ports: Ports, primary_id: int, identifiers: Sequence[Identifier], hubs: Sequence[Identifier] = ()
) -> Parts:
    """What a decision on parts gets."""
    looking = await ports.repository.revise_parts(primary_id, identifiers, _LookingAtParts, hubs)
    return looking.parts


async def _find_unsettled(book: RuleBook, in_force: RulesInForce) -> set[tuple[str, ...]]:
    """The values of all links that are not settled."""
    links, end = await book.unsettled(in_force, 1_000_000, LARGE)
    assert end == in_force.last_id
    return {_show(link) for link in links}


def _show(link: UnsettledLink) -> tuple[str, ...]:
    return tuple(value for _, value in link.ends)


async def _read_held(reader: IdentityReader, limit: int) -> list[Evidence]:
    """All that limits hold, page by page."""
    held: list[Evidence] = []
    while page := await reader.held(after=held[-1].id if held else 0, limit=limit):
        assert len(page) <= limit
        assert not held or page[0].id > held[-1].id
        held += page
    return held


def _values(details: Iterable[ContactDetails]) -> set[Identifier]:
    return {value for one in details for value in one.identifiers}


def _check_record(record: Record) -> None:
    """Check that a record is in line with its rules."""
    assert partition(record) == resolved(record)
    assert not any(record.rules.block_any(one.identifiers) for one in record.contacts if None not in one.key)
    for piece in record.evidence:
        assert record.rules.blocks_pair(piece.pair) == (piece.standing is Standing.BLOCKED)


def _check_limits(record: Record, limits: Limits) -> None:
    """Check that no pair that counts exceeds a limit, of a record without pins."""
    pairs = {(one.email, one.phone_number) for one in record.contacts if None not in one.key}
    pairs |= {piece.pair for piece in record.evidence if piece.standing is Standing.COUNTS}
    for side, limit in enumerate((limits.phone_numbers_per_email, limits.emails_per_phone_number)):
        ends = [pair[side] for pair in pairs]
        assert limit is None or all(ends.count(end) <= limit for end in ends)
    if limits.values_per_identity is not None:
        assert all(len(part) <= limits.values_per_identity for part in partition(record))


def _find_dates(record: Record) -> dict[frozenset[Identifier], object]:
    """The date of each identity, by its values."""
    return {
        frozenset(value for one in contacts for value in one.identifiers): contacts[0].created_at
        for contacts in record.identities
    }
