"""Nothing is handed out unless it is recorded who got it."""

import asyncio

import pytest

from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    AccessIdentities,
    ContactDetails,
    Decision,
    Erased,
    EraseIdentities,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Lineage,
    NotRecorded,
    RepositoryUnavailable,
    WriteSet,
)


def email(value):
    return Identifier(IdentifierKind.EMAIL, value)


@pytest.fixture
def repository():
    repository = InMemoryContactRepository()
    details = [ContactDetails("a@x", "1"), ContactDetails("b@x", "1"), ContactDetails("c@x", "2")]
    asyncio.run(IdentifyContacts(repository).many(details))
    return repository


def access(repository, target, by=None, trail=None):
    return asyncio.run(AccessIdentities(repository, trail or repository)(target, by))


def test_an_access_is_recorded_with_all_contacts_and_who_got_them(repository):
    access(repository, email("b@x"), "support")
    access(repository, 3)
    with pytest.raises(NotRecorded):
        access(repository, email("d@x"), "support")
    assert repository._accesses == [((1, 2), "support"), ((3,), None)]


def test_nothing_is_handed_out_that_cannot_be_recorded(repository):
    class Full:
        async def record_access(self, contact_ids, by):
            raise RepositoryUnavailable("the disk is full")

    with pytest.raises(RepositoryUnavailable):
        access(repository, 1, trail=Full())


def test_it_is_recorded_only_after_everything_was_read(repository):
    """Otherwise somebody would be on record for what they never got."""

    class Unread(InMemoryContactRepository):
        async def events(self, contacts, after=0, limit=None):
            raise RepositoryUnavailable("the connection was lost")

    unread = Unread()
    asyncio.run(IdentifyContacts(unread)(ContactDetails("a@x")))
    with pytest.raises(RepositoryUnavailable):
        access(unread, 1)
    assert unread._accesses == []


def test_who_was_erased_is_not_handed_out(repository):
    asyncio.run(EraseIdentities(repository, repository, repository)(1))
    with pytest.raises(Erased):
        access(repository, 2)
    with pytest.raises(NotRecorded):
        access(repository, email("a@x"))


def test_a_contact_of_an_identity_that_was_deleted_whole_leads_to_all_its_values(repository):
    """Where a deleted contact is known to have existed, as in PostgreSQL."""

    class KnowsTheDeleted(InMemoryContactRepository):
        async def find(self, contact_id):
            return await super().find(contact_id) or ()

        async def lineage(self, contact_id):
            deleted = tuple(self._deleted.values())
            return Lineage((), deleted, ()) if contact_id in self._deleted else None

    repository = KnowsTheDeleted()
    asyncio.run(IdentifyContacts(repository).many([ContactDetails("a@x", "1"), ContactDetails("b@x", "2")]))
    contacts = tuple(repository._contacts.values())
    decision = Decision(WriteSet(deleted=contacts), ())
    asyncio.run(repository.transact([ContactDetails("a@x", "1")], lambda *_: decision))
    disclosure = access(repository, 2)
    assert [one.contact for one in disclosure.contacts] == [contacts[1]]
    assert [known.value.value for known in disclosure.values] == ["b@x", "2"]


def test_an_identity_that_was_deleted_whole_is_on_record_by_its_contacts_and_its_values(repository):
    [contact] = asyncio.run(repository.find(3))
    decision = Decision(WriteSet(deleted=(contact,)), ())
    asyncio.run(repository.transact([ContactDetails("c@x", "2")], lambda *_: decision))
    disclosure = access(repository, email("c@x"))
    assert [(one.contact, one.deleted_at is None) for one in disclosure.contacts] == [(contact, False)]
    assert [known.value.value for known in disclosure.values] == ["c@x", "2"]
