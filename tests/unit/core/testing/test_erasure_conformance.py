"""The conformance suite of erasures catches mistakes about them."""

from itertools import count

import pytest
from attrs import evolve

from identity_adapters.memory import InMemoryContactRepository
from identity_core import EventKind, RuleSet
from identity_core.model.decision import LATER
from identity_core.testing import ErasureConformance
from tests.unit.core.testing.failing import find_failing_test


class Leaves(InMemoryContactRepository):
    """An adapter that leaves something in place."""

    left = ""

    def _erase(self, erasure, now):
        before = getattr(self, self.left).copy()
        super()._erase(erasure, now)
        setattr(self, self.left, before)


class LeavesEvidence(Leaves):
    left = "_evidence"


class LeavesRulings(Leaves):
    left = "_rulings"


class LeavesWithdrawnRulings(Leaves):
    left = "_withdrawn"


class LeavesDeletedContacts(Leaves):
    left = "_deleted"


class LeavesRulesThatAreNoLongerInForce(Leaves):
    left = "_rules_before"


class ErasesOtherwise(InMemoryContactRepository):
    """An adapter that erases something else."""

    def changed(self, erasure):
        return erasure

    def _erase(self, erasure, now):
        super()._erase(self.changed(erasure), now)


class LeavesContacts(ErasesOtherwise):
    def changed(self, erasure):
        return evolve(erasure, contact_ids=())


class LeavesTheSecondaries(ErasesOtherwise):
    def changed(self, erasure):
        return evolve(erasure, contact_ids=erasure.contact_ids[:1])


class LeavesBlocks(ErasesOtherwise):
    def changed(self, erasure):
        return evolve(erasure, rules=None)


class BlocksNothingFromThenOn(ErasesOtherwise):
    def changed(self, erasure):
        return erasure if erasure.rules is None else evolve(erasure, rules=RuleSet())


class DoesNotTellWhoErased(ErasesOtherwise):
    def changed(self, erasure):
        return evolve(erasure, erased_by=None)


class LeavesPairsThatABackupBringsBack(ErasesOtherwise):
    def changed(self, erasure):
        return evolve(erasure, evidence_ids=())


class LeavesRulingsThatABackupBringsBack(ErasesOtherwise):
    def changed(self, erasure):
        return evolve(erasure, ruling_ids=())


class DoesNotRecordWhatItErasesAgain(ErasesOtherwise):
    def changed(self, erasure):
        return evolve(erasure, again=None)


class ErasesAgainTooMuch(ErasesOtherwise):
    def changed(self, erasure):
        if erasure.again is None:
            return erasure
        return evolve(erasure, contact_ids=tuple(sorted(self._contacts)))


class ErasesPairsOfEverybody(InMemoryContactRepository):
    def _erase(self, erasure, now):
        super()._erase(erasure, now)
        self._evidence, self._rulings = {}, {}


class ErasesContactsOfEverybody(ErasesOtherwise):
    def changed(self, erasure):
        return evolve(erasure, contact_ids=tuple(sorted(self._contacts)))


class DoesNotStrikeTexts(InMemoryContactRepository):
    def _strike(self, values):
        pass


class ForgetsWhoWasErased(InMemoryContactRepository):
    def _check_not_erased(self, contact_id):
        pass


class TakesWhoNeverExistedForErased(InMemoryContactRepository):
    def _check_not_erased(self, contact_id):
        super()._check_not_erased(
            contact_id
            if contact_id in self._contacts or contact_id in self._deleted or not self._ledger
            else self._ledger[0].contact_ids[0]
        )


class WritesNoEvent(InMemoryContactRepository):
    def _write(self, writes, now):
        kept = (event for event in writes.events if event.kind is not EventKind.ERASED)
        super()._write(evolve(writes, events=tuple(kept)), now)


class WritesEventsThatDoNotNameContacts(InMemoryContactRepository):
    def _write(self, writes, now):
        events = (
            evolve(event, moved_ids=()) if event.kind is EventKind.ERASED else event
            for event in writes.events
        )
        super()._write(evolve(writes, events=tuple(events)), now)


class ForgetsTheEventsBefore(InMemoryContactRepository):
    def _erase(self, erasure, now):
        super()._erase(erasure, now)
        self._events = self._events[-1:]


class KeepsNoLedger(InMemoryContactRepository):
    async def ledger(self, after=0, limit=100):
        return (await super().ledger(after, limit))[-1:] if after else []


class HasTheLatestErasureFirst(InMemoryContactRepository):
    async def ledger(self, after=0, limit=100):
        return (await super().ledger(after, limit))[::-1]


class PagesWithoutAStart(InMemoryContactRepository):
    async def ledger(self, after=0, limit=100):
        return await super().ledger(0 if limit > 1 else after, limit)


