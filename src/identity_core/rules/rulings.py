"""Rulings: take a pair back, give it back, part two values, pin them together or apart.

Each function decides about a record as it is, for `ContactRepository.revise`. A ruling that is in force
already changes nothing. One that contradicts the record or another ruling is refused, with the
chain that shows it. `settle` brings the contacts in line.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from attrs import evolve, frozen

from identity_core.errors import InvalidDetails, NotRecorded, Suppressed
from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import Identifier, IdentifierKind, to_identifiers
from identity_core.model.link import Link, LinkReason
from identity_core.model.record import Record
from identity_core.model.ruled import Contradiction, Ruled
from identity_core.model.ruling import Note, Ruling, Verdict, Withdrawal
from identity_core.rules.cut import find_cut
from identity_core.rules.graph import Graph, build_graph
from identity_core.rules.resolve import (
    InheritedLink,
    Pair,
    Resolution,
    find_inherited_links,
    find_pins_between,
    resolve,
)
from identity_core.rules.settle import Settlement, settle


@frozen
class _Case:
    """A record that is ruled on.

    Attributes:
        record: as it is.
        links: what it inherited.
        now: the time in UTC.
        ids: new ids, ascending.
        note: who rules, and why.
    """

    record: Record
    links: list[InheritedLink]
    now: datetime
    ids: Iterator[int]
    note: Note

    @classmethod
    def of(cls, record: Record, note: Note, now: datetime, ids: Iterator[int]) -> "_Case":
        return cls(record, find_inherited_links(record), now, ids, note)

    def rule(
        self, verdict: Verdict, one: Identifier, other: Identifier, split_id: int | None = None
    ) -> Ruling:
        """A new ruling about two values; of a pair, the email comes first."""
        if (one.kind, other.kind) == (IdentifierKind.PHONE_NUMBER, IdentifierKind.EMAIL):
            one, other = other, one
        at = self.note.at or self.now
        return Ruling(next(self.ids), verdict, one, other, at, self.note.by, self.note.reason, split_id)

    def build_graph(self) -> Graph:
        """The graph of what counts before the ruling."""
        return build_graph(self.record, self.links, resolve(self.record, self.links))

    def conclude(
        self,
        about: Iterable[Identifier],
        added: Sequence[Ruling] = (),
        withdrawn: Sequence[Ruling] = (),
        evidence: Sequence[Evidence] = (),
        undone: tuple[Link, ...] = (),
    ) -> tuple[Ruled, Settlement, Record]:
        """Settle the record with other rulings in force."""
        after = self.record.revise(added, withdrawn)
        after = evolve(after, evidence=(*after.evidence, *evidence))
        settlement = settle(self.record, after, self.links, self.now, self.ids)
        withdrawals = tuple(
            Withdrawal(ruling.id, self.now, self.note.by, self.note.reason) for ruling in withdrawn
        )
        writes = evolve(settlement.writes, rulings=tuple(added), withdrawals=withdrawals)
        former, current = settlement.movement.former, settlement.movement.current
        recorded = [contact.id for contact in self.record.contacts]
        moved = [id for id in recorded if former[id] != current[id]]
        concerned = {current[id] for id in moved} | {current[former[id]] for id in moved}
        values = {*about}
        identities = tuple(
            contacts
            for contacts in settlement.identities
            if contacts[0].id in concerned
            or any(identifier in values for contact in contacts for identifier in contact.identifiers)
        )
        shown = {contacts[0].id for contacts in identities}
        primaries = sorted({former[id] for id in recorded if current[id] in shown})
        ruled = Ruled(writes, self.record.make_plan(), identities, tuple(primaries), tuple(moved), undone)
        return ruled, settlement, after


def undo(record: Record, now: datetime, ids: Iterator[int], *, pair: Pair, note: Note) -> Ruled:
    """Take a pair back: as if only its two values had come, each alone.

    Raises:
        NotRecorded: the two were never seen together.
        Contradiction: a pin keeps them together.
    """
    case = _Case.of(record, note, now, ids)
    one, other = to_identifiers(*pair)
    added: list[Ruling] = []
    undone: tuple[Link, ...] = ()
    if pair not in record.undone_pairs:
        link = _find_link(record, pair)
        if link is None:
            raise NotRecorded("pair", "was never seen together")
        if pin := record.find_ruling(Verdict.SAME, one, other):
            raise Contradiction("a pin keeps the two together: remove it first", ruling_id=pin.id)
        added, undone = [case.rule(Verdict.UNDONE, one, other)], (link,)
    ruled, settlement, after = case.conclude([one, other], added, undone=undone)
    graph = build_graph(after, case.links, settlement.resolution)
    return evolve(ruled, chain=graph.find_chain(one, other))


def restore(record: Record, now: datetime, ids: Iterator[int], *, ruling_id: int, note: Note) -> Ruled:
    """Give back what a ruling undid; for the pin of a split, all that the split undid, without the pin.

    Raises:
        NotRecorded: no such ruling is in force.
        Contradiction: a later pin keeps apart what would be joined.
    """
    case = _Case.of(record, note, now, ids)
    withdrawn = [
        ruling
        for ruling in record.rulings
        if (ruling.id == ruling_id and ruling.verdict in (Verdict.UNDONE, Verdict.DIFFERENT))
        or (ruling.split_id == ruling_id and ruling.verdict is Verdict.UNDONE)
    ]
    undone = [ruling for ruling in withdrawn if ruling.verdict is Verdict.UNDONE]
    if not undone:
        raise NotRecorded("ruling", "undid nothing that is in force")
    inherited = [
        case.rule(Verdict.INHERITED, ruling.one, ruling.other)
        for ruling in undone
        if ruling.one.kind is ruling.other.kind
    ]
    about = {value for ruling in withdrawn for value in ruling.values}
    ruled, settlement, after = case.conclude(about, inherited, withdrawn)
    for ruling in undone:
        pin = _find_pin_between(after, settlement.resolution, ruling.one, ruling.other)
        # A pin that was there before the pair was undone held it, and holds it again.
        if pin is not None and (pin.id > ruling.id or pin.id == ruling.split_id):
            raise Contradiction("a pin keeps the two apart: remove it first", ruling_id=pin.id)
    return ruled


def split(
    record: Record, now: datetime, ids: Iterator[int], *, one: Identifier, other: Identifier, note: Note
) -> Ruled:
    """Part two values that are joined: undo the smallest set of links that does, and pin the two apart.

    Raises:
        Contradiction: nothing joins them, or only pins do.
    """
    case = _Case.of(record, note, now, ids)
    graph = case.build_graph()
    chain = graph.find_chain(one, other)
    if not chain:
        raise Contradiction("nothing joins the two")
    cut = find_cut(graph, graph.partition.number(one), graph.partition.number(other))
    if not cut:
        raise Contradiction("pins keep the two together: remove one first", chain)
    pin = case.rule(Verdict.DIFFERENT, one, other)
    undone = [case.rule(Verdict.UNDONE, link.one, link.other, pin.id) for link in cut]
    restored = {link.id for link in cut if link.reason is LinkReason.INHERITED}
    withdrawn = [ruling for ruling in record.rulings_with(Verdict.INHERITED) if ruling.id in restored]
    # A link that was inherited is on record from now on, so that it can come back.
    evidence = [
        Evidence(next(ids), ruling.one.value, ruling.other.value, link.seen_at)
        for link, ruling in zip(cut, undone, strict=True)
        if link.reason is LinkReason.INHERITED and ruling.one.kind is not ruling.other.kind
    ]
    ruled, _, _ = case.conclude([one, other], [*undone, pin], withdrawn, evidence, cut)
    return ruled


def pin(
    record: Record,
    now: datetime,
    ids: Iterator[int],
    *,
    one: Identifier,
    other: Identifier,
    verdict: Verdict,
    note: Note,
) -> Ruled:
    """Pin two values together or apart. A value that was never seen becomes known.

    Raises:
        InvalidDetails: the two are one value.
        Suppressed: one of them was erased on request, and nobody has it since.
        Contradiction: they are pinned otherwise, joined (`DIFFERENT`), undone or kept apart (`SAME`).
    """
    if one == other:
        raise InvalidDetails("other", "must differ from one")
    case = _Case.of(record, note, now, ids)
    if record.find_ruling(verdict, one, other):
        return case.conclude([one, other])[0]
    _check_not_kept_out(record, one=one, other=other)
    opposite = Verdict.SAME if verdict is Verdict.DIFFERENT else Verdict.DIFFERENT
    if pinned := record.find_ruling(opposite, one, other):
        raise Contradiction("a pin says the opposite: remove it first", ruling_id=pinned.id)
    if verdict is Verdict.DIFFERENT:
        _check_apart(case, one, other)
    else:
        _check_joinable(case, one, other)
    return case.conclude([one, other], [case.rule(verdict, one, other)])[0]


def unpin(record: Record, now: datetime, ids: Iterator[int], *, ruling_id: int, note: Note) -> Ruled:
    """Remove a pin; what it held is reconsidered.

    Raises:
        NotRecorded: no such pin is in force.
    """
    case = _Case.of(record, note, now, ids)
    pins = record.rulings_with(Verdict.SAME, Verdict.DIFFERENT)
    removed = next((ruling for ruling in pins if ruling.id == ruling_id), None)
    if removed is None:
        raise NotRecorded("pin", "is not in force")
    return case.conclude(removed.values, withdrawn=[removed])[0]


def adopt(record: Record, now: datetime, ids: Iterator[int], *, ruling: Ruling) -> Ruled:
    """Put a ruling from another database in force, whatever pairs say; its id is new.

    Only other rulings contradict it: the record is resolved with it. A pair that it undoes and that was
    never seen becomes known, so that it does not count when it comes.

    Raises:
        Suppressed: one of its values was erased on request, and nobody has it since.
        Contradiction: a ruling in force says the opposite.
    """
    case = _Case.of(record, Note(ruling.decided_by, ruling.reason, ruling.decided_at), now, ids)
    values = [ruling.one, ruling.other]
    if record.find_ruling(ruling.verdict, *values):
        return case.conclude(values)[0]
    _check_not_kept_out(record, one=ruling.one, other=ruling.other)
    added = case.rule(ruling.verdict, ruling.one, ruling.other, ruling.split_id)
    evidence: list[Evidence] = []
    if ruling.verdict is Verdict.UNDONE and ruling.one.kind is not ruling.other.kind:
        pair = (added.one.value, added.other.value)
        if not record.holds(pair):
            evidence.append(Evidence(next(ids), *pair, ruling.decided_at))
    ruled, settlement, after = case.conclude(values, [added], evidence=evidence)
    _check_agreement(after, settlement.resolution, added)
    return ruled


def _check_not_kept_out(record: Record, **ends: Identifier) -> None:
    """Check that a ruling brings no value back that was erased; somebody else may have written it since."""
    if record.suppressed:
        known = {value for contact in record.contacts for value in contact.identifiers}
        for name, value in ends.items():
            if value in record.suppressed and value not in known:
                raise Suppressed(name)


def _find_link(record: Record, pair: Pair) -> Link | None:
    """The link that a recorded pair is; None if it is not recorded."""
    one, other = to_identifiers(*pair)
    for contact in record.contacts:
        if contact.key == pair:
            return Link(one, other, LinkReason.CONTACT, contact.id, contact.created_at)
    for piece in record.evidence:
        if piece.pair == pair:
            return Link.of(piece, one, other)
    return None


def _check_agreement(record: Record, resolution: Resolution, added: Ruling) -> None:
    """Check that rulings which join values and rulings which part them do not contradict each other."""
    for joining in record.rulings_with(Verdict.SAME, Verdict.INHERITED):
        parting = record.find_ruling(Verdict.UNDONE, joining.one, joining.other)
        if parting is None and not _are_joined(resolution, joining):
            parting = _find_pin_between(record, resolution, joining.one, joining.other)
        if parting is not None and added in (joining, parting):
            opposite = parting if added == joining else joining
            raise Contradiction("another ruling says the opposite", ruling_id=opposite.id)


def _check_apart(case: _Case, one: Identifier, other: Identifier) -> None:
    graph = case.build_graph()
    if chain := graph.find_chain(one, other):
        cut = find_cut(graph, graph.partition.number(one), graph.partition.number(other))
        raise Contradiction("the two are joined: split them", chain, cut)


def _check_joinable(case: _Case, one: Identifier, other: Identifier) -> None:
    record = case.record
    if undone := record.find_ruling(Verdict.UNDONE, one, other):
        raise Contradiction("their pair is undone: restore it", ruling_id=undone.id)
    resolution = resolve(record, case.links)
    if between := _find_pin_between(record, resolution, one, other):
        graph = build_graph(record, case.links, resolution)
        ends = sorted(between.values, key=lambda end: not graph.find_chain(one, end) and end != one)
        chain = graph.find_chain(one, ends[0]) + graph.find_chain(ends[1], other)
        raise Contradiction("a pin keeps the two apart: remove it first", chain, ruling_id=between.id)


def _find_pin_between(
    record: Record, resolution: Resolution, one: Identifier, other: Identifier
) -> Ruling | None:
    """The first pin that keeps apart what belongs to two values."""
    return next(iter(find_pins_between(record, resolution, one, other)), None)


def _are_joined(resolution: Resolution, ruling: Ruling) -> bool:
    partition = resolution.partition
    one, other = partition.number(ruling.one), partition.number(ruling.other)
    return partition.find(one) == partition.find(other)
