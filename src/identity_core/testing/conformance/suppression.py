"""What every `ContactRepository` and `IdentityReader` must do about people who are kept out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest
from attrs import frozen

from identity_core import (
    NOBODY,
    AuditTrail,
    ContactDetails,
    ContactRepository,
    Decision,
    EraseIdentities,
    Identified,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    IdentityReader,
    ImportReport,
    Note,
    Outcome,
    QueryIdentities,
    Record,
    RuleOnIdentities,
    Ruling,
    Snapshot,
    StalePlan,
    Suppressed,
    Verdict,
    import_contacts,
)
from identity_core.testing.conformance.contacts import A, B, C, D, contact, identify, seed
from identity_core.testing.conformance.rulings import email, number

NOTE = Note("somebody", "because")
PAST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


@frozen
class Ports:
    """The ports of one repository, and the use cases on them."""

    repository: ContactRepository
    reader: IdentityReader
    trail: AuditTrail

    async def identify(self, *batch: ContactDetails) -> list[Identified]:
        """Identify details, all at once."""
        return await IdentifyContacts(self.repository).with_outcomes(batch)

    async def erase(
        self, value: Identifier, until: datetime | None = FUTURE, plan: str | None = None
    ) -> None:
        """Erase whoever has a value, and keep them out until a time."""
        erase = EraseIdentities(self.repository, self.reader, self.trail)
        await erase(value, "somebody", plan=plan, suppressed_until=until)

    @property
    def rule(self) -> RuleOnIdentities:
        """Rules on the record."""
        return RuleOnIdentities(self.repository, self.reader)


async def _in_order(details: list[ContactDetails]) -> AsyncIterator[ContactDetails]:
    for one in details:
        yield one


class SuppressionConformance:
    """Subclass it under a name that pytest collects, and define `empty_ports`."""

    def empty_ports(
        self,
    ) -> AbstractAsyncContextManager[tuple[ContactRepository, IdentityReader, AuditTrail]]:
        """A repository without any contact that can keep people out, and a reader and a trail of it."""
        raise NotImplementedError

    def check(self, body: Callable[[Ports], Awaitable[None]]) -> None:
        """Run the body on the ports of an empty repository."""

        async def on_empty_ports() -> None:
            async with self.empty_ports() as ports:
                await body(Ports(*ports))

        asyncio.run(on_empty_ports())

    def test_nothing_of_who_is_kept_out_is_recorded(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "1"))
            await ports.erase(email(A))
            for details, kept_out in (
                (ContactDetails(A, "1"), None),
                (ContactDetails(B), None),
                (ContactDetails(None, "1"), None),
                (ContactDetails(A, "2"), IdentifierKind.EMAIL),
                (ContactDetails(C, "1"), IdentifierKind.PHONE_NUMBER),
                (ContactDetails(C, "1", PAST), IdentifierKind.PHONE_NUMBER),
            ):
                [identified] = await ports.identify(details)
                assert identified == Identified(NOBODY, Outcome.SUPPRESSED, kept_out)
                assert await ports.repository.load([details]) == Snapshot()

        self.check(body)

    def test_others_are_identified_in_the_same_batch(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"))
            await ports.erase(number("1"))
            batch = [ContactDetails(B, "2"), ContactDetails(B, "1"), ContactDetails(C, "2")]
            found = await ports.identify(*batch)
            outcomes = [Outcome.CREATED, Outcome.SUPPRESSED, Outcome.LINKED]
            assert [one.outcome for one in found] == outcomes
            with pytest.raises(Suppressed, match="phone_number was erased on request and is kept out"):
                await IdentifyContacts(ports.repository).many(batch)
            with pytest.raises(Suppressed, match="email was erased on request and is kept out"):
                await IdentifyContacts(ports.repository)(ContactDetails(A, "1"))

        self.check(body)

    def test_who_is_erased_may_come_back_unless_it_is_said_otherwise(self) -> None:
        async def body(ports: Ports) -> None:
            for until in (None, PAST):
                await identify(ports.repository, (A, "1"))
                await ports.erase(email(A), until)
                assert await ports.reader.suppressed([email(A), number("1")]) == frozenset()
                [identified] = await ports.identify(ContactDetails(A, "1"))
                assert identified.outcome is Outcome.CREATED
                assert (await ports.reader.record([email(A)])).suppressed == frozenset()

        self.check(body)

    def test_readers_are_told_which_values_are_kept_out(self) -> None:
        async def body(ports: Ports) -> None:
            assert await ports.reader.suppressed([email(A)]) == frozenset()
            await identify(ports.repository, (A, "1"))
            await ports.erase(email(A))
            kept_out = {email(A), number("1")}
            assert await ports.reader.suppressed([]) == frozenset()
            assert await ports.reader.suppressed([*kept_out, email(B), number("2")]) == kept_out
            record = await ports.reader.record([email(B), number("1")])
            assert record.suppressed == {number("1")}

        self.check(body)

    def test_the_later_end_stands(self) -> None:
        async def body(ports: Ports) -> None:
            for first, second in ((FUTURE, PAST), (PAST, FUTURE), (FUTURE, None)):
                await seed(ports.repository, contact(900, email=A))
                await ports.erase(email(A), first)
                await seed(ports.repository, contact(901, email=A))
                await ports.erase(email(A), second)
                assert await ports.reader.suppressed([email(A)]) == {email(A)}

        self.check(body)

    def test_an_erasure_that_is_refused_keeps_nobody_out(self) -> None:
        def refuse(record: Record, now: datetime, ids: Iterator[int]) -> Decision:
            del record, now, ids
            raise StalePlan

        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"))
            with pytest.raises(StalePlan):
                await ports.erase(email(A), plan="another")
            with pytest.raises(StalePlan):
                await ports.repository.revise([email(A)], refuse)
            assert await ports.reader.suppressed([email(A)]) == frozenset()
            [identified] = await ports.identify(ContactDetails(A, "2"))
            assert identified.outcome is Outcome.LINKED

        self.check(body)

    def test_what_another_program_wrote_is_known_and_grows_no_further(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"))
            await ports.erase(email(A))
            await seed(ports.repository, contact(901, email=A, phone_number="1"))
            known, grown, joined = (ContactDetails(A, "1"), ContactDetails(A, "2"), ContactDetails(B, "1"))
            assert [one.outcome for one in await ports.identify(known, grown, joined)] == [
                Outcome.KNOWN,
                Outcome.SUPPRESSED,
                Outcome.SUPPRESSED,
            ]
            decision = await ports.identify(known)
            assert decision[0].identity.primary_contact_id == 901

        self.check(body)

    def test_a_preview_tells_that_somebody_is_kept_out(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"))
            await ports.erase(email(A))
            preview = await QueryIdentities(ports.reader).preview(ContactDetails(A, "2"))
            assert (preview.outcome, preview.identity) == (Outcome.SUPPRESSED, NOBODY)
            assert preview.ignored is IdentifierKind.EMAIL

        self.check(body)

    def test_an_import_counts_who_is_kept_out_and_goes_on(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"))
            await ports.erase(email(A))
            batch = [ContactDetails(*key) for key in ((B, "2"), (A, "2"), (B, "1"), (C, "2"))]
            expected = ImportReport(read=4, created=1, linked=1, suppressed=2)
            assert await import_contacts(ports.repository, _in_order(batch)) == expected
            # With a pin, all of a batch is read at once.
            await ports.rule.pin(email(C), email(D), Verdict.DIFFERENT, NOTE)
            batch = [ContactDetails(*key) for key in ((B, "3"), (A, "3"), (C, "4"), (D, "1"))]
            expected = ImportReport(read=4, linked=2, suppressed=2)
            assert await import_contacts(ports.repository, _in_order(batch)) == expected
            assert (await ports.repository.load([ContactDetails(A, "1")])).identities == ()

        self.check(body)

    def test_no_ruling_brings_anybody_back(self) -> None:
        async def body(ports: Ports) -> None:
            await identify(ports.repository, (A, "1"), (B, "2"))
            await ports.erase(email(A))
            for verdict in (Verdict.SAME, Verdict.DIFFERENT):
                for dry_run in (True, False):
                    with pytest.raises(Suppressed, match="one was erased on request"):
                        await ports.rule.pin(email(A), email(B), verdict, NOTE, dry_run=dry_run)
                    with pytest.raises(Suppressed, match="other was erased on request"):
                        await ports.rule.pin(email(B), number("1"), verdict, NOTE, dry_run=dry_run)
            with pytest.raises(Suppressed, match="one was erased on request"):
                await ports.rule.adopt(Ruling(1, Verdict.SAME, email(A), email(B), PAST, "x", "y"))
            assert await ports.reader.rulings() == []
            await seed(ports.repository, contact(901, email=A))
            await ports.rule.pin(email(A), email(B), Verdict.DIFFERENT, NOTE)

        self.check(body)
