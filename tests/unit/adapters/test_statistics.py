"""Statistics are counted when somebody asks, but not again and again."""

import asyncio

import pytest

from identity_adapters.statistics import Statistics
from identity_core import RepositoryUnavailable

LIMITS = {"emails_per_phone_number": 2, "values_per_identity": 3}


class Census:
    """A census that takes some time of a clock, and finds one contact more each time."""

    def __init__(self, *, takes=0.0):
        self.takes = takes
        self.now = 0.0
        self.taken = 0
        self.failures = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self):
        self.taken += 1
        await self.may_end.wait()
        self.now += self.takes
        if self.failures:
            self.failures -= 1
            raise RepositoryUnavailable("the database does not answer")
        return (self.taken, 1, 2, 3, 4, 5, 6, 7, 8, False, LIMITS, [9, 1])

    def statistics(self):
        return Statistics(self, clock=lambda: self.now)


def run(body, **options):
    async def on_census():
        census = Census(**options)
        await body(census, census.statistics())

    asyncio.run(on_census())


def test_every_number_of_a_census_is_told():
    async def body(_, statistics):
        counted = await statistics()
        assert (counted.contacts, counted.identities, counted.merges, counted.splits) == (1, 1, 2, 3)
        assert (counted.held_pairs, counted.blocked_pairs, counted.undone_pairs, counted.pins) == (4, 5, 6, 7)
        assert (counted.rules_version, counted.is_settled) == (8, False)
        assert (counted.waiting_pairs, counted.largest_identity) == (5, 9)
        assert counted.counted_at.tzinfo is not None

    run(body)


def test_an_empty_database_has_no_largest_identity():
    async def body(_, __):
        async def count_nothing():
            return (*[0] * 9, True, {}, [])

        counted = await Statistics(count_nothing)()
        assert (counted.largest_identity, counted.waiting_pairs, counted.is_settled) == (0, 0, True)

    run(body)


@pytest.mark.parametrize(("takes", "kept"), [(0, 1), (0.005, 1), (0.5, 50), (5, 500), (30, 600)])
def test_a_census_is_answered_for_a_hundred_times_as_long_as_it_took_within_bounds(takes, kept):
    async def body(census, statistics):
        first = await statistics()
        census.now += 0.99 * kept
        assert await statistics() is first
        census.now += 0.02 * kept
        assert (await statistics()).contacts == 2
        assert census.taken == 2

    run(body, takes=takes)


def test_those_who_ask_at_once_share_one_census():
    async def body(census, statistics):
        census.may_end.clear()
        asking = [asyncio.create_task(statistics()) for _ in range(5)]
        await asyncio.sleep(0)
        asking.pop().cancel()
        await asyncio.sleep(0)
        census.may_end.set()
        assert [counted.contacts for counted in await asyncio.gather(*asking)] == [1] * 4
        assert census.taken == 1

    run(body)


def test_a_census_that_fails_fails_for_all_who_wait_and_the_next_one_counts_again():
    async def body(census, statistics):
        census.failures = 1
        failed = await asyncio.gather(*(statistics() for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in failed] == [RepositoryUnavailable] * 3
        assert census.taken == 1
        assert (await statistics()).contacts == 2

    run(body)


def test_a_census_that_fails_later_takes_the_place_of_none_before():
    async def body(census, statistics):
        await statistics()
        census.now += 1
        census.failures = 1
        with pytest.raises(RepositoryUnavailable):
            await statistics()
        assert (await statistics()).contacts == 3

    run(body)
