"""The conformance suite and the invariants are worth something only if they catch mistakes."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from attrs import evolve
from hypothesis import is_hypothesis_test

from identity_adapters.memory import InMemoryContactRepository
from identity_core import Contact, ContactDetails, Decision, LinkPrecedence, Snapshot, WriteSet
from identity_core.testing import (
    ChangeFeedConformance,
    ContactRepositoryConformance,
    IdentityReaderConformance,
    violations,
)

SUITES = [ContactRepositoryConformance, IdentityReaderConformance, ChangeFeedConformance]


def conformance_tests(suite):
    """The names of the tests of a suite; properties come last, since they take longest."""
    names = (name for name in dir(suite) if name.startswith("test_"))
    return sorted(names, key=lambda name: is_hypothesis_test(getattr(suite, name)))


def find_failing_test(suite, make_repository):
    """The name of a conformance test that a repository fails, or None."""

    class Suite(suite):
        @asynccontextmanager
        async def empty_repository(self):
            yield make_repository()

        @asynccontextmanager
        async def empty_reader(self):
            repository = make_repository()
            yield repository, repository

        empty_feed = empty_reader

    for name in conformance_tests(suite):
        try:
            getattr(Suite(), name)()
        except (Exception, pytest.fail.Exception):  # noqa: BLE001
            return name
    return None


class WithOneRuleBroken(InMemoryContactRepository):
    """A repository with one rule broken: what it loads or what it writes is changed."""

    def loaded(self, snapshot, batch):
        return snapshot

    def written(self, writes):
        return writes

    def _snapshot(self, batch):
        return self.loaded(super()._snapshot(batch), batch)

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
        decision = decide(self._snapshot(batch), self._clock(), self._ids)
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


BROKEN = {
    ContactRepositoryConformance: [
        LoadsOnlyTheMatchingContacts,
        LoadsNoChains,
        LoadsOneIdentity,
        LoadsEverything,
        LoadsAllEvidence,
        LoadsNoEvidence,
        LoadsYoungestFirst,
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
    ],
    ChangeFeedConformance: [DeliversEventsTwice, DropsEventsBeyondTheLimit, StartsOverAtUnknownCursors],
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
