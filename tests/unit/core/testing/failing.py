"""Which test of a conformance suite a repository fails."""

import asyncio
from contextlib import asynccontextmanager, nullcontext

import pytest
from hypothesis import is_hypothesis_test


def conformance_tests(suite):
    """The names of the tests of a suite; properties come last, since they take longest."""
    names = (name for name in dir(suite) if name.startswith("test_"))
    return sorted(names, key=lambda name: is_hypothesis_test(getattr(suite, name)))


def find_failing_test(suite, make_repository):
    """The name of a conformance test that a repository fails, or None.

    A repository that has a method `share` returns by it what another process has of the same contacts.
    """

    class Suite(suite):
        def check(self, body):
            async def body_in_time(*ports):
                async with asyncio.timeout(5):  # what is never written may be tried for ever
                    await body(*ports)

            super().check(body_in_time)

        @asynccontextmanager
        async def empty_repository(self):
            yield make_repository()

        @asynccontextmanager
        async def empty_reader(self):
            repository = make_repository()
            yield repository, repository

        @asynccontextmanager
        async def empty_ports(self):
            repository = make_repository()
            yield repository, repository, repository

        @asynccontextmanager
        async def empty_sightings(self):
            repository = make_repository()
            yield repository, repository, repository, repository

        @asynccontextmanager
        async def empty_store(self):
            repository = make_repository()
            yield repository, repository, repository, repository, repository

        @asynccontextmanager
        async def empty_trail(self):
            repository = make_repository()
            yield repository, repository, repository, repository

        def other_repository(self, repository):
            return nullcontext(repository.share() if hasattr(repository, "share") else repository)

        empty_feed = empty_reader

    for name in conformance_tests(suite):
        try:
            getattr(Suite(), name)()
        except (Exception, pytest.fail.Exception):  # noqa: BLE001
            return name
    return None
