"""Identities go that nobody was identified by for long; whoever may have been seen stays."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from attrs import evolve

from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    ContactDetails,
    DeletedContact,
    EraseIdentities,
    EraseUnseen,
    IdentifyContacts,
    LastSeenUnknown,
    StillReferenced,
    Unseen,
    import_contacts,
)
from identity_core.model.identifiers import to_identifiers

JANUARY = datetime(2020, 1, 15, tzinfo=UTC)
NOW = datetime(2022, 3, 31, 23, 59, tzinfo=UTC)
"""26 months later."""


def details(letter, number=None, at=JANUARY):
    return ContactDetails(f"{letter}@x", number, at)


class Contacts(InMemoryContactRepository):
    """Contacts that came in January 2020, when recording began."""

    def __init__(self, *batch, since=date(2020, 1, 1)):
        super().__init__(lambda: NOW)
        self.since = since
        asyncio.run(self._fill(batch))
        self.erase = EraseIdentities(self, self, self)
        self.erase_unseen = EraseUnseen(self.erase, self, self)

    async def _fill(self, batch):
        async def in_order():
            for one in batch:
                yield one

        await import_contacts(self, in_order())
        if self.since is not None:
            await self.begin_recording(self.since)

    async def see(self, letter, month, number=None):
        await self.record_seen(dict.fromkeys(to_identifiers(f"{letter}@x", number), month))

    def find(self, *of):
        """What is unseen; or the contacts of one identity."""
        return super().find(*of) if of else asyncio.run(self._find_unseen())

    async def _find_unseen(self, months=24, now=NOW):
        return [unseen async for unseen in self.erase_unseen.find(months, now)]

    def run(self, months=24, now=NOW, **options):
        return asyncio.run(self.erase_unseen(months, now, "doc", **options))


def test_whoever_was_seen_in_the_meantime_stays():
    contacts = Contacts(details("a", "1"), details("b", "1"), details("c"), details("d", "4"))
    asyncio.run(contacts.see("b", date(2020, 3, 1)))
    asyncio.run(contacts.see("d", date(2020, 2, 1)))
    assert contacts.find() == [Unseen(3, 1, date(2020, 1, 1)), Unseen(4, 1, date(2020, 2, 1))]
    entries = []
    report = contacts.run(on_erased=entries.append)
    assert (report.identities, report.contacts, report.kept, report.referenced) == (2, 2, 0, ())
    assert [(entry.contact_ids, entry.erased_by) for entry in entries] == [((3,), "doc"), ((4,), "doc")]
    assert contacts.find() == []
    assert contacts.run().identities == 0
    assert [*contacts._contacts] == [1, 2]


def test_an_identity_goes_with_all_its_contacts():
    contacts = Contacts(details("a", "1"), details("b", "1"))
    assert contacts.find() == [Unseen(1, 2, date(2020, 1, 1))]
    report = contacts.run()
    assert (report.identities, report.contacts) == (1, 2)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (datetime(2022, 2, 28, tzinfo=UTC), False),
        (datetime(2022, 3, 1, tzinfo=UTC), True),
        (datetime(2022, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))), False),
    ],
    ids=["the month is not over", "it is", "it is in the east only"],
)
def test_a_month_counts_as_a_whole(now, found):
    contacts = Contacts(details("a"))
    asyncio.run(contacts.begin_recording(date(2020, 1, 1)))
    contacts._recorded_since = date(2019, 12, 1)
    asyncio.run(contacts.see("a", date(2020, 2, 1)))
    assert bool(asyncio.run(contacts._find_unseen(now=now))) is found


def test_nobody_is_erased_by_date_of_creation():
    contacts = Contacts(details("a"), since=None)
    with pytest.raises(LastSeenUnknown, match=r"^when values were last seen is not recorded$"):
        contacts.run()
    with pytest.raises(LastSeenUnknown):
        contacts.find()
    assert len(contacts._contacts) == 1


def test_it_must_have_been_recorded_for_longer_than_is_asked_for():
    contacts = Contacts(details("a"), since=date(2020, 3, 1))
    with pytest.raises(LastSeenUnknown, match=r"since 2020-03 only, so that .* 24 months before 2022-04$"):
        contacts.run()
    assert len(contacts._contacts) == 1
    assert contacts.run(now=datetime(2022, 4, 1, tzinfo=UTC)).identities == 1


class Changing(Contacts):
    """Something comes between finding who is unseen and erasing them."""

    async def meanwhile(self):
        raise NotImplementedError

    async def find_unseen(self, *given):
        found = await super().find_unseen(*given)
        if found:
            await self.meanwhile()
        return found


class SeenMeanwhile(Changing):
    async def meanwhile(self):
        await self.see("a", date(2022, 3, 1))


class ErasedMeanwhile(Changing):
    async def meanwhile(self):
        if 1 in self._contacts:
            await self.erase(1)


class ExtendedMeanwhile(Changing):
    async def meanwhile(self):
        await IdentifyContacts(self)(ContactDetails("a@x", "99"))


class DeletedMeanwhile(Changing):
    async def meanwhile(self):
        self._unindex(1)
        del self._contacts[1]


class ExtendedAfterThePreview(Contacts):
    async def dossier(self, identifiers):
        dossier = await super().dossier(identifiers)
        if ("email", "a@x") in dossier.record.known and not dossier.record.rulings:
            self.previews = getattr(self, "previews", 0) + 1
            if self.previews == 2:
                await IdentifyContacts(self)(ContactDetails("a@x", "99", JANUARY))
        return dossier


@pytest.mark.parametrize(
    "changing",
    [SeenMeanwhile, ErasedMeanwhile, ExtendedMeanwhile, DeletedMeanwhile, ExtendedAfterThePreview],
    ids=lambda one: one.__name__,
)
def test_who_was_seen_changed_or_erased_meanwhile_is_left_alone(changing):
    contacts = changing(details("a"), details("b"))
    report = contacts.run()
    assert (report.identities, report.kept) == (1, 1)
    assert 2 not in contacts._contacts


def test_what_was_deleted_counts_as_well():
    contacts = Contacts(details("a", "1"), details("b", "1"))
    contacts._store(evolve(contacts._contacts[2], created_at=datetime(2022, 1, 1, tzinfo=UTC)))
    contact = contacts._contacts[2]
    contacts._unindex(2)
    del contacts._contacts[2]
    contacts._deleted[2] = DeletedContact(contact, NOW)
    assert contacts.find() == []
    assert contacts.run().identities == 0


def test_who_is_referred_to_stays_and_is_told():
    class Referenced(Contacts):
        async def revise(self, identifiers, decide, **options):
            if ("email", "a@x") in identifiers:
                raise StillReferenced
            return await super().revise(identifiers, decide, **options)

    contacts = Referenced(details("a"), details("b"))
    report = contacts.run()
    assert (report.identities, report.referenced) == (1, (1,))
    assert [*contacts._contacts] == [1]


def test_very_many_are_found_a_page_at_a_time(monkeypatch):
    monkeypatch.setattr("identity_core.erase_unseen.PAGE", 2)
    contacts = Contacts(*(details(letter) for letter in "abcde"))
    assert [unseen.primary_id for unseen in contacts.find()] == [1, 2, 3, 4, 5]
    assert contacts.run().identities == 5
