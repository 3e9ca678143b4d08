"""The use case that overrules: people take merges back, give them back, and pin values together or apart."""

from collections.abc import AsyncIterator, Collection, Iterator
from datetime import datetime
from functools import partial
from itertools import count
from typing import Protocol

from attrs import evolve

from identity_core.errors import NotRecorded, StalePlan
from identity_core.model.contact import Contact
from identity_core.model.decision import LATER, NEW_IDS, hide_new_id
from identity_core.model.events import Event
from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import Identifier, to_identifiers
from identity_core.model.record import Record
from identity_core.model.ruled import Ruled
from identity_core.model.ruling import Note, Ruling, Verdict
from identity_core.ports import ContactRepository, IdentityReader, Offload, Revise, run_inline
from identity_core.rules import rulings


class RuleOnIdentities:
    """Rules on the record: undo, restore, split, pin and unpin.

    Every ruling takes who rules and why, and answers what the ruling did. With
    `dry_run` nothing is written, and it answers what the ruling would do. The answer has a *plan*, a
    token of the record that was looked at. Sent along with the real ruling, the plan makes sure that the
    record is still the same.

    Every method raises `RepositoryUnavailable` if it cannot be done for now, and every ruling:

    - `NotRecorded`: what it is about is not on record.
    - `Contradiction`: it contradicts what is; the error has the chain that shows it.
    - `StalePlan`: the record is no longer what the plan was made of.

    Args:
        repository: where the contacts are kept.
        reader: reads the same contacts.
        offload: runs the work on very large identities.

    >>> import asyncio
    >>> from identity_core import ContactDetails, IdentifyContacts, Note, RuleOnIdentities
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> repository = InMemoryContactRepository()
    >>> details = ContactDetails(email="doc@hillvalley.edu", phone_number="555-0123")
    >>> identity = asyncio.run(IdentifyContacts(repository)(details))
    >>> rule = RuleOnIdentities(repository, repository)
    >>> ruled = asyncio.run(rule.undo(details.pair, Note("marty", "a typo")))
    >>> [[contact.key for contact in contacts] for contacts in ruled.identities]
    [[('doc@hillvalley.edu', None)], [(None, '5550123')]]
    """

    def __init__(
        self, repository: ContactRepository, reader: IdentityReader, *, offload: Offload = run_inline
    ) -> None:
        self._repository = repository
        self._reader = reader
        self._offload = offload

    async def undo(
        self, pair: tuple[str, str], note: Note, *, dry_run: bool = False, plan: str | None = None
    ) -> Ruled:
        """Take a pair back: as if only its two values had come, each alone."""
        decide = partial(rulings.undo, pair=pair, note=note)
        return await self._rule(to_identifiers(*pair), decide, dry_run, plan)

    async def restore(
        self, ruling: Ruling, note: Note, *, dry_run: bool = False, plan: str | None = None
    ) -> Ruled:
        """Give back what a ruling undid; for the pin of a split, all that the split undid."""
        decide = partial(rulings.restore, ruling_id=ruling.id, note=note)
        return await self._rule(await self._find_undone_values(ruling), decide, dry_run, plan)

    async def split(
        self,
        one: Identifier,
        other: Identifier,
        note: Note,
        *,
        dry_run: bool = False,
        plan: str | None = None,
    ) -> Ruled:
        """Part two values that are joined: undo the smallest set of links that does, and pin them apart."""
        decide = partial(rulings.split, one=one, other=other, note=note)
        return await self._rule([one, other], decide, dry_run, plan)

    async def pin(
        self,
        one: Identifier,
        other: Identifier,
        verdict: Verdict,
        note: Note,
        *,
        dry_run: bool = False,
        plan: str | None = None,
    ) -> Ruled:
        """Pin two values together (`Verdict.SAME`) or apart (`Verdict.DIFFERENT`)."""
        decide = partial(rulings.pin, one=one, other=other, verdict=verdict, note=note)
        return await self._rule([one, other], decide, dry_run, plan)

    async def unpin(
        self, pin: Ruling, note: Note, *, dry_run: bool = False, plan: str | None = None
    ) -> Ruled:
        """Remove a pin; what it held is reconsidered."""
        decide = partial(rulings.unpin, ruling_id=pin.id, note=note)
        return await self._rule(pin.values, decide, dry_run, plan)

    async def adopt(self, ruling: Ruling) -> Ruled:
        """Put a ruling from another database in force, with its time and reason but a new id."""
        return await self._repository.revise(ruling.values, partial(rulings.adopt, ruling=ruling))

    async def find_pair(self, *, id: int | None = None, event_id: int | None = None) -> tuple[str, str]:
        """The pair of a contact or a piece of evidence, or the one that caused an event.

        Raises:
            NotRecorded: there is none.
            Erased: it was that of a contact that was erased.
        """
        if event_id is not None:
            event = await self._find_event(event_id)
            id = event.evidence_id or event.contact_id
        pair = None if id is None else await self._reader.pair(id)
        if pair is None:
            if id is not None:
                await self._reader.find(id)  # it may have been erased
            raise NotRecorded("pair", "is not on record")
        return pair

    async def find_ruling_of_event(self, event_id: int) -> Ruling:
        """The ruling that caused an event, or that undid the pair which caused it.

        Raises:
            NotRecorded: there is none in force.
        """
        event = await self._find_event(event_id)
        if event.ruling_id is not None:
            return await self.find_ruling(event.ruling_id)
        return await self.find_undone(await self.find_pair(id=event.evidence_id or event.contact_id))

    async def _find_event(self, event_id: int) -> Event:
        event = await self._reader.event(event_id)
        if event is None:
            raise NotRecorded("eventId", "does not exist")
        return event

    async def find_ruling(self, ruling_id: int) -> Ruling:
        """A ruling that is in force.

        Raises:
            NotRecorded: there is none.
        """
        found = await self._reader.rulings(after=ruling_id - 1, limit=1)
        if not found or found[0].id != ruling_id:
            raise NotRecorded("ruling", "is not in force")
        return found[0]

    async def find_undone(self, pair: tuple[str, str]) -> Ruling:
        """The ruling that undid a pair.

        Raises:
            NotRecorded: the pair is not undone.
        """
        one, other = to_identifiers(*pair)
        record = await self._reader.record([one, other])
        if (ruling := record.find_ruling(Verdict.UNDONE, one, other)) is None:
            raise NotRecorded("pair", "is not undone")
        return ruling

    async def rulings(self, after: int = 0, limit: int = 100) -> list[Ruling]:
        """The rulings in force, in the order of ids; see `IdentityReader.rulings`."""
        return await self._reader.rulings(after, limit)

    async def held(self, after: int = 0, limit: int = 100) -> list[Evidence]:
        """The pairs that limits hold, in the order of ids; see `IdentityReader.held`."""
        return await self._reader.held(after, limit)

    async def find_held(self, id: int) -> Evidence:
        """A pair that a limit holds, by its id.

        Raises:
            NotRecorded: there is none.
        """
        found = await self._reader.held(after=id - 1, limit=1)
        if not found or found[0].id != id:
            raise NotRecorded("pair", "is not held by a limit")
        return found[0]

    async def _find_undone_values(self, ruling: Ruling) -> set[Identifier]:
        """The values of a ruling; for the pin of a split, also those of all that the split undid.

        Other rulings may have parted the two ends of the pin from what the split undid between them.
        """
        values = {*ruling.values}
        if ruling.verdict is Verdict.DIFFERENT:
            async for one in read_rulings(self._reader, after=ruling.id):
                if one.split_id == ruling.id:
                    values |= one.values
        return values

    async def _rule(
        self, values: Collection[Identifier], decide: Revise[Ruled], dry_run: bool, plan: str | None
    ) -> Ruled:
        def decide_as_planned(record: Record, now: datetime, ids: Iterator[int]) -> Ruled:
            if plan is not None and plan != record.make_plan():
                raise StalePlan("the record changed since the plan was made")
            return decide(record, now, ids)

        if not dry_run:
            return await self._repository.revise(values, decide_as_planned)
        record = await self._reader.record(values)
        return _hide_new_ids(
            await self._offload(record.size, decide_as_planned, record, LATER, count(NEW_IDS))
        )


class RulingPages(Protocol):
    """Who returns the rulings in force in pages: `IdentityReader` and `RuleOnIdentities`."""

    async def rulings(self, after: int = 0, limit: int = 100) -> list[Ruling]:
        """A page; see `IdentityReader.rulings`."""
        ...


async def read_rulings(source: RulingPages, after: int = 0) -> AsyncIterator[Ruling]:
    """Read the rulings in force with larger ids, in the order of ids."""
    while page := await source.rulings(after, limit=1_000):
        for ruling in page:
            yield ruling
        after = page[-1].id


def _hide_new_ids(ruled: Ruled) -> Ruled:
    """Show what would be new with the id 0."""
    return evolve(ruled, identities=tuple(tuple(map(_hide_new_ids_of, c)) for c in ruled.identities))


def _hide_new_ids_of(contact: Contact) -> Contact:
    linked_id = None if contact.linked_id is None else hide_new_id(contact.linked_id)
    return evolve(contact, id=hide_new_id(contact.id), linked_id=linked_id)
