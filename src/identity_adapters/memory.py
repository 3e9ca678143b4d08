"""Contacts in memory, for tests and first experiments. Nothing survives the process."""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from heapq import nsmallest
from itertools import chain, count, repeat

from attrs import evolve

from identity_core import (
    Contact,
    ContactDetails,
    Decide,
    Decision,
    DeletedContact,
    Dossier,
    Erased,
    Erasure,
    Event,
    EventKind,
    Evidence,
    Hold,
    Identifier,
    IdentifierKind,
    IdentityError,
    IdentityReader,
    InvalidCursor,
    LedgerEntry,
    Leftover,
    Lineage,
    Note,
    Page,
    Record,
    RecordedEvent,
    Revise,
    RuleSet,
    RulesInForce,
    Ruling,
    SharedValue,
    Snapshot,
    StalePlan,
    Standing,
    Unseen,
    Verdict,
    Withdrawal,
    WriteSet,
    cut_page,
)
from identity_core.model.decision import LATER, NEW_IDS
from identity_core.model.erasure import find_block_marks
from identity_core.model.identifiers import to_identifiers
from identity_core.model.parts import Parts
from identity_core.model.record import find_leads
from identity_core.model.rule_set import NO_RULES, UnsettledLink
from identity_core.model.unseen import to_month
from identity_core.ports import DecideInTurn, R, ReviseParts
from identity_core.queries.history import add_details
from identity_core.rule import read_rulings
from identity_core.rules.strike import make_strike


def _now() -> datetime:
    return datetime.now(UTC)


