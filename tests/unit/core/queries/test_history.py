"""What happened to an identity, and what it was before."""

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    Contact,
    ContactDetails,
    Contradiction,
    DeletedContact,
    Event,
    EventKind,
    Evidence,
    IdentifyContacts,
    Lineage,
    LinkPrecedence,
    NotRecorded,
    QueryIdentities,
    RecordedEvent,
    Standing,
    Verdict,
    as_of,
)
from identity_core.testing import batches, moments
from tests.unit.core.records import Customers, contact, record_of, value

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
    lineage = Lineage(tuple(contacts), (), tuple(events))
    assert [c.id for c in as_of(lineage, (), 2, before)] == [1, 2]
    assert as_of(lineage, (), 3, before) == ()
    assert [c.id for c in as_of(lineage, (), 3, START)] == [1, 2, 3]


def test_a_contact_that_never_was_has_no_history():
    queries = QueryIdentities(InMemoryContactRepository())
    assert asyncio.run(queries.history(1)) is None
    assert asyncio.run(queries.as_of(1, START)) is None


# Rulings


class Past:
    """What the identities were, step by step."""

    def __init__(self, customers):
        self.customers = customers
        self.states = []

    def remember(self):
        keys = [{one.id: one.key for one in contacts} for contacts in self.customers.record.identities]
        self.states.append((self.customers.clock.now, {id: then for then in keys for id in then}))

    def check(self):
        """Every contact had what was remembered of it, from then until the next step."""
        for moment, then in self.states:
            for contact_id, keys in then.items():
                for when in (moment, moment + timedelta(minutes=59)):
                    found = self.customers.as_of(contact_id, when)
                    assert {one.id: one.key for one in found} == keys


def test_before_between_and_after_undo_and_restore_an_identity_is_known_as_it_was():
    customers = Customers(("a@x", "1"), ("a@x", "2"), ("b@x", "2"))
    past = Past(customers)
    past.remember()
    customers.undo("a@x", "2")
    past.remember()
    customers.identify(("c@x", "2"))
    past.remember()
    customers.restore(*customers.rulings)
    past.remember()
    assert len({len(then[1]) for _, then in past.states}) > 1
    past.check()
    assert [one.key for one in customers.as_of(1, past.states[0][0])] == [
        ("a@x", "1"),
        ("a@x", "2"),
        ("b@x", "2"),
    ]


