"""What an import would do, without doing it."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.memory import DryRunRepository, InMemoryContactRepository
from identity_core import (
    ChangeRules,
    ContactDetails,
    Contradiction,
    EraseIdentities,
    IdentifyContacts,
    ImportReport,
    Note,
    RuleOnIdentities,
    Verdict,
    import_contacts,
)
from identity_core.model.identifiers import to_identifiers
from identity_core.testing import batches
from identity_core.testing.strategies import moments, rule_sets

POOL = 4
DATED = batches(POOL, moments() | st.none())
NOTE = Note("a tester", "a test")


@given(
    before=DATED,
    rules=rule_sets(POOL),
    then=DATED,
    imported=DATED,
    pins=st.lists(st.sampled_from([Verdict.SAME, Verdict.DIFFERENT]), max_size=2),
    batch_size=st.integers(1, 5),
)
def test_a_dry_run_foretells_what_an_import_does_by_the_rules_and_rulings_in_force(
    before, rules, then, imported, pins, batch_size
):
    repository = InMemoryContactRepository()
    identify, rule = IdentifyContacts(repository), RuleOnIdentities(repository, repository)

    async def details():
        for one in imported:
            yield one

    async def body():
        await identify.with_outcomes(before)
        await ChangeRules(repository, repository).put(rules, NOTE)
        await identify.with_outcomes(then)
        pairs = sorted({one.pair for one in before if one.pair is not None})
        for pair, verdict in zip(pairs, pins, strict=False):
            with suppress(Contradiction):
                if verdict is Verdict.DIFFERENT:
                    await rule.undo(pair, NOTE)
                await rule.pin(*to_identifiers(*pair), verdict, NOTE)
        stored = await repository.record(every_value)
        foretold = await import_contacts(DryRunRepository(repository), details(), batch_size=batch_size)
        assert await repository.record(every_value) == stored, "nothing is written"
        assert foretold == await import_contacts(repository, details(), batch_size=batch_size)

    every_value = {value for one in (*before, *then, *imported) for value in one.identifiers}
    asyncio.run(body())


def test_a_dry_run_counts_who_is_kept_out():
    repository = InMemoryContactRepository()

    async def details():
        for key in (("a@x", "2"), ("b@x", "1"), ("b@x", "2")):
            yield ContactDetails(*key)

    async def body():
        erased = ContactDetails("a@x", "1")
        await IdentifyContacts(repository)(erased)
        erase = EraseIdentities(repository, repository, repository)
        await erase(erased.identifiers[0], suppressed_until=datetime(2999, 1, 1, tzinfo=UTC))
        expected = ImportReport(read=3, created=1, suppressed=2)
        assert await import_contacts(DryRunRepository(repository), details(), batch_size=1) == expected
        assert await import_contacts(repository, details(), batch_size=1) == expected

    asyncio.run(body())
