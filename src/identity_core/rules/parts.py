"""Parts leave very large identities and join them, without the rest being read.

A value that very many share holds a very large identity together. When it is blocked, nearly all of them have
nothing else to do with each other; when it no longer is, they belong together again. What a part is can be
told from the part alone: its contacts, with all that pairs which count, pins and links join to them.

A part may leave if it was linked to the primary by nothing but blocked values that the part of the primary
has in pairs as well. Then the primary has no other reason to be linked with it; and since the part of the
primary stays to the end, what is left is linked to it as before. A part may join if pairs join it to the
identity which no limit and no pin concerns. Whatever is not as plain as that is decided later, when all of it
is read.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime

from attrs import evolve

from identity_core.model.contact import Contact
from identity_core.model.decision import Decision, WriteSet
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.parts import Parts
from identity_core.model.record import Record
from identity_core.model.rule_set import Hold
from identity_core.model.ruling import Verdict
from identity_core.model.snapshot import Snapshot
from identity_core.rules.apply import waits
from identity_core.rules.partition import Partition
from identity_core.rules.resolve import InheritedLink, find_anchor, find_inherited_links
from identity_core.rules.settle import Settlement, settle


def detach(parts: Parts, now: datetime, ids: Iterator[int], *, released: Collection[Hold] = ()) -> Decision:
    """Let those parts leave an identity that nothing but blocked values joins to it.

    Args:
        parts: of the identity.
        now: the time in UTC.
        ids: new ids, ascending.
        released: pairs that these limits held are considered again later.
    """
    return _to_decision(settle_leaving(parts, now, ids, released))


def settle_leaving(
    parts: Parts, now: datetime, ids: Iterator[int], released: Collection[Hold] = ()
) -> tuple[Record, Settlement] | None:
    """The record of those parts that may leave, and what becomes of it; None if none may.

    The record has the primary as well, and so has the first identity of the settlement.
    """
    graph = _Graph(parts, released)
    return _settle(graph, [part for part in graph.contacts if graph.may_leave(part)], now, ids)


def attach(parts: Parts, now: datetime, ids: Iterator[int], *, released: Collection[Hold] = ()) -> Decision:
    """Let those parts join an identity that pairs with its hubs join to it, now that these may count.

    Args:
        parts: of the identity, with hubs.
        now: the time in UTC.
        ids: new ids, ascending.
        released: pairs that these limits held may count.
    """
    graph = _Graph(parts, released)
    joining = [] if parts.rules.is_limited else [part for part in graph.contacts if graph.may_join(part)]
    return _to_decision(_settle(graph, joining, now, ids))


def _to_decision(settled: tuple[Record, Settlement] | None) -> Decision:
    return Decision(WriteSet() if settled is None else settled[1].writes, ())


def _settle(
    graph: "_Graph", chosen: Collection[int], now: datetime, ids: Iterator[int]
) -> tuple[Record, Settlement] | None:
    """Settle some parts, and nothing else of the identity."""
    primary = graph.parts.primary
    anchor = None if primary is None else find_anchor(primary, graph.parts.rules)
    if primary is None or anchor is None or not chosen:
        return None
    stub = _isolate(primary, anchor)
    before = graph.to_record(chosen, stub)
    links = find_inherited_links(before) if graph.parts.hubs else []
    links += (InheritedLink(anchor, hub, stub) for hub in graph.parts.hubs)
    after = evolve(before, evidence=tuple(map(graph.consider_again, before.evidence)))
    return before, settle(before, after, links, now, ids)


def _isolate(primary: Contact, anchor: Identifier) -> Contact:
    """The primary with one value alone, so that nothing is decided about it."""
    if anchor.kind is IdentifierKind.EMAIL:
        return evolve(primary, phone_number=None)
    return evolve(primary, email=None)


class _Graph:
    """Which values belong together, without those that are blocked and without hubs.

    A number stands for each part.

    Attributes:
        parts: what is known.
        contacts: by part, the contacts that have one of its values.
    """

    def __init__(self, parts: Parts, released: Collection[Hold]) -> None:
        self.parts = parts
        self._released = released
        self._partition = Partition()
        shared: list[tuple[Identifier, Identifier]] = []
        for one, other, counts in _find_links(parts):
            if self._is_inner(one) and self._is_inner(other):
                self._partition.join_all([(one, other)])
            elif counts and (self._is_inner(one) or self._is_inner(other)):
                shared.append((one, other) if self._is_inner(one) else (other, one))
        self._shared: defaultdict[int, set[Identifier]] = defaultdict(set)
        for inner, value in shared:
            self._shared[self._find(inner)].add(value)
        self.contacts: defaultdict[int, list[Contact]] = defaultdict(list)
        for contact in parts.contacts:
            for part in {self._find(value) for value in contact.identifiers if self._is_inner(value)}:
                self.contacts[part].append(contact)
        self._waiting: defaultdict[int, list[Evidence]] = defaultdict(list)
        for piece in parts.evidence:
            if waits(piece, parts.rules, released):
                for value in piece.identifiers:
                    self._waiting[self._find(value)].append(piece)
        self._unread = {self._find(value) for value in parts.unread}
        apart = (ruling for ruling in parts.rulings if ruling.verdict is Verdict.DIFFERENT)
        self._apart = {self._find(value) for ruling in apart for value in ruling.values}
        self._linked = {contact.linked_id for contact in parts.contacts}
        self._ids = {contact.id for contact in parts.contacts}
        if parts.primary is not None:
            self._ids.add(parts.primary.id)

    def _is_inner(self, value: Identifier) -> bool:
        return value not in self.parts.hubs and not self.parts.rules.blocks(value)

    def _find(self, value: Identifier) -> int:
        """The part that a value belongs to."""
        return self._partition.find(self._partition.number(value))

    def _is_whole(self, part: int, primary: Contact) -> bool:
        """Whether a part is known to its end, and is not that of the primary or older than it."""
        return (
            primary.linked_id is None
            and part not in self._unread
            and part not in {self._find(value) for value in primary.identifiers}
            and all(contact.seniority > primary.seniority for contact in self.contacts[part])
        )

    def may_leave(self, part: int) -> bool:
        """Whether a part has nothing but blocked values in common with the part of the primary."""
        primary = self.parts.primary
        if primary is None or not self._is_whole(part, primary) or part in self._waiting:
            return False
        common = {value for value in primary.identifiers if not self._is_inner(value)}
        common = common.union(*(self._shared[self._find(value)] for value in primary.identifiers))
        contacts = self.contacts[part]
        return (
            bool(self._shared[part])
            and self._shared[part] <= common
            and all(contact.linked_id == primary.id for contact in contacts)
            and self._linked.isdisjoint(contact.id for contact in contacts)
        )

    def may_join(self, part: int) -> bool:
        """Whether pairs that may count join a part to hubs, and no pin is about it."""
        primary = self.parts.primary
        if primary is None or not self._is_whole(part, primary) or part in self._apart:
            return False
        contacts, hubs = self.contacts[part], self.parts.hubs
        heads = {contact.id for contact in contacts if contact.linked_id is None}
        linked = {contact.linked_id for contact in contacts} - {None}
        return (
            ((linked == {primary.id} and not heads) or (len(heads) == 1 and linked <= heads))
            and part in self._waiting
            and all(
                value in hubs or self._find(value) == part
                for piece in self._waiting[part]
                for value in piece.identifiers
            )
            # A pair goes back to its contact.
            and self._ids.isdisjoint(
                {piece.id for piece in self._waiting[part]} - {contact.id for contact in contacts}
            )
        )

    def consider_again(self, piece: Evidence) -> Evidence:
        """Let a pair count that is no longer blocked or held, where nothing is limited."""
        if waits(piece, self.parts.rules, self._released):
            return evolve(piece, standing=Standing.COUNTS, hold=None)
        return piece

    def to_record(self, chosen: Collection[int], primary: Contact) -> Record:
        """The record of some parts, each with its identity, and of a primary."""
        ids = {contact.id for part in chosen for contact in self.contacts[part]}
        values = {
            value
            for part in chosen
            for contact in self.contacts[part]
            for value in contact.identifiers
            if self._is_inner(value)
        }
        parts = self.parts
        contacts = [primary, *(contact for contact in parts.contacts if contact.id in ids)]
        return Record(
            Snapshot.of(contacts).identities,
            tuple(piece for piece in parts.evidence if not values.isdisjoint(piece.identifiers)),
            tuple(ruling for ruling in parts.rulings if not values.isdisjoint(ruling.values)),
            parts.asked & values,
            tuple((id, leads_to) for id, leads_to in parts.deleted if leads_to in ids),
            parts.rules,
        )


def _find_links(parts: Parts) -> Iterator[tuple[Identifier, Identifier, bool]]:
    """What joins two values, or would without a pin; and whether it does."""
    undone = {ruling.pair for ruling in parts.rulings if ruling.verdict is Verdict.UNDONE}
    primary = () if parts.primary is None else (parts.primary,)
    for contact in (*primary, *parts.contacts):
        if contact.email is not None and contact.phone_number is not None:
            yield *contact.identifiers, contact.key not in undone
    for piece in parts.evidence:
        if piece.leads_on:
            counts = piece.standing is Standing.COUNTS and piece.pair not in undone
            yield *piece.identifiers, counts
    for ruling in parts.rulings:
        if ruling.verdict in (Verdict.SAME, Verdict.INHERITED):
            yield ruling.one, ruling.other, True
    # Links to the primary say nothing of a part; other links join whole identities.
    contacts = {contact.id: contact for contact in parts.contacts}
    for contact in parts.contacts:
        above = contacts.get(contact.linked_id or 0)
        if above is not None and contact.identifiers and above.identifiers:
            yield contact.identifiers[0], above.identifiers[0], True