class PagesWithoutALimit(InMemoryContactRepository):
    async def ledger(self, after=0, limit=100):
        return await super().ledger(after, limit if limit == 1 else 100)


class PutsAnErasureOnRecordTwice(InMemoryContactRepository):
    def _has_erasure(self, entry):
        return False


class TakesErasuresOfTheSameContactsForOne(InMemoryContactRepository):
    def _has_erasure(self, entry):
        return entry.contact_ids in {one.contact_ids for one in self._ledger}


class PutsNothingOnRecord(InMemoryContactRepository):
    def _adopt_erasure(self, entry):
        self._ids = count(max(next(self._ids), entry.last_id + 1))


class GivesIdsOfTheErasedAgain(InMemoryContactRepository):
    async def skip_ids(self, last_id):
        pass


class GivesTheIdsOfTheErasedAtOnce(InMemoryContactRepository):
    def _erase(self, erasure, now):
        super()._erase(erasure, now)
        if erasure.contact_ids:
            self._ids = count(erasure.contact_ids[0])


class FindsNothingLeft(InMemoryContactRepository):
    async def find_left(self, entry):
        return []


class FindsWhatCameAfterwards(InMemoryContactRepository):
    async def find_left(self, entry):
        return await super().find_left(evolve(entry, erased_at=LATER))


class FindsOneTableAlone(InMemoryContactRepository):
    missing = ""

    async def find_left(self, entry):
        return [one for one in await super().find_left(entry) if one.table != self.missing]


class FindsNoContactsLeft(FindsOneTableAlone):
    missing = "contacts"


class FindsNoPairsLeft(FindsOneTableAlone):
    missing = "contact_evidence"


class FindsNoRulingsLeft(FindsOneTableAlone):
    missing = "contact_rulings"


class FindsNoBlocksLeft(FindsOneTableAlone):
    missing = "contact_rules"


class ForgetsWhatTheErasedHad(InMemoryContactRepository):
    def _erase(self, erasure, now):
        super()._erase(erasure, now)
        self._ledger[-1] = evolve(self._ledger[-1], **{self.forgotten: ()})


class DoesNotRecordContacts(ForgetsWhatTheErasedHad):
    forgotten = "contact_ids"


class DoesNotRecordPairs(ForgetsWhatTheErasedHad):
    forgotten = "evidence_ids"


class DoesNotRecordRulings(ForgetsWhatTheErasedHad):
    forgotten = "ruling_ids"


class DoesNotRecordBlocks(ForgetsWhatTheErasedHad):
    forgotten = "blocks"


class NamesNoRulesOfItsOwn(InMemoryContactRepository):
    def _erase(self, erasure, now):
        version, note = self._rules.version, self._rules.note
        super()._erase(erasure, now)
        if erasure.rules is not None:
            self._rules = evolve(self._rules, version=version, note=note)


BROKEN = [
    LeavesEvidence,
    LeavesRulings,
    LeavesWithdrawnRulings,
    LeavesDeletedContacts,
    LeavesRulesThatAreNoLongerInForce,
    LeavesContacts,
    LeavesTheSecondaries,
    LeavesBlocks,
    BlocksNothingFromThenOn,
    DoesNotTellWhoErased,
    LeavesPairsThatABackupBringsBack,
    LeavesRulingsThatABackupBringsBack,
    DoesNotRecordWhatItErasesAgain,
    ErasesAgainTooMuch,
    ErasesPairsOfEverybody,
    ErasesContactsOfEverybody,
    DoesNotStrikeTexts,
    ForgetsWhoWasErased,
    TakesWhoNeverExistedForErased,
    WritesNoEvent,
    WritesEventsThatDoNotNameContacts,
    ForgetsTheEventsBefore,
    KeepsNoLedger,
    HasTheLatestErasureFirst,
    PagesWithoutAStart,
    PagesWithoutALimit,
    PutsAnErasureOnRecordTwice,
    TakesErasuresOfTheSameContactsForOne,
    PutsNothingOnRecord,
    GivesIdsOfTheErasedAgain,
    GivesTheIdsOfTheErasedAtOnce,
    FindsNothingLeft,
    FindsWhatCameAfterwards,
    FindsNoContactsLeft,
    FindsNoPairsLeft,
    FindsNoRulingsLeft,
    FindsNoBlocksLeft,
    DoesNotRecordContacts,
    DoesNotRecordPairs,
    DoesNotRecordRulings,
    DoesNotRecordBlocks,
    NamesNoRulesOfItsOwn,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_an_adapter_with_one_rule_broken_does_not_conform(broken):
    assert find_failing_test(ErasureConformance, broken) is not None


@pytest.mark.parametrize("whole", [InMemoryContactRepository, ErasesOtherwise])
def test_an_adapter_that_keeps_all_rules_conforms(whole):
    assert find_failing_test(ErasureConformance, whole) is None
