"""The conformance suite and the invariants are worth something only if they catch mistakes."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count, islice

import pytest
from attrs import evolve

from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    Contact,
    ContactDetails,
    Decision,
    IdentityError,
    LinkPrecedence,
    Snapshot,
    Standing,
    Verdict,
    WriteSet,
)
from identity_core.model.rule_set import NO_RULES
from identity_core.queries.history import add_details
from identity_core.testing import (
    ChangeFeedConformance,
    ContactRepositoryConformance,
    IdentityReaderConformance,
    RulingConformance,
    violations,
)
from tests.unit.core.testing.failing import find_failing_test

SUITES = [
    ContactRepositoryConformance,
    IdentityReaderConformance,
    RulingConformance,
    ChangeFeedConformance,
]


class WithOneRuleBroken(InMemoryContactRepository):
    """A repository with one rule broken: what it loads or what it writes is changed."""

    def loaded(self, snapshot, batch):
        return snapshot

    def written(self, writes):
        return writes

    def _snapshot(self, batch, rules):
        return self.loaded(super()._snapshot(batch, rules), batch)

    async def transact(self, batch, decide):
        decision = None

        def broken(*given):
            nonlocal decision
            decision = decide(*given)
            return Decision(self.written(decision.writes), decision.identities)

        await super().transact(batch, broken)
        return decision


class LoadsOnlyTheMatchingContacts(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        values = {value for details in batch for value in details.key} - {None}
        matching = [[c for c in contacts if values & set(c.key)] for contacts in snapshot.identities]
        return Snapshot(tuple(map(tuple, matching)), snapshot.evidence)


class LoadsNoChains(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        straight = [
            tuple(c for c in contacts if c.linked_id in (None, contacts[0].id))
            for contacts in snapshot.identities
        ]
        return Snapshot(tuple(filter(None, straight)), snapshot.evidence)


class LoadsOneIdentity(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        return Snapshot(snapshot.identities[:1], snapshot.evidence)


class LoadsEverything(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        return Snapshot.of(self._contacts.values(), snapshot.evidence)


class LoadsAllEvidence(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        return Snapshot(snapshot.identities, frozenset(self._evidence))


class LoadsNoEvidence(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        return Snapshot(snapshot.identities)


class LoadsYoungestFirst(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        return Snapshot(tuple(contacts[::-1] for contacts in snapshot.identities), snapshot.evidence)


class MixesEmailsAndPhoneNumbersUp(WithOneRuleBroken):
    def __init__(self):
        super().__init__()
        self._by_phone_number = self._by_email

    def _store(self, contact):
        super()._store(contact)
        if contact.email is not None:
            self._by_email[contact.email.partition("@")[0]].add(contact.id)


class KeepsMilliseconds(WithOneRuleBroken):
    def _store(self, contact):
        at = contact.created_at
        super()._store(evolve(contact, created_at=at.replace(microsecond=at.microsecond // 1000 * 1000)))


class CutsValuesShort(WithOneRuleBroken):
    def _store(self, contact):
        super()._store(evolve(contact, email=contact.email and contact.email[:100]))


class LeavesOneContactOutOfColumns(InMemoryContactRepository):
    async def load_columns(self, batch):
        snapshot = await super().load_columns(batch)
        columns = (evolve(one, ids=one.ids[:1] + one.ids[2:]) for one in snapshot.columns)
        return evolve(snapshot, columns=tuple(columns))


class LoadsColumnsWithoutEvidence(InMemoryContactRepository):
    async def load_columns(self, batch):
        return evolve(await super().load_columns(batch), evidence=frozenset())


class ForgetsAlteredContacts(WithOneRuleBroken):
    def written(self, writes):
        return evolve(writes, altered=())


class ForgetsNewDates(WithOneRuleBroken):
    def written(self, writes):
        kept = [evolve(c, created_at=self._contacts[c.id].created_at) for c in writes.altered]
        return evolve(writes, altered=tuple(kept))


class ForgetsEvidence(WithOneRuleBroken):
    def written(self, writes):
        return evolve(writes, evidence=())


class KeepsSupersededEvidence(WithOneRuleBroken):
    def written(self, writes):
        return evolve(writes, superseded=())


class WritesNothing(WithOneRuleBroken):
    def written(self, writes):
        return WriteSet()


class WritesOneContactOnly(WithOneRuleBroken):
    def written(self, writes):
        return evolve(writes, created=writes.created[:1])


class GivesIdsTwice(WithOneRuleBroken):
    async def transact(self, batch, decide):
        self._ids = count(1)
        return await super().transact(batch, decide)


class GivesTooFewIds(WithOneRuleBroken):
    async def transact(self, batch, decide):
        def short(snapshot, now, ids):
            return decide(snapshot, now, iter([next(ids)]))

        return await super().transact(batch, short)


class TellsTheTimeBackwards(InMemoryContactRepository):
    def __init__(self):
        steps = count()
        super().__init__(clock=lambda: datetime(2020, 1, 1, tzinfo=UTC) - timedelta(days=next(steps)))


class TellsNoTimeZone(InMemoryContactRepository):
    def __init__(self):
        super().__init__(clock=lambda: datetime.now())  # noqa: DTZ005


class DecidesOnWhatItReadBefore(InMemoryContactRepository):
    async def transact(self, batch, decide):
        before = await self.load(batch)
        await asyncio.sleep(0)
        return await super().transact(batch, lambda snapshot, now, ids: decide(before, now, ids))


class WritesHalfAndThenTheRest(InMemoryContactRepository):
    async def transact(self, batch, decide):
        decision = decide(self._snapshot(batch, NO_RULES), self._clock(), self._ids)
        for contact in (*decision.writes.created, *decision.writes.altered):
            self._store(contact)
            await asyncio.sleep(0)
        self._evidence.update({(e.email, e.phone_number): e for e in decision.writes.evidence})
        return decision


class SwallowsErrors(InMemoryContactRepository):
    async def transact(self, batch, decide):
        try:
            return await super().transact(batch, decide)
        except ZeroDivisionError:
            return Decision(WriteSet(), ())


class KnowsOfTheFirstBatchAlone(InMemoryContactRepository):
    async def transact_in_turn(self, batches, decide):
        return await super().transact_in_turn(batches[:1], decide)


class PersistsTheFirstBatchAlone(InMemoryContactRepository):
    async def transact_in_turn(self, batches, decide):
        others = []

        def decide_on_first(*known):
            decisions = decide(*known)
            yield from islice(decisions, 1)
            others.extend(decisions)

        return await super().transact_in_turn(batches, decide_on_first) + others


class PersistsNoBatchIfOneIsRefused(InMemoryContactRepository):
    async def transact_in_turn(self, batches, decide):
        return await super().transact_in_turn(batches, lambda *known: iter([*decide(*known)]))


class SwallowsRefusalsInTurn(InMemoryContactRepository):
    async def transact_in_turn(self, batches, decide):
        with suppress(IdentityError):
            return await super().transact_in_turn(batches, decide)
        return []


class ReturnsSomethingElse(InMemoryContactRepository):
    async def transact(self, batch, decide):
        decision = await super().transact(batch, decide)
        return Decision(WriteSet(), decision.identities)


class FindsOnlyThePrimary(InMemoryContactRepository):
    async def find(self, contact_id):
        found = await super().find(contact_id)
        return found and found[:1]


class FindsNoDeletedContacts(InMemoryContactRepository):
    async def find(self, contact_id):
        return None if contact_id in self._deleted else await super().find(contact_id)


class FindsAnyContact(InMemoryContactRepository):
    async def find(self, contact_id):
        return await super().find(contact_id) or ()


class CountsWhatIsOnThePage(InMemoryContactRepository):
    async def pages(self, of, after=None, limit=100):
        found = await super().pages(of, after, limit)
        return [evolve(page, total_contacts=len(page.contacts)) for page in found]


class SkipsContactsOfTheSameDate(InMemoryContactRepository):
    async def pages(self, of, after=None, limit=100):
        return await super().pages(of, after and (after[0], 2**63), limit)


class NeverEndsItsPages(InMemoryContactRepository):
    async def pages(self, of, after=None, limit=100):
        found = await super().pages(of, after, limit)
        return [evolve(page, last=page.contacts[-1].seniority if page.contacts else None) for page in found]


class ReturnsEvidenceOfOthers(InMemoryContactRepository):
    async def evidence(self, contacts):
        return list(self._evidence.values())


class ReturnsNoEvidence(InMemoryContactRepository):
    async def evidence(self, contacts):
        return []


class ReturnsEventsOfAll(InMemoryContactRepository):
    async def events(self, contacts, after=0, limit=None):
        return await super().events([*self._contacts.values()], after, limit)


class ReturnsEventsOfThePrimaryAlone(InMemoryContactRepository):
    async def events(self, contacts, after=0, limit=None):
        return await super().events(contacts[:1], after, limit)


class RepeatsAnEvent(InMemoryContactRepository):
    async def events(self, contacts, after=0, limit=None):
        return await super().events(contacts, max(after - 1, 0), limit)


class ListsTheOldestMergeFirst(InMemoryContactRepository):
    async def merges(self, before=None, limit=100):
        return (await super().merges(before, 10**6))[::-1][:limit]


class ListsAllMergesAtOnce(InMemoryContactRepository):
    async def merges(self, before=None, limit=100):
        return await super().merges(before)


class ListsTheLatestMergesAgain(InMemoryContactRepository):
    async def merges(self, before=None, limit=100):
        return await super().merges(limit=limit)


class RepeatsAMerge(InMemoryContactRepository):
    async def merges(self, before=None, limit=100):
        return await super().merges(before and before + 1, limit)


class ListsEveryEventAsAMerge(InMemoryContactRepository):
    async def merges(self, before=None, limit=100):
        events = [one for one in self._number_events()[::-1] if before is None or one.id < before]
        return add_details(events[:limit], self._contacts.values(), self._evidence.values())


class ListsMergesWithOneRuleBroken(InMemoryContactRepository):
    """A repository that pairs merges with the details of some contacts and some evidence alone."""

    def list_contacts(self):
        return [*self._contacts.values(), *(one.contact for one in self._deleted.values())]

    def list_evidence(self):
        return self._evidence.values()

    async def merges(self, before=None, limit=100):
        events = [recorded for recorded, _ in await super().merges(before, limit)]
        return add_details(events, self.list_contacts(), self.list_evidence())


class ForgetsDetailsOfDeletedContacts(ListsMergesWithOneRuleBroken):
    def list_contacts(self):
        return self._contacts.values()


class TakesDetailsFromContactsAlone(ListsMergesWithOneRuleBroken):
    def list_evidence(self):
        return []


class TakesDetailsFromEvidenceAlone(ListsMergesWithOneRuleBroken):
    def list_contacts(self):
        return []


class TakesDetailsFromEvidenceThatCounts(ListsMergesWithOneRuleBroken):
    def list_evidence(self):
        return [piece for piece in self._evidence.values() if piece.standing is Standing.COUNTS]


class PrefersTheContactOfAMerge(InMemoryContactRepository):
    async def merges(self, before=None, limit=100):
        keys = {contact.id: contact.key for contact in self._contacts.values()}
        return [
            (one, ContactDetails(*keys[one.event.contact_id]) if one.event.contact_id in keys else details)
            for one, details in await super().merges(before, limit)
        ]


class LeavesMergesWithoutDetailsOut(InMemoryContactRepository):
    async def merges(self, before=None, limit=100):
        return [one for one in await super().merges(before, limit) if one[1] is not None]


class DeliversEventsTwice(InMemoryContactRepository):
    async def changes(self, after=None, limit=1000):
        events, cursor = await super().changes(after, limit)
        return events, str(max(int(cursor) - 1, 0))


class DropsEventsBeyondTheLimit(InMemoryContactRepository):
    async def changes(self, after=None, limit=1000):
        events, _ = await super().changes(after, limit)
        return events, str(len(self._events))


class StartsOverAtUnknownCursors(InMemoryContactRepository):
    async def changes(self, after=None, limit=1000):
        return await super().changes(after if after is None or after.isdecimal() else None, limit)


class BoundsNothing(InMemoryContactRepository):
    async def bound(self, after=None):
        return (await super().bound(after)).partition("-")[0]


class BoundsAnew(InMemoryContactRepository):
    async def bound(self, after=None):
        return await super().bound(after and after.partition("-")[0])


class BoundsFromTheBeginning(InMemoryContactRepository):
    async def bound(self, after=None):
        return "0-" + (await super().bound(after)).partition("-")[2]


class BoundsUnknownCursors(InMemoryContactRepository):
    async def bound(self, after=None):
        return await super().bound(after if after != "nowhere" else None)


class EndsForGood(InMemoryContactRepository):
    async def changes(self, after=None, limit=1000):
        events, cursor = await super().changes(after, limit)
        return events, f"{cursor}-{cursor}" if "-" in (after or "") and "-" not in cursor else cursor


class ForgetsAnEndWithinIt(InMemoryContactRepository):
    async def changes(self, after=None, limit=1000):
        events, cursor = await super().changes(after, limit)
        return events, cursor.partition("-")[0]


class SkipsToTheEnd(InMemoryContactRepository):
    async def changes(self, after=None, limit=1000):
        events, cursor = await super().changes(after, limit)
        return events, cursor.rpartition("-")[2]


class SeeksTheBeginning(InMemoryContactRepository):
    async def seek(self, at):
        return "0"


class SeeksTheEnd(InMemoryContactRepository):
    async def seek(self, at):
        return await super().seek(None)


class SeeksWhatHappenedAfter(InMemoryContactRepository):
    async def seek(self, at):
        return await super().seek(at and at + timedelta(microseconds=1))


class SeeksTheLast(InMemoryContactRepository):
    async def seek(self, at):
        return str(max(int(await super().seek(at)) - 1, 0)) if at is None else await super().seek(at)


class RevisesWithOneRuleBroken(InMemoryContactRepository):
    """A repository with one rule about rulings broken: what it records or what it writes is changed."""

    def recorded(self, record, identifiers):
        return record

    def revised(self, writes):
        return writes

    def _record(self, identifiers, rules):
        return self.recorded(super()._record(identifiers, rules), identifiers)

    async def revise(self, identifiers, decide):
        decision = None

        def broken(*given):
            nonlocal decision
            decision = decide(*given)
            return evolve(decision, writes=self.revised(decision.writes))

        await super().revise(identifiers, broken)
        return decision


class RecordsOnlyWhatWasAskedFor(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        asked = {*identifiers}
        matching = tuple(
            contacts
            for contacts in record.identities
            if any(asked & {*contact.identifiers} for contact in contacts)
        )
        return evolve(record, identities=matching)


class FollowsUndonePairs(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        values = {value for piece in record.evidence for value in piece.identifiers}
        return super(RevisesWithOneRuleBroken, self)._record(values | {*identifiers}, NO_RULES)


class RecordsEvidenceByEmailAlone(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        emails = {contact.email for contact in record.contacts}
        return evolve(record, evidence=tuple(piece for piece in record.evidence if piece.email in emails))


class RecordsEvidenceThatCountsAlone(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        counting = [piece for piece in record.evidence if piece.standing is Standing.COUNTS]
        return evolve(record, evidence=tuple(counting))


class TellsNoStanding(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        return evolve(
            record, evidence=tuple(evolve(piece, standing=Standing.COUNTS) for piece in record.evidence)
        )


class RecordsNoRulings(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        return evolve(record, rulings=())


class RecordsAllRulings(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        return evolve(record, rulings=tuple(self._rulings.values()))


class RecordsRulingsBetweenItsValuesAlone(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        known = {value for contact in record.contacts for value in contact.identifiers}
        return evolve(record, rulings=tuple(one for one in record.rulings if one.values <= known))


class ForgetsWhatWasAskedFor(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        return evolve(record, asked=frozenset())


class ForgetsWhereDeletedContactsLead(RevisesWithOneRuleBroken):
    def recorded(self, record, identifiers):
        return evolve(record, deleted=())


class ForgetsRewrittenContacts(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(writes, rewritten=())


class FindsContactsByNumbersThatWereTaken(RevisesWithOneRuleBroken):
    def _unindex(self, contact_id):
        pass


class ForgetsNewStandings(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(writes, evidence=())


class KeepsEvidenceOfContacts(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(writes, superseded=())


class KeepsDeletedContacts(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(writes, deleted=())


class ForgetsRulings(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(writes, rulings=())


class ForgetsWhoDecidedAndWhy(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(
            writes, rulings=tuple(evolve(one, decided_by=None, reason="") for one in writes.rulings)
        )


class ForgetsOfWhichSplitARulingIs(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(writes, rulings=tuple(evolve(one, split_id=None) for one in writes.rulings))


class KeepsWithdrawnRulings(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(writes, withdrawals=())


class ForgetsWhatMoved(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return evolve(writes, events=tuple(evolve(event, moved_ids=()) for event in writes.events))


class WritesNoRevision(RevisesWithOneRuleBroken):
    def revised(self, writes):
        return WriteSet()


class GivesARevisionIdsTwice(InMemoryContactRepository):
    async def revise(self, identifiers, decide):
        self._ids = count(max([0, *self._contacts]) + 1)
        return await super().revise(identifiers, decide)


class GivesARevisionOneId(InMemoryContactRepository):
    async def revise(self, identifiers, decide):
        def short(record, now, ids):
            return decide(record, now, iter([next(ids)]))

        return await super().revise(identifiers, short)


class RevisesWhatItReadBefore(InMemoryContactRepository):
    async def revise(self, identifiers, decide):
        before = await self.record(identifiers)
        await asyncio.sleep(0)
        return await super().revise(identifiers, lambda record, now, ids: decide(before, now, ids))


class SwallowsRefusals(InMemoryContactRepository):
    async def revise(self, identifiers, decide):
        try:
            return await super().revise(identifiers, decide)
        except IdentityError:
            return Decision(WriteSet(), ())


class ReturnsAnotherRevision(InMemoryContactRepository):
    async def revise(self, identifiers, decide):
        return evolve(await super().revise(identifiers, decide), writes=WriteSet())


class LoadsPairsThatDoNotCountAsEvidence(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        return evolve(snapshot, evidence=snapshot.evidence | snapshot.ignored, ignored=frozenset())


class LoadsNoPairsThatDoNotCount(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        return evolve(snapshot, ignored=frozenset())


class LoadsAllPairsThatDoNotCount(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        ignored = (piece.pair for piece in self._evidence.values() if piece.standing is not Standing.COUNTS)
        return evolve(snapshot, ignored=frozenset(ignored))


class TellsEveryoneWhatPinsKeepApart(WithOneRuleBroken):
    def loaded(self, snapshot, batch):
        pins = (one for one in self._rulings.values() if one.verdict is Verdict.DIFFERENT)
        return evolve(snapshot, apart=tuple((pin.one, pin.other) for pin in pins))


class DecidesWithoutPins(WithOneRuleBroken):
    async def transact(self, batch, decide):
        def without(snapshot, now, ids):
            return decide(evolve(snapshot, apart=()), now, ids)

        return await super().transact(batch, without)


class TakesEveryRulingForAPinApart(InMemoryContactRepository):
    async def transact(self, batch, decide):
        def confused(snapshot, now, ids):
            rulings = [(ruling.one, ruling.other) for ruling in self._rulings.values()]
            return decide(evolve(snapshot, apart=tuple(rulings)), now, ids)

        return await super().transact(batch, confused)


class FindsPairsOfContactsAlone(InMemoryContactRepository):
    async def pair(self, id):
        contact = self._contacts.get(id)
        return None if contact is None or None in contact.key else contact.key


class FindsPairsOfEvidenceAlone(InMemoryContactRepository):
    async def pair(self, id):
        return next((piece.pair for piece in self._evidence.values() if piece.id == id), None)


class FindsHalfAPair(InMemoryContactRepository):
    async def pair(self, id):
        contact = self._contacts.get(id)
        return await super().pair(id) or (contact and contact.key)


class FindsTheEventBefore(InMemoryContactRepository):
    async def event(self, event_id):
        return await super().event(event_id - 1)


class ListsRulingsFromTheBeginning(InMemoryContactRepository):
    async def rulings(self, after=0, limit=100):
        return [] if after >= max(self._rulings, default=0) else await super().rulings(0, limit)


class ListsAllRulingsAtOnce(InMemoryContactRepository):
    async def rulings(self, after=0, limit=100):
        return await super().rulings(after, 1_000)


class ListsTheLatestRulingFirst(InMemoryContactRepository):
    async def rulings(self, after=0, limit=100):
        return (await super().rulings(after, limit))[::-1]


class KnowsNoOtherParts(InMemoryContactRepository):
    async def lineage(self, contact_id):
        found = await super().lineage(contact_id)
        if found is None:
            return None
        return evolve(found, contacts=await self.find(contact_id))


class KnowsEventsOfOnePartAlone(InMemoryContactRepository):
    async def lineage(self, contact_id):
        found = await super().lineage(contact_id)
        if found is None:
            return None
        ids = {contact.id for contact in await self.find(contact_id)}
        return evolve(found, events=tuple(one for one in found.events if one.event.primary_id in ids))


class HasEverybodyInOneLineage(InMemoryContactRepository):
    async def lineage(self, contact_id):
        found = await super().lineage(contact_id)
        everybody = sorted(self._contacts.values(), key=lambda contact: contact.seniority)
        return found and evolve(found, contacts=tuple(everybody))


class LeavesDeletedContactsOutOfLineages(InMemoryContactRepository):
    async def lineage(self, contact_id):
        found = await super().lineage(contact_id)
        return found and evolve(found, deleted=())


class DoesNotKnowWhenContactsWereDeleted(InMemoryContactRepository):
    async def lineage(self, contact_id):
        found = await super().lineage(contact_id)
        when = datetime(2020, 1, 1, tzinfo=UTC)
        return found and evolve(found, deleted=tuple(evolve(one, deleted_at=when) for one in found.deleted))


class LosesContactsThatLeft(InMemoryContactRepository):
    async def events(self, contacts, after=0, limit=None):
        ids = {contact.id for contact in contacts}
        found = await super().events(contacts, after, limit)
        return [recorded for recorded in found if recorded.event.primary_id in ids]


BROKEN = {
    ContactRepositoryConformance: [
        LoadsOnlyTheMatchingContacts,
        LoadsNoChains,
        LoadsOneIdentity,
        LoadsEverything,
        LoadsAllEvidence,
        LoadsNoEvidence,
        LoadsYoungestFirst,
        LeavesOneContactOutOfColumns,
        LoadsColumnsWithoutEvidence,
        MixesEmailsAndPhoneNumbersUp,
        KeepsMilliseconds,
        CutsValuesShort,
        ForgetsAlteredContacts,
        ForgetsNewDates,
        ForgetsEvidence,
        KeepsSupersededEvidence,
        WritesNothing,
        WritesOneContactOnly,
        GivesIdsTwice,
        GivesTooFewIds,
        TellsTheTimeBackwards,
        TellsNoTimeZone,
        DecidesOnWhatItReadBefore,
        WritesHalfAndThenTheRest,
        SwallowsErrors,
        ReturnsSomethingElse,
        KnowsOfTheFirstBatchAlone,
        PersistsTheFirstBatchAlone,
        PersistsNoBatchIfOneIsRefused,
        SwallowsRefusalsInTurn,
    ],
    IdentityReaderConformance: [
        FindsOnlyThePrimary,
        FindsNoDeletedContacts,
        FindsAnyContact,
        CountsWhatIsOnThePage,
        SkipsContactsOfTheSameDate,
        NeverEndsItsPages,
        ReturnsEvidenceOfOthers,
        ReturnsNoEvidence,
        ReturnsEventsOfAll,
        ReturnsEventsOfThePrimaryAlone,
        RepeatsAnEvent,
        ListsTheOldestMergeFirst,
        ListsAllMergesAtOnce,
        ListsTheLatestMergesAgain,
        RepeatsAMerge,
        ListsEveryEventAsAMerge,
        ForgetsDetailsOfDeletedContacts,
        TakesDetailsFromContactsAlone,
        TakesDetailsFromEvidenceAlone,
        TakesDetailsFromEvidenceThatCounts,
        PrefersTheContactOfAMerge,
        LeavesMergesWithoutDetailsOut,
    ],
    RulingConformance: [
        RecordsOnlyWhatWasAskedFor,
        FollowsUndonePairs,
        RecordsEvidenceByEmailAlone,
        RecordsEvidenceThatCountsAlone,
        TellsNoStanding,
        RecordsNoRulings,
        RecordsAllRulings,
        RecordsRulingsBetweenItsValuesAlone,
        ForgetsWhatWasAskedFor,
        ForgetsWhereDeletedContactsLead,
        ForgetsRewrittenContacts,
        FindsContactsByNumbersThatWereTaken,
        ForgetsNewStandings,
        KeepsEvidenceOfContacts,
        KeepsDeletedContacts,
        ForgetsRulings,
        ForgetsWhoDecidedAndWhy,
        ForgetsOfWhichSplitARulingIs,
        KeepsWithdrawnRulings,
        ForgetsWhatMoved,
        WritesNoRevision,
        GivesARevisionIdsTwice,
        GivesARevisionOneId,
        RevisesWhatItReadBefore,
        SwallowsRefusals,
        ReturnsAnotherRevision,
        LoadsPairsThatDoNotCountAsEvidence,
        LoadsNoPairsThatDoNotCount,
        LoadsAllPairsThatDoNotCount,
        TellsEveryoneWhatPinsKeepApart,
        DecidesWithoutPins,
        TakesEveryRulingForAPinApart,
        FindsPairsOfContactsAlone,
        FindsPairsOfEvidenceAlone,
        FindsHalfAPair,
        FindsTheEventBefore,
        ListsRulingsFromTheBeginning,
        ListsAllRulingsAtOnce,
        ListsTheLatestRulingFirst,
        KnowsNoOtherParts,
        KnowsEventsOfOnePartAlone,
        HasEverybodyInOneLineage,
        LeavesDeletedContactsOutOfLineages,
        DoesNotKnowWhenContactsWereDeleted,
        LosesContactsThatLeft,
    ],
    ChangeFeedConformance: [
        DeliversEventsTwice,
        DropsEventsBeyondTheLimit,
        StartsOverAtUnknownCursors,
        BoundsNothing,
        BoundsAnew,
        BoundsFromTheBeginning,
        BoundsUnknownCursors,
        EndsForGood,
        ForgetsAnEndWithinIt,
        SkipsToTheEnd,
        SeeksTheBeginning,
        SeeksTheEnd,
        SeeksWhatHappenedAfter,
        SeeksTheLast,
    ],
}


@pytest.mark.parametrize(
    ("suite", "broken"),
    [pytest.param(suite, one, id=one.__name__) for suite, broken in BROKEN.items() for one in broken],
)
def test_an_adapter_with_one_rule_broken_does_not_conform(suite, broken):
    assert find_failing_test(suite, broken) is not None


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_an_adapter_that_keeps_all_rules_conforms(suite):
    assert find_failing_test(suite, InMemoryContactRepository) is None
    assert find_failing_test(suite, WithOneRuleBroken) is None


def contact(id, email, phone_number, linked_id=None, precedence=None, days=0):
    given = precedence or (LinkPrecedence.PRIMARY if linked_id is None else LinkPrecedence.SECONDARY)
    at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=days or id)
    return Contact(id, email, phone_number, linked_id, given, at)


@pytest.mark.parametrize(
    ("contacts", "evidence", "found"),
    [
        ([contact(1, "a@x", "1"), contact(2, "b@x", "1", 1), contact(3, "c@x", "3")], [("b@x", "9")], []),
        (
            [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1), contact(3, "c@x", "1", 2)],
            [],
            ["contact 3 does not point straight at contact 1, the oldest"],
        ),
        (
            [contact(1, "a@x", "1", days=9), contact(2, "b@x", "1", 1)],
            [],
            [
                "contact 2 does not point straight at contact 2, the oldest",
                "contact 1 does not point straight at contact 2, the oldest",
            ],
        ),
        (
            [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1, LinkPrecedence.PRIMARY)],
            [],
            [
                "the identity of contact 1 has 2 primary contacts",
                "contact 2 does not point straight at contact 1, the oldest",
            ],
        ),
        (
            [contact(1, "a@x", "1"), contact(2, "b@x", "1")],
            [],
            ["1 emails or phone numbers are in more than one identity"],
        ),
        (
            [contact(1, "a@x", "1"), contact(2, "a@x", "1", 1)],
            [],
            ["1 details are held by more than one contact"],
        ),
        (
            [contact(1, "a@x", "1")],
            [("a@x", "1")],
            ["1 pairs are recorded both as a contact and as evidence"],
        ),
    ],
)
def test_each_violation_is_found_and_told(contacts, evidence, found):
    assert violations(Snapshot.of(contacts, evidence)) == found


def test_an_acknowledged_pair_that_is_not_on_record_is_found():
    snapshot = Snapshot.of([contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)], [("b@x", "2")])
    acknowledged = [ContactDetails("a@x", "1"), ContactDetails("b@x", "2"), ContactDetails("a@x")]
    assert violations(snapshot, acknowledged) == []
    acknowledged.append(ContactDetails("a@x", "2"))
    assert violations(snapshot, acknowledged) == ["1 acknowledged pairs are not recorded"]
