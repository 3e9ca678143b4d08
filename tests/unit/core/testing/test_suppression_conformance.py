"""The conformance suite of people who are kept out catches mistakes about them."""

import pytest
from attrs import evolve

from identity_adapters.memory import InMemoryContactRepository
from identity_core import IdentifierKind, Snapshot
from identity_core.testing import SuppressionConformance
from tests.unit.core.testing.failing import find_failing_test


class KeepsNobodyOut(InMemoryContactRepository):
    def _find_suppressed(self, identifiers):
        return frozenset()


class KeepsEverybodyOut(InMemoryContactRepository):
    def _find_suppressed(self, identifiers):
        return frozenset(identifiers)


class KeepsEmailsOutAlone(InMemoryContactRepository):
    def _find_suppressed(self, identifiers):
        found = super()._find_suppressed(identifiers)
        return frozenset(one for one in found if one.kind is IdentifierKind.EMAIL)


class KeepsEverybodyOutForEver(InMemoryContactRepository):
    def _find_suppressed(self, identifiers):
        return frozenset(self._suppressed.keys() & {*identifiers})

    def _erase(self, erasure, now):
        super()._erase(erasure, now)
        if erasure.suppressed_until is not None:
            self._suppressed |= dict.fromkeys(erasure.values, now)


class KeepsWhoeverIsErasedOut(InMemoryContactRepository):
    def _erase(self, erasure, now):
        super()._erase(erasure, now)
        self._suppressed |= dict.fromkeys(erasure.values, now.replace(year=2999))


class LetsTheLastEndStand(InMemoryContactRepository):
    def _erase(self, erasure, now):
        if erasure.suppressed_until is not None:
            self._suppressed = {}
        super()._erase(erasure, now)


class KeepsThoseOutWhomItDidNotErase(InMemoryContactRepository):
    async def revise(self, identifiers, decide, *, alone=False):
        try:
            return await super().revise(identifiers, decide, alone=alone)
        except Exception:
            self._suppressed |= dict.fromkeys(identifiers, self._clock().replace(year=2999))
            raise


class DecidesWithoutWhomItKeepsOut(InMemoryContactRepository):
    def _snapshot_to_decide(self, batch):
        return evolve(super()._snapshot_to_decide(batch), suppressed=frozenset())


class DecidesInTurnWithoutWhomItKeepsOut(InMemoryContactRepository):
    async def transact_in_turn(self, batches, decide):
        def forget(snapshots, now, ids):
            return decide((evolve(one, suppressed=frozenset()) for one in snapshots), now, ids)

        return await super().transact_in_turn(batches, forget)


class DecidesInTurnWithWhomTheFirstBatchNames(InMemoryContactRepository):
    async def transact_in_turn(self, batches, decide):
        def forget(snapshots, now, ids):
            first = next(snapshots)

            def rest():
                yield first
                for one in snapshots:
                    yield evolve(one, suppressed=frozenset()) if isinstance(one, Snapshot) else one

            return decide(rest(), now, ids)

        return await super().transact_in_turn(batches, forget)


class RecordsNobodyWhoIsKeptOut(InMemoryContactRepository):
    def _record(self, identifiers, rules):
        return evolve(super()._record(identifiers, rules), suppressed=frozenset())


class TellsReadersNothing(InMemoryContactRepository):
    async def suppressed(self, identifiers):
        return frozenset()


class TellsReadersOfAll(InMemoryContactRepository):
    async def suppressed(self, identifiers):
        return frozenset(self._suppressed)


BROKEN = [
    KeepsNobodyOut,
    KeepsEverybodyOut,
    KeepsEmailsOutAlone,
    KeepsEverybodyOutForEver,
    KeepsWhoeverIsErasedOut,
    LetsTheLastEndStand,
    KeepsThoseOutWhomItDidNotErase,
    DecidesWithoutWhomItKeepsOut,
    DecidesInTurnWithoutWhomItKeepsOut,
    DecidesInTurnWithWhomTheFirstBatchNames,
    RecordsNobodyWhoIsKeptOut,
    TellsReadersNothing,
    TellsReadersOfAll,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_an_adapter_with_one_rule_broken_does_not_conform(broken):
    assert find_failing_test(SuppressionConformance, broken) is not None


def test_an_adapter_that_keeps_all_rules_conforms():
    assert find_failing_test(SuppressionConformance, InMemoryContactRepository) is None
