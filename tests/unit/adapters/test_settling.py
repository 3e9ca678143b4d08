"""What is recorded is brought in line with the rules, again and again."""

import asyncio
from contextlib import suppress

import pytest

from identity_adapters.settling import Settler
from identity_core import RepositoryUnavailable


class Book:
    """Counts the calls, of which some fail."""

    def __init__(self, *errors):
        self.calls = 0
        self.errors = [*errors]

    async def settle(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop()


def run(book, period, until):
    """Settle until as many calls were made."""

    async def body():
        settler = Settler(book.settle, period=period)
        task = asyncio.create_task(settler.run())
        async with asyncio.timeout(10):
            while book.calls < until:
                await asyncio.sleep(0)
                if period > 10 and book.calls:
                    settler.wake()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(body())
    assert book.calls == until


def test_it_settles_at_the_start_and_then_every_few_seconds():
    run(Book(), period=0.01, until=3)


def test_it_settles_at_once_when_it_is_woken():
    run(Book(), period=60, until=3)


@pytest.mark.parametrize("error", [RepositoryUnavailable("it is slow"), ValueError("a@x")])
def test_it_tries_again_after_an_error(error):
    run(Book(error, error), period=0.01, until=3)
