"""What every adapter must do about erasures."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve, frozen
from hypothesis import given

from identity_core import (
    AuditTrail,
    ChangeFeed,
    ChangeRules,
    ContactDetails,
    ContactRepository,
    Decision,
    Dossier,
    Erased,
    EraseIdentities,
    EventKind,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    IdentityReader,
    LedgerEntry,
    Leftover,
    Note,
    NotRecorded,
    Record,
    RuleBook,
    RuleOnIdentities,
    RuleSet,
    StalePlan,
    Standing,
    Verdict,
    WriteSet,
)
from identity_core.model.erasure import BlockMark
from identity_core.testing.conformance.contacts import A, B, C, D, contact, identify, of_any_subclass, seed
from identity_core.testing.conformance.rulings import DATED, email, number
from identity_core.testing.model import partition, resolved

NOTE = Note("somebody", "because")
FAR_AWAY = 10**9
"""An id that nothing has."""


@frozen
class Ports:
    """What is kept of the same contacts.

    Attributes:
        repository: of the contacts.
        reader: reads them.
        feed: of their events.
        book: keeps the rules.
        trail: keeps who was erased.
    """

    repository: ContactRepository
    reader: IdentityReader
    feed: ChangeFeed
    book: RuleBook
    trail: AuditTrail

    @property
    def erase(self) -> EraseIdentities:
        return EraseIdentities(self.repository, self.reader, self.trail)

    @property
    def rule(self) -> RuleOnIdentities:
        return RuleOnIdentities(self.repository, self.reader)

    async def check_gone(self, *values: Identifier) -> None:
        """Check that nothing is on record of some values."""
        for value in values:
            dossier = await self.reader.dossier([value])
            rules = (await self.book.rules()).rules
            expected = Dossier(Record(asked=frozenset([value]), rules=rules), rules=dossier.rules)
            assert dossier == expected
            assert all(one.rules.unblock([value]) == one.rules for one in dossier.rules)


Body = Callable[[Ports], Awaitable[None]]


class ErasureConformance:
    """Subclass it under a name that pytest collects, and define `empty_store`."""

    def empty_store(
        self,
    ) -> AbstractAsyncContextManager[
        tuple[ContactRepository, IdentityReader, ChangeFeed, RuleBook, AuditTrail]
    ]:
        """A repository without any contact, with all that is kept of it; entered once for each example."""
        raise NotImplementedError

    def check(self, body: Body) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_store() as ports:
                await body(Ports(*ports))

        asyncio.run(on_empty_repository())

    def test_a_person_goes_whole_and_others_stay(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (A, "2"), (B, "2"), (C, "3"), (A, "1"), (B, "1"))
            others = await ports.reader.record([email(C)])
            [page] = await ports.reader.pages(ContactDetails(A))
            entry = await ports.erase(email(A), "somebody")
            assert entry.contact_ids == tuple(contact.id for contact in page.contacts)
            assert len(entry.evidence_ids) == 1
            assert (entry.erased_by, entry.ruling_ids) == ("somebody", ())
            await ports.check_gone(email(A), email(B), number("1"), number("2"))
            assert await ports.reader.record([email(C)]) == others
            assert await ports.reader.pages(ContactDetails(B, "1")) == []
            assert await ports.trail.ledger() == [entry]
            assert await ports.trail.find_left(entry) == []

        self.check(body)

    def test_any_contact_of_a_person_names_them(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "1"), (C, "3"))
            [page] = await ports.reader.pages(ContactDetails(A))
            entry = await ports.erase(page.contacts[-1].id)
            assert entry.contact_ids == tuple(contact.id for contact in page.contacts)
            assert entry.erased_by is None
            await ports.check_gone(email(A), email(B), number("1"))

        self.check(body)

    def test_an_erased_contact_is_not_one_that_never_existed(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "1"))
            ids = (await ports.erase(email(A))).contact_ids
            for id in ids:
                for find in (ports.reader.find, ports.reader.lineage):
                    with pytest.raises(Erased):
                        await find(id)
                assert await ports.reader.pages(id) == []
                with pytest.raises(Erased):
                    await ports.erase(id)
            assert await ports.reader.find(FAR_AWAY) is None
            assert await ports.reader.lineage(FAR_AWAY) is None
            with pytest.raises(NotRecorded, match="contactId does not exist"):
                await ports.erase(FAR_AWAY)

        self.check(body)

    def test_of_values_that_never_came_nobody_is_erased(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"))
            for value in (email(B), number("9")):
                with pytest.raises(NotRecorded, match="is not on record"):
                    await ports.erase(value)
            assert await ports.trail.ledger() == []

        self.check(body)

    def test_the_last_event_tells_who_was_erased_and_the_others_stay(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "1"))
            before, cursor = await ports.feed.changes()
            entry = await ports.erase(email(B))
            assert (await ports.feed.changes())[0][: len(before)] == before
            [recorded] = (await ports.feed.changes(cursor))[0]
            event = recorded.event
            assert (event.kind, event.primary_id) == (EventKind.ERASED, entry.contact_ids[0])
            assert event.moved_ids == entry.contact_ids
            assert event.happened_at == entry.erased_at
            assert await ports.reader.event(recorded.id) == event

        self.check(body)

    def test_who_comes_back_is_somebody_new(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "1"))
            gone = (await ports.erase(email(A))).contact_ids
            identity = await IdentifyContacts(ports.repository)(ContactDetails(B, "1"))
            assert (identity.emails, identity.phone_numbers) == ((B,), ("1",))
            assert identity.primary_contact_id > max(gone)

        self.check(body)

    def test_pairs_with_others_go_whether_they_count_or_not(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "2"), (C, "3"), (D, "4"))
            await ports.rule.pin(email(A), email(B), Verdict.DIFFERENT, NOTE)
            await identify(ports.repository, (A, "2"), (A, "3"))
            await ports.rule.undo((A, "3"), NOTE)
            change = ChangeRules(ports.repository, ports.book)
            await change.put(RuleSet(phone_numbers=["4"]), NOTE)
            await identify(ports.repository, (A, "4"))
            record = await ports.reader.record([email(A)])
            standings = {piece.pair: piece.standing for piece in record.evidence}
            assert standings == {
                (A, "2"): Standing.HELD,
                (A, "3"): Standing.UNDONE,
                (A, "4"): Standing.BLOCKED,
            }
            preview = await ports.erase.preview(email(A))
            assert {piece.pair for piece in preview.evidence} == standings.keys()
            entry = await ports.erase(email(A))
            assert {*entry.evidence_ids} == {piece.id for piece in preview.evidence}
            await ports.check_gone(email(A), number("1"))
            for value in (email(B), email(C), number("2"), number("3")):
                record = await ports.reader.record([value])
                assert len(record.identities) == 1
                assert (record.evidence, record.rulings) == ((), ())

        self.check(body)

    def test_rulings_go_whether_they_are_in_force_or_not(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "2"), (C, "3"))
            ruled = await ports.rule.pin(email(A), email(C), Verdict.DIFFERENT, NOTE)
            [ended] = ruled.writes.rulings
            await ports.rule.unpin(ended, NOTE)
            [pin] = (await ports.rule.pin(email(B), email(A), Verdict.DIFFERENT, NOTE)).writes.rulings
            [other] = (await ports.rule.pin(email(B), email(C), Verdict.DIFFERENT, NOTE)).writes.rulings
            preview = await ports.erase.preview(email(A))
            assert (preview.rulings, preview.withdrawn) == ((pin,), (ended,))
            assert (await ports.erase(email(A))).ruling_ids == (ended.id, pin.id)
            await ports.check_gone(email(A), number("1"))
            assert await ports.reader.rulings() == [other]

        self.check(body)

    def test_the_reasons_of_others_no_longer_name_a_person(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "5550101"), (B, "2"), (C, "3"))
            note = Note(f"agent of {A}", f"<{A.upper()}> called from (555) 01-01")
            await ports.rule.undo((B, "2"), note)
            ruled = await ports.rule.undo((C, "3"), note)
            await ports.rule.restore(ruled.writes.rulings[0], note)
            change = ChangeRules(ports.repository, ports.book)
            await change.put(RuleSet(emails=[A, D]), note)
            await change.put(RuleSet(emails=[D]), note)
            await ports.erase(email(A))
            kept = await ports.reader.dossier([email(B), email(C)])
            [ruling], [(ended, end)] = kept.record.rulings, kept.withdrawn
            texts = [(ruling.decided_by, ruling.reason), (ended.decided_by, ended.reason)]
            texts += [(end.withdrawn_by, end.reason)]
            notes = [one.note for one in kept.rules]
            texts += [(one.by, one.reason) for one in notes if one is not None]
            assert texts == 5 * [("agent of [erased]", "<[erased]> called from [erased]")]
            assert [one.rules for one in kept.rules] == 2 * [RuleSet(emails=[D])]

        self.check(body)

    def test_a_value_that_identifies_nobody_goes_alone_and_is_no_longer_blocked(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "1"), (C, "3"))
            change = ChangeRules(ports.repository, ports.book)
            await change.put(RuleSet(phone_numbers=["1", "9"]), NOTE)
            preview = await ports.erase.preview(number("1"))
            assert (preview.values, preview.blocked) == ((number("1"),), (number("1"),))
            assert len(preview.evidence) == 2
            entry = await ports.erase(number("1"), "somebody")
            assert entry.blocks == (BlockMark(1, IdentifierKind.PHONE_NUMBER, 0),)
            rules = await ports.book.rules()
            assert rules.rules == RuleSet(phone_numbers=["9"])
            assert (rules.version, rules.is_settled) == (2, True)
            assert rules.note is not None
            assert (rules.note.by, rules.note.reason) == ("somebody", "a person was erased")
            await ports.check_gone(number("1"))
            identity = await IdentifyContacts(ports.repository)(ContactDetails(A, "1"))
            assert (identity.emails, identity.phone_numbers) == ((A,), ("1",))
            assert len((await ports.reader.record([email(B)])).identities) == 1
            with pytest.raises(NotRecorded):
                await ports.erase(number("2"))
            await ports.erase(number("9"))
            assert (await ports.book.rules()).rules == RuleSet()

        self.check(body)

    def test_deleted_contacts_of_a_person_go_too(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "1"))
            ruled = await ports.rule.undo((A, "1"), NOTE)
            await ports.rule.restore(ruled.writes.rulings[0], NOTE)
            dossier = await ports.reader.dossier([email(A)])
            lineage = await ports.reader.lineage(dossier.record.identities[0][0].id)
            assert lineage is not None
            assert dossier.deleted == lineage.deleted
            preview = await ports.erase.preview(email(A))
            assert preview.deleted == lineage.deleted
            entry = await ports.erase(email(A))
            assert {*entry.contact_ids} >= {one.contact.id for one in lineage.deleted}
            for one in lineage.deleted:
                with pytest.raises(Erased):
                    await ports.reader.find(one.contact.id)
            assert await ports.trail.find_left(entry) == []

        self.check(body)

    def test_a_plan_holds_for_the_person_that_it_was_made_of(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"))
            preview = await ports.erase.preview(email(A))
            assert preview == await ports.erase.preview(preview.contacts[0].id)
            await identify(ports.repository, (A, "2"))
            with pytest.raises(StalePlan):
                await ports.erase(email(A), plan=preview.plan)
            assert await ports.trail.ledger() == []
            renewed = await ports.erase.preview(number("2"))
            assert (await ports.erase(email(A), plan=renewed.plan)).contact_ids

        self.check(body)

    def test_weak_values_suggest_that_strangers_would_go(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (A, "2"), (B, "2"), (B, "3"), (C, "9"), (C, "8"))
            [weak] = (await ports.erase.preview(email(A))).weak_values
            assert (weak.value, weak.contacts) == (number("2"), 2)
            assert {weak.one, weak.other} == {email(A), email(B)}
            assert (await ports.erase.preview(email(C))).weak_values == ()

        self.check(body)

    def test_an_imperfect_person_goes_whole(self) -> None:
        async def body(ports: Ports) -> None:
            await seed(
                ports.repository,
                contact(1, A, "1", age=9),
                contact(2, A, "2", age=8),
                contact(3, B, "2", linked_id=1),
                contact(4, C, "3"),
            )
            entry = await ports.erase(number("1"))
            assert entry.contact_ids == (1, 2, 3)
            await ports.check_gone(email(A), email(B), number("1"), number("2"))

        self.check(body)

    def test_what_only_a_deleted_contact_shares_with_somebody_else_stays_theirs(self) -> None:
        async def body(ports: Ports) -> None:
            contacts = [contact(1, A, "1", age=9), contact(2, A, "3", linked_id=1), contact(3, C, "3")]
            await seed(ports.repository, *contacts)
            deleted = Decision(WriteSet(deleted=(contacts[1],)), ())
            await ports.repository.transact([], lambda snapshot, now, ids: deleted)
            others = (await ports.reader.record([email(C)])).identities
            change = ChangeRules(ports.repository, ports.book)
            await change.put(RuleSet(phone_numbers=["9"], emails=[D]), NOTE)
            assert (await ports.erase(email(A))).contact_ids == (1, 2)
            await ports.check_gone(email(A), number("1"))
            assert (await ports.reader.record([number("3")])).identities == others

        self.check(body)

    def test_a_person_whom_another_program_deleted_whole_can_be_erased(self) -> None:
        async def body(ports: Ports) -> None:
            contacts = [
                contact(1, A, "1", age=9),
                contact(2, A, "2", linked_id=1),
                contact(3, B, "2", linked_id=1),
            ]
            for target in (2, number("1")):
                await seed(ports.repository, *contacts, contact(4, C, "3"))
                deleted = Decision(WriteSet(deleted=tuple(contacts)), ())
                await ports.repository.transact([], lambda snapshot, now, ids: deleted)  # noqa: B023
                entry = await ports.erase(target)
                assert entry.contact_ids == (1, 2, 3)
                await ports.check_gone(email(A), email(B), number("1"), number("2"))
                await ports.erase(email(C))

        self.check(body)

    def test_the_ledger_comes_in_pages(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "2"), (C, "3"))
            entries = [await ports.erase(email(one)) for one in (B, A, C)]
            assert await ports.trail.ledger() == entries
            assert await ports.trail.ledger(limit=2) == entries[:2]
            assert await ports.trail.ledger(after=entries[1].id) == entries[2:]

        self.check(body)

    def test_what_a_backup_brings_back_is_erased_again_and_nothing_else(self) -> None:
        async def body(ports: Ports) -> None:
            # Before the erasure, somebody had split this identity; the backup is from before the split.
            await identify(ports.repository, (A, "1"), (A, "2"), (B, "2"), (B, "3"))
            [page] = await ports.reader.pages(ContactDetails(A))
            ids = [contact.id for contact in page.contacts]
            entry = LedgerEntry(
                FAR_AWAY, page.contacts[-1].created_at + timedelta(1), "x", (*ids[:2],), (), ()
            )
            left = await ports.trail.find_left(entry)
            assert left == [Leftover("contacts", ids[0]), Leftover("contacts", ids[1])]
            assert await ports.erase.erase_again(entry)
            await ports.check_gone(email(A), number("1"))
            identity = await IdentifyContacts(ports.repository)(ContactDetails(B, "3"))
            assert (identity.emails, identity.phone_numbers) == ((B,), ("2", "3"))
            assert await ports.trail.find_left(entry) == []
            assert not await ports.erase.erase_again(entry)
            for id in ids[:2]:
                with pytest.raises(Erased):
                    await ports.reader.find(id)

        self.check(body)

    def test_an_erasure_that_a_backup_does_not_know_is_put_on_record_once(self) -> None:
        async def body(ports: Ports) -> None:
            entry = LedgerEntry(9, datetime(2024, 5, 1, tzinfo=UTC), "x", (3, 7), (8,), (1,))
            for _ in range(2):
                assert not await ports.erase.erase_again(entry)
                assert await ports.trail.ledger() == [entry]
            with pytest.raises(Erased):
                await ports.reader.find(7)
            identity = await IdentifyContacts(ports.repository)(ContactDetails(A, "1"))
            assert identity.primary_contact_id > 9, "no id of it is new again"
            later = evolve(entry, erased_at=entry.erased_at + timedelta(1))
            assert not await ports.erase.erase_again(later)
            assert len(await ports.trail.ledger()) == 2

        self.check(body)

    def test_what_another_erasure_left_behind_is_erased_again_too(self) -> None:
        async def body(ports: Ports) -> None:
            # The backup has two persons as one identity; both were erased, one after the other.
            await identify(ports.repository, (A, "1"), (B, "1"))
            [page] = await ports.reader.pages(ContactDetails(A))
            then = page.contacts[-1].created_at + timedelta(microseconds=1)
            entries = [
                LedgerEntry(FAR_AWAY + number, then, "x", (one.id,), (), ())
                for number, one in enumerate(page.contacts)
            ]
            for entry in entries:
                assert await ports.erase.erase_again(entry)
            await ports.check_gone(email(A), email(B), number("1"))
            for entry in entries:
                assert await ports.trail.find_left(entry) == []

        self.check(body)

    def test_evidence_and_rulings_that_a_backup_brings_back_are_erased_again(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "2"), (A, "2"), (C, "3"), (D, "4"))
            await identify(ports.repository, ("e@x", "5"), ("f@x", "6"), ("e@x", "6"))
            kept = await ports.rule.pin(email("e@x"), email("g@x"), Verdict.SAME, NOTE)
            others = await ports.reader.record([email("e@x")])
            ruled = await ports.rule.pin(email(C), email(D), Verdict.SAME, NOTE)
            ended = await ports.rule.pin(email(C), email(B), Verdict.DIFFERENT, NOTE)
            await ports.rule.unpin(ended.writes.rulings[0], NOTE)
            [piece] = (await ports.reader.record([email(A)])).evidence
            ruling_ids = (ruled.writes.rulings[0].id, ended.writes.rulings[0].id)
            then = ruled.writes.rulings[0].decided_at + timedelta(1)
            entry = LedgerEntry(FAR_AWAY, then, "x", (), (piece.id,), ruling_ids)
            assert {one.table for one in await ports.trail.find_left(entry)} == {
                "contact_evidence",
                "contact_rulings",
            }
            assert await ports.erase.erase_again(entry)
            assert await ports.trail.find_left(entry) == []
            dossier = await ports.reader.dossier([email(one) for one in (A, B, C, D)])
            assert len(dossier.record.identities) == 4
            assert await ports.reader.record([email("e@x")]) == others
            assert (len(others.evidence), others.rulings) == (1, kept.writes.rulings)
            assert (dossier.record.evidence, dossier.record.rulings, dossier.withdrawn) == ((), (), ())

        self.check(body)

    def test_blocks_that_a_backup_brings_back_go_again(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "9"))
            change = ChangeRules(ports.repository, ports.book)
            await change.put(RuleSet(phone_numbers=["1", "9"]), NOTE)
            at = (await ports.reader.pages(ContactDetails(A)))[0].contacts[0].created_at
            blocks = (BlockMark(1, IdentifierKind.PHONE_NUMBER, 1),)
            entry = LedgerEntry(FAR_AWAY, at + timedelta(1), None, (), (), (), blocks)
            assert await ports.trail.find_left(entry) == [Leftover("contact_rules", 1)]
            assert await ports.erase.erase_again(entry)
            assert (await ports.book.rules()).rules == RuleSet(phone_numbers=["1"])
            await ports.check_gone(number("9"))
            assert await ports.trail.find_left(entry) == []
            assert entry in await ports.trail.ledger()

        self.check(body)

    def test_what_came_after_an_erasure_only_has_an_id_that_was_free(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"))
            [page] = await ports.reader.pages(ContactDetails(A))
            before = page.contacts[0].created_at - timedelta(1)
            entry = LedgerEntry(FAR_AWAY, before, None, (page.contacts[0].id,), (), ())
            assert await ports.trail.find_left(entry) == []
            assert not await ports.erase.erase_again(entry)
            assert await ports.reader.pages(ContactDetails(A)) == [page]

        self.check(body)

    @given(DATED, DATED)
    @of_any_subclass
    def test_what_is_left_is_as_if_a_person_had_never_come(
        self, batch: list[ContactDetails], more: list[ContactDetails]
    ) -> None:
        async def body(ports: Ports) -> None:
            identify_all = IdentifyContacts(ports.repository)
            await identify_all.many(batch)
            for details in batch[:2]:
                if await ports.reader.pages(details):
                    await ports.erase(details.identifiers[0])
            await identify_all.many(more)
            values = {value for details in (*batch, *more) for value in details.identifiers}
            record = await ports.reader.record(values)
            assert partition(record) == resolved(record)

        self.check(body)