class InMemoryContactRepository:
    """All ports over dictionaries, safe for concurrent tasks and threads.

    Args:
        clock: returns the time, with an offset from UTC.
        first_id: the id of the first contact.
    """

    def __init__(self, clock: Callable[[], datetime] = _now, first_id: int = 1) -> None:
        self._clock = clock
        self._ids = count(first_id)
        self._contacts: dict[int, Contact] = {}
        self._deleted: dict[int, DeletedContact] = {}
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._rulings: dict[int, Ruling] = {}
        self._withdrawn: dict[int, tuple[Ruling, Withdrawal]] = {}
        self._ledger: list[LedgerEntry] = []
        self._accesses: list[tuple[tuple[int, ...], str | None]] = []
        self._last_seen: dict[Identifier, date] = {}
        self._recorded_since: date | None = None
        self._suppressed: dict[Identifier, datetime] = {}
        self._events: list[Event] = []
        self._rules = RulesInForce()
        self._rules_before: list[RulesInForce] = []
        self._by_email: defaultdict[str | None, set[int]] = defaultdict(set)
        self._by_phone_number: defaultdict[str | None, set[int]] = defaultdict(set)
        self._by_linked_id: defaultdict[int | None, set[int]] = defaultdict(set)
        self._exclusive = threading.Lock()

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        # Other tasks run here, as they would while a database answers.
        await asyncio.sleep(0)
        with self._exclusive:
            return self._snapshot(batch, self._rules.rules)

    async def load_columns(self, batch: Sequence[ContactDetails]) -> Snapshot:
        return (await self.load(batch)).to_columns()

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        await asyncio.sleep(0)
        with self._exclusive:
            self._check_not_erased(contact_id)
            return self._find_identity(contact_id)

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        if isinstance(of, int):
            with self._exclusive:
                found = self._find_identity(of)
            identities: Sequence[Sequence[Contact]] = [found] if found else []
        else:
            with self._exclusive:
                identities = self._snapshot([of], NO_RULES).identities
        return [cut_page(contacts, after, limit) for contacts in identities]

    async def evidence(self, contacts: Sequence[Contact]) -> list[Evidence]:
        await asyncio.sleep(0)
        emails = {contact.email for contact in contacts}
        ids = {contact.id for contact in contacts}
        with self._exclusive:
            found = [one for one in self._evidence.values() if one.email in emails or one.id in ids]
        return sorted(found, key=lambda evidence: evidence.id)

    async def record(self, identifiers: Collection[Identifier]) -> Record:
        await asyncio.sleep(0)
        with self._exclusive:
            return self._record(identifiers, self._rules.rules)

    async def dossier(self, identifiers: Collection[Identifier]) -> Dossier:
        await asyncio.sleep(0)
        with self._exclusive:
            record = self._record(identifiers, self._rules.rules)
            leading = {id for id, _ in record.deleted}
            known = record.known
            return Dossier(
                record,
                tuple(
                    deleted
                    for id, deleted in sorted(self._deleted.items())
                    if id in leading or not known.isdisjoint(deleted.contact.identifiers)
                ),
                tuple(
                    (ruling, end)
                    for _, (ruling, end) in sorted(self._withdrawn.items())
                    if not known.isdisjoint(ruling.values)
                ),
                self._list_rules(),
                {value: self._last_seen[value] for value in known & self._last_seen.keys()},
            )

    async def record_access(self, contact_ids: Sequence[int], by: str | None) -> None:
        await asyncio.sleep(0)
        with self._exclusive:
            self._accesses.append((tuple(contact_ids), by))

    async def ledger(self, after: int = 0, limit: int = 100) -> list[LedgerEntry]:
        await asyncio.sleep(0)
        with self._exclusive:
            found = sorted((one for one in self._ledger if one.id > after), key=lambda one: one.id)
            return found[:limit]

    async def adopt_erasure(self, entry: LedgerEntry) -> None:
        await asyncio.sleep(0)
        with self._exclusive:
            self._adopt_erasure(entry)

    def _adopt_erasure(self, entry: LedgerEntry) -> None:
        if not self._has_erasure(entry):
            self._ledger.append(entry)

    async def skip_ids(self, last_id: int) -> None:
        await asyncio.sleep(0)
        with self._exclusive:
            self._ids = count(max(next(self._ids), last_id + 1))

    def _has_erasure(self, entry: LedgerEntry) -> bool:
        known = {(one.erased_at, one.contact_ids) for one in self._ledger}
        return (entry.erased_at, entry.contact_ids) in known

    def _list_rules(self) -> tuple[RulesInForce, ...]:
        """All rules that ever were in force, oldest first."""
        return (*self._rules_before, self._rules) if self._rules.version else ()

    async def find_left(self, entry: LedgerEntry) -> list[Leftover]:
        await asyncio.sleep(0)
        with self._exclusive:
            contacts = {id: one.created_at for id, one in self._contacts.items()}
            contacts |= {id: one.contact.created_at for id, one in self._deleted.items()}
            evidence = {piece.id: piece.seen_at for piece in self._evidence.values()}
            rulings = {id: one.decided_at for id, one in self._rulings.items()}
            rulings |= {id: ruling.decided_at for id, (ruling, _) in self._withdrawn.items()}
            versions = {one.version for one in self._list_rules()}
            marks = () if self._has_erasure(entry) else entry.blocks
        return [
            Leftover("contact_rules", version)
            for version in sorted({mark.version for mark in marks} & versions)
        ] + [
            Leftover(table, id)
            for table, ids, times in (
                ("contact_evidence", entry.evidence_ids, evidence),
                ("contact_rulings", entry.ruling_ids, rulings),
                ("contacts", entry.contact_ids, contacts),
            )
            for id in ids
            if id in times and times[id] <= entry.erased_at
        ]

    async def suppressed(self, identifiers: Collection[Identifier]) -> frozenset[Identifier]:
        await asyncio.sleep(0)
        with self._exclusive:
            return self._find_suppressed(identifiers)

    def _find_suppressed(self, identifiers: Collection[Identifier]) -> frozenset[Identifier]:
        if not self._suppressed:
            return frozenset()
        now = self._clock()
        return frozenset(value for value in identifiers if self._suppressed.get(value, now) > now)

    async def begin_recording(self, month: date) -> None:
        await asyncio.sleep(0)
        with self._exclusive:
            if self._recorded_since is None:
                self._recorded_since = month

    async def end_recording(self) -> None:
        await asyncio.sleep(0)
        with self._exclusive:
            self._recorded_since = None

    async def recorded_since(self) -> date | None:
        await asyncio.sleep(0)
        with self._exclusive:
            return self._recorded_since

    async def record_seen(self, seen: Mapping[Identifier, date]) -> int:
        await asyncio.sleep(0)
        with self._exclusive:
            since = self._recorded_since
            new = {
                value: month
                for value, month in seen.items()
                if since is not None and month >= since and self._find_ids(value)
                if month > self._last_seen.get(value, date.min)
            }
            self._last_seen.update(new)
            return len(new)

    async def find_unseen(self, before: date, after: int = 0, limit: int = 1000) -> list[Unseen]:
        await asyncio.sleep(0)
        with self._exclusive:
            if self._recorded_since is None:
                return []
            found: list[Unseen] = []
            for live in Snapshot.of(self._contacts.values()).identities:
                ids = {contact.id for contact in live}
                deleted = [d.contact for id, d in self._deleted.items() if self._find_primary_id(id) in ids]
                contacts = [*live, *deleted]
                months = [self._recorded_since, *(to_month(contact.created_at) for contact in contacts)]
                values = (value for contact in contacts for value in contact.identifiers)
                months += [self._last_seen[value] for value in values if value in self._last_seen]
                if live[0].id > after and max(months) < before:
                    found.append(Unseen(live[0].id, len(contacts), max(months)))
        return sorted(found, key=lambda unseen: unseen.primary_id)[:limit]

    async def pair(self, id: int) -> tuple[str, str] | None:
        await asyncio.sleep(0)
        with self._exclusive:
            found = [piece.pair for piece in self._evidence.values() if piece.id == id]
            contact = self._contacts.get(id)
            if contact is None and id in self._deleted:
                contact = self._deleted[id].contact
            if contact is not None and contact.email is not None and contact.phone_number is not None:
                found.append((contact.email, contact.phone_number))
        return found[0] if found else None

    async def event(self, event_id: int) -> Event | None:
        await asyncio.sleep(0)
        with self._exclusive:
            return self._events[event_id - 1] if 0 < event_id <= len(self._events) else None

    async def rulings(self, after: int = 0, limit: int = 100) -> list[Ruling]:
        await asyncio.sleep(0)
        with self._exclusive:
            return [self._rulings[id] for id in sorted(self._rulings) if id > after][:limit]

    async def rules(self) -> RulesInForce:
        await asyncio.sleep(0)
        with self._exclusive:
            return self._rules

    async def put(
        self, rules: RuleSet, note: Note, version: int | None = None, *, retroactive: bool = False
    ) -> RulesInForce:
        await asyncio.sleep(0)
        with self._exclusive:
            if version not in (None, self._rules.version):
                raise StalePlan("other rules are in force")
            note = evolve(note, at=note.at or self._clock())
            self._keep_rules()
            self._rules = self._propose(rules, note, retroactive=retroactive)
            return self._rules

    def _keep_rules(self) -> None:
        if self._rules.version:
            self._rules_before.append(self._rules)

    async def settle(self, version: int, settled_id: int) -> None:
        await asyncio.sleep(0)
        with self._exclusive:
            if self._rules.version == version:
                self._rules = evolve(self._rules, settled_id=settled_id)

    async def propose(self, rules: RuleSet, *, retroactive: bool = False) -> RulesInForce:
        await asyncio.sleep(0)
        with self._exclusive:
            return self._propose(rules, None, retroactive=retroactive)

    def _propose(self, rules: RuleSet, note: Note | None, *, retroactive: bool) -> RulesInForce:
        ids = [0, *self._contacts, *self._rulings, *(piece.id for piece in self._evidence.values())]
        return self._rules.replace(rules, note, max(ids), retroactive=retroactive)

    async def record_by(self, rules: RuleSet, identifiers: Collection[Identifier]) -> Record:
        await asyncio.sleep(0)
        with self._exclusive:
            return self._record(identifiers, rules)

    async def parts_by(self, rules: RuleSet, primary_id: int, identifiers: Collection[Identifier]) -> Parts:
        await asyncio.sleep(0)
        with self._exclusive:
            return Parts.of(self._record(identifiers, rules), self._contacts.get(primary_id))

    async def record_without(self, rules: RuleSet, primary_id: int, ids: Set[int]) -> Record:
        await asyncio.sleep(0)
        with self._exclusive:
            identity = self._find_identity(primary_id) or ()
            contacts = [contact for contact in identity if contact.id not in ids]
            return self._to_record(contacts, frozenset(), rules)

    async def count_identities(self) -> int:
        await asyncio.sleep(0)
        with self._exclusive:
            return len(Snapshot.of(self._contacts.values()).identities)

    async def most_shared(self, limit: int) -> list[Identifier]:
        await asyncio.sleep(0)
        with self._exclusive:
            rules, merged = self._rules.rules, self._find_merged()
            pairs = [(id, pair) for id, pair in self._find_counting() if None not in pair]
            by_pairs = Counter(value for _, pair in pairs for value in to_identifiers(*pair))
            merging = {pair for id, pair in pairs if id in merged}
            by_merges = Counter(value for pair in merging for value in to_identifiers(*pair))
        found: list[Identifier] = []
        for counted, least in ((by_pairs, 2), (by_merges, 1)):
            usable = [one for one, number in counted.items() if number >= least and not rules.blocks(one)]
            found += nsmallest(limit, usable, key=lambda one: (-counted[one], one))
        return [*dict.fromkeys(found)]

    async def largest(self, limit: int) -> list[Identifier]:
        await asyncio.sleep(0)
        with self._exclusive:
            identities = Snapshot.of(self._contacts.values()).identities
            rules = self._rules.rules
        several = [contacts for contacts in identities if len(contacts) > 1]
        ranked = nsmallest(limit, several, key=lambda contacts: (-len(contacts), contacts[0].id))
        usable = ([one for one in c[0].identifiers if not rules.blocks(one)] for c in ranked)
        return [values[0] for values in usable if values]

    async def weigh(self, identifiers: Collection[Identifier]) -> list[SharedValue]:
        await asyncio.sleep(0)
        with self._exclusive:
            merged = self._find_merged()
            partners: defaultdict[Identifier, set[str]] = defaultdict(set)
            merging: defaultdict[Identifier, set[str]] = defaultdict(set)
            for id, (email, phone_number) in self._find_counting():
                for value in to_identifiers(email, phone_number):
                    other = phone_number if value.kind is IdentifierKind.EMAIL else email
                    if other is not None:
                        partners[value].add(other)
                        if id in merged:
                            merging[value].add(other)
            shared: list[SharedValue] = []
            for value in sorted({*identifiers}):
                if ids := self._find_ids(value):
                    contacts = Snapshot.of(self._find_connected({*ids})).identities[0]
                    number = len(partners[value]), len(merging[value])
                    shared.append(SharedValue(value, *number, contacts[0].id, len(contacts)))
            return shared

    def _find_counting(self) -> list[tuple[int, tuple[str | None, str | None]]]:
        """The ids and values of all contacts and of all evidence that counts."""
        found: list[tuple[int, tuple[str | None, str | None]]] = [
            (contact.id, contact.key) for contact in self._contacts.values()
        ]
        pieces = self._evidence.values()
        found += [(piece.id, piece.pair) for piece in pieces if piece.standing is Standing.COUNTS]
        return found

    def _find_merged(self) -> set[int | None]:
        """The ids of the contacts and of the evidence that made one identity of several."""
        merged = (event for event in self._events if event.kind is EventKind.MERGED)
        return {event.contact_id if event.evidence_id is None else event.evidence_id for event in merged}

    async def unsettled(
        self, in_force: RulesInForce, limit: int, large: int
    ) -> tuple[list[UnsettledLink], int]:
        await asyncio.sleep(0)
        start, end = in_force.settled_id, min(in_force.settled_id + limit, in_force.last_id)
        rules, released = in_force.rules, in_force.released | {Hold.UNCHECKED}
        with self._exclusive:
            found: list[tuple[int, Sequence[Identifier]]] = [
                (contact.id, contact.identifiers)
                for contact in self._contacts.values()
                if None not in contact.key and rules.block_any(contact.identifiers)
            ]
            found += [
                (piece.id, piece.identifiers)
                for piece in self._evidence.values()
                if rules.blocks_pair(piece.pair) is not (piece.standing is Standing.BLOCKED)
                or any(not rules.blocks(one) and not self._find_ids(one) for one in piece.identifiers)
                or (piece.hold in released and not rules.blocks_pair(piece.pair))
            ]
            found += [(ruling.id, (ruling.one, ruling.other)) for ruling in self._rulings.values()]
            found += [
                (contact.id, 2 * contact.identifiers)
                for contact in self._contacts.values()
                if len(contact.identifiers) == 1
                and rules.block_any(contact.identifiers)
                and len(self._find_connected({contact.id})) > 1
            ]
            if in_force.retroactive:
                found += self._find_limited(rules)
            return [
                self._to_unsettled(ends, large)
                for id, ends in sorted({(id, (ends[0], ends[1])) for id, ends in found})
                if start < id <= end
            ], end

    def _find_limited(self, rules: RuleSet) -> list[tuple[int, Sequence[Identifier]]]:
        """The pairs that limits hold, and those that count and may exceed a limit, without blocked values."""
        counting = [(one.id, one.identifiers) for one in self._contacts.values() if None not in one.key]
        waiting: list[tuple[int, Sequence[Identifier]]] = []
        for piece in self._evidence.values():
            if piece.standing is Standing.COUNTS:
                counting.append((piece.id, piece.identifiers))
            elif piece.hold is not None:
                waiting.append((piece.id, piece.identifiers))
        paired = Counter(value for ends in {tuple(ends) for _, ends in counting} for value in ends)
        limits = rules.limits
        most = {
            IdentifierKind.EMAIL: limits.phone_numbers_per_email,
            IdentifierKind.PHONE_NUMBER: limits.emails_per_phone_number,
        }

        def may_exceed(ends: Sequence[Identifier]) -> bool:
            pairs = any((limit := most[one.kind]) is not None and paired[one] > limit for one in ends)
            size = limits.unlimited_size
            return pairs or (size is not None and self._count_values(ends[0]) > size)

        limited = [*waiting, *((id, ends) for id, ends in counting if may_exceed(ends))]
        return [(id, ends) for id, ends in limited if not rules.block_any(ends)]

    def _count_values(self, identifier: Identifier) -> int:
        """How many values the identity of a value has."""
        contacts = self._find_connected({*self._find_ids(identifier)})
        return len({one for contact in contacts for one in contact.identifiers})

    def _to_unsettled(self, ends: tuple[Identifier, Identifier], large: int) -> UnsettledLink:
        one, other = (self._find_connected({*self._find_ids(end)}) for end in ends)
        first, second = (min(c, key=lambda one: one.seniority).id if c else None for c in (one, other))
        sizes = {first: len(one), second: len(other)}
        large_ids = frozenset(id for id, size in sizes.items() if id is not None and size >= large)
        return UnsettledLink(ends, (first, second), large_ids)

    async def held(self, after: int = 0, limit: int = 100) -> list[Evidence]:
        await asyncio.sleep(0)
        with self._exclusive:
            found = [
                piece
                for piece in self._evidence.values()
                if piece.hold is not None and piece.standing is Standing.HELD and piece.id > after
            ]
        return sorted(found, key=lambda piece: piece.id)[:limit]

    async def lineage(self, contact_id: int) -> Lineage | None:
        await asyncio.sleep(0)
        with self._exclusive:
            self._check_not_erased(contact_id)
            found = self._find_identity(contact_id)
            if found is None:
                return None
            contacts = {contact.id: contact for contact in found}
            erased: set[int] = set()
            while True:
                whole = {*contacts, self._find_primary_id(contact_id)}
                deleted = [one for id, one in self._deleted.items() if self._find_primary_id(id) in whole]
                ids = contacts.keys() | {one.contact.id for one in deleted} | erased
                links = [
                    (event.origin_id, event.primary_id)
                    for event in self._events
                    if event.origin_id is not None and ids & {event.origin_id, event.primary_id}
                ]
                linked = {id for link in links for id in link}
                linked.update(
                    id
                    for event in self._events
                    if event.kind is EventKind.ERASED and event.primary_id in ids | linked
                    for id in event.moved_ids
                )
                identities = [self._find_identity(id) or () for id in linked]
                added = {c.id: c for c in chain.from_iterable(identities) if c.id not in contacts}
                gone = {id for id in linked - erased if id not in self._contacts and id not in self._deleted}
                if not added and not gone:
                    break
                contacts |= added
                erased |= gone
            events = tuple(r for r in self._number_events() if r.event.primary_id in ids)
            oldest_first = sorted(contacts.values(), key=lambda contact: contact.seniority)
            return Lineage(tuple(oldest_first), tuple(deleted), events)

    async def events(
        self, contacts: Sequence[Contact], after: int = 0, limit: int | None = None
    ) -> list[RecordedEvent]:
        await asyncio.sleep(0)
        ids = {contact.id for contact in contacts}
        with self._exclusive:
            found = [
                recorded
                for recorded in self._number_events()
                if recorded.id > after and ids & {recorded.event.primary_id, recorded.event.origin_id}
            ]
        return found[:limit]

    async def merges(
        self, before: int | None = None, limit: int = 100
    ) -> list[tuple[RecordedEvent, ContactDetails | None]]:
        await asyncio.sleep(0)
        with self._exclusive:
            found = [
                recorded
                for recorded in reversed(self._number_events())
                if recorded.event.kind is EventKind.MERGED and (before is None or recorded.id < before)
            ]
            contacts = [*self._contacts.values(), *(one.contact for one in self._deleted.values())]
            return add_details(found[:limit], contacts, self._evidence.values())

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[RecordedEvent], str]:
        await asyncio.sleep(0)
        with self._exclusive:
            start, end = self._parse_cursor(after)
            events = self._number_events()[start:end][:limit]
        start += len(events)
        return events, str(start) if end is None or len(events) < limit else f"{start}-{end}"

    async def bound(self, after: str | None = None) -> str:
        await asyncio.sleep(0)
        with self._exclusive:
            start, end = self._parse_cursor(after)
            return f"{start}-{len(self._events) if end is None else end}"

    async def seek(self, at: datetime | None) -> str:
        await asyncio.sleep(0)
        with self._exclusive:
            later = (n for n, event in enumerate(self._events) if at is not None and event.happened_at >= at)
            return str(next(later, len(self._events)))

    def _parse_cursor(self, cursor: str | None) -> tuple[int, int | None]:
        """How many events come before a cursor, and how many before its end, if it has one."""
        start, has_end, end = ("0" if cursor is None else cursor).partition("-")
        for number in (start, end) if has_end else (start,):
            if not (number.isdecimal() and int(number) <= len(self._events)):
                raise InvalidCursor("unknown cursor")
        return int(start), int(end) if has_end else None

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Decision:
        await asyncio.sleep(0)
        with self._exclusive:
            now = self._clock()
            decision = decide(self._snapshot_to_decide(batch), now, self._ids)
            self._write(decision.writes, now)
            return decision

    async def transact_in_turn(
        self,
        batches: Sequence[Sequence[ContactDetails]],
        decide: DecideInTurn,
    ) -> list[Decision]:
        await asyncio.sleep(0)
        with self._exclusive:
            now = self._clock()
            if self._rules.rules.is_limited or self._find_pins():
                first = self._snapshot_to_decide([*chain.from_iterable(batches)])
                known = chain([first], repeat(Snapshot(rules=self._rules.rules)))
            else:
                known = chain([*map(self._snapshot_to_decide, batches)])
            decisions: list[Decision] = []
            try:
                for decision in decide(known, now, self._ids):
                    self._write(decision.writes, now)
                    decisions.append(decision)
            except IdentityError:
                if not decisions:
                    raise
            return decisions

    async def revise(
        self, identifiers: Collection[Identifier], decide: Revise[R], *, alone: bool = False
    ) -> R:
        del alone  # whoever decides is alone here
        await asyncio.sleep(0)
        with self._exclusive:
            now = self._clock()
            decision = decide(self._record(identifiers, self._rules.rules), now, self._ids)
            self._write(decision.writes, now)
            return decision

    async def revise_parts(
        self,
        primary_id: int,
        identifiers: Collection[Identifier],
        decide: ReviseParts[R],
        hubs: Collection[Identifier] = (),
    ) -> R:
        await asyncio.sleep(0)
        with self._exclusive:
            now = self._clock()
            record = self._record([*identifiers, *hubs], self._rules.rules)
            parts = Parts.of(record, self._contacts.get(primary_id), hubs)
            decision = decide(parts, now, self._ids)
            self._write(decision.writes, now)
            return decision

    def adopt(self, record: Record) -> None:
        """Add what a record has and what is not stored yet; evidence and rulings stay as they are stored.

        Only evidence with the id 0, whose time is not known, gives way. The rules of the record are in force.
        """
        with self._exclusive:
            self._rules = evolve(self._rules, rules=record.rules)
            known = self._contacts.keys() | self._deleted.keys()
            for contact in record.contacts:
                if contact.id not in known:
                    self._store(contact)
            for piece in record.evidence:
                stored = self._evidence.get(piece.pair)
                if stored is None or not stored.id:
                    self._evidence[piece.pair] = piece
            for ruling in record.rulings:
                self._rulings.setdefault(ruling.id, ruling)
            self._suppressed.update(dict.fromkeys(record.suppressed, LATER))

    def _write(self, writes: WriteSet, now: datetime) -> None:
        for contact in (*writes.created, *writes.altered):
            self._store(contact)
        for contact in writes.rewritten:
            self._unindex(contact.id)
            self._store(contact)
        for contact in writes.deleted:
            self._unindex(contact.id)
            del self._contacts[contact.id]
            self._deleted[contact.id] = DeletedContact(contact, now)
        for pair in writes.superseded:
            self._evidence.pop(pair, None)
        for evidence in writes.evidence:
            self._evidence[evidence.pair] = evidence
        for ruling in writes.rulings:
            self._rulings[ruling.id] = ruling
        for withdrawal in writes.withdrawals:
            ruling = self._rulings.pop(withdrawal.ruling_id)
            self._withdrawn[ruling.id] = ruling, withdrawal
        self._events.extend(writes.events)
        if writes.erasure is not None:
            self._erase(writes.erasure, now)

    def _erase(self, erasure: Erasure, now: datetime) -> None:
        values = erasure.values
        if (until := erasure.suppressed_until) is not None:
            self._suppressed |= {value: max(until, self._suppressed.get(value, until)) for value in values}
        self._suppressed = {value: end for value, end in self._suppressed.items() if end > now}
        for id in erasure.contact_ids:
            if id in self._contacts:
                self._unindex(id)
                del self._contacts[id]
            self._deleted.pop(id, None)
        evidence_ids: set[int] = set()
        ruling_ids: set[int] = set()
        for pair, piece in [*self._evidence.items()]:
            if piece.id in erasure.evidence_ids or not values.isdisjoint(piece.identifiers):
                evidence_ids.add(self._evidence.pop(pair).id)
        rulings = {id: ruling for id, (ruling, _) in self._withdrawn.items()} | self._rulings
        for id, ruling in rulings.items():
            if id in erasure.ruling_ids or not values.isdisjoint(ruling.values):
                ruling_ids.add(id)
                self._rulings.pop(id, None)
                self._withdrawn.pop(id, None)
        blocks = find_block_marks(self._list_rules(), values)
        if erasure.again is not None:
            self._adopt_erasure(erasure.again)
        if erasure.rules is not None:
            self._keep_rules()
            note = Note(erasure.erased_by, "a person was erased", now)
            self._rules = evolve(self._rules, rules=erasure.rules, version=self._rules.version + 1, note=note)
        for value in values:
            self._last_seen.pop(value, None)
        self._strike(values)
        ids = tuple(sorted(evidence_ids)), tuple(sorted(ruling_ids))
        self._ledger.append(
            LedgerEntry(
                erasure.id,
                now,
                erasure.erased_by,
                erasure.contact_ids,
                *ids,
                blocks,
                erasure.suppressed_until,
            )
        )

    def _strike(self, values: frozenset[Identifier]) -> None:
        """Strike values out of what people wrote."""
        strike = make_strike(values)

        def strike_note(note: Note | None) -> Note | None:
            return note and evolve(note, by=note.by and strike(note.by), reason=strike(note.reason))

        def strike_ruling(one: Ruling) -> Ruling:
            return evolve(
                one, decided_by=one.decided_by and strike(one.decided_by), reason=strike(one.reason)
            )

        def strike_end(one: Withdrawal) -> Withdrawal:
            return evolve(
                one, withdrawn_by=one.withdrawn_by and strike(one.withdrawn_by), reason=strike(one.reason)
            )

        self._rulings = {id: strike_ruling(one) for id, one in self._rulings.items()}
        self._withdrawn = {
            id: (strike_ruling(one), strike_end(end)) for id, (one, end) in self._withdrawn.items()
        }
        self._rules = evolve(self._rules, note=strike_note(self._rules.note))
        self._rules_before = [
            evolve(one, rules=one.rules.unblock(values), note=strike_note(one.note))
            for one in self._rules_before
        ]

    def _unindex(self, contact_id: int) -> None:
        before = self._contacts[contact_id]
        self._by_email[before.email].discard(contact_id)
        self._by_phone_number[before.phone_number].discard(contact_id)
        self._by_linked_id[before.linked_id].discard(contact_id)

    def _find_primary_id(self, contact_id: int) -> int:
        """The contact that a contact leads to, through deleted ones."""
        while (deleted := self._deleted.get(contact_id)) and deleted.contact.linked_id is not None:
            contact_id = deleted.contact.linked_id
        return contact_id

    def _find_identity(self, contact_id: int) -> tuple[Contact, ...] | None:
        is_deleted = contact_id in self._deleted
        contact_id = self._find_primary_id(contact_id)
        if contact_id not in self._contacts:
            return () if is_deleted else None
        return Snapshot.of(self._find_connected({contact_id})).identities[0]

    def _check_not_erased(self, contact_id: int) -> None:
        """Check that a contact that does not exist never did.

        Raises:
            Erased: it did.
        """
        is_there = contact_id in self._contacts or contact_id in self._deleted
        if not is_there and any(contact_id in entry.contact_ids for entry in self._ledger):
            raise Erased

    def _number_events(self) -> list[RecordedEvent]:
        return [RecordedEvent(number, event) for number, event in enumerate(self._events, start=1)]

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

    def _snapshot(self, batch: Sequence[ContactDetails], rules: RuleSet) -> Snapshot:
        to_visit: set[int] = set()
        for details in batch:
            for identifier in details.identifiers:
                if not rules.blocks(identifier):
                    to_visit |= self._find_ids(identifier)
        pairs = {details.pair for details in batch if details.pair is not None}
        found = [self._evidence[pair] for pair in pairs & self._evidence.keys()]
        return Snapshot.of(
            self._find_connected(to_visit),
            [piece.pair for piece in found if piece.standing is Standing.COUNTS],
            [piece.pair for piece in found if piece.standing is not Standing.COUNTS],
            rules=rules,
        )

    def _snapshot_to_decide(self, batch: Sequence[ContactDetails]) -> Snapshot:
        """The snapshot, and what pins and limits have to say about a decision."""
        snapshot = evolve(
            self._snapshot(batch, self._rules.rules),
            apart=self._find_pins(),
            suppressed=self._find_suppressed({one for details in batch for one in details.identifiers}),
        )
        if not snapshot.rules.is_limited:
            return snapshot
        accepted = [ruling.pair for ruling in self._rulings.values() if ruling.verdict is Verdict.SAME]
        return evolve(
            snapshot,
            paired=self._count_pairs(batch),
            accepted=frozenset(pair for pair in accepted if pair is not None),
        )

    def _find_pins(self) -> tuple[tuple[Identifier, Identifier], ...]:
        """The pins that keep values apart."""
        return tuple(
            (ruling.one, ruling.other)
            for ruling in self._rulings.values()
            if ruling.verdict is Verdict.DIFFERENT
        )

    def _count_pairs(self, batch: Sequence[ContactDetails]) -> Counter[Identifier]:
        """In how many pieces of evidence that count each value is."""
        values = {identifier for details in batch for identifier in details.identifiers}
        return Counter(
            identifier
            for piece in self._evidence.values()
            if piece.standing is Standing.COUNTS
            for identifier in values.intersection(piece.identifiers)
        )

    def _record(self, identifiers: Collection[Identifier], rules: RuleSet) -> Record:
        asked = {*identifiers}
        while True:
            ids = {
                id
                for value in asked
                for id in self._find_ids(value)
                if not rules.blocks(value) or asked.issuperset(self._contacts[id].identifiers)
            }
            contacts = self._find_connected(ids)
            record = self._to_record(contacts, frozenset(asked), rules)
            if record.is_complete:
                return evolve(record, suppressed=self._find_suppressed(asked))
            asked |= find_leads(record.evidence, record.rulings, rules)

    def _to_record(
        self, contacts: Collection[Contact], asked: frozenset[Identifier], rules: RuleSet
    ) -> Record:
        """What is known about some contacts and values."""
        known = asked.union(*(contact.identifiers for contact in contacts))
        evidence = [p for p in self._evidence.values() if not known.isdisjoint(p.identifiers)]
        rulings = [r for r in self._rulings.values() if not known.isdisjoint(r.values)]
        ids = {contact.id for contact in contacts}
        leads_to = ((id, self._find_primary_id(id)) for id in sorted(self._deleted))
        return Record(
            Snapshot.of(contacts).identities,
            tuple(sorted(evidence, key=lambda piece: piece.id)),
            tuple(sorted(rulings, key=lambda ruling: ruling.id)),
            asked,
            tuple((id, to) for id, to in leads_to if to in ids),
            rules,
        )

    def _find_ids(self, identifier: Identifier) -> set[int]:
        is_email = identifier.kind is IdentifierKind.EMAIL
        return (self._by_email if is_email else self._by_phone_number).get(identifier.value, set())

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
        reader: of the other one.
    """

    def __init__(self, reader: IdentityReader) -> None:
        self._reader = reader
        self._memory = InMemoryContactRepository(first_id=NEW_IDS)
        self._seen: set[tuple[str, str]] = set()
        self._has_rulings = False

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        await self._read(batch)
        return await self._memory.load(batch)

    async def load_columns(self, batch: Sequence[ContactDetails]) -> Snapshot:
        return (await self.load(batch)).to_columns()

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Decision:
        await self._read(batch)
        return await self._memory.transact(batch, decide)

    async def transact_in_turn(
        self,
        batches: Sequence[Sequence[ContactDetails]],
        decide: DecideInTurn,
    ) -> list[Decision]:
        await self._read([*chain.from_iterable(batches)])
        return await self._memory.transact_in_turn(batches, decide)

    async def revise(
        self, identifiers: Collection[Identifier], decide: Revise[R], *, alone: bool = False
    ) -> R:
        await self._read_record(identifiers)
        return await self._memory.revise(identifiers, decide, alone=alone)

    async def revise_parts(
        self,
        primary_id: int,
        identifiers: Collection[Identifier],
        decide: ReviseParts[R],
        hubs: Collection[Identifier] = (),
    ) -> R:
        await self._read_record([*identifiers, *hubs])
        return await self._memory.revise_parts(primary_id, identifiers, decide, hubs)

    async def _read_record(self, identifiers: Collection[Identifier]) -> None:
        known: set[Identifier] = set()
        values = {*identifiers}
        # Identities that became one in memory are read as well.
        while not known >= values:
            known |= values
            self._memory.adopt(await self._reader.record(known))
            record = await self._memory.record(known)
            values = {value for contact in record.contacts for value in contact.identifiers}

    async def _read(self, batch: Sequence[ContactDetails]) -> None:
        if not self._has_rulings:
            await self._read_rulings()
        snapshot = await self._reader.load(batch)
        pieces = [Evidence(0, *pair, LATER) for pair in snapshot.evidence]
        pieces += [Evidence(0, *pair, LATER, Standing.HELD) for pair in snapshot.ignored]
        if snapshot.rules.limits.counts_pairs:
            pieces += await self._reader.evidence([*chain.from_iterable(snapshot.identities)])
        evidence = tuple(piece for piece in pieces if piece.pair not in self._seen)
        self._seen.update(piece.pair for piece in evidence)
        values = {value for details in batch for value in details.identifiers}
        suppressed = await self._reader.suppressed(values)
        self._memory.adopt(Record(snapshot.identities, evidence, rules=snapshot.rules, suppressed=suppressed))

    async def _read_rulings(self) -> None:
        rulings = [ruling async for ruling in read_rulings(self._reader)]
        self._memory.adopt(Record(rulings=tuple(rulings)))
        self._has_rulings = True
