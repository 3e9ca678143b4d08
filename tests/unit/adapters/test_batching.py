import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.batching import YIELDS, Batcher, IdentifyInBatches
from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    ContactDetails,
    Identified,
    IdentifyContacts,
    Identity,
    Outcome,
    RepositoryBusy,
    RepositoryOverloaded,
    RepositoryUnavailable,
)


class Gate:
    """A function of many items that keeps what it was called with, and waits until it is let go."""

    def __init__(self):
        self.batches = []
        self.open = asyncio.Event()

    async def __call__(self, items):
        self.batches.append(list(items))
        await self.open.wait()
        if "unavailable" in items:
            raise RepositoryUnavailable("away")
        if "locked" in items:
            raise RepositoryBusy("locked")
        if "mistake" in items:
            raise ZeroDivisionError
        return [item.upper() for item in items]


def batches(run, max_size=3, max_concurrency=1, max_waiting=200):
    return Batcher(run, max_size=max_size, max_concurrency=max_concurrency, max_waiting=max_waiting)


async def turns():
    """Let everything run that can."""
    for _ in range(3 * YIELDS):
        await asyncio.sleep(0)


async def called(calls, *items):
    """Tasks that call with these items, each of which is on its way."""
    tasks = [asyncio.create_task(calls(item)) for item in items]
    await turns()
    return tasks


async def outcomes(tasks):
    """What each task came to: a result, or the type of an error."""
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(one) if isinstance(one, BaseException) else one for one in ended]


def test_a_lone_call_starts_at_once_and_alone():
    async def body():
        run = Gate()
        tasks = await called(batches(run), "a")
        assert run.batches == [["a"]]
        run.open.set()
        assert await outcomes(tasks) == ["A"]

    asyncio.run(body())


def test_what_waits_while_a_batch_is_running_forms_the_next_up_to_a_limit():
    async def body():
        run = Gate()
        tasks = await called(batches(run), *"abcdefgh")
        run.open.set()
        assert await outcomes(tasks) == list("ABCDEFGH")
        assert run.batches == [list("abc"), list("def"), list("gh")]

    asyncio.run(body())


def test_several_batches_are_running_up_to_a_limit():
    async def body():
        run = Gate()
        calls = batches(run, max_concurrency=2)
        tasks = await called(calls, "a")
        tasks += await called(calls, "b")
        tasks += await called(calls, "c")
        assert run.batches == [["a"], ["b"]]
        run.open.set()
        assert await outcomes(tasks) == ["A", "B", "C"]

    asyncio.run(body())


def test_past_the_bound_of_the_waiting_line_a_call_is_refused_at_once():
    async def body():
        run = Gate()
        calls = batches(run, max_waiting=2)
        tasks = await called(calls, "a")
        tasks += await called(calls, "b", "c", "d")
        assert tasks[3].done()
        assert str(tasks[3].exception()) == "too many requests are waiting"
        run.open.set()
        assert await outcomes(tasks) == ["A", "B", "C", RepositoryOverloaded]
        assert await calls("e") == "E"

    asyncio.run(body())


@pytest.mark.parametrize(("bad", "error"), [("mistake", ZeroDivisionError), ("locked", RepositoryBusy)])
def test_who_fails_alone_fails_alone(bad, error):
    async def body():
        run = Gate()
        calls = batches(run, max_size=128)
        tasks = await called(calls, "first")
        neighbours = [f"n{number}" for number in range(127)]
        tasks += await called(calls, *neighbours[:99], bad, *neighbours[99:])
        run.open.set()
        expected = ["FIRST", *map(str.upper, neighbours)]
        expected.insert(100, error)
        assert await outcomes(tasks) == expected
        assert len(run.batches) == 2 + 2 * 7, "each time the half that fails is halved"

    asyncio.run(body())


def test_who_comes_meanwhile_waits_for_one_half_at_most():
    async def body():
        run = Gate()
        calls = batches(run, max_size=4)
        tasks = await called(calls, "first")
        tasks += await called(calls, "a", "mistake", "c", "d", "later", "last")
        run.open.set()
        assert (await outcomes(tasks))[2:4] == [ZeroDivisionError, "C"]
        whole = run.batches.index(["a", "mistake", "c", "d"])
        assert run.batches.index(["later", "last"]) - whole <= 2

    asyncio.run(body())


def test_what_concerns_all_is_not_tried_again_for_each():
    async def body():
        run = Gate()
        calls = batches(run)
        tasks = await called(calls, "first")
        tasks += await called(calls, "a", "unavailable", "c", "d")
        run.open.set()
        assert await outcomes(tasks) == ["FIRST", *[RepositoryUnavailable] * 3, "D"]
        assert len(run.batches) == 3

    asyncio.run(body())


@pytest.mark.parametrize("neighbour", ["b", "mistake"])
def test_who_goes_away_is_left_out_and_nobody_notices(neighbour):
    async def body():
        run = Gate()
        calls = batches(run)
        under_way = await called(calls, "a", neighbour)
        waiting = await called(calls, "c", "d")
        under_way[0].cancel()
        waiting[0].cancel()
        await turns()
        run.open.set()
        expected = ZeroDivisionError if neighbour == "mistake" else "B"
        assert await outcomes(under_way + waiting) == [
            asyncio.CancelledError,
            expected,
            asyncio.CancelledError,
            "D",
        ]
        assert ["c"] not in run.batches
        assert not calls._running

    asyncio.run(body())


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 3), st.integers(1, 4))
def test_no_call_is_left_behind_whenever_it_comes(moments, max_size, max_concurrency):
    async def body():
        async def run(items):
            for _ in range(items[0] % 4):
                await asyncio.sleep(0)
            return [item + 100 for item in items]

        calls = batches(run, max_size=max_size, max_concurrency=max_concurrency)

        async def call(moment):
            for _ in range(moment):
                await asyncio.sleep(0)
            return await calls(moment)

        async with asyncio.timeout(120):  # or it would never end
            assert await asyncio.gather(*map(call, moments)) == [moment + 100 for moment in moments]
        await turns()
        assert not calls._running

    asyncio.run(body())


def test_known_details_do_not_wait_for_those_that_are_written():
    async def body():
        repository = InMemoryContactRepository()
        await IdentifyContacts(repository)(ContactDetails("a@x", "1"))
        gate, transact = asyncio.Event(), repository.transact

        async def held(batch, decide):
            await gate.wait()
            return await transact(batch, decide)

        repository.transact = held
        identify = IdentifyInBatches(IdentifyContacts(repository))
        details = [ContactDetails("b@x", "2"), ContactDetails("a@x"), ContactDetails("b@x", "3")]
        tasks = [asyncio.create_task(identify(one)) for one in details]
        assert (await tasks[1]) == Identified(Identity(1, ("a@x",), ("1",), ()), Outcome.KNOWN)
        assert not tasks[0].done()
        gate.set()
        assert [(await task).identity.phone_numbers for task in tasks] == [("2", "3"), ("1",), ("2", "3")]
        assert [(await task).outcome for task in tasks] == ["created", "known", "linked"]

    asyncio.run(body())
