"""Contacts in memory: for tests, and for trying the library out. Nothing survives the process."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from itertools import chain, count

from identity_core import (
    Contact,
    ContactDetails,
    ContactRepository,
    Decide,
    Event,
    Evidence,
    Happening,
    InvalidPlace,
    Page,
    Reconciliation,
    Snapshot,
    page,
)


def _now() -> datetime:
    return datetime.now(UTC)


class InMemoryContactRepository:
    """A `ContactRepository` over dictionaries, safe among tasks and threads.

    Args:
        clock: tells the time, with an offset from UTC.
    """

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._ids = count(1)
        self._contacts: dict[int, Contact] = {}
        self._deleted: dict[int, int] = {}
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._events: list[Event] = []
        self._by_email: defaultdict[str | None, set[int]] = defaultdict(set)
        self._by_phone_number: defaultdict[str | None, set[int]] = defaultdict(set)
        self._by_linked_id: defaultdict[int | None, set[int]] = defaultdict(set)
        self._exclusive = threading.Lock()

    @property
    def events(self) -> Sequence[Event]:
        """All that happened, in order."""
        return tuple(self._events)

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        # Other tasks get a turn here, as they do while a database answers.
        await asyncio.sleep(0)
        with self._exclusive:
            return self._snapshot(batch)

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        await asyncio.sleep(0)
        with self._exclusive:
            while contact_id in self._deleted:
                contact_id = self._deleted[contact_id]
            if contact_id not in self._contacts:
                return None
            return Snapshot.of(self._connected({contact_id})).identities[0]

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        if isinstance(of, int):
            found = await self.find(of)
            identities: Sequence[Sequence[Contact]] = [found] if found else []
        else:
            identities = (await self.load([of])).identities
        return [page(contacts, after, limit) for contacts in identities]

    async def evidence(self, contacts: Sequence[Contact]) -> list[Evidence]:
        await asyncio.sleep(0)
        emails = {contact.email for contact in contacts}
        with self._exclusive:
            found = [evidence for evidence in self._evidence.values() if evidence.email in emails]
        return sorted(found, key=lambda evidence: evidence.id)

    async def happenings(
        self, contacts: Sequence[Contact], after: int = 0, limit: int | None = None
    ) -> list[Happening]:
        await asyncio.sleep(0)
        ids = {contact.id for contact in contacts}
        with self._exclusive:
            found = [
                Happening(number, event)
                for number, event in enumerate(self._events, start=1)
                if number > after and event.primary_id in ids
            ]
        return found[:limit]

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[Happening], str]:
        await asyncio.sleep(0)
        with self._exclusive:
            try:
                start = 0 if after is None else int(after)
                found = [Happening(n, self._events[n - 1]) for n in range(start + 1, len(self._events) + 1)]
            except (ValueError, IndexError):
                raise InvalidPlace("this place was never given") from None
        return found[:limit], str(start + len(found[:limit]))

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Reconciliation:
        await asyncio.sleep(0)
        with self._exclusive:
            decided = decide(self._snapshot(batch), self._clock(), self._ids)
            changes = decided.changes
            for contact in (*changes.created, *changes.altered):
                self._store(contact)
            for contact in changes.deleted:
                self._delete(contact)
            for pair in changes.superseded:
                self._evidence.pop(pair, None)
            for evidence in changes.evidence:
                self._evidence[evidence.email, evidence.phone_number] = evidence
            self._events.extend(changes.events)
            return decided

    def _delete(self, contact: Contact) -> None:
        before = self._contacts.pop(contact.id)
        self._by_email[before.email].discard(contact.id)
        self._by_phone_number[before.phone_number].discard(contact.id)
        self._by_linked_id[before.linked_id].discard(contact.id)
        if contact.linked_id is not None:
            self._deleted[contact.id] = contact.linked_id

    def _store(self, contact: Contact) -> None:
        before = self._contacts.get(contact.id)
        if before is not None:
            self._by_linked_id[before.linked_id].discard(contact.id)
        self._contacts[contact.id] = contact
        self._by_linked_id[contact.linked_id].add(contact.id)
        if contact.email is not None:
            self._by_email[contact.email].add(contact.id)
        if contact.phone_number is not None:
            self._by_phone_number[contact.phone_number].add(contact.id)

    def _snapshot(self, batch: Sequence[ContactDetails]) -> Snapshot:
        to_visit: set[int] = set()
        for details in batch:
            to_visit |= self._by_email.get(details.email, set())
            to_visit |= self._by_phone_number.get(details.phone_number, set())
        pairs = {details.pair for details in batch if details.pair is not None}
        return Snapshot.of(self._connected(to_visit), pairs & self._evidence.keys())

    def _connected(self, to_visit: set[int]) -> Collection[Contact]:
        """The contacts that links join to some."""
        found: dict[int, Contact] = {}
        while to_visit:
            contact = self._contacts[to_visit.pop()]
            found[contact.id] = contact
            to_visit |= self._by_linked_id.get(contact.id, set()) - found.keys()
            if contact.linked_id in self._contacts and contact.linked_id not in found:
                to_visit.add(contact.linked_id)
        return found.values()


class Rehearsal(InMemoryContactRepository):
    """What would be written to another repository, kept in memory; nothing is written to it.

    Args:
        stage: the repository as it is; its contacts are read as details touch them.
    """

    def __init__(self, stage: ContactRepository) -> None:
        super().__init__()
        self._stage = stage
        self._ids = count(2**62)  # later than all there are
        self._seen_evidence: set[tuple[str, str]] = set()

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        await self._read(batch)
        return await super().load(batch)

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Reconciliation:
        await self._read(batch)
        return await super().transact(batch, decide)

    async def _read(self, batch: Sequence[ContactDetails]) -> None:
        snapshot = await self._stage.load(batch)
        for contact in chain.from_iterable(snapshot.identities):
            if contact.id not in self._contacts:
                self._store(contact)
        for pair in snapshot.evidence - self._seen_evidence:
            self._seen_evidence.add(pair)
            self._evidence[pair] = Evidence(0, *pair, self._clock())
