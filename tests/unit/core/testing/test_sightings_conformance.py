"""The conformance suite of sightings is worth something only if it catches mistakes."""

from datetime import date

import pytest
from attrs import evolve

from identity_adapters.memory import InMemoryContactRepository
from identity_core.testing import SightingsConformance
from tests.unit.core.testing.failing import find_failing_test


class BeginsAgain(InMemoryContactRepository):
    async def begin_recording(self, month):
        self._recorded_since = month


class NeverEnds(InMemoryContactRepository):
    async def end_recording(self):
        pass


class DoesNotTellSinceWhen(InMemoryContactRepository):
    async def recorded_since(self):
        return None


class RecordsWithoutHavingBegun(InMemoryContactRepository):
    async def record_seen(self, seen):
        before, self._recorded_since = self._recorded_since, self._recorded_since or date.min
        try:
            return await super().record_seen(seen)
        finally:
            self._recorded_since = before


class RecordsWhatWasBefore(InMemoryContactRepository):
    async def record_seen(self, seen):
        before, self._recorded_since = self._recorded_since, self._recorded_since and date.min
        try:
            return await super().record_seen(seen)
        finally:
            self._recorded_since = before


class WritesAgain(InMemoryContactRepository):
    async def record_seen(self, seen):
        await super().record_seen(seen)
        return len(seen)


class GoesBack(InMemoryContactRepository):
    async def record_seen(self, seen):
        for value in seen:
            self._last_seen.pop(value, None)
        return await super().record_seen(seen)


class RecordsWhatNobodyHas(InMemoryContactRepository):
    async def record_seen(self, seen):
        written = await super().record_seen(seen)
        if written:
            self._last_seen.update(seen)
        return written


class RecordsWhatDeletedContactsHave(InMemoryContactRepository):
    def _unindex(self, contact_id):
        pass


class KeepsWhatWasErased(InMemoryContactRepository):
    def _erase(self, erasure, now):
        kept = {**self._last_seen}
        super()._erase(erasure, now)
        self._last_seen = kept


class Finding(InMemoryContactRepository):
    """Finds others than are unseen."""

    def found(self, unseen, after, limit):
        raise NotImplementedError

    async def find_unseen(self, before, after=0, limit=1000):
        return self.found(await super().find_unseen(before, after, limit), after, limit)


class FindsNobody(Finding):
    def found(self, unseen, after, limit):
        return []


class CountsNoContacts(Finding):
    def found(self, unseen, after, limit):
        return [evolve(one, contacts=1) for one in unseen]


class FindsTheLatestFirst(Finding):
    def found(self, unseen, after, limit):
        return unseen[::-1]


class StartsOver(InMemoryContactRepository):
    async def find_unseen(self, before, after=0, limit=1000):
        return await super().find_unseen(before, 0, limit)


class FindsAll(InMemoryContactRepository):
    async def find_unseen(self, before, after=0, limit=1000):
        return await super().find_unseen(before, after)


class FindsWhoWasSeenInTheMonth(InMemoryContactRepository):
    async def find_unseen(self, before, after=0, limit=1000):
        return await super().find_unseen(before.replace(day=2), after, limit)


class GoesByRecordedMonthsAlone(InMemoryContactRepository):
    async def find_unseen(self, before, after=0, limit=1000):
        since, self._recorded_since = self._recorded_since, self._recorded_since and date.min
        try:
            return await super().find_unseen(before, after, limit)
        finally:
            self._recorded_since = since


class ForgetsWhatDeletedContactsHad(InMemoryContactRepository):
    async def find_unseen(self, before, after=0, limit=1000):
        deleted, self._deleted = self._deleted, {}
        try:
            return await super().find_unseen(before, after, limit)
        finally:
            self._deleted = deleted


class GoesByContacts(InMemoryContactRepository):
    async def find_unseen(self, before, after=0, limit=1000):
        contacts = {**self._contacts}
        self._contacts = {id: evolve(one, linked_id=None) for id, one in contacts.items()}
        try:
            return await super().find_unseen(before, after, limit)
        finally:
            self._contacts = contacts


class GoesByCreationAlone(InMemoryContactRepository):
    async def find_unseen(self, before, after=0, limit=1000):
        seen, self._last_seen = self._last_seen, {}
        try:
            return await super().find_unseen(before, after, limit)
        finally:
            self._last_seen = seen


BROKEN = [
    BeginsAgain,
    NeverEnds,
    DoesNotTellSinceWhen,
    RecordsWithoutHavingBegun,
    RecordsWhatWasBefore,
    WritesAgain,
    GoesBack,
    RecordsWhatNobodyHas,
    RecordsWhatDeletedContactsHave,
    KeepsWhatWasErased,
    FindsNobody,
    CountsNoContacts,
    FindsTheLatestFirst,
    StartsOver,
    FindsAll,
    FindsWhoWasSeenInTheMonth,
    GoesByRecordedMonthsAlone,
    ForgetsWhatDeletedContactsHad,
    GoesByContacts,
    GoesByCreationAlone,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: one.__name__)
def test_an_adapter_with_one_rule_broken_does_not_conform(broken):
    assert find_failing_test(SightingsConformance, broken) is not None


def test_an_adapter_that_keeps_all_rules_conforms():
    assert find_failing_test(SightingsConformance, InMemoryContactRepository) is None
