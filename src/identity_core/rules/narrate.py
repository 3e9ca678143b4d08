"""The events of a settlement: what happened to each pair, each pin and each identity."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from attrs import frozen

from identity_core.model.contact import Contact
from identity_core.model.events import Event, EventKind
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.record import Record
from identity_core.model.ruling import PINS, Ruling, Verdict

_STOPPED = {
    Standing.UNDONE: EventKind.UNDONE,
    Standing.HELD: EventKind.HELD,
    Standing.BLOCKED: EventKind.HELD,
}
_COUNTS = {
    Standing.UNDONE: EventKind.RESTORED,
    Standing.HELD: EventKind.RELEASED,
    Standing.BLOCKED: EventKind.RELEASED,
    Standing.COUNTS: EventKind.CORROBORATED,
}


@frozen
class Assessed:
    """A pair whose standing changed.

    Attributes:
        evidence: as it was.
        standing: as it is.
        contact_id: the contact that was made for the phone number, or deleted; None if there is none.
        is_accepted: whether it counts by a pin, though a limit still holds it.
    """

    evidence: Evidence
    standing: Standing
    contact_id: int | None
    is_accepted: bool = False


@frozen
class Movement:
    """Where contacts belong, before and after.

    Attributes:
        former: by id, the primary that each contact had. A new contact for a number has that of the contact
            that the number was taken from, and one for a value that was never seen its own.
        current: by id, the primary that each has now.
        contacts: by id, each of these contacts that was not deleted before.
    """

    former: Mapping[int, int]
    current: Mapping[int, int]
    contacts: Mapping[int, Contact]


def narrate_rulings(
    before: Record, after: Record, assessed: Sequence[Assessed], movement: Movement, now: datetime
) -> Iterator[Event]:
    """The events of new contacts, of pairs whose standing changed, and of rulings."""
    recorded = {contact.id for contact in before.contacts}
    for id in sorted(movement.contacts.keys() - recorded):
        if movement.former[id] == id:
            yield Event(now, EventKind.CREATED, id, contact_id=id)
    homes = {
        identifier: movement.former[id]
        for id, contact in sorted(movement.contacts.items(), reverse=True)
        for identifier in contact.identifiers
    }
    added, withdrawn = compare_rulings(before, after)
    explained: set[Ruling] = set()
    undone = {r.values: r for r in (*added, *withdrawn) if r.verdict is Verdict.UNDONE}
    accepted = {r.values: r for r in after.rulings_with(Verdict.SAME)}
    for one in sorted(assessed, key=lambda one: one.evidence.id):
        email, number = one.evidence.identifiers
        values = frozenset([email, number])
        ruling = accepted[values] if one.is_accepted else undone.get(values)
        if ruling is not None and not one.is_accepted:
            explained.add(ruling)
        kind = _STOPPED.get(one.standing) or _COUNTS[one.evidence.standing]
        home = homes.get(email) or homes.get(number)
        if home is None:
            continue  # both values are blocked and in no contact
        ruling_id = None if ruling is None else ruling.id
        yield Event(
            now,
            kind,
            home,
            one.contact_id,
            one.evidence.id,
            ruling_id=ruling_id,
            origin_id=_find_origin(one, home, movement),
        )
    for ruling in (*added, *withdrawn):
        is_new = ruling in added
        if ruling.verdict in PINS:
            kind = EventKind.PINNED if is_new else EventKind.UNPINNED
        elif ruling.verdict is Verdict.UNDONE and ruling not in explained:
            kind = EventKind.UNDONE if is_new else EventKind.RESTORED
        else:
            continue
        ends = (homes[value] for value in (ruling.one, ruling.other) if value in homes)
        for primary_id in dict.fromkeys(ends):
            yield Event(now, kind, primary_id, ruling_id=ruling.id)


def _find_origin(one: Assessed, primary_id: int, movement: Movement) -> int | None:
    """The identity that the deleted contact of a number leaves, if it was not in that of the email."""
    if one.contact_id is None or one.standing is not Standing.COUNTS:
        return None
    former = movement.former[one.contact_id]
    return None if former in (primary_id, one.contact_id) else former


def narrate_movement(
    before: Record,
    assessed: Sequence[Assessed],
    movement: Movement,
    now: datetime,
    *,
    joined: EventKind,
    ruling_id: int | None = None,
    repaired: Collection[int] = (),
) -> Iterator[Event]:
    """The events of identities that came apart, and then of those that became one.

    Args:
        before: the record as it was.
        assessed: the pairs whose standing changed, which are told already.
        movement: which contacts went where.
        now: when.
        joined: the kind of the events of identities that became one.
        ruling_id: the ruling that caused it, if one did.
        repaired: the primaries of identities that were written right though none joined them.
    """
    # Where a pair counts again, the contact that was made for the number is with the email by now.
    with_email = {
        one.contact_id: movement.former[one.evidence.id]
        for one in assessed
        if one.contact_id is not None and one.standing is Standing.COUNTS
    }
    pieces: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for id, former in {**movement.former, **with_email}.items():
        pieces[former, movement.current[id]].append(id)
    absorbed: defaultdict[int, set[int]] = defaultdict(set)
    for (former, current), ids in sorted(pieces.items()):
        head = former
        if movement.current[former] != current:
            live = (movement.contacts[id] for id in ids if id in movement.contacts)
            head = min(live, key=lambda contact: contact.seniority).id
            yield Event(
                now,
                EventKind.SPLIT,
                head,
                ruling_id=ruling_id,
                origin_id=former,
                moved_ids=tuple(sorted(ids)),
            )
        absorbed[current].add(head)
    for contact in before.contacts:
        if contact.linked_id is None:
            absorbed[movement.current[contact.id]].add(contact.id)
    for current, heads in sorted(absorbed.items()):
        if heads != {current} or current in repaired:
            absorbed_ids = tuple(sorted(heads - {current}))
            yield Event(now, joined, current, absorbed_ids=absorbed_ids, ruling_id=ruling_id)


def compare_rulings(before: Record, after: Record) -> tuple[list[Ruling], list[Ruling]]:
    """The rulings that were added, and those that were withdrawn."""
    old, new = {*before.rulings}, {*after.rulings}
    return [r for r in after.rulings if r not in old], [r for r in before.rulings if r not in new]
