"""The conformance suite and the invariants are worth something only if they catch mistakes."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from attrs import evolve
from hypothesis import is_hypothesis_test

from identity_adapters.memory import InMemoryContactRepository
from identity_core import Changes, Contact, ContactDetails, LinkPrecedence, Reconciliation, Snapshot
from identity_core.testing import ContactRepositoryConformance, violations

# Properties last: they take longest, most of all when they fail.
CHECKS = sorted(
    (name for name in dir(ContactRepositoryConformance) if name.startswith("test_")),
    key=lambda name: is_hypothesis_test(getattr(ContactRepositoryConformance, name)),
)


def first_failed_check(make_repository):
    """The name of a check that a repository does not pass, or None."""

    class Suite(ContactRepositoryConformance):
        @asynccontextmanager
        async def empty_repository(self):
            yield make_repository()

    for name in CHECKS:
        try:
            getattr(Suite(), name)()
        except (Exception, pytest.fail.Exception):  # noqa: BLE001
            return name
    return None


class OverThat(InMemoryContactRepository):
    """A repository with one rule broken: what it loads or what it writes is changed."""

    def loaded(self, snapshot, batch):
        return snapshot

    def written(self, changes):
        return changes

    def _snapshot(self, batch):
        return self.loaded(super()._snapshot(batch), batch)

    async def transact(self, batch, decide):
        decided = None

        def broken(*given):
            nonlocal decided
            decided = decide(*given)
            return Reconciliation(self.written(decided.changes), decided.identities)

        await super().transact(batch, broken)
        return decided


class LoadsOnlyTheMatchingContacts(OverThat):
    def loaded(self, snapshot, batch):
        values = {value for details in batch for value in details.key} - {None}
        matching = [[c for c in contacts if values & set(c.key)] for contacts in snapshot.identities]
        return Snapshot(tuple(map(tuple, matching)), snapshot.evidence)


class LoadsNoChains(OverThat):
    def loaded(self, snapshot, batch):
        straight = [
            tuple(c for c in contacts if c.linked_id in (None, contacts[0].id))
            for contacts in snapshot.identities
        ]
        return Snapshot(tuple(filter(None, straight)), snapshot.evidence)


class LoadsOneIdentity(OverThat):
    def loaded(self, snapshot, batch):
        return Snapshot(snapshot.identities[:1], snapshot.evidence)


class LoadsEverything(OverThat):
    def loaded(self, snapshot, batch):
        return Snapshot.of(self._contacts.values(), snapshot.evidence)


class LoadsAllEvidence(OverThat):
    def loaded(self, snapshot, batch):
        return Snapshot(snapshot.identities, frozenset(self._evidence))


class LoadsNoEvidence(OverThat):
    def loaded(self, snapshot, batch):
        return Snapshot(snapshot.identities)


class LoadsYoungestFirst(OverThat):
    def loaded(self, snapshot, batch):
        return Snapshot(tuple(contacts[::-1] for contacts in snapshot.identities), snapshot.evidence)


class MixesEmailsAndPhoneNumbersUp(OverThat):
    def __init__(self):
        super().__init__()
        self._by_phone_number = self._by_email

    def _store(self, contact):
        super()._store(contact)
        if contact.email is not None:
            self._by_email[contact.email.partition("@")[0]].add(contact.id)


class KeepsMilliseconds(OverThat):
    def _store(self, contact):
        at = contact.created_at
        super()._store(evolve(contact, created_at=at.replace(microsecond=at.microsecond // 1000 * 1000)))


class CutsValuesShort(OverThat):
    def _store(self, contact):
        super()._store(evolve(contact, email=contact.email and contact.email[:100]))


class ForgetsAlteredContacts(OverThat):
    def written(self, changes):
        return evolve(changes, altered=())


class ForgetsNewDates(OverThat):
    def written(self, changes):
        kept = [evolve(c, created_at=self._contacts[c.id].created_at) for c in changes.altered]
        return evolve(changes, altered=tuple(kept))


class ForgetsEvidence(OverThat):
    def written(self, changes):
        return evolve(changes, evidence=())


class KeepsSupersededEvidence(OverThat):
    def written(self, changes):
        return evolve(changes, superseded=())


class WritesNothing(OverThat):
    def written(self, changes):
        return Changes()


class WritesOneContactOnly(OverThat):
    def written(self, changes):
        return evolve(changes, created=changes.created[:1])


class GivesIdsTwice(OverThat):
    async def transact(self, batch, decide):
        self._ids = count(1)
        return await super().transact(batch, decide)


class GivesTooFewIds(OverThat):
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
        decided = decide(self._snapshot(batch), self._clock(), self._ids)
        for contact in (*decided.changes.created, *decided.changes.altered):
            self._store(contact)
            await asyncio.sleep(0)
        self._evidence.update({(e.email, e.phone_number): e for e in decided.changes.evidence})
        return decided


class SwallowsErrors(InMemoryContactRepository):
    async def transact(self, batch, decide):
        try:
            return await super().transact(batch, decide)
        except ZeroDivisionError:
            return Reconciliation(Changes(), ())


class ReturnsSomethingElse(InMemoryContactRepository):
    async def transact(self, batch, decide):
        decided = await super().transact(batch, decide)
        return Reconciliation(Changes(), decided.identities)


class CountsWhatIsOnThePage(InMemoryContactRepository):
    async def pages(self, of, after=None, limit=100):
        found = await super().pages(of, after, limit)
        return [evolve(page, total_contacts=len(page.contacts)) for page in found]


class SkipsWhatIsOfTheSameDate(InMemoryContactRepository):
    async def pages(self, of, after=None, limit=100):
        return await super().pages(of, after and (after[0], 2**63), limit)


BROKEN = [
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
    CountsWhatIsOnThePage,
    SkipsWhatIsOfTheSameDate,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_repository_with_one_rule_broken_does_not_conform(broken):
    assert first_failed_check(broken) is not None


def test_a_repository_that_keeps_all_rules_conforms():
    assert first_failed_check(InMemoryContactRepository) is None
    assert first_failed_check(OverThat) is None


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
            ["contact 3 does not stand straight under contact 1, the oldest"],
        ),
        (
            [contact(1, "a@x", "1", days=9), contact(2, "b@x", "1", 1)],
            [],
            [
                "contact 2 does not stand straight under contact 2, the oldest",
                "contact 1 does not stand straight under contact 2, the oldest",
            ],
        ),
        (
            [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1, LinkPrecedence.PRIMARY)],
            [],
            [
                "the identity of contact 1 has 2 primary contacts",
                "contact 2 does not stand straight under contact 1, the oldest",
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
            ["1 pairs are on record both as a contact and as evidence"],
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
    assert violations(snapshot, acknowledged) == ["1 acknowledged pairs are not on record"]
