"""A state machine that rules on what a repository holds, and compares it with the model after every step."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Set
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from datetime import datetime
from functools import partial
from random import Random
from typing import TypeVar

import pytest
from attrs import evolve, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from identity_core import (
    NOBODY,
    AuditTrail,
    ChangeFeed,
    ChangeRules,
    Contact,
    ContactDetails,
    ContactRepository,
    Contradiction,
    Dossier,
    Erased,
    EraseIdentities,
    EventKind,
    Hold,
    Identified,
    IdentifierKind,
    IdentifyContacts,
    IdentityReader,
    Limits,
    Note,
    NotRecorded,
    Outcome,
    QueryIdentities,
    Record,
    RuleBook,
    Ruled,
    RuleOnIdentities,
    RuleSet,
    Ruling,
    Standing,
    SuggestRules,
    Verdict,
    WriteSet,
    import_contacts,
    repair,
)
from identity_core.model.identifiers import Identifier, to_identifiers
from identity_core.model.rule_set import NO_LIMITS, NO_RULES
from identity_core.model.rules_preview import RulesPreview
from identity_core.rules.resolve import find_inherited_links, join_first, order_pairs
from identity_core.testing.invariants import violations
from identity_core.testing.model import components, partition, resolved
from identity_core.testing.strategies import (
    batches,
    contact_details,
    identifiers,
    low_limits,
    moments,
    rule_sets,
)

T = TypeVar("T")

Ports = tuple[ContactRepository, IdentityReader, ChangeFeed, RuleBook, AuditTrail]
Key = tuple[str | None, str | None]

NOTE = Note("the machine", "to see what happens")
LARGE = 2
"""From how many contacts on an identity comes apart part by part."""

POOL = 4
"""Of so few values most are joined before long."""

DATED = batches(POOL, moments() | st.none(), max_size=6)
CHOICES = st.integers(0, 255)
"""Which of several. What there is may depend on which of two clients was first, so it is not drawn from."""

PINS = st.sampled_from([Verdict.SAME, Verdict.DIFFERENT])


class RulingMachine(RuleBasedStateMachine):
    """Identifies customers and rules on them in every way there is, on a repository that starts empty.

    Subclass it, define `empty_ports`, and hand ``TestCase`` of the subclass to pytest. Each ruling comes
    as a dry run first, and then has to do exactly what that foretold.
    """

    def empty_ports(self) -> AbstractAsyncContextManager[Ports]:
        """A repository without any contact, its reader, feed, rules and audit trail, for one run."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        ports = self.run(self.stack.enter_async_context(self.empty_ports()))
        self.repository, self.reader, self.feed, self.book, trail = ports
        self.change = ChangeRules(self.repository, self.book, large=LARGE)
        self.rule_set = NO_RULES
        self.identify = IdentifyContacts(self.repository)
        self.queries = QueryIdentities(self.reader)
        self.rulings = RuleOnIdentities(self.repository, self.reader)
        self.erase = EraseIdentities(self.repository, self.reader, trail)
        self.erased: set[int] = set()
        self.acknowledged: list[ContactDetails] = []
        self.pinned: list[ContactDetails] = []
        self.past: list[_Past] = []
        self.follower = Follower(self.feed)

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()

    # What there is

    def values(self) -> set[Identifier]:
        """Every value that came or that somebody pinned."""
        return {value for one in (*self.acknowledged, *self.pinned) for value in one.identifiers}

    def record(self) -> Record:
        """All that is on record."""
        return self.run(self.reader.record(self.values()))

    def in_force(self) -> list[Ruling]:
        """All rulings in force."""
        return self.run(self.rulings.rulings(limit=1_000))

    def acknowledge(self, batch: Iterable[ContactDetails]) -> None:
        """Remember the details that identify somebody by the rules in force."""
        rules = self.rule_set
        self.acknowledged += (one for one in batch if len(rules.find_blocked(one)) < len(one.identifiers))

    def unconstrained(self) -> set[frozenset[str]]:
        """The identities, if every pair counted and nobody pinned anything apart."""
        pins = [ruling.values for ruling in self.in_force() if ruling.verdict is Verdict.SAME]
        parts = components([*self.acknowledged, *self.pinned])
        for pin in pins:
            matched = {part for part in parts if any(value in part for _, value in pin)}
            parts = (parts - matched) | {frozenset[str]().union(*matched)}
        return parts

    # Identify

    @rule(details=contact_details(POOL, moments() | st.none()))
    def identify_one(self, details: ContactDetails) -> None:
        foretold = self.run(self.queries.preview(details))
        expected = self.expect_hold(details)
        [identified] = self.run(self.identify.with_outcomes([details]))
        self.acknowledge([details])
        identity = identified.identity
        assert (foretold.outcome, foretold.ignored) == (identified.outcome, identified.ignored)
        if expected is not None:
            assert identified.outcome is Outcome.HELD
            assert (details.pair, expected) in {(piece.pair, piece.hold) for piece in self.record().evidence}
        assert {*foretold.identity.emails} == {*identity.emails}
        assert {*foretold.identity.phone_numbers} == {*identity.phone_numbers}
        assert foretold.identity.primary_contact_id in (0, identity.primary_contact_id)
        self.check_answers([details], [identified])

    @rule(batch=DATED)
    def identify_batch(self, batch: list[ContactDetails]) -> None:
        self.acknowledge(batch)
        self.check_answers(batch, self.run(self.identify.with_outcomes(batch)))

    @rule(batch=DATED)
    def identify_concurrently(self, batch: list[ContactDetails]) -> None:
        async def identify_all() -> None:
            await asyncio.gather(*(self.identify.with_outcomes([details]) for details in batch))

        self.run(identify_all())
        self.acknowledge(batch)

    @rule(batch=DATED, batch_size=st.integers(1, 6))
    def import_batch(self, batch: list[ContactDetails], batch_size: int) -> None:
        async def details() -> AsyncIterator[ContactDetails]:
            for one in batch:
                yield one

        report = self.run(import_contacts(self.repository, details(), batch_size=batch_size))
        assert report.read == len(batch)
        self.acknowledge(batch)
        assert report.blocked == sum(
            len(self.rule_set.find_blocked(details)) == len(details.identifiers) for details in batch
        )

    @precondition(lambda self: self.acknowledged)
    @rule()
    def repeat_everything(self) -> None:
        before = self.record()
        self.repeat()
        once = self.record()
        assert partition(once) == partition(before)
        # A time leaves no mark where it is not the earliest of its identity, but may be that of a part.
        if not self.past or all(details.seen_at is None for details in self.acknowledged):
            assert once == before
        answers = self.repeat()
        assert self.record() == once
        self.check_answers(self.acknowledged, answers)
        assert {answer.outcome for answer in answers} <= {Outcome.HELD, Outcome.KNOWN, Outcome.BLOCKED}

    def repeat(self) -> list[Identified]:
        return self.run(self.identify.with_outcomes(self.acknowledged))

    def check_answers(self, batch: list[ContactDetails], answers: list[Identified]) -> None:
        """Check that details are answered by the identity of their values, or of the email alone.

        It is that identity at some moment after the call; of one of the details, after it was decided.
        """
        parts = partition(self.record())
        for details, identified in zip(batch, answers, strict=True):
            values = frozenset([*identified.identity.emails, *identified.identity.phone_numbers])
            blocked = self.rule_set.find_blocked(details)
            if len(blocked) == len(details.identifiers):
                assert identified == Identified(NOBODY, Outcome.BLOCKED)
                continue
            assert values in parts or len(batch) > 1
            taken = {value for kind, value in details.identifiers if kind is not identified.ignored}
            assert taken <= values
            if blocked:
                assert (identified.ignored,) == blocked
                assert identified.outcome is not Outcome.HELD
            elif identified.outcome is Outcome.HELD:
                assert details.pair is not None
                assert identified.ignored is IdentifierKind.PHONE_NUMBER
            else:
                assert identified.ignored is None

    # Rule

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        pair = data.draw(self.pairs(), "pair")
        if (ruled := self.carry_out(partial(self.rulings.undo, pair, NOTE))) is not None:
            one, other = to_identifiers(*pair)
            assert bool(ruled.chain) == self.are_joined(one, other)

    @precondition(lambda self: self.acknowledged)
    @rule(one=identifiers(POOL), other=identifiers(POOL))
    def split(self, one: Identifier, other: Identifier) -> None:
        were_joined = one != other and self.are_joined(one, other)
        ruled = self.carry_out(partial(self.rulings.split, one, other, NOTE))
        assert ruled is None or (were_joined and ruled.undone and not self.are_joined(one, other))

    @rule(one=identifiers(POOL), other=identifiers(POOL), verdict=PINS)
    def pin(self, one: Identifier, other: Identifier, verdict: Verdict) -> None:
        if one == other:
            return
        were_joined = self.are_joined(one, other)
        is_blocked = self.rule_set.block_any([one, other])
        ruled = self.carry_out(partial(self.rulings.pin, one, other, verdict, NOTE))
        if ruled is not None:
            self.pinned += [ContactDetails.of(one), ContactDetails.of(other)]
            assert self.are_joined(one, other) == (verdict is Verdict.SAME and not is_blocked)
        # A pin *same* contradicts another pin even while one of its values is blocked.
        assert ruled is not None or verdict is Verdict.SAME or were_joined or is_blocked

    @rule(choice=CHOICES, is_pin=st.booleans())
    def take_back(self, choice: int, is_pin: bool) -> None:
        """Restore what a ruling undid, or remove a pin."""
        if in_force := self.in_force():
            way = self.rulings.unpin if is_pin else self.rulings.restore
            self.carry_out(partial(way, in_force[choice % len(in_force)], NOTE))

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def undo_and_restore(self, data: st.DataObject) -> None:
        pair = data.draw(self.pairs(), "pair")
        before, kept = self.record(), {ruling.id for ruling in self.in_force()}
        ruled = self.carry_out(partial(self.rulings.undo, pair, NOTE))
        added = [ruling for ruling in self.in_force() if ruling.id not in kept]
        # One that is held cannot be restored, because the pin would hold it again.
        was_held = any(p.pair == pair and p.standing is not Standing.COUNTS for p in before.evidence)
        if ruled is None or not added or was_held:
            return
        self.matches_the_model()
        [ruling] = added
        assert self.carry_out(partial(self.rulings.restore, ruling, NOTE)) is not None
        after = self.record()
        assert to_dated(after) == to_dated(before)
        assert after.rulings == before.rulings
        # Contacts that repeated others, or that were made for numbers which were released, may be gone.
        is_exact = (after.identities, after.evidence) == (before.identities, before.evidence)
        assert is_exact or ruled.writes.deleted

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data(), batch=DATED, order=CHOICES)
    def rule_concurrently(self, data: st.DataObject, batch: list[ContactDetails], order: int) -> None:
        pair = data.draw(self.pairs(), "pair")
        one, other = data.draw(identifiers(POOL), "one"), data.draw(identifiers(POOL), "other")
        ways: list[Callable[[], Awaitable[object]]] = [partial(self.rulings.undo, pair, NOTE)]
        if one != other:
            ways.append(partial(self.rulings.pin, one, other, Verdict.DIFFERENT, NOTE))
            ways.append(partial(self.rulings.split, one, other, NOTE))
        ways += [partial(self.rulings.restore, ruling, NOTE) for ruling in self.in_force()[:1]]
        ways += [partial(self.identify.with_outcomes, [details]) for details in batch]

        async def attempt(way: Callable[[], Awaitable[object]]) -> None:
            with suppress(Contradiction, NotRecorded):
                await way()

        async def attempt_all() -> None:
            await asyncio.gather(*map(attempt, Random(order).sample(ways, len(ways))))

        self.remember()
        self.run(attempt_all())
        self.acknowledge(batch)
        for ruling in self.in_force():
            self.pinned += map(ContactDetails.of, ruling.values - self.values())

    # Erase

    @rule(value=identifiers(POOL))
    def erase_by_value(self, value: Identifier) -> None:
        self.erase_whole(value)

    @precondition(lambda self: self.follower.primaries)
    @rule(choice=CHOICES)
    def erase_by_contact(self, choice: int) -> None:
        ids = sorted(self.follower.primaries)
        self.erase_whole(ids[choice % len(ids)])

    def erase_whole(self, target: Identifier | int) -> None:
        """Erase somebody; what is left is as if of their details only the values of others had come."""
        self.remember()
        before = self.record()
        try:
            foretold = self.run(self.erase.preview(target))
        except NotRecorded:
            assert target not in self.values()
            return
        assert self.record() == before, "nothing is written"
        gone = {*foretold.values}
        if isinstance(target, Identifier):
            assert target in gone
        parts = [part for part in partition(before) if not part.isdisjoint({value for _, value in gone})]
        assert len(parts) <= 1
        entry = self.run(self.erase(target, "the machine", plan=foretold.plan))
        ids = {contact.id for contact in foretold.contacts} | {one.contact.id for one in foretold.deleted}
        assert {*entry.contact_ids} == ids
        assert {*entry.evidence_ids} >= {piece.id for piece in foretold.evidence}
        self.erased |= ids
        known = {value for contact in before.contacts for value in contact.identifiers}
        known.update(
            value
            for piece in before.evidence
            if gone.isdisjoint(piece.identifiers)
            for value in piece.identifiers
        )
        self.forget(gone, known - gone)
        self.check_erased(gone)

    def forget(self, gone: Set[Identifier], known: Set[Identifier]) -> None:
        """Remember of all that came what is still known; a blocked value may have been in pairs alone."""
        self.rule_set = self.rule_set.unblock(gone)
        self.acknowledged = [*leave(self.acknowledged, known)]
        self.pinned = [*leave(self.pinned, known)]
        for one in self.past:
            for id in self.erased.intersection(one.keys):
                del one.keys[id]

    def check_erased(self, gone: Set[Identifier]) -> None:
        """Check that nothing is left of somebody."""
        for value in gone:
            dossier = self.run(self.reader.dossier([value]))
            rules = dossier.rules[-1:]
            assert dossier == Dossier(
                Record(asked=frozenset([value]), rules=self.rule_set), rules=dossier.rules
            )
            assert all(one.rules.unblock([value]) == one.rules for one in dossier.rules)
            assert [one.rules for one in rules] in ([], [self.rule_set])
            assert self.run(self.queries.look_up(ContactDetails.of(value))) == ()

    @invariant()
    def knows_who_was_erased(self) -> None:
        for id in self.erased:
            for find in (self.reader.find, self.reader.lineage):
                with pytest.raises(Erased):
                    self.run(find(id))

    # Change the rules

    @rule(rules=rule_sets(POOL), retroactive=st.booleans())
    def change_rules(self, rules: RuleSet, retroactive: bool) -> None:
        self.remember()
        before = self.record()
        foretold = self.run(self.change.preview(rules, retroactive=retroactive))
        assert self.record() == before, "nothing is written"
        put = self.change.put(rules, NOTE, plan=foretold.plan, retroactive=retroactive)
        assert self.run(put).is_settled
        self.rule_set = rules
        after = self.record()
        check_preview(foretold, before, after)
        if retroactive:
            check_limits(after)
            again = self.run(self.change.preview(rules, retroactive=True))
            assert (again.split, again.merged, again.held, again.released) == (0, 0, 0, 0)
            self.run(self.change.put(rules, NOTE, retroactive=True))
            assert self.record() == after, "twice is once"

    @precondition(lambda self: self.acknowledged)
    @rule(limits=low_limits())
    def limit_and_raise(self, limits: Limits) -> None:
        """Limits that are applied retroactively and removed leave the identities that there were."""
        self.run(self.change.put(evolve(self.rule_set, limits=NO_LIMITS), NOTE, retroactive=True))
        self.remember()
        before, self.rule_set = self.record(), evolve(self.rule_set, limits=limits)
        self.run(self.change.put(self.rule_set, NOTE, retroactive=True))
        self.matches_the_model()
        check_limits(self.record())
        self.rule_set = evolve(self.rule_set, limits=NO_LIMITS)
        self.run(self.change.put(self.rule_set, NOTE))
        after = self.record()
        assert to_dated(after) == to_dated(before)
        assert after.rulings == before.rulings

    @precondition(lambda self: self.acknowledged)
    @rule(rules=rule_sets(POOL))
    def block_and_unblock(self, rules: RuleSet) -> None:
        self.remember()
        before, here = self.record(), self.rule_set
        self.rule_set = evolve(
            here, emails=here.emails | rules.emails, phone_numbers=here.phone_numbers | rules.phone_numbers
        )
        self.run(self.change.put(self.rule_set, NOTE))
        self.matches_the_model()
        self.rule_set = here
        self.run(self.change.put(here, NOTE))
        after = self.record()
        assert to_dated(after) == to_dated(before)
        assert after.rulings == before.rulings
        pairs = [{piece.pair: (piece.standing, piece.hold) for piece in r.evidence} for r in (before, after)]
        assert pairs[0].items() <= pairs[1].items()

    @rule(choice=CHOICES)
    def block_what_is_suggested(self, choice: int) -> None:
        suggestions = self.run(SuggestRules(self.book)(limit=2 * POOL))
        if not suggestions:
            return
        suggestion = suggestions[choice % len(suggestions)]
        self.remember()
        before, rules = self.record(), self.rule_set.block(suggestion.value.identifier)
        assert rules != self.rule_set
        self.run(self.change.put(rules, NOTE))
        self.rule_set = rules
        [parts] = [
            own
            for contacts, own in zip(before.identities, find_parts(before, self.record()), strict=True)
            if contacts[0].id == suggestion.value.primary_id
        ]
        assert suggestion.value.contacts == parts.total()
        assert suggestion.parts == tuple(sorted(parts.values(), reverse=True))

    @rule(choice=CHOICES, is_right=st.booleans())
    def review(self, choice: int, is_right: bool) -> None:
        """Accept or reject a pair that a limit holds."""
        held = self.run(self.reader.held())
        if not held:
            return
        one, other = held[choice % len(held)].identifiers
        accepted = None
        if is_right:
            accepted = self.carry_out(partial(self.rulings.pin, one, other, Verdict.SAME, NOTE))
            assert accepted is None or self.are_joined(one, other)
        else:
            self.carry_out(partial(self.rulings.undo, (one.value, other.value), NOTE))
        assert (one, other) not in {
            piece.identifiers for piece in self.run(self.reader.held())
        } or accepted is None

    @rule()
    def accept_all(self) -> None:
        """Without limits, or with all that they hold accepted, the identities are the same."""
        for piece in self.run(self.reader.held(limit=1_000)):
            with suppress(Contradiction):
                self.run(self.rulings.pin(*piece.identifiers, Verdict.SAME, NOTE))
        joining = all(ruling.verdict is Verdict.SAME for ruling in self.in_force())
        if joining and not self.rule_set.blocks_any:
            assert partition(self.record()) == self.unconstrained()

    def expect_hold(self, details: ContactDetails) -> Hold | None:
        """The limit that would hold the pair of details, by sets alone, if no pin keeps its values apart."""
        record, pair = self.record(), details.pair
        limits, accepted = self.rule_set.limits, record.accepted_pairs
        if pair is None or record.holds(pair) or pair in accepted or self.rule_set.blocks_pair(pair):
            return None
        counting = {contact.key for contact in record.contacts if None not in contact.key}
        counting |= {piece.pair for piece in record.evidence if piece.standing is Standing.COUNTS}
        parts = partition(record)
        sides = [next((part for part in parts if value in part), {value}) for value in pair]
        if any(
            {v for _, v in pin.values} <= sides[0] | sides[1]
            for pin in record.rulings_with(Verdict.DIFFERENT)
        ):
            return None
        numbers = sum(email == pair[0] for email, _ in counting)
        emails = sum(number == pair[1] for _, number in counting)
        if limits.phone_numbers_per_email is not None and numbers >= limits.phone_numbers_per_email:
            return Hold.PHONE_NUMBERS_PER_EMAIL
        if limits.emails_per_phone_number is not None and emails >= limits.emails_per_phone_number:
            return Hold.EMAILS_PER_PHONE_NUMBER
        if sides[0] == sides[1]:
            return None
        if limits.values_per_identity is not None and len(sides[0] | sides[1]) > limits.values_per_identity:
            return Hold.VALUES_PER_IDENTITY
        if limits.values_on_smaller_side is not None and min(map(len, sides)) > limits.values_on_smaller_side:
            return Hold.VALUES_ON_SMALLER_SIDE
        return None

    @rule()
    def repair_what_is_right(self) -> None:
        done = self.run(self.repository.revise(self.values(), repair))
        assert done.writes == WriteSet()

    def pairs(self) -> st.SearchStrategy[tuple[str, str]]:
        """Pairs that came, or any."""
        came = [one.pair for one in self.acknowledged if one.pair is not None]
        email, number = ("a@example.org", "5550100")
        return st.sampled_from([*dict.fromkeys(came), (email, number)])

    def are_joined(self, one: Identifier, other: Identifier) -> bool:
        return any({one.value, other.value} <= part for part in partition(self.record()))

    def carry_out(self, ruling: Callable[..., Coroutine[object, object, Ruled]]) -> Ruled | None:
        """Rule as a dry run and then really; None if it is refused, both times alike."""
        self.remember()
        before = self.record(), self.in_force()
        try:
            foretold = self.run(ruling(dry_run=True))
        except (Contradiction, NotRecorded) as error:
            refused: Contradiction | NotRecorded | None = error
        else:
            refused = None
        assert (self.record(), self.in_force()) == before, "nothing is written"
        if refused is not None:
            with pytest.raises(type(refused)) as again:
                self.run(ruling())
            assert vars(again.value) == vars(refused)
            assert (self.record(), self.in_force()) == before, "nothing is written"
            return None
        done = self.run(ruling(plan=foretold.plan))
        check_foretold(foretold, done)
        for contacts in done.identities:
            assert self.run(self.reader.find(contacts[0].id)) == contacts
        return done

    # What was

    def remember(self) -> None:
        """Keep what each identity is now, and the time of its last event."""
        for contacts in self.record().identities:
            lineage = self.run(self.reader.lineage(contacts[0].id))
            assert lineage is not None
            assert {*contacts} <= {*lineage.contacts}
            moment = max(recorded.event.happened_at for recorded in lineage.events)
            self.past.append(_Past(moment, {contact.id: contact.key for contact in contacts}))

    @precondition(lambda self: self.past)
    @rule()
    def look_back(self) -> None:
        self.check_past(self.past)

    def check_past(self, past: Iterable["_Past"]) -> None:
        for one in past:
            for contact_id in one.keys:
                found = self.run(self.queries.as_of(contact_id, one.moment))
                assert found is not None
                assert {contact.id for contact in found} == one.keys.keys()
                # A pair that went to another contact is not known as that of the first one any more.
                assert all(
                    contact.key == one.keys[contact.id] or self.run(self.reader.pair(contact.id)) is None
                    for contact in found
                )

    # What always holds

    @invariant()
    def matches_the_model(self) -> None:
        record = self.record()
        parts = partition(record)
        assert parts == resolved(record)
        assert violations(self.run(self.repository.load(self.acknowledged)), self.acknowledged) == []
        stored = {value for contact in record.contacts for value in contact.identifiers}
        assert (
            {value for value in self.values() if not self.rule_set.blocks(value)} <= stored <= self.values()
        )
        assert not any(
            self.rule_set.block_any(contact.identifiers)
            for contact in record.contacts
            if None not in contact.key
        )
        for piece in record.evidence:
            assert self.rule_set.blocks_pair(piece.pair) == (piece.standing is Standing.BLOCKED)
        unconstrained = self.unconstrained()
        assert all(any(part <= whole for whole in unconstrained) for part in parts)
        in_force = self.in_force()
        assert in_force == list(record.rulings)
        holds = any(piece.hold is not None for piece in record.evidence)
        joining = all(ruling.verdict is Verdict.SAME for ruling in in_force)
        if joining and not holds and not self.rule_set.blocks_any:
            assert parts == unconstrained
        for pin in in_force:
            if pin.verdict is Verdict.DIFFERENT:
                assert not any({value for _, value in pin.values} <= part for part in parts)

    @invariant()
    def leads_every_id_to_its_identity(self) -> None:
        self.run(self.follower.catch_up())
        for contacts in self.record().identities:
            assert contacts[0] == min(contacts, key=lambda contact: contact.seniority)
            assert all(contact.linked_to(contacts[0]) is contact for contact in contacts)
            for contact in contacts:
                assert self.follower.primaries[contact.id] == contacts[0].id
        for id, primary_id in self.follower.primaries.items():
            found = self.run(self.reader.find(id))
            assert found
            assert found[0].id == primary_id

    @invariant()
    def knows_what_was_just_before(self) -> None:
        self.check_past(self.past[-2:])


