"""What a whole history comes to, from where its values occur first."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given

from identity_adapters.memory import InMemoryContactRepository
from identity_core import EventKind, import_contacts
from identity_core.rules.forest import find_primary, grow
from identity_core.testing import batches, moments

CREATED, LINKED = EventKind.CREATED, EventKind.LINKED
MERGED, CORROBORATED = EventKind.MERGED, EventKind.CORROBORATED


def number(details):
    """Each distinct pair of values with its number, and the numbers of the first ones with its values."""
    first = {}
    for position, one in enumerate(dict.fromkeys(d.key for d in details), start=1):
        for at, value in enumerate(one):
            if value is not None:
                first.setdefault((at, value), position)
        yield position, *(first.get((at, value), 0) for at, value in enumerate(one))


def grow_all(numbered, numbers=10):
    return [*grow(numbered, [0] * (numbers + 1))]


def test_details_with_nothing_known_become_an_identity():
    assert grow_all([(1, 1, 1), (2, 2, 0), (3, 0, 3)]) == [(CREATED, 1, 0), (CREATED, 2, 0), (CREATED, 3, 0)]


@pytest.mark.parametrize("second", [(2, 1, 2), (2, 2, 1)])
def test_details_with_one_value_known_join_its_identity(second):
    assert grow_all([(1, 1, 1), second]) == [(CREATED, 1, 0), (LINKED, 1, 0)]


def test_the_identity_of_the_smaller_primary_stays():
    merged = grow_all([(1, 1, 1), (2, 2, 2), (3, 2, 1), (4, 1, 2)])
    assert merged[2:] == [(MERGED, 1, 2), (CORROBORATED, 1, 0)]


def test_one_value_that_is_known_adds_nothing():
    assert grow_all([(1, 1, 1), (2, 1, 0), (3, 0, 1)])[1:] == [(None, 0, 0), (None, 0, 0)]


def test_the_numbers_of_other_identities_may_be_missing():
    parents = {}
    assert [*grow([(2, 2, 2), (5, 2, 5), (9, 9, 5)], parents)] == [
        (CREATED, 2, 0),
        (LINKED, 2, 0),
        (LINKED, 2, 0),
    ]
    assert {find_primary(one, parents) for one in (2, 5, 9)} == {2}


def test_a_long_chain_of_merges_leads_to_its_primary():
    parents = {one: max(1, one - 1) for one in range(1, 10_001)}
    assert find_primary(10_000, parents) == 1


@given(batches(seen_at=moments(), max_size=30))
def test_it_is_what_reconciling_one_after_the_other_comes_to(details):
    details = sorted(details, key=lambda one: one.seen_at)
    repository = InMemoryContactRepository(lambda: datetime(2026, 1, 1, tzinfo=UTC))

    async def reconcile():
        async def in_order():
            for one in details:
                yield one

        await import_contacts(repository, in_order(), batch_size=3)
        return (await repository.changes())[0]

    events = [recorded.event for recorded in asyncio.run(reconcile())]
    numbered = [*number(details)]
    decided = grow_all(numbered, len(details))
    numbers = [position for (position, *_), (kind, *_) in zip(numbered, decided, strict=True) if kind]
    ids = [event.contact_id or event.evidence_id for event in events]
    to_number = dict(zip(ids, numbers, strict=True))
    assert [one for one in decided if one[0]] == [
        (event.kind, to_number[event.primary_id], sum(map(to_number.get, event.absorbed_ids)))
        for event in events
    ]
