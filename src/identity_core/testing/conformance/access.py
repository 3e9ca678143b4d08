"""What every `IdentityReader` and `AuditTrail` must do so that a person gets everything on record of them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from attrs import frozen

from identity_core import (
    AccessIdentities,
    AuditTrail,
    ChangeRules,
    Contact,
    ContactDetails,
    ContactRepository,
    Decision,
    Disclosure,
    Dossier,
    Identifier,
    IdentityReader,
    Limits,
    Note,
    NotRecorded,
    Record,
    RuleBook,
    RuleOnIdentities,
    RuleSet,
    Standing,
    Verdict,
    WriteSet,
)
from identity_core.testing.conformance.contacts import A, B, C, D, contact, identify, seed
from identity_core.testing.conformance.rulings import email, number

NOTE = Note("somebody", "because")
END = Note("somebody else", "it was no typo")


@frozen
class Ports:
    """The ports of one repository, and the use cases on them."""

    repository: ContactRepository
    reader: IdentityReader
    book: RuleBook
    trail: AuditTrail

    @property
    def rule(self) -> RuleOnIdentities:
        """Rules on what is recorded."""
        return RuleOnIdentities(self.repository, self.reader)

    @property
    def change(self) -> ChangeRules:
        """Changes the rules."""
        return ChangeRules(self.repository, self.book)

    async def see(self, *keys: tuple[str | None, str | None]) -> None:
        """Identify details one after the other."""
        await identify(self.repository, *keys)

    async def access(self, target: Identifier | int) -> Disclosure:
        """Read everything on record of a person."""
        return await AccessIdentities(self.reader, self.trail)(target, "somebody")

    async def delete(self, *contacts: Contact) -> None:
        """Delete contacts."""
        batch = [ContactDetails(*one.key) for one in contacts]
        decision = Decision(WriteSet(deleted=contacts), ())
        await self.repository.transact(batch, lambda snapshot, now, ids: decision)

    async def take_back(self, pair: tuple[str, str]) -> None:
        """Undo a pair, and restore it."""
        await self.rule.undo(pair, NOTE)
        await self.rule.restore(await self.rule.find_undone(pair), END)


Body = Callable[[Ports], Awaitable[None]]


class AccessConformance:
    """Subclass it under a name that pytest collects, and define `empty_trail`."""

    def empty_trail(
        self,
    ) -> AbstractAsyncContextManager[tuple[ContactRepository, IdentityReader, RuleBook, AuditTrail]]:
        """A repository without any contact, its reader, its rules and its trail; entered for each test."""
        raise NotImplementedError

    def check(self, body: Body) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_trail() as ports:
                await body(Ports(*ports))

        asyncio.run(on_empty_repository())

    # The dossier

    def test_the_dossier_of_values_that_are_not_on_record_is_empty(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((B, "2"))
            await ports.take_back((B, "2"))
            asked = [email(A), number("1")]
            assert await ports.reader.dossier(asked) == Dossier(Record(asked=frozenset(asked)))
            assert await ports.reader.dossier([]) == Dossier(Record())

        self.check(body)

    def test_a_dossier_has_the_record_of_its_values(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"), (A, "2"), (C, "3"))
            await ports.rule.pin(email(C), email(D), Verdict.DIFFERENT, NOTE)
            for asked in ([email(A)], [number("2"), number("3")], [email(D)]):
                dossier = await ports.reader.dossier(asked)
                assert dossier == Dossier(await ports.reader.record(asked))

        self.check(body)

    def test_a_dossier_has_every_pair_with_its_values_whether_it_counts_or_not(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.change.put(
                RuleSet(phone_numbers=["9"], limits=Limits(emails_per_phone_number=1)), NOTE
            )
            await ports.see((A, "1"), (B, "2"), (C, "3"), (A, "9"), (B, "1"))
            await ports.rule.pin(email(A), email(C), Verdict.DIFFERENT, NOTE)
            await ports.rule.undo((A, "1"), NOTE)
            await ports.see((D, "4"), (D, "5"), (A, "4"))
            for value, expected in (
                (
                    email(A),
                    {
                        ((A, "1"), Standing.UNDONE),
                        ((A, "4"), Standing.HELD),
                        ((A, "9"), Standing.BLOCKED),
                    },
                ),
                (number("1"), {((A, "1"), Standing.UNDONE), ((B, "1"), Standing.HELD)}),
                (number("9"), {((A, "9"), Standing.BLOCKED)}),
            ):
                evidence = (await ports.reader.dossier([value])).record.evidence
                named = [piece for piece in evidence if value in piece.identifiers]
                assert {(piece.pair, piece.standing) for piece in named} == expected
                assert [piece.id for piece in evidence] == sorted({piece.id for piece in evidence})

        self.check(body)

    def test_a_dossier_has_the_deleted_contacts_that_lead_to_its_values_or_have_them(self) -> None:
        async def body(ports: Ports) -> None:
            await seed(
                ports.repository,
                contact(1, A, "1", age=9),
                contact(2, B, "2", 1, age=8),
                contact(3, C, "3", age=7),
                contact(4, C, "4", 3, age=6),
                contact(5, D, "5", age=5),
                contact(6, D, "1", 5, age=4),
            )
            gone = [contact(2, B, "2", 1, age=8), contact(4, C, "4", 3, age=6), contact(6, D, "1", 5, age=4)]
            await ports.delete(*gone)
            led = await ports.reader.dossier([email(A)])
            assert [one.contact for one in led.deleted] == [gone[0], gone[2]]
            assert [one.deleted_at.utcoffset() is not None for one in led.deleted] == [True, True]
            assert all(one.deleted_at > one.contact.created_at for one in led.deleted)
            assert [one.contact for one in (await ports.reader.dossier([number("4")])).deleted] == [gone[1]]
            assert [one.contact for one in (await ports.reader.dossier([email(D)])).deleted] == [gone[2]]
            assert (await ports.reader.dossier([number("6")])).deleted == ()

        self.check(body)

    def test_a_dossier_has_the_rulings_that_are_no_longer_in_force_with_their_ends(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "2"), (C, "3"))
            await ports.take_back((A, "1"))
            pinned = await ports.rule.pin(email(A), email(D), Verdict.DIFFERENT, NOTE)
            await ports.rule.unpin(await ports.rule.find_ruling(pinned.writes.rulings[0].id), END)
            await ports.rule.undo((B, "2"), NOTE)
            await ports.take_back((C, "3"))
            dossier = await ports.reader.dossier([number("1")])
            assert dossier.record.rulings == ()
            assert [ruling.values for ruling, _ in dossier.withdrawn] == [
                {email(A), number("1")},
                {email(A), email(D)},
            ]
            for ruling, end in dossier.withdrawn:
                assert (ruling.decided_by, ruling.reason) == (NOTE.by, NOTE.reason)
                assert (end.ruling_id, end.withdrawn_by, end.reason) == (ruling.id, END.by, END.reason)
                assert end.withdrawn_at >= ruling.decided_at
            assert [ruling.values for ruling, _ in (await ports.reader.dossier([email(D)])).withdrawn] == [
                {email(A), email(D)}
            ]
            other = await ports.reader.dossier([email(B)])
            assert other.withdrawn == ()
            assert [ruling.verdict for ruling in other.record.rulings] == [Verdict.UNDONE]

        self.check(body)

    def test_a_dossier_has_all_rules_that_ever_were_in_force(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"))
            assert (await ports.reader.dossier([email(A)])).rules == ()
            versions = []
            for rules in (RuleSet(emails=[A]), RuleSet(emails=[A, B], one_digit=True), RuleSet()):
                await ports.change.put(rules, NOTE)
                versions.append(await ports.book.rules())
            dossier = await ports.reader.dossier([email(A)])
            assert dossier.rules == tuple(versions)
            assert dossier.record.rules == versions[-1].rules
            assert [version.version for version in dossier.rules] == [1, 2, 3]

        self.check(body)

    # What is handed out

    def test_a_person_gets_the_same_by_any_value_and_any_contact(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"), (B, "1"), (B, "2"), (C, "9"))
            await ports.take_back((B, "2"))
            await ports.rule.pin(email(A), email(C), Verdict.DIFFERENT, NOTE)
            await ports.see((A, "9"))
            expected = await ports.access(email(A))
            assert [known.value for known in expected.values] == [
                email(A), email(B), number("1"), number("2")
            ]  # fmt: skip
            assert [pair.standing for pair in expected.pairs] == ["counts", "counts", "counts", "held"]
            assert (expected.pairs[-1].email, expected.pairs[-1].phone_number) == (A, None)
            assert [one.deleted_at is None for one in expected.contacts] == [True, True, True, False]
            assert [ruling.withdrawal is None for ruling in expected.rulings] == [False, True]
            assert expected.events
            deleted_id = expected.contacts[-1].contact.id
            for target in (email(B), number("1"), number("2"), 1, 2, deleted_id):
                assert await ports.access(target) == expected

        self.check(body)

    def test_nothing_is_handed_out_of_whom_nothing_is_on_record(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.change.put(RuleSet(emails=[B]), NOTE)
            await ports.change.put(RuleSet(), NOTE)
            for target, field in ((email(A), "email"), (number("1"), "phone_number"), (7, "contactId")):
                with pytest.raises(NotRecorded) as caught:
                    await ports.access(target)
                assert caught.value.field == field
            assert [rules.version for rules in (await ports.access(email(B))).rules] == [1]

        self.check(body)

    # The trail

    def test_an_access_is_recorded_and_is_no_erasure(self) -> None:
        async def body(ports: Ports) -> None:
            await ports.see((A, "1"))
            await ports.trail.record_access([1], "somebody")
            await ports.trail.record_access([1, 2**40], None)
            await ports.trail.record_access([], "somebody")
            assert await ports.trail.ledger() == []
            await ports.see((B, "2"))
            assert [one.key for one in await ports.reader.find(1) or ()] == [(A, "1")]

        self.check(body)