def leave(batch: Iterable[ContactDetails], known: Set[Identifier]) -> Iterator[ContactDetails]:
    """What is left of details if only some values are known."""
    for details in batch:
        kept = [value for value in details.identifiers if value in known]
        if len(kept) == len(details.identifiers):
            yield details
        elif kept:
            yield evolve(ContactDetails.of(kept[0]), seen_at=details.seen_at)


@frozen
class _Past:
    moment: datetime
    keys: dict[int, Key]


class Follower:
    """Somebody who knows ids alone, and follows the feed: which primary each contact belongs to."""

    def __init__(self, feed: ChangeFeed) -> None:
        self.primaries: dict[int, int] = {}
        self._feed = feed
        self._cursor: str | None = None

    async def catch_up(self) -> None:
        """Apply the events since the last time."""
        events, self._cursor = await self._feed.changes(self._cursor, limit=100_000)
        for recorded in events:
            event = recorded.event
            if event.contact_id is not None:
                self.primaries[event.contact_id] = event.primary_id
            if event.kind is EventKind.ERASED:
                for id in event.moved_ids:
                    self.primaries.pop(id, None)
                continue
            absorbed = {*event.absorbed_ids}
            moved = {id for id, primary in self.primaries.items() if primary in absorbed}
            self.primaries.update(dict.fromkeys(moved.union(event.moved_ids), event.primary_id))


