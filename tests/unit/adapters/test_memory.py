import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from hypothesis import settings

from identity_adapters.memory import InMemoryContactRepository
from identity_core import ContactDetails, EventKind, IdentifyContacts
from identity_core.testing import (
    AccessConformance,
    ChangeFeedConformance,
    ContactRepositoryConformance,
    ErasureConformance,
    IdentityMachine,
    IdentityReaderConformance,
    RuleConformance,
    RulingConformance,
    RulingMachine,
    SightingsConformance,
    SuppressionConformance,
)


class Clock:
    """A time that goes on by a second each time it is asked for."""

    def __init__(self):
        self.now = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


@asynccontextmanager
async def empty_repository():
    yield InMemoryContactRepository()


class TestConformance(ContactRepositoryConformance):
    def empty_repository(self):
        return empty_repository()


class TestReaderConformance(IdentityReaderConformance):
    @asynccontextmanager
    async def empty_reader(self):
        repository = InMemoryContactRepository()
        yield repository, repository


class TestRulingConformance(RulingConformance):
    @asynccontextmanager
    async def empty_reader(self):
        repository = InMemoryContactRepository(Clock())
        yield repository, repository


class TestRuleConformance(RuleConformance):
    @asynccontextmanager
    async def empty_ports(self):
        repository = InMemoryContactRepository(Clock())
        yield repository, repository, repository


class TestAccessConformance(AccessConformance):
    @asynccontextmanager
    async def empty_trail(self):
        repository = InMemoryContactRepository(Clock())
        yield repository, repository, repository, repository


class TestErasureConformance(ErasureConformance):
    @asynccontextmanager
    async def empty_store(self):
        repository = InMemoryContactRepository(Clock())
        yield repository, repository, repository, repository, repository


class TestSightingsConformance(SightingsConformance):
    @asynccontextmanager
    async def empty_sightings(self):
        repository = InMemoryContactRepository()
        yield repository, repository, repository, repository


class TestSuppressionConformance(SuppressionConformance):
    @asynccontextmanager
    async def empty_ports(self):
        repository = InMemoryContactRepository(Clock())
        yield repository, repository, repository


class TestFeedConformance(ChangeFeedConformance):
    @asynccontextmanager
    async def empty_feed(self):
        repository = InMemoryContactRepository()
        yield repository, repository


class Machine(IdentityMachine):
    def empty_repository(self):
        return empty_repository()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)


class Rulings(RulingMachine):
    @asynccontextmanager
    async def empty_ports(self):
        repository = InMemoryContactRepository(Clock())
        yield repository, repository, repository, repository, repository


TestRulings = Rulings.TestCase
TestRulings.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_events_tell_what_happened_in_order():
    repository = InMemoryContactRepository()
    identify = IdentifyContacts(repository)
    for key in [("a@x", "1"), ("a@x", "2"), ("b@x", "3"), ("b@x", "1"), ("a@x", "3"), ("a@x", "1")]:
        asyncio.run(identify(ContactDetails(*key)))
    assert [(event.kind, event.primary_id) for event in repository._events] == [
        (EventKind.CREATED, 1),
        (EventKind.LINKED, 1),
        (EventKind.CREATED, 3),
        (EventKind.MERGED, 1),
        (EventKind.CORROBORATED, 1),
    ]


def test_a_clock_that_steps_back_makes_nobody_primary():
    times = iter([datetime(2020, 1, 1, tzinfo=UTC) - timedelta(days=n) for n in range(3)])
    identify = IdentifyContacts(InMemoryContactRepository(clock=lambda: next(times)))
    for email in ("a@x", "b@x", "c@x"):
        identity = asyncio.run(identify(ContactDetails(email, "1")))
    assert identity.emails == ("a@x", "b@x", "c@x")
