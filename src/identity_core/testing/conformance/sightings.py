"""What every `Sightings` must do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import date

from attrs import evolve

from identity_core import (
    AuditTrail,
    ContactDetails,
    ContactRepository,
    Decision,
    EraseIdentities,
    Identifier,
    IdentifierKind,
    IdentityReader,
    Sightings,
    Unseen,
    WriteSet,
)
from identity_core.testing.conformance.contacts import A, B, C, D, contact, seed

ONE, OTHER = (Identifier(IdentifierKind.EMAIL, email) for email in (A, B))
NUMBER = Identifier(IdentifierKind.PHONE_NUMBER, "1")
NOBODYS = Identifier(IdentifierKind.PHONE_NUMBER, "9")

# The contacts of the examples were created in January 2020.
CREATED, FEBRUARY, MARCH, APRIL, MAY = (date(2020, month, 1) for month in range(1, 6))
BEFORE_THAT = date(2019, 12, 1)

Body = Callable[[ContactRepository, IdentityReader, AuditTrail, Sightings], Awaitable[None]]


class SightingsConformance:
    """Subclass it under a name that pytest collects, and define `empty_sightings`."""

    def empty_sightings(
        self,
    ) -> AbstractAsyncContextManager[tuple[ContactRepository, IdentityReader, AuditTrail, Sightings]]:
        """A repository without any contact, and the other ports on the same; entered for each example."""
        raise NotImplementedError

    def check(self, body: Body) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_sightings() as ports:
                await body(*ports)

        asyncio.run(on_empty_repository())

    def test_nothing_is_recorded_unless_recording_began(self) -> None:
        async def body(
            repository: ContactRepository, reader: IdentityReader, _: AuditTrail, sightings: Sightings
        ) -> None:
            await seed(repository, contact(1, A, "1"))
            assert await sightings.recorded_since() is None
            assert await sightings.record_seen({ONE: MARCH}) == 0
            assert await sightings.find_unseen(MAY) == []
            await sightings.begin_recording(FEBRUARY)
            assert await sightings.recorded_since() == FEBRUARY
            await sightings.begin_recording(APRIL)
            assert await sightings.recorded_since() == FEBRUARY, "it is recorded already"
            await sightings.end_recording()
            assert await sightings.recorded_since() is None
            assert await sightings.record_seen({ONE: MARCH}) == 0
            assert await sightings.find_unseen(MAY) == []
            await sightings.begin_recording(APRIL)
            assert await sightings.recorded_since() == APRIL
            assert (await reader.dossier([ONE])).last_seen == {}

        self.check(body)

    def test_a_value_is_written_once_a_month(self) -> None:
        async def body(
            repository: ContactRepository, reader: IdentityReader, _: AuditTrail, sightings: Sightings
        ) -> None:
            await seed(repository, contact(1, A, "1"), contact(2, B))
            await sightings.begin_recording(FEBRUARY)
            assert await sightings.record_seen({ONE: MARCH, NUMBER: MARCH}) == 2
            assert await sightings.record_seen({ONE: MARCH, NUMBER: FEBRUARY, OTHER: CREATED}) == 0
            assert (await reader.dossier([ONE])).last_seen == {ONE: MARCH, NUMBER: MARCH}
            assert await sightings.record_seen({ONE: APRIL, NUMBER: MARCH, OTHER: FEBRUARY}) == 2
            assert (await reader.dossier([ONE, OTHER])).last_seen == {
                ONE: APRIL,
                NUMBER: MARCH,
                OTHER: FEBRUARY,
            }

        self.check(body)

    def test_nothing_is_written_of_a_value_that_no_live_contact_has(self) -> None:
        async def body(
            repository: ContactRepository, reader: IdentityReader, trail: AuditTrail, sightings: Sightings
        ) -> None:
            await seed(repository, contact(1, A, "1"), contact(2, B))
            await _delete(repository, 2, B)
            await sightings.begin_recording(FEBRUARY)
            seen = {ONE: MARCH, NUMBER: MARCH, OTHER: MARCH, NOBODYS: MARCH}
            assert await sightings.record_seen(seen) == 2
            assert set((await reader.dossier([*seen])).last_seen) == {ONE, NUMBER}
            await EraseIdentities(repository, reader, trail)(ONE)
            assert (await reader.dossier([*seen])).last_seen == {}, "it goes with the person"
            assert await sightings.record_seen(seen) == 0
            assert (await reader.dossier([*seen])).last_seen == {}, "an erased value does not come back"

        self.check(body)

    def test_an_identity_is_unseen_if_all_its_values_are(self) -> None:
        async def body(
            repository: ContactRepository, _: IdentityReader, __: AuditTrail, sightings: Sightings
        ) -> None:
            await seed(
                repository,
                contact(1, A, "1"),
                contact(2, B, "1", linked_id=1),
                contact(3, C, "3"),
                contact(4, D),
                evolve(contact(5, phone_number="5"), created_at=contact(1).created_at.replace(month=4)),
                contact(6, phone_number="6"),
            )
            await _delete(repository, 6, None, "6")
            await sightings.begin_recording(BEFORE_THAT)
            three = Identifier(IdentifierKind.PHONE_NUMBER, "3")
            await sightings.record_seen({OTHER: MARCH, NUMBER: FEBRUARY, three: FEBRUARY})
            assert await sightings.find_unseen(CREATED) == []
            assert await sightings.find_unseen(FEBRUARY) == [Unseen(4, 1, CREATED)]
            assert await sightings.find_unseen(MARCH) == [Unseen(3, 1, FEBRUARY), Unseen(4, 1, CREATED)]
            in_april = [Unseen(1, 2, MARCH), Unseen(3, 1, FEBRUARY), Unseen(4, 1, CREATED)]
            assert await sightings.find_unseen(APRIL) == in_april
            assert await sightings.find_unseen(MAY) == [*in_april, Unseen(5, 1, APRIL)]
            assert await sightings.find_unseen(APRIL, after=1, limit=1) == in_april[1:2]
            assert await sightings.find_unseen(APRIL, after=3) == in_april[2:]

        self.check(body)

    def test_nobody_is_unseen_since_before_recording_began(self) -> None:
        async def body(
            repository: ContactRepository, _: IdentityReader, __: AuditTrail, sightings: Sightings
        ) -> None:
            await seed(repository, contact(1, A, "1"), contact(2, B))
            await sightings.begin_recording(MARCH)
            await sightings.record_seen({ONE: APRIL})
            assert await sightings.find_unseen(MARCH) == []
            assert await sightings.find_unseen(APRIL) == [Unseen(2, 1, MARCH)]
            assert await sightings.find_unseen(MAY) == [Unseen(1, 1, APRIL), Unseen(2, 1, MARCH)]

        self.check(body)

    def test_what_was_deleted_goes_with_the_rest_of_its_identity(self) -> None:
        async def body(
            repository: ContactRepository, _: IdentityReader, __: AuditTrail, sightings: Sightings
        ) -> None:
            await seed(repository, contact(1, A, "1"), contact(2, B, linked_id=1))
            await sightings.begin_recording(BEFORE_THAT)
            await sightings.record_seen({OTHER: MARCH})
            await _delete(repository, 2, B, linked_id=1)
            assert await sightings.find_unseen(MARCH) == []
            assert await sightings.find_unseen(APRIL) == [Unseen(1, 2, MARCH)]

        self.check(body)


async def _delete(
    repository: ContactRepository,
    id: int,
    email: str | None = None,
    phone_number: str | None = None,
    linked_id: int | None = None,
) -> None:
    """Delete a contact, as a ruling does."""
    gone = contact(id, email, phone_number, linked_id)
    decision = Decision(WriteSet(deleted=(gone,)), ())
    await repository.transact([ContactDetails(*gone.key)], lambda snapshot, now, ids: decision)
