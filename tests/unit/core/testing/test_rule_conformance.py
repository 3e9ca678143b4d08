"""The conformance suite of rules catches mistakes about them."""

import asyncio
from copy import copy

import pytest
from attrs import evolve

from identity_adapters.memory import InMemoryContactRepository
from identity_core import Hold, Limits, Note, RuleSet, RulesInForce, SharedValue, Standing
from identity_core.model.identifiers import to_identifiers
from identity_core.model.rule_set import NO_RULES
from identity_core.testing import RuleConformance
from tests.unit.core.testing.failing import find_failing_test

# The rules in force


class PutsRulesWithAnyVersion(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        return await super().put(rules, note, **options)


class CountsNoVersions(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        put = await super().put(rules, note, version, **options)
        self._rules = evolve(put, version=1)
        return self._rules


class ReturnsTheRulesBefore(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        before = self._rules
        await super().put(rules, note, version, **options)
        return before


class ForgetsPatterns(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        others = evolve(rules, email_patterns=(), phone_number_patterns=())
        return await super().put(others, note, version, **options)


class ForgetsLimits(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        return await super().put(evolve(rules, limits=Limits()), note, version, **options)


class ForgetsWhoPutTheRulesAndWhy(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        return await super().put(rules, Note(None, "", note.at), version, **options)


class ForgetsWhenRulesOfOtherTimesWerePut(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        return await super().put(rules, evolve(note, at=None), version, **options)


class ForgetsWhichLimitsWereRaised(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        self._rules = evolve(await super().put(rules, note, version, **options), released=frozenset())
        return self._rules


class ForgetsWhichLimitsWereRaisedBefore(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        self._rules = evolve(self._rules, released=frozenset())
        return await super().put(rules, note, version, **options)


class TakesTheLastContactForTheLastId(InMemoryContactRepository):
    def _propose(self, rules, note, **options):
        return self._rules.replace(rules, note, max([0, *self._contacts]), **options)


class SettlesRulesOfAnyVersion(InMemoryContactRepository):
    async def settle(self, version, settled_id):
        await super().settle(self._rules.version, settled_id)


class SettlesEverythingAtOnce(InMemoryContactRepository):
    async def settle(self, version, settled_id):
        await super().settle(version, self._rules.last_id)


# What comes


class KeepsRulesInItsProcess(InMemoryContactRepository):
    def share(self):
        return copy(self)


class ReadsRulesOnce(InMemoryContactRepository):
    def _snapshot(self, batch, rules):
        self.first = vars(self).get("first", rules)
        return super()._snapshot(batch, self.first)


class LoadsByTheRulesBefore(InMemoryContactRepository):
    before = NO_RULES

    async def load(self, batch):
        rules, self.before = self.before, self._rules.rules
        return evolve(await super().load(batch), rules=rules)


class DecidesByRulesThatItReadBefore(InMemoryContactRepository):
    async def transact(self, batch, decide):
        rules = self._rules.rules
        for _ in range(3):
            await asyncio.sleep(0)

        def late(snapshot, now, ids):
            return decide(evolve(snapshot, rules=rules), now, ids)

        return await super().transact(batch, late)


class DecidesWithoutRules(InMemoryContactRepository):
    async def transact(self, batch, decide):
        def without(snapshot, now, ids):
            return decide(evolve(snapshot, rules=NO_RULES), now, ids)

        return await super().transact(batch, without)


class RevisesWithoutRules(InMemoryContactRepository):
    async def revise(self, identifiers, decide):
        def without(record, now, ids):
            return decide(evolve(record, rules=NO_RULES), now, ids)

        return await super().revise(identifiers, without)


class MatchesByBlockedValues(InMemoryContactRepository):
    def _snapshot(self, batch, rules):
        return evolve(super()._snapshot(batch, NO_RULES), rules=rules)


class MatchesByValuesOfBlockedPatterns(InMemoryContactRepository):
    def _snapshot(self, batch, rules):
        exact = RuleSet(emails=rules.emails, phone_numbers=rules.phone_numbers)
        return evolve(super()._snapshot(batch, exact), rules=rules)


class MatchesNothingByDetailsWithABlockedValue(InMemoryContactRepository):
    def _snapshot(self, batch, rules):
        free = [details for details in batch if not rules.block_any(details.identifiers)]
        return evolve(super()._snapshot(batch, rules), identities=super()._snapshot(free, rules).identities)


class LoadsBlockedPairsAsNew(InMemoryContactRepository):
    def _snapshot(self, batch, rules):
        found = super()._snapshot(batch, rules)
        return evolve(found, ignored=frozenset(pair for pair in found.ignored if not rules.blocks_pair(pair)))


class LoadsHeldPairsAsNew(InMemoryContactRepository):
    def _snapshot(self, batch, rules):
        found = super()._snapshot(batch, rules)
        held = {piece.pair for piece in self._evidence.values() if piece.standing is Standing.HELD}
        return evolve(found, ignored=found.ignored - held)


class CountsNoEvidenceForLimits(InMemoryContactRepository):
    def _count_pairs(self, batch):
        return {}


class CountsPairsThatDoNotCount(InMemoryContactRepository):
    def _count_pairs(self, batch):
        kept = self._evidence
        self._evidence = {pair: evolve(one, standing=Standing.COUNTS) for pair, one in kept.items()}
        counted = super()._count_pairs(batch)
        self._evidence = kept
        return counted


class DoesNotKnowWhatWasAccepted(InMemoryContactRepository):
    async def transact(self, batch, decide):
        def without(snapshot, now, ids):
            return decide(evolve(snapshot, accepted=frozenset()), now, ids)

        return await super().transact(batch, without)


class TellsReadersWhatWasAccepted(InMemoryContactRepository):
    async def load(self, batch):
        pairs = frozenset(ruling.pair for ruling in self._rulings.values())
        return evolve(await super().load(batch), accepted=pairs)


# What is held


class Stores(InMemoryContactRepository):
    """A repository that stores evidence otherwise than it should."""

    def stored(self, piece):
        return piece

    def _write(self, writes, now):
        super()._write(evolve(writes, evidence=tuple(map(self.stored, writes.evidence))), now)


class ForgetsWhichLimitHolds(Stores):
    def stored(self, piece):
        return evolve(piece, hold=None)


class TakesEveryLimitForTheFirst(Stores):
    def stored(self, piece):
        return evolve(piece, hold=piece.hold and Hold.PHONE_NUMBERS_PER_EMAIL)


class ForgetsThatPairsWereUnchecked(Stores):
    def stored(self, piece):
        return evolve(piece, hold=None if piece.hold is Hold.UNCHECKED else piece.hold)


class StoresBlockedPairsAsHeld(Stores):
    def stored(self, piece):
        standing = Standing.HELD if piece.standing is Standing.BLOCKED else piece.standing
        return evolve(piece, standing=standing)


class Holds(InMemoryContactRepository):
    """A repository that tells otherwise than it should what limits hold."""

    def pieces(self):
        return (p for p in self._evidence.values() if p.hold and p.standing is Standing.HELD)

    async def held(self, after=0, limit=100):
        found = sorted(self.pieces(), key=lambda piece: piece.id)
        return [piece for piece in found if piece.id > after][:limit]


class TellsHeldPairsInTheOrderOfTheirValues(Holds):
    async def held(self, after=0, limit=100):
        return sorted(await super().held(after, limit), key=lambda piece: piece.pair)


class TellsHeldPairsTwice(Holds):
    async def held(self, after=0, limit=100):
        return await super().held(after - 1, limit)


class TellsAllHeldPairsAtOnce(Holds):
    async def held(self, after=0, limit=100):
        return await super().held(after, 1_000)


class TellsPairsThatPinsHold(Holds):
    def pieces(self):
        return (piece for piece in self._evidence.values() if piece.standing is Standing.HELD)


class TellsHeldPairsAfterTheyWereAcceptedOrRejected(Holds):
    def pieces(self):
        return (p for p in self._evidence.values() if p.hold and p.standing is not Standing.BLOCKED)


class TellsBlockedPairsAsHeld(Holds):
    def pieces(self):
        return (p for p in self._evidence.values() if p.hold and p.standing is not Standing.COUNTS)


class Records(InMemoryContactRepository):
    """A repository whose records are otherwise than they should be."""

    def recorded(self, record, identifiers):
        return record

    def _record(self, identifiers, rules):
        return self.recorded(super()._record(identifiers, rules), identifiers)


class FollowsHeldPairs(Records):
    def recorded(self, record, identifiers):
        values = {value for p in record.evidence if p.hold for value in p.identifiers}
        return super(Records, self)._record({*identifiers} | values, record.rules)


class RecordsNoBlockedPairs(Records):
    def recorded(self, record, identifiers):
        kept = (piece for piece in record.evidence if piece.standing is not Standing.BLOCKED)
        return evolve(record, evidence=tuple(kept))


class RecordsNoRules(Records):
    def recorded(self, record, identifiers):
        return evolve(record, rules=NO_RULES)


class RecordsAFewPairsAlone(Records):
    def recorded(self, record, identifiers):
        return evolve(record, evidence=record.evidence[:100])


# What is not settled


class Unsettled(InMemoryContactRepository):
    """A repository that finds otherwise than it should what is not settled."""

    def finds(self, link, rules):
        """Whether it finds a link."""
        return True

    def find_piece(self, link):
        """The evidence of a link; None if a contact or a ruling has it."""
        return self._evidence.get(tuple(value for _, value in link.ends))

    async def unsettled(self, in_force, limit, large):
        links, end = await super().unsettled(in_force, limit, large)
        return [link for link in links if self.finds(link, in_force.rules)], end


class MissesContacts(Unsettled):
    def finds(self, link, rules):
        is_ruling = any(one.values == {*link.ends} for one in self._rulings.values())
        return is_ruling or self.find_piece(link) is not None


class MissesEvidence(Unsettled):
    def finds(self, link, rules):
        return self.find_piece(link) is None


class MissesEvidenceThatCounts(Unsettled):
    def finds(self, link, rules):
        piece = self.find_piece(link)
        return piece is None or piece.standing is not Standing.COUNTS


class MissesContactsOfABlockedValueAlone(Unsettled):
    def finds(self, link, rules):
        return link.ends[0] != link.ends[1]


class MissesRulings(Unsettled):
    def finds(self, link, rules):
        return not any(ruling.values == {*link.ends} for ruling in self._rulings.values())


class MissesPairsThatAreBlockedNoLonger(Unsettled):
    def finds(self, link, rules):
        piece = self.find_piece(link)
        return piece is None or piece.standing is not Standing.BLOCKED or rules.block_any(link.ends)


class MissesPairsThatCameWhileTheyWereBlocked(Unsettled):
    def finds(self, link, rules):
        piece = self.find_piece(link)
        return piece is None or piece.hold is not Hold.UNCHECKED


class MissesPairsWithOneValueThatIsBlockedNoLonger(Unsettled):
    def finds(self, link, rules):
        piece = self.find_piece(link)
        return piece is None or piece.standing is not Standing.BLOCKED or not rules.block_any(link.ends)


class MissesWhatRaisedLimitsHold(Unsettled):
    def finds(self, link, rules):
        piece = self.find_piece(link)
        return piece is None or piece.standing is not Standing.HELD


class MissesBlockedEmails(Unsettled):
    def finds(self, link, rules):
        return not rules.blocks(link.ends[0]) or rules.blocks(link.ends[1])


class MissesBlockedPatterns(Unsettled):
    def finds(self, link, rules):
        exact = RuleSet(emails=rules.emails, phone_numbers=rules.phone_numbers)
        return exact.block_any(link.ends) or not rules.block_any(link.ends)


class FindsWithdrawnRulings(InMemoryContactRepository):
    def __init__(self):
        super().__init__()
        self.withdrawn = {}

    def _write(self, writes, now):
        ended = {one.ruling_id: self._rulings[one.ruling_id] for one in writes.withdrawals}
        super()._write(writes, now)
        self.withdrawn |= ended

    async def unsettled(self, in_force, limit, large):
        kept = self._rulings
        self._rulings = kept | self.withdrawn
        found = await super().unsettled(in_force, limit, large)
        self._rulings = kept
        return found


class FindsWhatAllLimitsHold(InMemoryContactRepository):
    async def unsettled(self, in_force, limit, large):
        return await super().unsettled(evolve(in_force, released=frozenset(Hold)), limit)


class FindsNothingThatRaisedLimitsHeld(InMemoryContactRepository):
    async def unsettled(self, in_force, limit, large):
        return await super().unsettled(evolve(in_force, released=frozenset()), limit)


class FindsWhatIsUnsettledFromTheBeginning(InMemoryContactRepository):
    async def unsettled(self, in_force, limit, large):
        links, _ = await super().unsettled(evolve(in_force, settled_id=0), in_force.settled_id + limit, large)
        return links, min(in_force.settled_id + limit, in_force.last_id)


class FindsEverythingUnsettledAtOnce(InMemoryContactRepository):
    async def unsettled(self, in_force, limit, large):
        return await super().unsettled(in_force, 1_000_000, large)


class SkipsTheLastId(InMemoryContactRepository):
    async def unsettled(self, in_force, limit, large):
        links, end = await super().unsettled(in_force, limit, large)
        return links[:-1], end


class FindsWhatIsUnsettledInAnyOrder(InMemoryContactRepository):
    async def unsettled(self, in_force, limit, large):
        links, end = await super().unsettled(in_force, limit, large)
        return links[::-1], end


class FindsWhatCameLater(InMemoryContactRepository):
    async def unsettled(self, in_force, limit, large):
        later = evolve(in_force, last_id=in_force.last_id + 100)
        links, end = await super().unsettled(later, limit, large)
        return links, min(end, in_force.last_id)


class TellsNoPrimaries(InMemoryContactRepository):
    def _to_unsettled(self, ends, large):
        return evolve(super()._to_unsettled(ends, large), primary_ids=(None, None))


class TellsAnyContactForThePrimary(InMemoryContactRepository):
    def _to_unsettled(self, ends, large):
        one, other = (max(self._find_ids(end), default=None) for end in ends)
        return evolve(super()._to_unsettled(ends, large), primary_ids=(one, other))


class FindsNothingLarge(InMemoryContactRepository):
    def _to_unsettled(self, ends, large):
        return super()._to_unsettled(ends, 1_000)


class FindsLargerOnesLarge(InMemoryContactRepository):
    def _to_unsettled(self, ends, large):
        return super()._to_unsettled(ends, large + 1)


class _WithOtherParts(InMemoryContactRepository):
    async def revise_parts(self, primary_id, identifiers, decide, hubs=()):
        def decide_otherwise(parts, now, ids):
            return decide(self.change_parts(parts, hubs), now, ids)

        return await super().revise_parts(primary_id, identifiers, decide_otherwise, hubs)


class ReadsPartsWithoutPrimary(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, primary=None)


class CountsThePrimaryAmongTheParts(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, contacts=(*parts.contacts, *filter(None, [parts.primary])))


class ReadsPartsWithoutEvidence(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, evidence=())


class ReadsPartsWithoutRulings(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, rulings=())


class ReadsPartsWithoutRules(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, rules=NO_RULES)


class ReadsNothingOfParts(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, unread=parts.asked)


class ReadsPartsWithoutWhatIsLinked(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, contacts=tuple(one for one in parts.contacts if one.phone_number or one.id < 3))


class TakesAnyHub(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, hubs=frozenset(hubs))


class FindsNoHub(_WithOtherParts):
    def change_parts(self, parts, hubs):
        return evolve(parts, hubs=frozenset())


class ReadsPartsByTheRulesInForce(InMemoryContactRepository):
    async def parts_by(self, rules, primary_id, identifiers):
        return await super().parts_by(self._rules.rules, primary_id, identifiers)


class LeavesOutNoContact(InMemoryContactRepository):
    async def record_without(self, rules, primary_id, ids):
        return await super().record_without(rules, primary_id, set())


class _WithAnotherRest(InMemoryContactRepository):
    async def record_without(self, rules, primary_id, ids):
        return self.change(await super().record_without(rules, primary_id, ids))


class LeavesOutEvidence(_WithAnotherRest):
    def change(self, record):
        return evolve(record, evidence=())


class LeavesOutRulings(_WithAnotherRest):
    def change(self, record):
        return evolve(record, rulings=())


class LeavesOutTheRules(_WithAnotherRest):
    def change(self, record):
        return evolve(record, rules=NO_RULES)


class ForgetsWhatPartsBecame(InMemoryContactRepository):
    async def revise_parts(self, *arguments):
        kept = self._contacts.copy(), self._evidence.copy()
        done = await super().revise_parts(*arguments)
        self._contacts, self._evidence = kept
        return done


# What other rules would do


class ForgetsThatLimitsAreRetroactive(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        return await super().put(rules, note, version)


class ForgetsThatLimitsWereRetroactive(InMemoryContactRepository):
    async def put(self, rules, note, version=None, **options):
        self._rules = evolve(self._rules, retroactive=False)
        return await super().put(rules, note, version, **options)


class ProposesNothingRetroactive(InMemoryContactRepository):
    async def propose(self, rules, **options):
        return await super().propose(rules)


class LeavesOutWhatCounts(InMemoryContactRepository):
    def _find_limited(self, rules):
        known = {piece.id for piece in self._evidence.values() if piece.hold is not None}
        return [(id, ends) for id, ends in super()._find_limited(rules) if id in known]


class LeavesOutWhatLimitsHold(InMemoryContactRepository):
    def _find_limited(self, rules):
        known = {piece.id for piece in self._evidence.values() if piece.hold is not None}
        return [(id, ends) for id, ends in super()._find_limited(rules) if id not in known]


class LeavesOutLargeIdentities(InMemoryContactRepository):
    def _count_values(self, identifier):
        return 0


class PutsWhatIsProposed(InMemoryContactRepository):
    async def propose(self, rules, **options):
        return await self.put(rules, Note(None, ""), **options)


class ProposesWithoutLookingAtTheRulesInForce(InMemoryContactRepository):
    async def propose(self, rules, **options):
        last_id = (await super().propose(rules)).last_id
        return RulesInForce().replace(rules, None, last_id, **options)


class RecordsByTheRulesInForce(InMemoryContactRepository):
    async def record_by(self, rules, identifiers):
        return await self.record(identifiers)


class RecordsByRulesButForgetsThem(InMemoryContactRepository):
    async def record_by(self, rules, identifiers):
        return evolve(await super().record_by(rules, identifiers), rules=self._rules.rules)


class CountsContacts(InMemoryContactRepository):
    async def count_identities(self):
        return len(self._contacts)


class CountsIdentitiesThatWereAbsorbed(InMemoryContactRepository):
    async def count_identities(self):
        return len({event.primary_id for event in self._events})


# Which values join most


class RanksBlockedValues(InMemoryContactRepository):
    async def most_shared(self, limit):
        rules, self._rules = self._rules, RulesInForce()
        try:
            return await super().most_shared(limit)
        finally:
            self._rules = rules


class RanksValuesInOnePair(InMemoryContactRepository):
    async def most_shared(self, limit):
        paired = (value for c in self._contacts.values() if None not in c.key for value in c.identifiers)
        return [*dict.fromkeys([*await super().most_shared(limit), *sorted(paired)])][:limit]


class RanksInAnyOrder(InMemoryContactRepository):
    async def most_shared(self, limit):
        return sorted(await super().most_shared(limit))


class RanksByPairsAlone(InMemoryContactRepository):
    async def most_shared(self, limit):
        return (await super().most_shared(limit))[:limit]


class RanksByMergesAlone(InMemoryContactRepository):
    async def most_shared(self, limit):
        merged = self._find_merged()
        pairs = [pair for id, pair in self._find_counting() if id in merged]
        weighed = await self.weigh({value for pair in pairs for value in to_identifiers(*pair)})
        return [one.identifier for one in sorted(weighed, key=lambda one: -one.merges)][:limit]


class RanksValuesTwice(InMemoryContactRepository):
    async def most_shared(self, limit):
        return [one for one in await super().most_shared(limit) for _ in range(2)]


class RanksAllValuesAtOnce(InMemoryContactRepository):
    async def most_shared(self, limit):
        return await super().most_shared(1_000)


class RanksByPairsThatDoNotCount(InMemoryContactRepository):
    def _find_counting(self):
        return [*super()._find_counting(), *((p.id, p.pair) for p in self._evidence.values())]


class RanksByContactsAlone(InMemoryContactRepository):
    async def most_shared(self, limit):
        evidence, self._evidence = self._evidence, {}
        try:
            return await super().most_shared(limit)
        finally:
            self._evidence = evidence


class TellsIdentitiesInTheOrderOfTheirPrimaries(InMemoryContactRepository):
    async def largest(self, limit):
        weighed = await self.weigh(await super().largest(limit))
        return [one.identifier for one in sorted(weighed, key=lambda one: one.primary_id)]


class TellsAllLargestIdentities(InMemoryContactRepository):
    async def largest(self, limit):
        return await super().largest(1_000)


class TellsIdentitiesOfOneContact(InMemoryContactRepository):
    async def largest(self, limit):
        alone = [c.identifiers[0] for c in self._contacts.values() if c.linked_id is None]
        return [*dict.fromkeys([*await super().largest(limit), *alone])][:limit]


class TellsIdentitiesByBlockedValues(InMemoryContactRepository):
    async def largest(self, limit):
        rules, self._rules = self._rules, RulesInForce()
        try:
            return await super().largest(limit)
        finally:
            self._rules = rules


class WeighsValuesThatNobodyHas(InMemoryContactRepository):
    async def weigh(self, identifiers):
        weighed = {one.identifier: one for one in await super().weigh(identifiers)}
        return [weighed.get(one, SharedValue(one, 0, 0, 0, 0)) for one in sorted({*identifiers})]


class WeighsInTheOrderOfTheQuestion(InMemoryContactRepository):
    async def weigh(self, identifiers):
        weighed = {one.identifier: one for one in await super().weigh(identifiers)}
        return [weighed[one] for one in dict.fromkeys(identifiers) if one in weighed]


class WeighsByContactsAlone(InMemoryContactRepository):
    async def weigh(self, identifiers):
        evidence, self._evidence = self._evidence, {}
        try:
            return await super().weigh(identifiers)
        finally:
            self._evidence = evidence


class WeighsNoMerges(InMemoryContactRepository):
    async def weigh(self, identifiers):
        return [evolve(one, merges=0) for one in await super().weigh(identifiers)]


class WeighsAllPairsAsMerges(InMemoryContactRepository):
    async def weigh(self, identifiers):
        return [evolve(one, merges=one.partners) for one in await super().weigh(identifiers)]


class WeighsContactsInPlaceOfPartners(InMemoryContactRepository):
    async def weigh(self, identifiers):
        weighed = await super().weigh(identifiers)
        return [evolve(one, partners=len(self._find_ids(one.identifier))) for one in weighed]


class WeighsTheValueInPlaceOfTheIdentity(InMemoryContactRepository):
    async def weigh(self, identifiers):
        weighed = await super().weigh(identifiers)
        return [evolve(one, contacts=len(self._find_ids(one.identifier))) for one in weighed]


class TellsAnotherContactForThePrimary(InMemoryContactRepository):
    async def weigh(self, identifiers):
        weighed = await super().weigh(identifiers)
        return [evolve(one, primary_id=max(self._find_ids(one.identifier))) for one in weighed]


BROKEN = [
    PutsRulesWithAnyVersion,
    CountsNoVersions,
    ReturnsTheRulesBefore,
    ForgetsPatterns,
    ForgetsLimits,
    ForgetsWhoPutTheRulesAndWhy,
    ForgetsWhenRulesOfOtherTimesWerePut,
    ForgetsWhichLimitsWereRaised,
    ForgetsWhichLimitsWereRaisedBefore,
    TakesTheLastContactForTheLastId,
    SettlesRulesOfAnyVersion,
    SettlesEverythingAtOnce,
    KeepsRulesInItsProcess,
    ReadsRulesOnce,
    LoadsByTheRulesBefore,
    DecidesByRulesThatItReadBefore,
    DecidesWithoutRules,
    RevisesWithoutRules,
    MatchesByBlockedValues,
    MatchesByValuesOfBlockedPatterns,
    MatchesNothingByDetailsWithABlockedValue,
    LoadsBlockedPairsAsNew,
    LoadsHeldPairsAsNew,
    CountsNoEvidenceForLimits,
    CountsPairsThatDoNotCount,
    DoesNotKnowWhatWasAccepted,
    TellsReadersWhatWasAccepted,
    ForgetsWhichLimitHolds,
    TakesEveryLimitForTheFirst,
    ForgetsThatPairsWereUnchecked,
    StoresBlockedPairsAsHeld,
    TellsHeldPairsInTheOrderOfTheirValues,
    TellsHeldPairsTwice,
    TellsAllHeldPairsAtOnce,
    TellsPairsThatPinsHold,
    TellsHeldPairsAfterTheyWereAcceptedOrRejected,
    TellsBlockedPairsAsHeld,
    FollowsHeldPairs,
    RecordsNoBlockedPairs,
    RecordsNoRules,
    RecordsAFewPairsAlone,
    MissesContacts,
    MissesEvidence,
    MissesEvidenceThatCounts,
    MissesContactsOfABlockedValueAlone,
    MissesRulings,
    MissesPairsThatAreBlockedNoLonger,
    MissesPairsThatCameWhileTheyWereBlocked,
    MissesPairsWithOneValueThatIsBlockedNoLonger,
    MissesWhatRaisedLimitsHold,
    MissesBlockedEmails,
    MissesBlockedPatterns,
    FindsWithdrawnRulings,
    FindsWhatAllLimitsHold,
    FindsNothingThatRaisedLimitsHeld,
    FindsWhatIsUnsettledFromTheBeginning,
    FindsEverythingUnsettledAtOnce,
    SkipsTheLastId,
    FindsWhatIsUnsettledInAnyOrder,
    FindsWhatCameLater,
    TellsNoPrimaries,
    TellsAnyContactForThePrimary,
    FindsNothingLarge,
    FindsLargerOnesLarge,
    ReadsPartsWithoutPrimary,
    CountsThePrimaryAmongTheParts,
    ReadsPartsWithoutEvidence,
    ReadsPartsWithoutRulings,
    ReadsPartsWithoutRules,
    ReadsNothingOfParts,
    ReadsPartsWithoutWhatIsLinked,
    TakesAnyHub,
    FindsNoHub,
    ForgetsWhatPartsBecame,
    ReadsPartsByTheRulesInForce,
    LeavesOutNoContact,
    LeavesOutEvidence,
    LeavesOutRulings,
    LeavesOutTheRules,
    ForgetsThatLimitsAreRetroactive,
    ForgetsThatLimitsWereRetroactive,
    ProposesNothingRetroactive,
    LeavesOutWhatCounts,
    LeavesOutWhatLimitsHold,
    LeavesOutLargeIdentities,
    PutsWhatIsProposed,
    ProposesWithoutLookingAtTheRulesInForce,
    RecordsByTheRulesInForce,
    RecordsByRulesButForgetsThem,
    CountsContacts,
    CountsIdentitiesThatWereAbsorbed,
    RanksBlockedValues,
    RanksValuesInOnePair,
    RanksInAnyOrder,
    RanksByPairsAlone,
    RanksByMergesAlone,
    RanksValuesTwice,
    RanksAllValuesAtOnce,
    RanksByPairsThatDoNotCount,
    RanksByContactsAlone,
    TellsIdentitiesInTheOrderOfTheirPrimaries,
    TellsAllLargestIdentities,
    TellsIdentitiesOfOneContact,
    TellsIdentitiesByBlockedValues,
    WeighsValuesThatNobodyHas,
    WeighsInTheOrderOfTheQuestion,
    WeighsByContactsAlone,
    WeighsNoMerges,
    WeighsAllPairsAsMerges,
    WeighsContactsInPlaceOfPartners,
    WeighsTheValueInPlaceOfTheIdentity,
    TellsAnotherContactForThePrimary,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_an_adapter_with_one_rule_broken_does_not_conform(broken):
    assert find_failing_test(RuleConformance, broken) is not None


@pytest.mark.parametrize("whole", [InMemoryContactRepository, Stores, Holds, Records, Unsettled])
def test_an_adapter_that_keeps_all_rules_conforms(whole):
    assert find_failing_test(RuleConformance, whole) is None