def to_dated(record: Record) -> set[tuple[datetime, frozenset[Identifier]]]:
    """The date of each identity with its values."""
    return {
        (contacts[0].created_at, frozenset(value for contact in contacts for value in contact.identifiers))
        for contacts in record.identities
    }


def find_parts(before: Record, after: Record) -> list[Counter[int]]:
    """How many contacts of each identity are in which identity afterwards."""
    primaries = {contact.id: contacts[0].id for contacts in after.identities for contact in contacts}
    primaries |= {id: primaries[leads_to] for id, leads_to in after.deleted}
    return [Counter(primaries[contact.id] for contact in contacts) for contacts in before.identities]


def check_preview(foretold: RulesPreview, before: Record, after: Record) -> None:
    """Check that new rules did what their preview said."""
    assert foretold.identities_before == len(before.identities)
    assert foretold.identities_after == len(after.identities)
    parts = find_parts(before, after)
    sources = Counter(part for own in parts for part in own)
    assert foretold.split == sum(len(own) > 1 for own in parts)
    assert foretold.merged == sum(any(sources[part] > 1 for part in own) for own in parts)
    standings = [{piece.pair: piece.standing for piece in record.evidence} for record in (before, after)]
    changed = [
        (standings[0].get(pair, Standing.COUNTS), standings[1].get(pair, Standing.COUNTS))
        for pair in standings[0].keys() | standings[1].keys()
    ]
    assert foretold.blocked == sum(one is not other and other is Standing.BLOCKED for one, other in changed)
    assert foretold.unblocked == changed.count((Standing.BLOCKED, Standing.COUNTS))
    assert foretold.held == sum(one is not other and other is Standing.HELD for one, other in changed)
    assert foretold.released == changed.count((Standing.HELD, Standing.COUNTS))


