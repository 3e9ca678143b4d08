"""Contacts in memory, for tests and first experiments. Nothing survives the process."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, count

from identity_core import (
    Contact,
    ContactDetails,
    Decide,
    Decision,
    Event,
    Evidence,
    InvalidCursor,
    Page,
    RecordedEvent,
    Snapshot,
    cut_page,
)
from identity_core.ports import SnapshotLoader


def _now() -> datetime:
    return datetime.now(UTC)


class InMemoryContactRepository:
    """All three ports over dictionaries, safe for concurrent tasks and threads.

    Args:
        clock: returns the time, with an offset from UTC.
        first_id: the id of the first contact.
    """

    def __init__(self, clock: Callable[[], datetime] = _now, first_id: int = 1) -> None:
        self._clock = clock
        self._ids = count(first_id)
        self._contacts: dict[int, Contact] = {}
        self._deleted: dict[int, int] = {}
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._events: list[Event] = []
        self._by_email: defaultdict[str | None, set[int]] = defaultdict(set)
        self._by_phone_number: defaultdict[str | None, set[int]] = defaultdict(set)
        self._by_linked_id: defaultdict[int | None, set[int]] = defaultdict(set)
        self._exclusive = threading.Lock()

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        # Other tasks run here, as they would while a database answers.
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
            return Snapshot.of(self._find_connected({contact_id})).identities[0]

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        if isinstance(of, int):
            found = await self.find(of)
            identities: Sequence[Sequence[Contact]] = [found] if found else []
        else:
            identities = (await self.load([of])).identities
        return [cut_page(contacts, after, limit) for contacts in identities]

    async def evidence(self, contacts: Sequence[Contact]) -> list[Evidence]:
        await asyncio.sleep(0)
        emails = {contact.email for contact in contacts}
        with self._exclusive:
            found = [evidence for evidence in self._evidence.values() if evidence.email in emails]
        return sorted(found, key=lambda evidence: evidence.id)

    async def events(
        self, contacts: Sequence[Contact], after: int = 0, limit: int | None = None
    ) -> list[RecordedEvent]:
        await asyncio.sleep(0)
        ids = {contact.id for contact in contacts}
        with self._exclusive:
            found = [
                RecordedEvent(number, event)
                for number, event in enumerate(self._events, start=1)
                if number > after and event.primary_id in ids
            ]
        return found[:limit]

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[RecordedEvent], str]:
        await asyncio.sleep(0)
        with self._exclusive:
            try:
                start = 0 if after is None else int(after)
                found = [
                    RecordedEvent(n, self._events[n - 1]) for n in range(start + 1, len(self._events) + 1)
                ]
            except (ValueError, IndexError):
                raise InvalidCursor("unknown cursor") from None
        return found[:limit], str(start + len(found[:limit]))

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Decision:
        await asyncio.sleep(0)
        with self._exclusive:
            decision = decide(self._snapshot(batch), self._clock(), self._ids)
            writes = decision.writes
            for contact in (*writes.created, *writes.altered):
                self._store(contact)
            for contact in writes.deleted:
                self._delete(contact)
            for pair in writes.superseded:
                self._evidence.pop(pair, None)
            for evidence in writes.evidence:
                self._evidence[evidence.email, evidence.phone_number] = evidence
            self._events.extend(writes.events)
            return decision

    def adopt(self, contacts: Iterable[Contact], pairs: Iterable[tuple[str, str]]) -> None:
        """Add contacts that are not stored yet, and pairs as evidence."""
        with self._exclusive:
            for contact in contacts:
                if contact.id not in self._contacts:
                    self._store(contact)
            for pair in pairs:
                self._evidence[pair] = Evidence(0, *pair, self._clock())

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
        return Snapshot.of(self._find_connected(to_visit), pairs & self._evidence.keys())

    def _find_connected(self, to_visit: set[int]) -> Collection[Contact]:
        """These contacts, and all contacts that links connect to them."""
        found: dict[int, Contact] = {}
        while to_visit:
            contact = self._contacts[to_visit.pop()]
            found[contact.id] = contact
            to_visit |= self._by_linked_id.get(contact.id, set()) - found.keys()
            if contact.linked_id in self._contacts and contact.linked_id not in found:
                to_visit.add(contact.linked_id)
        return found.values()


class DryRunRepository:
    """A `ContactRepository` that keeps in memory what would be written to another one.

    Args:
        repository: the other one; only `load` is called.
    """

    def __init__(self, repository: SnapshotLoader) -> None:
        self._repository = repository
        self._memory = InMemoryContactRepository(first_id=2**62)  # later than all ids there are
        self._seen_evidence: set[tuple[str, str]] = set()

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        await self._read(batch)
        return await self._memory.load(batch)

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Decision:
        await self._read(batch)
        return await self._memory.transact(batch, decide)

    async def _read(self, batch: Sequence[ContactDetails]) -> None:
        snapshot = await self._repository.load(batch)
        evidence = snapshot.evidence - self._seen_evidence
        self._seen_evidence |= evidence
        self._memory.adopt(chain.from_iterable(snapshot.identities), evidence)
