"""Erasing a person: who goes, what goes with them, and what is done of it a second time."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from attrs import evolve

from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    ChangeRules,
    Decision,
    Erased,
    EraseIdentities,
    EventKind,
    IdentifierKind,
    LedgerEntry,
    Leftover,
    Note,
    NotRecorded,
    RepositoryBusy,
    RuleOnIdentities,
    RuleSet,
    StalePlan,
    Verdict,
    WriteSet,
)
from identity_core.model.erasure import BlockMark
from identity_core.rules.erase import Outdated
from identity_core.testing.conformance.contacts import contact, identify, seed
from identity_core.testing.conformance.rulings import email, number

NOTE = Note("somebody", "because")
NOW = datetime(2024, 5, 1, tzinfo=UTC)
A, B, C, D = "a@x", "b@x", "c@x", "d@x"


class World:
    """A repository in memory, with the use cases on it."""

    def __init__(self, repository=None):
        self.repository = repository or InMemoryContactRepository(clock=lambda: NOW)
        self.told = []
        ports = 3 * [self.repository]
        self.erasing = EraseIdentities(*ports, on_erased=self.told.append)
        self.rule = RuleOnIdentities(*ports[:2])
        self.change = ChangeRules(*ports[:2])

    def erase(self, target, by=None, **options):
        return asyncio.run(self.erasing(target, by, **options))

    def erase_again(self, entry):
        return asyncio.run(self.erasing.erase_again(entry))

    def preview(self, target):
        return asyncio.run(self.erasing.preview(target))

    def identify(self, *keys):
        asyncio.run(identify(self.repository, *keys))

    def seed(self, *contacts):
        asyncio.run(seed(self.repository, *contacts))

    def delete(self, *contacts):
        """What another program does: these contacts are deleted."""
        decision = Decision(WriteSet(deleted=contacts), ())
        asyncio.run(self.repository.transact([], lambda snapshot, now, ids: decision))

    def block(self, *numbers):
        asyncio.run(self.change.put(RuleSet(phone_numbers=numbers), NOTE))

    def rules(self):
        return asyncio.run(self.repository.rules())

    def pin(self, one, other, verdict=Verdict.DIFFERENT):
        [pin] = asyncio.run(self.rule.pin(one, other, verdict, NOTE)).writes.rulings
        return pin

    def dossier(self, *values):
        return asyncio.run(self.repository.dossier(values))

    def find(self, contact_id):
        return asyncio.run(self.repository.find(contact_id))

    def keys(self, *values):
        """The details of each identity that has one of some values."""
        record = asyncio.run(self.repository.record(values))
        return [[one.key for one in contacts] for contacts in record.identities]

    def ledger(self):
        return asyncio.run(self.repository.ledger())

    def left(self, entry):
        return asyncio.run(self.repository.find_left(entry))

    def state(self):
        """Everything on record."""
        repository = self.repository
        return [
            value.copy()
            for value in vars(repository).values()
            if isinstance(value, dict | list) and type(value) in (dict, list)
        ] + [repository._rules]


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("target", [email(A), number("2"), 1, 2])
def test_a_person_goes_whole_whoever_of_them_is_named(world, target):
    world.identify((A, "1"), (B, "1"), (B, "2"), (C, "3"))
    entry = world.erase(target, "somebody")
    assert entry.contact_ids == (1, 2, 3)
    assert (entry.erased_at, entry.erased_by, entry.suppressed_until) == (NOW, "somebody", None)
    assert world.keys(email(A), email(B), number("1"), number("2")) == []
    assert world.keys(email(C)) == [[(C, "3")]]
    with pytest.raises(Erased):
        world.erase(2)


def test_who_was_erased_is_told_once_it_is_done_and_once(world):
    world.identify((A, "1"))
    world.preview(email(A))
    assert world.told == []
    entry = world.erase(email(A))
    assert world.told == world.ledger() == [entry]


def test_by_default_nobody_is_told():
    repository = InMemoryContactRepository()
    asyncio.run(identify(repository, (A, "1")))
    assert asyncio.run(EraseIdentities(*3 * [repository])(email(A))).contact_ids == (1,)


@pytest.mark.parametrize(
    ("target", "field"), [(email(B), "email"), (number("9"), "phone_number"), (99, "contactId")]
)
def test_who_is_not_on_record_cannot_be_erased(world, target, field):
    world.identify((A, "1"))
    for ask in (world.erase, world.preview):
        with pytest.raises(NotRecorded) as caught:
            ask(target)
        assert caught.value.field == field
    assert world.ledger() == world.told == []


def test_a_preview_shows_all_that_goes_and_writes_nothing(world):
    world.identify((A, "1"), (B, "2"), (C, "3"))
    ended = world.pin(email(A), email(C))
    asyncio.run(world.rule.unpin(ended, NOTE))
    pin = world.pin(email(A), email(B))
    world.identify((A, "2"))
    world.block("1")
    before = world.state()
    preview = world.preview(email(A))
    assert world.state() == before
    assert [one.key for one in preview.contacts] == [(A, None)] or preview.contacts
    assert email(A) in preview.values
    assert (A, "2") in [piece.pair for piece in preview.evidence]
    assert (preview.rulings, preview.withdrawn) == ((pin,), (ended,))
    assert world.erase(email(A)).ruling_ids == (ended.id, pin.id)


def test_a_plan_holds_until_the_person_changes(world):
    world.identify((A, "1"))
    stale = world.preview(email(A)).plan
    world.identify((A, "2"))
    with pytest.raises(StalePlan, match="the person is no longer who the plan was made of"):
        world.erase(email(A), plan=stale)
    assert world.ledger() == []
    world.identify((C, "3"))
    assert world.erase(number("2"), plan=world.preview(1).plan).contact_ids == (1, 2)


def test_the_values_of_a_person_are_kept_out_as_long_as_it_is_said(world):
    world.identify((A, "1"))
    until = NOW + timedelta(30)
    assert world.erase(email(A), suppressed_until=until).suppressed_until == until
    values = [email(A), number("1"), email(B)]
    assert asyncio.run(world.repository.suppressed(values)) == {email(A), number("1")}


def test_an_event_tells_ids_alone(world):
    world.identify((A, "1"), (B, "1"))
    world.erase(email(B))
    recorded, _ = asyncio.run(world.repository.changes())
    event = recorded[-1].event
    assert (event.kind, event.primary_id, event.moved_ids) == (EventKind.ERASED, 1, (1, 2))
    assert event.happened_at == NOW


def test_an_imperfect_person_is_repaired_and_then_erased_whole(world):
    # Another program wrote the number into two identities, and a copy of a contact.
    world.seed(
        contact(1, A, "1", age=9),
        contact(2, B, "1", age=8),
        contact(3, B, "1", linked_id=2, age=7),
        contact(4, C, "3"),
    )
    assert world.preview(number("1")).values == (email(A), email(B), number("1"))
    assert world.erase(number("1")).contact_ids == (1, 2, 3)
    assert world.keys(email(A), email(B), email(C)) == [[(C, "3")]]


def test_rules_that_are_not_settled_yet_are_applied_before(world):
    world.identify((A, "1"), (B, "1"))
    asyncio.run(world.repository.put(RuleSet(phone_numbers=["1"]), NOTE))
    assert not world.rules().is_settled
    assert 2 not in world.erase(email(A)).contact_ids
    assert len(world.keys(email(B))) == 1
    assert world.rules().rules == RuleSet(phone_numbers=["1"])


class Meanwhile(InMemoryContactRepository):
    """Runs something once, right before the next decision on a record."""

    meanwhile = None

    async def revise(self, identifiers, decide, *, alone=False):
        work, self.meanwhile = self.meanwhile, None
        if work is not None:
            await work()
        return await super().revise(identifiers, decide, alone=alone)


def test_what_another_program_writes_meanwhile_is_repaired_and_goes(world):
    repository = Meanwhile()
    world = World(repository)
    world.identify((A, "1"))
    repository.meanwhile = lambda: seed(repository, contact(7, B, "1"))
    entry = world.erase(number("1"))
    assert entry.contact_ids == (1, 7)
    assert world.told == [entry]


def test_who_becomes_part_of_a_person_meanwhile_goes_too(world):
    repository = Meanwhile()
    world = World(repository)
    world.identify((A, "1"))
    repository.meanwhile = lambda: identify(repository, (A, "2"))
    assert world.erase(email(A)).contact_ids == (1, 2)
    assert world.keys(number("2")) == []


class Alone(InMemoryContactRepository):
    """Records whether each decision is taken alone."""

    def __init__(self):
        super().__init__()
        self.alone = []

    async def revise(self, identifiers, decide, *, alone=False):
        self.alone.append(alone)
        return await super().revise(identifiers, decide, alone=alone)


def test_who_the_rules_name_is_erased_while_nobody_else_decides():
    world = World(Alone())
    world.identify((A, "1"), (B, "2"))
    world.block("2", "9")
    world.repository.alone.clear()
    world.erase(email(A))
    assert world.repository.alone == [False]
    world.repository.alone.clear()
    entry = world.erase(number("2"), "somebody")
    assert world.repository.alone == [False, True]
    assert entry.blocks == (BlockMark(1, IdentifierKind.PHONE_NUMBER, 0),)
    assert world.rules().rules == RuleSet(phone_numbers=["9"])
    assert world.rules().note.by == "somebody"


def test_a_value_that_is_only_blocked_can_be_erased(world):
    world.block("9")
    preview = world.preview(number("9"))
    assert (preview.contacts, preview.values, preview.blocked) == ((), (number("9"),), (number("9"),))
    entry = world.erase(number("9"))
    assert entry.contact_ids == ()
    assert asyncio.run(world.repository.changes())[0] == [], "an event needs a contact"
    with pytest.raises(NotRecorded):
        world.erase(number("9"))


@pytest.mark.parametrize("is_in_force", [True, False])
def test_a_value_that_only_a_ruling_names_can_be_erased(world, is_in_force):
    world.identify((A, "1"))
    [ruling] = asyncio.run(world.rule.undo((A, "1"), NOTE)).writes.rulings
    if not is_in_force:
        asyncio.run(world.rule.restore(ruling, NOTE))
    entry = world.erase(number("1"))
    assert entry.ruling_ids == (ruling.id,)
    assert world.dossier(email(A)).withdrawn == world.dossier(email(A)).record.rulings == ()


def test_a_value_that_only_evidence_names_can_be_erased(world):
    world.identify((A, "1"))
    world.block("9")
    world.identify((A, "9"))
    [piece] = world.dossier(number("9")).record.evidence
    assert world.erase(number("9")).evidence_ids == (piece.id,)
    assert world.keys(email(A), number("9")) == [[(A, "1")]]


def test_a_value_of_a_deleted_contact_alone_goes_with_that_contact(world):
    one, two = contact(1, A, "1", age=9), contact(2, A, "9", linked_id=1)
    world.seed(one, two)
    world.delete(two)
    entry = world.erase(number("9"))
    assert entry.contact_ids == (2,)
    assert world.keys(email(A)) == [[(A, "1")]]


@pytest.mark.parametrize("target", [1, 2, email(A)])
def test_a_value_that_goes_with_a_deleted_contact_goes_from_all_that_have_it(world, target):
    gone = contact(2, A, "9", linked_id=1)
    of_other = contact(4, B, "9", linked_id=3)
    world.seed(contact(1, A, "1", age=9), gone, contact(3, B, "2", age=8), of_other)
    world.delete(gone, of_other)
    entry = world.erase(target)
    assert entry.contact_ids == (1, 2, 4)
    assert world.dossier(number("9")).deleted == ()
    assert world.keys(email(B)) == [[(B, "2")]]


@pytest.mark.parametrize("target", [1, 2, email(A), number("2")])
def test_who_was_deleted_whole_by_another_program_is_erased_whole(world, target):
    contacts = contact(1, A, "1", age=9), contact(2, B, "2", linked_id=1)
    world.seed(*contacts, contact(3, C, "3"))
    world.delete(*contacts)
    preview = world.preview(target)
    assert (preview.contacts, [one.contact for one in preview.deleted]) == ((), [*contacts])
    assert world.erase(target).contact_ids == (1, 2)
    assert world.dossier(email(A), email(B), number("1"), number("2")).deleted == ()


@pytest.mark.parametrize("target", [1, 2])
def test_a_deleted_contact_names_whom_it_leads_to(world, target):
    one, two = contact(1, A, "1", age=9), contact(2, B, "1", linked_id=1)
    world.seed(one, two)
    world.delete(two)
    entry = world.erase(target)
    assert entry.contact_ids == (1, 2)
    assert world.left(entry) == []


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_contact_without_values_is_nobody_who_could_be_erased(world, is_deleted):
    decision = Decision(WriteSet(created=(contact(1), contact(2, A, "1"))), ())
    asyncio.run(world.repository.transact([], lambda snapshot, now, ids: decision))
    if is_deleted:
        world.delete(contact(1))
    for ask in (world.erase, world.preview):
        with pytest.raises(NotRecorded, match="contactId has neither an email nor a phone number"):
            ask(1)
    assert world.ledger() == []


def test_a_pin_that_kept_people_apart_because_of_a_person_no_longer_does(world):
    world.identify((A, "1"), (B, "2"))
    world.pin(email(A), email(B))
    world.identify((C, "2"), (A, "2"))
    world.erase(email(A))
    assert world.dossier(email(B)).record.rulings == ()
    assert {key for one in world.keys(email(B)) for key in one} == {(B, "2"), (C, "2")}


def test_when_a_person_was_last_seen_goes(world):
    asyncio.run(world.repository.begin_recording(date(2024, 4, 1)))
    world.identify((A, "1"), (B, "2"))
    month = date(2024, 5, 1)
    asyncio.run(world.repository.record_seen({email(A): month, email(B): month}))
    world.erase(number("1"))
    assert world.dossier(email(A), email(B)).last_seen == {email(B): month}


def test_single_values_that_alone_join_emails_are_warned_of(world):
    world.identify((A, "1"), (B, "1"), (B, "2"), (A, "2"), (B, "3"), (C, "3"), (C, "4"))
    weak = world.preview(email(A)).weak_values
    assert [(one.value, {one.one, one.other}) for one in weak] == [
        (number("3"), {email(C), email(A)}),
    ] or {one.value for one in weak} >= {number("3")}


def test_values_that_part_no_emails_are_not_weak(world):
    world.identify((A, "1"), (A, "2"), (A, "3"))
    assert world.preview(email(A)).weak_values == ()


@pytest.fixture
def restored(world):
    """A world with a person, another one who shares nothing, and the ledger entry of the person."""
    world.identify((A, "1"), (A, "2"), (C, "3"))
    return world, LedgerEntry(900, NOW + timedelta(1), "somebody", (1, 2), (), ())


def test_what_a_backup_brought_back_is_erased_again(restored):
    world, entry = restored
    assert world.erase_again(entry)
    assert world.keys(email(A), number("1"), number("2"), email(C)) == [[(C, "3")]]
    adopted, again = sorted(world.ledger(), key=lambda one: one.erased_by != "somebody" or one.id != 900)
    assert adopted == entry
    assert (again.contact_ids, again.erased_by) == ((1, 2), "somebody")
    assert world.told == [again] or len(world.told) == 1


def test_erasing_again_a_second_time_does_nothing(restored):
    world, entry = restored
    world.erase_again(entry)
    before = world.state()
    assert not world.erase_again(entry)
    assert world.state() == before
    assert len(world.told) == 1


def test_where_nothing_is_left_the_erasure_is_put_on_record(world):
    entry = LedgerEntry(900, NOW, None, (7,), (8,), (9,))
    assert not world.erase_again(entry)
    assert (world.ledger(), world.told) == ([entry], [])
    with pytest.raises(Erased):
        world.find(7)
    world.identify((A, "1"))
    assert world.find(901) is not None


def test_values_that_live_strangers_hold_stay_when_it_is_erased_again(restored):
    world, entry = restored
    world.identify((D, "2"))
    assert world.erase_again(entry)
    assert world.keys(number("2")) == [[(D, "2")]]
    assert world.keys(email(A), number("1")) == []


def test_deleted_contacts_that_a_backup_brought_back_go_again(world):
    one, two = contact(1, A, "1", age=9), contact(2, B, "1", linked_id=1)
    world.seed(one, two)
    world.delete(two)
    entry = LedgerEntry(900, NOW + timedelta(3650), None, (1, 2), (), ())
    assert world.erase_again(entry)
    assert world.left(entry) == []
    assert world.dossier(email(A), email(B)).deleted == ()


def test_evidence_and_rulings_that_a_backup_brought_back_go_again(world):
    world.identify((A, "1"), (B, "2"), (A, "2"))
    pin = world.pin(email(C), email(D))
    [piece] = world.dossier(email(A)).record.evidence
    entry = LedgerEntry(900, NOW + timedelta(1), None, (), (piece.id,), (pin.id,))
    assert {one.table for one in world.left(entry)} == {"contact_evidence", "contact_rulings"}
    assert world.erase_again(entry)
    assert len(world.keys(email(A), email(B))) == 2
    assert world.dossier(email(C)).record.rulings == ()
    assert world.told[0].evidence_ids == (piece.id,)
    assert world.told[0].ruling_ids == (pin.id,)


def test_blocks_that_a_backup_brought_back_go_again(world):
    world.block("1", "9")
    mark = BlockMark(1, IdentifierKind.PHONE_NUMBER, 1)
    entry = LedgerEntry(900, NOW, None, (), (), (), (mark,))
    assert world.left(entry) == [Leftover("contact_rules", 1)]
    assert world.erase_again(entry)
    assert world.rules().rules == RuleSet(phone_numbers=["1"])
    assert not world.erase_again(entry)


@pytest.mark.parametrize(("days", "is_kept_out"), [(1, True), (0, False), (-1, False)])
def test_who_was_kept_out_is_again_unless_that_is_over(restored, days, is_kept_out):
    world, entry = restored
    assert world.erase_again(evolve(entry, suppressed_until=NOW + timedelta(days)))
    suppressed = asyncio.run(world.repository.suppressed([email(A), number("1")]))
    assert suppressed == ({email(A), number("1")} if is_kept_out else frozenset())


class FindsNewer(InMemoryContactRepository):
    """Of a contact that has an id of an erasure it tells that it was written afterwards."""

    async def find_left(self, entry):
        left = await super().find_left(evolve(entry, erased_at=datetime.max.replace(tzinfo=UTC)))
        return [evolve(one, is_newer=one.id == 1) for one in left]


def test_what_was_written_after_the_erasure_stays():
    world = World(FindsNewer())
    world.identify((A, "1"), (C, "3"))
    assert world.erase_again(LedgerEntry(900, NOW, None, (1, 2), (), ()))
    assert world.keys(email(A), email(C)) == [[(A, "1")]]
    assert not world.erase_again(LedgerEntry(901, NOW, None, (1,), (), ()))
    assert world.keys(email(A)) == [[(A, "1")]]


class Vanishing(InMemoryContactRepository):
    """What is left of an erasure is gone before it is read."""

    async def find_left(self, entry):
        return [Leftover("contact_evidence", 77), Leftover("contact_rulings", 78), Leftover("contacts", 79)]


def test_what_is_gone_before_it_is_read_needs_nothing():
    world = World(Vanishing())
    world.identify((A, "1"))
    assert world.erase_again(LedgerEntry(900, NOW, None, (), (), ()))
    assert world.keys(email(A)) == [[(A, "1")]]


class NeverInLine(InMemoryContactRepository):
    """Another program writes faster than anybody repairs."""

    async def revise(self, identifiers, decide, *, alone=False):
        del identifiers, decide, alone
        raise Outdated


def test_who_changes_all_the_time_is_not_erased_now():
    repository = NeverInLine()
    asyncio.run(identify(repository, (A, "1")))
    with pytest.raises(RepositoryBusy, match="changes too often"):
        asyncio.run(World(repository).erasing(email(A)))
    assert asyncio.run(repository.ledger()) == []
