"""Looking before acting: what would happen, who is known, and whose a contact is."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.memory import InMemoryContactRepository
from identity_core import ContactDetails, IdentifyContacts, Outcome, QueryIdentities, cut_page
from identity_core.testing import batches, contact_details, moments
from identity_core.testing.strategies import EPOCH

TIMES = st.none() | moments()


def known(details):
    repository = InMemoryContactRepository()
    asyncio.run(IdentifyContacts(repository).many(details))
    return repository


def contacts_of(repository):
    return {contact.id: contact for contact in repository._contacts.values()}


@given(batches(5, TIMES), contact_details(5, TIMES))
def test_a_preview_comes_true_if_nothing_happens_before(before, details):
    repository = known(before)
    identify, queries = IdentifyContacts(repository), QueryIdentities(repository)
    events, contacts = [*repository._events], contacts_of(repository)
    previewed = asyncio.run(queries.preview(details))
    assert ([*repository._events], contacts_of(repository)) == (events, contacts), "nothing is written"

    [identified] = asyncio.run(identify.with_outcomes([details]))
    assert previewed.outcome == identified.outcome
    new = contacts_of(repository).keys() - contacts.keys()
    real, would_be = identified.identity, previewed.identity
    assert (would_be.emails, would_be.phone_numbers) == (real.emails, real.phone_numbers)
    ids = [would_be.primary_contact_id, *would_be.secondary_contact_ids]
    assert [next(iter(new)) if id == 0 else id for id in ids] == [
        real.primary_contact_id,
        *real.secondary_contact_ids,
    ]
    assert ids.count(0) == len(new)
    absorbed = [id for event in repository._events[len(events) :] for id in event.absorbed_ids]
    assert list(previewed.absorbed_ids) == absorbed
    now = contacts_of(repository)
    assert previewed.moved == sum(now[id] != contact for id, contact in contacts.items())


@given(batches(5, TIMES, max_size=20))
def test_an_outcome_says_what_became_of_details(details):
    repository = InMemoryContactRepository()
    identify, queries = IdentifyContacts(repository), QueryIdentities(repository)
    for one in details:
        identities = len(asyncio.run(queries.look_up(one)))
        contacts = len(contacts_of(repository))
        [identified] = asyncio.run(identify.with_outcomes([one]))
        is_new = len(contacts_of(repository)) > contacts
        expected = Outcome.MERGED if identities > 1 else Outcome.KNOWN
        if identities < 2 and is_new:
            expected = Outcome.LINKED if identities else Outcome.CREATED
        assert identified.outcome == expected
    assert [one.outcome for one in asyncio.run(identify.with_outcomes(details))] == ["known"] * len(details)


@given(batches(5, TIMES), contact_details(5))
def test_looking_up_returns_each_matched_identity_and_writes_nothing(before, details):
    repository = known(before)
    events = [*repository._events]
    found = asyncio.run(QueryIdentities(repository).look_up(details))
    assert [*repository._events] == events
    values = {*details.key} - {None}
    for contacts in found:
        assert values & {value for contact in contacts for value in contact.key}
        assert list(contacts) == sorted(contacts, key=lambda contact: contact.seniority)
    matched = {c.linked_id or c.id for c in contacts_of(repository).values() if values & {*c.key}}
    assert {contacts[0].id for contacts in found} == matched


@given(batches(6, TIMES, max_size=20), st.integers(1, 6))
def test_pages_make_up_an_identity(before, limit):
    repository = known(before)
    queries = QueryIdentities(repository)
    for contact_id in contacts_of(repository):
        contacts = asyncio.run(queries.find(contact_id))
        assert contact_id in {contact.id for contact in contacts}
        shown, after = [], None
        while shown == [] or after is not None:
            found = cut_page(contacts, after, limit)
            assert 0 < len(found.contacts) <= limit
            assert (found.primary_contact_id, found.total_contacts) == (contacts[0].id, len(contacts))
            assert found.total_emails == len({c.email for c in contacts if c.email})
            assert found.total_phone_numbers == len({c.phone_number for c in contacts if c.phone_number})
            shown += found.contacts
            after = found.last
        assert tuple(shown) == contacts


def test_a_contact_that_never_was_has_no_identity():
    assert asyncio.run(QueryIdentities(InMemoryContactRepository()).find(1)) is None


def test_the_preview_of_new_details_is_a_new_identity():
    previewed = asyncio.run(QueryIdentities(known([])).preview(ContactDetails("a@x", "1")))
    assert (previewed.outcome, previewed.identity.primary_contact_id) == (Outcome.CREATED, 0)
    assert (previewed.absorbed_ids, previewed.moved) == ((), 0)


def test_a_query_pages_an_identity_by_any_of_its_details_or_ids():
    repository = known([ContactDetails("a@x", str(number)) for number in range(101)])
    queries = QueryIdentities(repository)
    contacts = asyncio.run(queries.find(1))
    for of in (1, 50, ContactDetails("a@x"), ContactDetails(phone_number="7")):
        assert asyncio.run(queries.pages(of)) == [cut_page(contacts, None, 100)]
        after = contacts[9].seniority
        assert asyncio.run(queries.pages(of, after, 5)) == [cut_page(contacts, after, 5)]
        assert [one.id for one in asyncio.run(queries.pages(of, after, 5))[0].contacts] == [*range(11, 16)]
    assert len(cut_page(contacts).contacts) == 100


def test_the_work_on_an_identity_is_offloaded_by_its_size():
    sizes = []

    async def offload(size, function, *values):
        sizes.append(size)
        return function(*values)

    repository = known([ContactDetails("a@x", str(number)) for number in range(7)])

    async def body():
        queries = QueryIdentities(repository, offload=offload)
        await queries.preview(ContactDetails("a@x"))
        await queries.history(1)
        await queries.as_of(1, EPOCH)
        await queries.graph(1)
        await queries.graph_as_of(1, EPOCH)
        await queries.explain(1, 2)
        identify = IdentifyContacts(repository, offload=offload)
        await identify(ContactDetails("a@x"))

    asyncio.run(body())
    assert sizes == [7] * 7
