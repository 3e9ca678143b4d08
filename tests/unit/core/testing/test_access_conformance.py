"""The suite of what is handed out of a person catches mistakes."""

from datetime import UTC, datetime

import pytest
from attrs import evolve

from identity_adapters.memory import InMemoryContactRepository
from identity_core import DeletedContact, LedgerEntry, Standing
from identity_core.testing import AccessConformance
from tests.unit.core.testing.failing import find_failing_test


class WithOneRuleBroken(InMemoryContactRepository):
    """A reader with one rule broken: its dossiers are changed."""

    def told(self, dossier):
        return dossier

    async def dossier(self, identifiers):
        return self.told(await super().dossier(identifiers))


class HasAllDeletedContacts(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, deleted=tuple(self._deleted[id] for id in sorted(self._deleted)))


class HasNoDeletedContacts(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, deleted=())


class HasDeletedContactsThatLeadThereAlone(WithOneRuleBroken):
    def told(self, dossier):
        leading = {id for id, _ in dossier.record.deleted}
        return evolve(dossier, deleted=tuple(one for one in dossier.deleted if one.contact.id in leading))


class HasDeletedContactsWithItsValuesAlone(WithOneRuleBroken):
    def told(self, dossier):
        known = dossier.record.known
        kept = (one for one in dossier.deleted if known.intersection(one.contact.identifiers))
        return evolve(dossier, deleted=tuple(kept))


class HasTheYoungestDeletedContactFirst(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, deleted=dossier.deleted[::-1])


class TellsWhenDeletedContactsWereMade(WithOneRuleBroken):
    def told(self, dossier):
        deleted = (DeletedContact(one.contact, one.contact.created_at) for one in dossier.deleted)
        return evolve(dossier, deleted=tuple(deleted))


class WithoutPairs(WithOneRuleBroken):
    standing = None

    def told(self, dossier):
        kept = (piece for piece in dossier.record.evidence if piece.standing is not self.standing)
        return evolve(dossier, record=evolve(dossier.record, evidence=tuple(kept)))


class HasNoUndonePairs(WithoutPairs):
    standing = Standing.UNDONE


class HasNoHeldPairs(WithoutPairs):
    standing = Standing.HELD


class HasNoBlockedPairs(WithoutPairs):
    standing = Standing.BLOCKED


class HasPairsOfBothValuesAlone(WithOneRuleBroken):
    def told(self, dossier):
        known = dossier.record.known
        kept = (piece for piece in dossier.record.evidence if known.issuperset(piece.identifiers))
        return evolve(dossier, record=evolve(dossier.record, evidence=tuple(kept)))


class HasNoWithdrawnRulings(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, withdrawn=())


class HasAllWithdrawnRulings(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, withdrawn=tuple(self._withdrawn[id] for id in sorted(self._withdrawn)))


class HasTheLatestWithdrawnRulingFirst(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, withdrawn=dossier.withdrawn[::-1])


class TellsTheReasonOfARulingForThatOfItsEnd(WithOneRuleBroken):
    def told(self, dossier):
        ends = ((ruling, evolve(end, reason=ruling.reason)) for ruling, end in dossier.withdrawn)
        return evolve(dossier, withdrawn=tuple(ends))


class HasRulingsInForceAmongThoseWithdrawn(WithOneRuleBroken):
    def told(self, dossier):
        ended = [end for _, end in self._withdrawn.values()]
        added = ((ruling, ended[0]) for ruling in dossier.record.rulings if ended)
        return evolve(dossier, withdrawn=(*dossier.withdrawn, *added))


class HasTheRulesInForceAlone(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, rules=dossier.rules[-1:])


class HasTheRulesBeforeAlone(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, rules=dossier.rules[:-1])


class HasTheLatestRulesFirst(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, rules=dossier.rules[::-1])


class DoesNotTellWhoPutRulesInForce(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, rules=tuple(evolve(one, note=None) for one in dossier.rules))


class HasAnotherRecord(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, record=evolve(dossier.record, rulings=()))


class HasRulesThoughThereNeverWereAny(WithOneRuleBroken):
    def told(self, dossier):
        return evolve(dossier, rules=dossier.rules or (self._rules,))


class TakesAnAccessForAnErasure(InMemoryContactRepository):
    async def record_access(self, contact_ids, by):
        await super().record_access(contact_ids, by)
        self._ledger.append(LedgerEntry(1, datetime.now(UTC), by, tuple(contact_ids), (), ()))


class RecordsNoAccessByNobody(InMemoryContactRepository):
    async def record_access(self, contact_ids, by):
        await super().record_access(contact_ids, by.strip())


class RecordsNoAccessOfNobody(InMemoryContactRepository):
    async def record_access(self, contact_ids, by):
        await super().record_access([contact_ids[0]], by)


BROKEN = [
    HasAllDeletedContacts,
    HasNoDeletedContacts,
    HasDeletedContactsThatLeadThereAlone,
    HasDeletedContactsWithItsValuesAlone,
    HasTheYoungestDeletedContactFirst,
    TellsWhenDeletedContactsWereMade,
    HasNoUndonePairs,
    HasNoHeldPairs,
    HasNoBlockedPairs,
    HasPairsOfBothValuesAlone,
    HasNoWithdrawnRulings,
    HasAllWithdrawnRulings,
    HasTheLatestWithdrawnRulingFirst,
    TellsTheReasonOfARulingForThatOfItsEnd,
    HasRulingsInForceAmongThoseWithdrawn,
    HasTheRulesInForceAlone,
    HasTheRulesBeforeAlone,
    HasTheLatestRulesFirst,
    DoesNotTellWhoPutRulesInForce,
    HasAnotherRecord,
    HasRulesThoughThereNeverWereAny,
    TakesAnAccessForAnErasure,
    RecordsNoAccessByNobody,
    RecordsNoAccessOfNobody,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_an_adapter_with_one_rule_broken_does_not_conform(broken):
    assert find_failing_test(AccessConformance, broken) is not None


@pytest.mark.parametrize("whole", [InMemoryContactRepository, WithOneRuleBroken])
def test_an_adapter_that_keeps_all_rules_conforms(whole):
    assert find_failing_test(AccessConformance, whole) is None