def check_limits(record: Record) -> None:
    """Check that of pairs that count none exceeds a limit, unless rulings or inherited links join its values.

    The pairs come one after the other, as if they were new.
    """
    limits, accepted = record.rules.limits, record.accepted_pairs
    ignored = {piece.pair for piece in record.evidence if piece.standing is not Standing.COUNTS}
    joining = join_first(record, find_inherited_links(record))
    paired: Counter[Identifier] = Counter()
    for _, pair in order_pairs(record):
        if pair in ignored:
            continue
        email, number = to_identifiers(*pair)
        ends = joining.number(email), joining.number(number)
        are_joined = joining.find(ends[0]) == joining.find(ends[1])
        sizes = map(joining.size, ends)
        hold = limits.find_hold(paired[email], paired[number], *sizes, are_joined=are_joined)
        assert hold is None or pair in accepted
        paired.update([email, number])
        assert joining.join(*ends)


def check_foretold(foretold: Ruled, done: Ruled) -> None:
    """Check that a ruling did what its dry run said; new contacts have the id 0 there."""
    new = {contact.id for contact in done.writes.created}

    def show(id: int | None) -> int | None:
        return 0 if id in new else id

    def show_contact(contact: Contact) -> tuple[object, ...]:
        return show(contact.id), contact.key, show(contact.linked_id), contact.link_precedence

    assert [list(map(show_contact, contacts)) for contacts in foretold.identities] == [
        list(map(show_contact, contacts)) for contacts in done.identities
    ]
    for name in ("plan", "primaries_before", "moved_ids", "undone", "chain"):
        assert getattr(foretold, name) == getattr(done, name), name
    for name in (
        "created",
        "altered",
        "rewritten",
        "deleted",
        "evidence",
        "rulings",
        "withdrawals",
        "events",
    ):
        assert len(getattr(foretold.writes, name)) == len(getattr(done.writes, name)), name
