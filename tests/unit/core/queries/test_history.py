"""What happened to an identity, and what it was before."""

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given

from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    Contact,
    ContactDetails,
    Event,
    EventKind,
    IdentifyContacts,
    LinkPrecedence,
    QueryIdentities,
    RecordedEvent,
    as_of,
)
from identity_core.testing import batches, moments

START = datetime(2024, 1, 1, tzinfo=UTC)


class Clock:
    """A time that goes on by an hour each time it is asked for."""

    def __init__(self):
        self.now = START

    def __call__(self):
        self.now += timedelta(hours=1)
        return self.now


def parts(repository):
    """The contacts of each identity, by any of their ids."""
    snapshot = asyncio.run(
        repository.load([ContactDetails.from_trusted(*c.key) for c in repository._contacts.values()])
    )
    return {contact.id: {c.id for c in contacts} for contacts in snapshot.identities for contact in contacts}


@given(batches(5, moments(), max_size=20))
def test_an_identity_is_known_as_it_was_at_any_time(details):
    clock = Clock()
    repository = InMemoryContactRepository(clock)
    identify, queries = IdentifyContacts(repository), QueryIdentities(repository)
    states = {START: {}}
    for one in details:
        asyncio.run(identify(one))
        states[clock.now] = parts(repository)
    for contact_id in repository._contacts:
        for moment, then in states.items():
            found = asyncio.run(queries.as_of(contact_id, moment))
            assert {contact.id for contact in found} == then.get(contact_id, set())


@given(batches(5, max_size=20))
def test_history_comes_to_what_is_there_now(details):
    repository = InMemoryContactRepository()
    identify, queries = IdentifyContacts(repository), QueryIdentities(repository)
    asyncio.run(identify.many(details))
    for contact_id, together in parts(repository).items():
        history = asyncio.run(queries.history(contact_id))
        made = {recorded.event.contact_id for recorded, _ in history} - {None}
        assert made == together
        for recorded, about in history:
            event = recorded.event
            assert about is not None
            assert (event.contact_id is None) or about.key == repository._contacts[event.contact_id].key
        assert history[0][0].event.kind == EventKind.CREATED
        for number, one in enumerate(history):
            after = history[number - 1][0].id if number else 0
            assert asyncio.run(queries.history(contact_id, after, 1)) == [one]


def test_what_was_there_before_events_were_recorded_is_shown_with_its_primary():
    contacts = [
        Contact(1, "a@x", "1", None, LinkPrecedence.PRIMARY, START),
        Contact(2, "b@x", "1", 1, LinkPrecedence.SECONDARY, START),
        Contact(3, "b@x", "3", 1, LinkPrecedence.SECONDARY, START),
    ]
    events = [RecordedEvent(1, Event(START, EventKind.LINKED, 1, 3))]
    before = START - timedelta(days=1)
    assert [c.id for c in as_of(contacts, events, 2, before)] == [1, 2]
    assert as_of(contacts, events, 3, before) == ()
    assert [c.id for c in as_of(contacts, events, 3, START)] == [1, 2, 3]


def test_a_contact_that_never_was_has_no_history():
    queries = QueryIdentities(InMemoryContactRepository())
    assert asyncio.run(queries.history(1)) is None
    assert asyncio.run(queries.as_of(1, START)) is None
