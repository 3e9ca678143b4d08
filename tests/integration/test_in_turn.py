"""Batches in turn: one is read while another is written, and all are recorded as if each came alone."""

import asyncio
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity_adapters.postgres import verify
from identity_core import (
    ContactDetails,
    IdentityError,
    Note,
    RuleOnIdentities,
    RuleSet,
    Verdict,
    reconcile,
    reconcile_in_turn,
)
from identity_core.rules.reconcile import KeptApart
from identity_core.testing import batches, identifiers, moments, rule_sets
from tests.support.databases import connect, emptied_repository_on, repository_on
from tests.support.recorded import recorded_in

NOTE = Note("a test", "to see")
HISTORIES = batches(5, st.none() | moments(), max_size=6)
PINS = st.lists(st.tuples(identifiers(5), identifiers(5)), max_size=2)


async def transact_each(repository, in_turn):
    for batch in in_turn:
        await repository.transact(batch, partial(reconcile, batch))


async def transact_in_turn(repository, in_turn):
    await repository.transact_in_turn(in_turn, partial(reconcile_in_turn, in_turn))


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES, st.lists(HISTORIES, max_size=4), rule_sets(5) | st.just(RuleSet()), PINS, st.integers(1, 2))
def test_everything_is_recorded_as_if_each_batch_had_come_by_itself(
    pair_of_urls, before, in_turn, rules, pins, connections
):
    async def record(url, transact, **options):
        async with emptied_repository_on(url) as repository:
            await transact_each(repository, [[details] for details in before])
            await repository.put(rules, NOTE)
            for one, other in pins:
                with suppress(IdentityError):
                    rule = RuleOnIdentities(repository, repository)
                    await rule.pin(one, other, Verdict.DIFFERENT, NOTE)
        async with repository_on(url, **options) as repository:
            with suppress(KeptApart):
                await transact(repository, in_turn)

    one, other = pair_of_urls
    asyncio.run(record(one, transact_each))
    asyncio.run(record(other, transact_in_turn, pool_size=connections))
    with connect(one) as alone, connect(other) as together:
        assert recorded_in(together) == recorded_in(alone)


LOCKED = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"


@pytest.mark.parametrize("which", [LOCKED, f"NOT {LOCKED}"], ids=["that writes", "that reads"])
def test_a_connection_that_is_lost_loses_nothing(which, url, sql):
    in_turn = [[ContactDetails(f"{batch}{n}@x", str(n)) for n in range(3)] for batch in "abc"]
    lost = []

    def decide(snapshots, now, ids):
        for position, decision in enumerate(reconcile_in_turn(in_turn, snapshots, now, ids)):
            if position == 1 and not lost:
                lost.extend(
                    sql(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                        f" datname = current_database() AND application_name = 'identity' AND {which}"
                    )
                )
            yield decision

    async def body():
        async with repository_on(url) as repository:
            return await repository.transact_in_turn(in_turn, decide)

    decisions = asyncio.run(body())
    assert lost == [(True,)]
    assert [len(decision.writes.created) for decision in decisions] == [3, 3, 3]
    assert sql("SELECT count(*), count(linked_id) FROM contacts") == [(9, 6)]
    assert verify(url) == []
