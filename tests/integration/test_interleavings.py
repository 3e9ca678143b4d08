"""Two clients, stepped through every order of the sections of their transactions against real PostgreSQL.

The repository is right in each; with one rule of its locking broken, at least one order shows it.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count

import pytest

from identity_adapters.postgres import repository, statements
from identity_core import (
    ContactDetails,
    Contradiction,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Note,
    NotRecorded,
    RuleOnIdentities,
    Verdict,
)
from identity_core.identify import decide
from identity_core.testing import violations
from identity_core.testing.model import partition, resolved
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
    "an undo, and an addition to what leaves": (["a1", "b2", "a2"], [["undo a2"], ["b9"]], []),
    "an undo, and a merge with what leaves": (["a1", "b2", "a2", "c3"], [["undo a2"], ["c2"]], []),
    "an undo, and the same details": (["a1"], [["undo a1"], ["a1"]], []),
    "an undo, and details that join the two again": (["a1", "b1"], [["undo a1"], ["a2", "b2"]], []),
    "two that are undone": (["a1", "b1", "b2"], [["undo b1"], ["undo a1"]], []),
    "an undo, and a pin of what leaves": (["a1", "b2", "a2"], [["undo a2"], ["pin a apart from b"]], []),
    "a pin, and details that would join the two": (["a1", "b2"], [["pin a apart from b"], ["a2"]], []),
    "a pin of strangers, and details that would join them": ([], [["pin a apart from b"], ["a1", "b1"]], []),
    "a pin of two together, and a pin of two apart": (
        ["a1", "b2", "c3"],
        [["pin a with b"], ["pin a apart from b"]],
        [],
    ),
    "two pins that go round": (["a1", "b2", "c3", "b3"], [["pin a with b"], ["pin a apart from c"]], []),
    "a split, and a merge that goes around it": (["a1", "b1"], [["split a from b"], ["a2", "b2"]], []),
    "two splits of one identity": (["a1", "b1", "b2"], [["split a from b"], ["split b from 2"]], []),
    # The second waits for the first, which has its identity absorbed by one that it did not lock;
    # then it meets a third, which has that one absorbed.
    "an addition to what was absorbed, and what absorbs that": (
        ["z0", "a1", "b2"],
        [["a2"], ["b9"], ["z1"]],
        [0, 0, 0, 0, 1, 1, 0],
    ),
}


NOTE = Note("a test", "to see")


def details(word, run):
    """`a1 old` for one run: an email, a phone number, and a time."""
    value, _, old = word.partition(" ")
    return ContactDetails(f"{value[0]}.{run}@x", f"{run}000{value[1]}", OLD if old else None)


def value(letter, run):
    """`a` or `1` for one run: an email or a phone number."""
    if letter.isdigit():
        return Identifier(IdentifierKind.PHONE_NUMBER, f"{run}000{letter}")
    return Identifier(IdentifierKind.EMAIL, f"{letter}.{run}@x")


async def rule(words, run, repository):
    """Rule as words say: `undo a1`, `pin a with b`, `pin a apart from b`, `split a from b`.

    One that is refused, since something else came first, changes nothing.
    """
    kind, *rest = words.split()
    rulings = RuleOnIdentities(repository, None)
    with suppress(NotRecorded, Contradiction):
        if kind == "undo":
            await rulings.undo(details(*rest, run).pair, NOTE)
        else:
            one, other = value(rest[0], run), value(rest[-1], run)
            if kind == "split":
                await rulings.split(one, other, NOTE)
            else:
                verdict = Verdict.SAME if rest[1] == "with" else Verdict.DIFFERENT
                await rulings.pin(one, other, verdict, NOTE)


def is_ruling(word):
    return word.split()[0] in ("undo", "pin", "split")


def make_work(words, run):
    """What a client does: it rules, or identifies a batch."""
    if is_ruling(words[0]):
        return partial(rule, words[0], run)
    return partial(decide_batch, [details(word, run) for word in words])


async def decide_batch(batch, repository):
    await decide(repository, batch)


async def holds(repository, identified, run):
    """Whether what is stored is what the record says."""
    record = await repository.record([value(letter, run) for letter in "abcz123569"])
    snapshot = await repository.load(identified)
    return partition(record) == resolved(record) and not violations(snapshot, identified)


RUNS = count(1)


async def wrong_orders(url, scenario, stop_at_first=False):
    """The orders after which something does not hold.

    Each run goes on from a step at which an earlier one could have gone another way, until none is left.
    """
    known, works, prefix = SCENARIOS[scenario]
    wrong, left = [], [prefix]
    engines = [patient_engine(url, pool_size=1) for _ in works]
    with connect(url) as observer:

        def is_waiting(backend):
            return observer.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [backend]).fetchone()[0]

        async with repository_on(url) as at_rest:
            while left:
                order, run = left.pop(), next(RUNS)
                before = [details(word, run) for word in known]
                for one in before:
                    await IdentifyContacts(at_rest)(one)
                last_event = observer.execute("SELECT coalesce(max(id), 0) FROM contact_events").fetchone()[0]
                made = [make_work(words, run) for words in works]
                steps = await run_in_order(engines, order, made, is_waiting)
                taken = [chosen for chosen, *_ in steps]
                for step, (_, *others) in enumerate(steps[len(order) :], len(order)):
                    left += [[*taken[:step], other] for other in others]
                identified = [word for words in works for word in words if not is_ruling(word)]
                everything = [*before, *(details(word, run) for word in identified)]
                times = observer.execute(
                    "SELECT happened_at FROM contact_events WHERE id > %s ORDER BY id", [last_event]
                ).fetchall()
                if not await holds(at_rest, everything, run) or (
                    scenario != "strangers" and times != sorted(times)
                ):
                    wrong.append(taken)
                    if stop_at_first:
                        break
    for engine in engines:
        await engine.dispose()
    return wrong


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_order_of_two_clients_comes_out_right(url, scenario):
    assert asyncio.run(wrong_orders(url, scenario)) == []


def without_identifier_locks(monkeypatch):
    nothing = "SELECT %(global_lock)s, json_array_elements(%(keys)s)"
    monkeypatch.setattr(statements, "LOCK_IDENTIFIERS", nothing)


def without_row_locks(monkeypatch):
    unlocked = statements.LOCK_PRIMARIES.replace("FOR NO KEY UPDATE", "")
    monkeypatch.setattr(statements, "LOCK_PRIMARIES", unlocked)


def without_looking_again(monkeypatch):
    monkeypatch.setattr(repository, "_find_primary_ids", lambda identities: set())


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
