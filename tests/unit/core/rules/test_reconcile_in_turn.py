"""Deciding in turn comes to the same as deciding on each batch from what is known after those before it."""

import asyncio
from functools import partial
from itertools import count, repeat

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.memory import InMemoryContactRepository
from identity_core import ContactDetails, Record, Snapshot, WriteSet, reconcile, reconcile_in_turn
from identity_core.rules.reconcile import KeptApart
from identity_core.testing import batches, identifiers, moments
from identity_core.testing.strategies import rule_sets
from tests.unit.core.records import NOW, contact, ruling

HISTORIES = batches(5, st.none() | moments(), max_size=6)
RULES = rule_sets(5)
PINS = st.lists(st.tuples(identifiers(5), identifiers(5)).filter(lambda pin: pin[0] != pin[1]), max_size=2)


def to_details(one):
    return ContactDetails(one.email, one.phone_number, one.created_at)


def recorded_in(repository):
    return [*repository._contacts.values()], repository._evidence, repository._events


async def decide_one_by_one(repository, in_turn):
    """The decisions before the first that needs the whole record."""
    decisions = []
    for batch in in_turn:
        try:
            decisions.append(await repository.transact(batch, partial(reconcile, batch)))
        except KeptApart as kept_apart:
            return decisions, kept_apart.position
    return decisions, None


async def decide_in_turn(repository, in_turn):
    position = None

    def decide(snapshots, now, ids):
        nonlocal position
        try:
            yield from reconcile_in_turn(in_turn, snapshots, now, ids)
        except KeptApart as kept_apart:
            position = kept_apart.position
            raise

    try:
        return await repository.transact_in_turn(in_turn, decide), position
    except KeptApart:
        return [], position


@given(HISTORIES, st.lists(HISTORIES, max_size=4), RULES, PINS)
def test_each_batch_is_decided_as_if_those_before_were_written(before, in_turn, rules, pins):
    pinned = [ruling(10_000 + n, "different", one.value, other.value) for n, (one, other) in enumerate(pins)]
    kept = []
    for decide in (decide_one_by_one, decide_in_turn):
        repository = InMemoryContactRepository(lambda: NOW)
        for details in before:
            asyncio.run(repository.transact([details], partial(reconcile, [details])))
        repository.adopt(Record(rules=rules, rulings=tuple(pinned)))
        decisions, position = asyncio.run(decide(repository, in_turn))
        kept.append(([evolve(one, identities=()) for one in decisions], position, recorded_in(repository)))
    assert kept[0] == kept[1]


def test_what_a_batch_wrote_is_altered_by_a_later_one():
    first, second = [contact(1, "a@x", None), contact(2, None, "1")], [contact(3, "a@x", "1", days=0)]
    in_turn = [[to_details(one) for one in batch] for batch in (first, second)]
    one, other = reconcile_in_turn(in_turn, repeat(Snapshot()), NOW, count(1))
    assert [(c.id, c.linked_id) for c in one.writes.created] == [(1, None), (2, None)]
    assert [(c.id, c.linked_id) for c in other.writes.created] == [(3, None)]
    assert [(c.id, c.linked_id) for c in other.writes.altered] == [(1, 3), (2, 3)]


def test_a_batch_that_adds_nothing_writes_nothing():
    details = [to_details(contact(1, "a@x", "1"))]
    _, again = reconcile_in_turn([details, details], repeat(Snapshot()), NOW, count(1))
    assert again.writes == WriteSet()