def test_before_between_and_after_a_split_and_its_restoration_an_identity_is_known_as_it_was():
    customers = Customers(("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("a@x", "2"), ("c@x", "2"))
    past = Past(customers)
    past.remember()
    customers.split("a@x", "b@x")
    past.remember()
    customers.identify(("a@x", "9"), ("b@x", "8"))
    past.remember()
    customers.restore(next(one for one in customers.rulings if one.verdict is Verdict.DIFFERENT))
    past.remember()
    past.check()


def test_a_contact_that_was_made_for_a_number_is_seen_while_it_lived_only():
    customers = Customers(("a@x", "1"), ("a@x", "2"))
    before = customers.clock.now
    customers.undo("a@x", "2")
    between = customers.clock.now
    [made] = [one.id for one in customers.record.contacts if one.key == (None, "2")]
    customers.restore(*customers.rulings)
    after = customers.clock.now
    assert customers.as_of(made, before) == ()
    assert [one.key for one in customers.as_of(made, between)] == [(None, "2")]
    assert [one.key for one in customers.as_of(1, between)] == [("a@x", "1"), ("a@x", None)]
    assert [one.key for one in customers.as_of(1, after)] == [("a@x", "1"), ("a@x", "2")]


@settings(max_examples=40)
@given(batches(4, st.none() | moments(), max_size=6), st.data())
def test_an_identity_is_known_as_it_was_before_and_after_any_ruling(details, data):
    customers = Customers()
    past = Past(customers)
    values = st.sampled_from(["a@example.org", "b@example.org", "5550100", "5550101"])
    for one in details:
        customers.identify(one)
        past.remember()
        way = data.draw(st.sampled_from(["undo", "split", "restore", "unpin", "same", "different", "none"]))
        ends = [data.draw(values), data.draw(values)]
        try:
            if way == "undo":
                customers.undo(*ends)
            elif way == "split":
                customers.split(*ends)
            elif way in ("restore", "unpin") and customers.rulings:
                getattr(customers, way)(data.draw(st.sampled_from(customers.rulings)))
            elif way in ("same", "different") and ends[0] != ends[1]:
                customers.pin(*ends, Verdict(way))
        except (Contradiction, NotRecorded):
            continue
        past.remember()
    past.check()


def test_the_lineage_is_what_splits_parted_in_any_number_of_steps():
    customers = Customers(("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("c@x", "2"), ("z@x", "9"))
    customers.undo("b@x", "1")
    customers.undo("c@x", "2")
    assert len(customers.parts) == 4
    lineages = [asyncio.run(customers.repository.lineage(id)) for id in (1, 2, 4)]
    assert lineages[0] == lineages[1] == lineages[2]
    assert [one.id for one in lineages[0].contacts if one.id < 5] == [1, 2, 3, 4]
    assert asyncio.run(customers.repository.lineage(5)).contacts[0].key == ("z@x", "9")
    assert asyncio.run(customers.repository.lineage(99)) is None


def test_history_tells_the_details_of_events_whose_contacts_have_left():
    customers = Customers(("a@x", "1"), ("b@x", "1"))
    customers.undo("b@x", "1")
    history = asyncio.run(customers.queries.history(1))
    assert [(recorded.event.kind, details and details.key) for recorded, details in history] == [
        (EventKind.CREATED, ("a@x", "1")),
        (EventKind.LINKED, ("b@x", "1")),
        (EventKind.UNDONE, ("b@x", "1")),
        (EventKind.SPLIT, None),
    ]


def test_what_another_program_deleted_is_not_shown():
    lineage = Lineage(
        (contact(1, "a@x", "1"),),
        (DeletedContact(contact(2, "b@x", "1", 1), START),),
        (RecordedEvent(1, Event(START + timedelta(days=1), EventKind.LINKED, 1, 3)),),
    )
    assert [one.id for one in as_of(lineage, (), 1, START)] == [1]
    assert as_of(lineage, (), 2, START) == ()


def test_contacts_from_before_events_belonged_where_splits_took_them_from():
    contacts = (contact(1, "a@x", "1"), contact(2, "b@x", None), contact(3, "b@x", "3", 2))
    undone = Event(START, EventKind.UNDONE, 1, evidence_id=2, ruling_id=9)
    split = Event(START, EventKind.SPLIT, 2, ruling_id=9, origin_id=1, moved_ids=(2, 3))
    lineage = Lineage(contacts, (), (RecordedEvent(1, undone), RecordedEvent(2, split)))
    evidence = [Evidence(2, "b@x", "1", START, Standing.UNDONE)]
    before = [(one.id, one.key) for one in as_of(lineage, evidence, 3, START - timedelta(days=1))]
    assert before == [(1, ("a@x", "1")), (2, ("b@x", "1")), (3, ("b@x", "3"))]
    assert [one.id for one in as_of(lineage, evidence, 3, START)] == [2, 3]


def test_the_past_of_an_inherited_link_that_was_split_off_is_known():
    customers = Customers()
    customers.seen |= {value("a@x"), value("b@x")}
    customers.repository.adopt(record_of([contact(11, "a@x", "1"), contact(12, "b@x", "2", 11)]))
    customers.identify(("a@x", "3"))
    past = Past(customers)
    past.remember()
    customers.split("1", "2")
    past.remember()
    customers.restore(next(one for one in customers.rulings if one.verdict is Verdict.DIFFERENT))
    past.remember()
    past.check()
    assert [len(then) for _, then in past.states] == [3, 3, 3]


def test_a_contact_that_was_dated_back_while_its_number_was_gone_is_known_as_it_was():
    customers = Customers(("a@x", "1", START), ("b@x", "2", START))
    past = Past(customers)
    past.remember()
    customers.undo("a@x", "1")
    past.remember()
    customers.identify(("a@x", None, START - timedelta(days=1)))
    past.remember()
    customers.restore(*customers.rulings)
    past.remember()
    assert customers.parts == {frozenset(["a@x", "1"]), frozenset(["b@x", "2"])}
    past.check()


def test_history_without_a_lineage_tells_the_events_without_their_details():
    class Forgetful(InMemoryContactRepository):
        async def lineage(self, contact_id):
            return None

    customers = Customers(("a@x", "1"), ("b@x", "1"))
    customers.undo("b@x", "1")
    customers.repository.__class__ = Forgetful
    history = asyncio.run(customers.queries.history(1))
    assert [recorded.event.kind for recorded, details in history if details is None] == [
        EventKind.LINKED,
        EventKind.UNDONE,
        EventKind.SPLIT,
    ]


def test_who_is_absorbed_twice_is_there_once():
    contacts = (Contact(1, "a@x", None, None, None, START), Contact(2, "b@x", None, 1, None, START))
    merged = Event(START, EventKind.MERGED, 1, absorbed_ids=(2,))
    events = tuple(RecordedEvent(number, merged) for number in (1, 2))
    found = as_of(Lineage(contacts, (), events), (), 2, START)
    assert [contact.id for contact in found] == [1, 2]
