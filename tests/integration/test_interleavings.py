"""Two transactions, stepped through every order of their sections against real PostgreSQL.

The repository is right in each; with one rule of its locking broken, at least one order shows it.
"""

import asyncio
from datetime import UTC, datetime
from functools import partial
from itertools import count

import pytest

from identity_adapters.postgres import repository, statements
from identity_core import ContactDetails, IdentifyContacts, reconcile
from identity_core.testing import components, violations
from identity_core.testing.model import partition
from tests.support.databases import connect, patient_engine, repository_on
from tests.support.stepping import run_in_order

pytestmark = pytest.mark.slow

OLD = datetime(2001, 1, 1, tzinfo=UTC)

# What is known, the batch of each transaction, and the steps taken before the orders part.
SCENARIOS = {
    "the same details": ([], [["a1"], ["a1"]], []),
    "one phone number": ([], [["a1"], ["b1"]], []),
    "a new value each for one identity": (["a1"], [["a2"], ["b1"]], []),
    "two that close a ring": (["a1", "b2"], [["a2"], ["b1"]], []),
    "a merge, and an addition to what it absorbs": (["a1", "b2"], [["a2"], ["b9"]], []),
    "a merge, and a merge of what it absorbs": (["a1", "b2", "c3"], [["a2"], ["b3"]], []),
    "a merge, and an older one that absorbs both": (["a1", "b2", "c3"], [["b3"], ["a2"]], []),
    "an older primary, and an addition": (["a1"], [["a5 old"], ["a6"]], []),
    "batches that cross": ([], [["a1", "b2"], ["b1", "a2"]], []),
    "strangers": (["a1"], [["a2"], ["b3"]], []),
    # The second waits for the first, which has its identity absorbed by one that it did not lock;
    # then it meets a third, which has that one absorbed.
    "an addition to what was absorbed, and what absorbs that": (
        ["z0", "a1", "b2"],
        [["a2"], ["b9"], ["z1"]],
        [0, 0, 0, 0, 1, 1, 0],
    ),
}


def details(word, run):
    """`a1 old` for one run: an email, a phone number, and a time."""
    value, _, old = word.partition(" ")
    return ContactDetails(f"{value[0]}.{run}@x", f"{run}000{value[1]}", OLD if old else None)


async def wrong_orders(url, scenario, stop_at_first=False):
    """The orders after which something does not hold.

    Each run goes on from a step at which an earlier one could have gone another way, until none is left.
    """
    known, batches, prefix = SCENARIOS[scenario]
    wrong, runs, left = [], count(1), [prefix]
    engines = [patient_engine(url, pool_size=1) for _ in batches]
    with connect(url) as observer:

        def is_waiting(backend):
            return observer.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [backend]).fetchone()[0]

        async with repository_on(url) as at_rest:
            while left:
                order, run = left.pop(), next(runs)
                before = [details(word, run) for word in known]
                for one in before:
                    await IdentifyContacts(at_rest)(one)
                last_event = observer.execute("SELECT coalesce(max(id), 0) FROM contact_events").fetchone()[0]
                made = [[details(word, run) for word in batch] for batch in batches]
                decisions = [(batch, partial(reconcile, batch)) for batch in made]
                steps = await run_in_order(engines, order, decisions, is_waiting)
                taken = [chosen for chosen, *_ in steps]
                for step, (_, *others) in enumerate(steps[len(order) :], len(order)):
                    left += [[*taken[:step], other] for other in others]
                everything = [*before, *(one for batch in made for one in batch)]
                snapshot = await at_rest.load(everything)
                times = observer.execute(
                    "SELECT happened_at FROM contact_events WHERE id > %s ORDER BY id", [last_event]
                ).fetchall()
                if (
                    violations(snapshot, everything)
                    or partition(snapshot) != components(everything)
                    or (scenario != "strangers" and times != sorted(times))
                ):
                    wrong.append(taken)
                    if stop_at_first:
                        break
    for engine in engines:
        await engine.dispose()
    return wrong


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_order_of_two_transactions_comes_out_right(url, scenario):
    assert asyncio.run(wrong_orders(url, scenario)) == []


def without_identifier_locks(monkeypatch):
    nothing = "SELECT %(global_lock)s, json_array_elements(%(keys)s)"
    monkeypatch.setattr(statements, "LOCK_IDENTIFIERS", nothing)


def without_row_locks(monkeypatch):
    unlocked = statements.LOCK_PRIMARIES.replace("FOR NO KEY UPDATE", "")
    monkeypatch.setattr(statements, "LOCK_PRIMARIES", unlocked)


def without_looking_again(monkeypatch):
    monkeypatch.setattr(repository, "_find_primary_ids", lambda snapshot: set())


def with_the_time_from_before_the_locks(monkeypatch):
    early = statements.LOCK_PRIMARIES.replace("clock_timestamp()", "transaction_timestamp()")
    monkeypatch.setattr(statements, "LOCK_PRIMARIES", early)


@pytest.mark.parametrize(
    "broken",
    [
        without_identifier_locks,
        without_row_locks,
        without_looking_again,
        with_the_time_from_before_the_locks,
    ],
    ids=lambda broken: broken.__name__,
)
def test_locking_with_one_rule_broken_is_caught(url, monkeypatch, broken):
    broken(monkeypatch)
    assert any(
        asyncio.run(wrong_orders(url, scenario, stop_at_first=True)) for scenario in reversed(SCENARIOS)
    )
