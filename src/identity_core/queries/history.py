"""The history of an identity: what happened to it, and what it was at some time.

Everything that changes an identity is an event. So the state at any time since events are
recorded follows from applying the events until then. A contact that no event mentions existed
before; it is shown with the primary that it is linked to now, or from which a split took it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from attrs import define, evolve

from identity_core.model.contact import Contact
from identity_core.model.details import ContactDetails
from identity_core.model.events import Event, EventKind, RecordedEvent
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import IdentifierKind
from identity_core.model.lineage import Lineage

_TAKEN = frozenset([EventKind.UNDONE, EventKind.HELD])
"""A pair stops counting: its contact loses the phone number, and another may be made for it."""

_GIVEN_BACK = frozenset([EventKind.RESTORED, EventKind.RELEASED])
"""A pair counts again: its contact gets the phone number back, and the other one is deleted.

Of a pair that a limit holds and that a pin accepts, the contact stays as it is.
"""

_STANDINGS_BEFORE = {EventKind.RESTORED: Standing.UNDONE, EventKind.RELEASED: Standing.HELD}
"""How a pair stood before an event about it, if the event says so."""


def as_of(
    lineage: Lineage, evidence: Iterable[Evidence], contact_id: int, moment: datetime
) -> tuple[Contact, ...]:
    """The contacts that an identity had at some time, oldest first; none if the contact did not exist.

    Links, link precedences and dates are those of today.

    Args:
        lineage: of the identity as it is now.
        evidence: all evidence of it.
        contact_id: the contact whose identity is asked for.
        moment: the time, with an offset from UTC.
    """
    events = [recorded.event for recorded in lineage.events]
    # What another program deleted, at a time without an event, is not shown.
    times = {event.happened_at for event in events}
    deleted = [one for one in lineage.deleted if one.deleted_at in times]
    contacts = [*lineage.contacts, *(one.contact for one in deleted)]
    groups = _Groups(_find_first_links(contacts, lineage))
    for event in events:
        if event.happened_at > moment:
            continue
        if event.contact_id is not None and (event.kind in _GIVEN_BACK or event.contact_id not in groups):
            groups.move([event.contact_id], event.primary_id)
        for id in event.absorbed_ids:
            groups.join(id, event.primary_id)
        if event.moved_ids:
            groups.part(event.moved_ids, event.primary_id)
    gone = {one.contact.id for one in deleted if one.deleted_at <= moment}
    members = groups.members_with(contact_id) - gone
    pairs = {piece.id: piece.pair for piece in evidence}
    taken = _find_taken(lineage, moment)
    found = [_restore_values(c, pairs, taken) for c in contacts if c.id in members]
    return tuple(sorted(found, key=lambda contact: contact.seniority))


def find_standings(lineage: Lineage, moment: datetime) -> dict[int, Standing | None]:
    """How pairs stood at some time, by the id of each that a later event is about.

    None is that of a pair that no event had told of by then, unless the later event says that it was there.
    """
    latest: dict[int, Event] = {}
    later: dict[int, Event] = {}
    for event in (recorded.event for recorded in lineage.events):
        if event.evidence_id is not None and event.happened_at <= moment:
            latest[event.evidence_id] = event
        elif event.evidence_id is not None:
            later.setdefault(event.evidence_id, event)
    return {
        id: _find_standing_after(latest[id]) if id in latest else _STANDINGS_BEFORE.get(event.kind)
        for id, event in later.items()
    }


def _find_standing_after(event: Event) -> Standing:
    """How a pair stands after an event about it."""
    if event.kind is EventKind.UNDONE:
        return Standing.UNDONE
    if event.kind is EventKind.HELD:
        return Standing.BLOCKED if event.keeps_number else Standing.HELD
    return Standing.COUNTS


@define(eq=False)
class _Group:
    primary_id: int
    ids: set[int]


class _Groups:
    """Ids of contacts, grouped into identities; each is called after its primary, which may have left it."""

    def __init__(self, links: Mapping[int, int]) -> None:
        self._groups: dict[int, _Group] = {}
        self._called: dict[int, _Group] = {}
        for id, above in links.items():
            self.move([id], above)

    def __contains__(self, id: int) -> bool:
        return id in self._groups

    def move(self, ids: Iterable[int], primary_id: int) -> None:
        """Move ids to the group of a primary, from whatever groups they are in."""
        self._move(ids, self._find(primary_id))

    def part(self, ids: Iterable[int], primary_id: int) -> None:
        """Make a group of ids, from whatever groups they are in."""
        self._move(ids, self._called.get(primary_id) or self._make(primary_id))

    def join(self, absorbed_id: int, primary_id: int) -> None:
        """Make one group of those of two primaries."""
        absorbed, group = self._find(absorbed_id), self._find(primary_id)
        if absorbed is not group:
            small, large = sorted((absorbed, group), key=lambda one: len(one.ids))
            large.ids |= small.ids
            self._groups.update(dict.fromkeys(small.ids, large))
            del self._called[small.primary_id]
            group = large
        del self._called[group.primary_id]
        group.primary_id = primary_id
        self._called[primary_id] = group

    def members_with(self, id: int) -> set[int]:
        """The group that an id is in; empty if it is in none."""
        return self._groups[id].ids if id in self._groups else set()

    def _move(self, ids: Iterable[int], group: _Group) -> None:
        for id in ids:
            if id in self._groups:
                self._groups[id].ids.discard(id)
            group.ids.add(id)
            self._groups[id] = group

    def _find(self, primary_id: int) -> _Group:
        group = self._called.get(primary_id) or self._groups.get(primary_id)
        return group or self._make(primary_id)

    def _make(self, primary_id: int) -> _Group:
        group = self._called[primary_id] = _Group(primary_id, set())
        return group


def _find_first_links(contacts: Sequence[Contact], lineage: Lineage) -> dict[int, int]:
    """By id of each contact that no event made, the contact that it was linked to before all events."""
    made = {recorded.event.contact_id for recorded in lineage.events if not recorded.event.keeps_number}
    links = {c.id: c.id if c.linked_id is None else c.linked_id for c in contacts if c.id not in made}
    for recorded in reversed(lineage.events):
        origin = recorded.event.origin_id
        if origin is not None:
            links.update((id, origin) for id in recorded.event.moved_ids if id in links)
    return {id: above if above == id else _follow(links, id) for id, above in links.items()}


def _follow(links: Mapping[int, int], id: int) -> int:
    passed = {id}
    while (above := links.get(id, id)) not in passed:
        passed.add(above)
        id = above
    return id


def _find_taken(lineage: Lineage, moment: datetime) -> dict[int, IdentifierKind | None]:
    """By id of a contact that a value was taken from at any time, which one was gone at some time."""
    taken: dict[int, IdentifierKind | None] = {}
    latest: dict[int, IdentifierKind | None] = {}
    dated_back: set[int] = set()
    for recorded in lineage.events:
        event = recorded.event
        if event.kind not in _TAKEN | _GIVEN_BACK:
            # A contact that was dated back while its number was gone never gets it back.
            if event.contact_id is not None and latest.get(event.contact_id):
                dated_back.add(event.contact_id)
        elif event.evidence_id is not None:
            before = latest.get(event.evidence_id)
            gone = before or (IdentifierKind.EMAIL if event.keeps_number else IdentifierKind.PHONE_NUMBER)
            now: IdentifierKind | None = gone
            is_accepted = event.kind is EventKind.RELEASED and event.ruling_id is not None
            if event.kind in _GIVEN_BACK and event.evidence_id not in dated_back and not is_accepted:
                before, now = gone, None
            latest[event.evidence_id] = now
            if event.happened_at <= moment:
                taken[event.evidence_id] = now
            else:
                taken.setdefault(event.evidence_id, before)
    return taken


def _restore_values(
    contact: Contact,
    pairs: Mapping[int, tuple[str, str]],
    taken: Mapping[int, IdentifierKind | None],
) -> Contact:
    if contact.id not in taken:
        return contact
    pair = contact.key if None not in contact.key else pairs.get(contact.id)
    if pair is None:
        return contact
    gone = taken[contact.id]
    return evolve(
        contact,
        email=None if gone is IdentifierKind.EMAIL else pair[0],
        phone_number=None if gone is IdentifierKind.PHONE_NUMBER else pair[1],
    )


def add_details(
    events: Sequence[RecordedEvent], contacts: Iterable[Contact], evidence: Iterable[Evidence]
) -> list[tuple[RecordedEvent, ContactDetails | None]]:
    """Pair each event with the details that caused it; None if they are no longer recorded."""
    keys = {contact.id: contact.key for contact in contacts}
    keys |= {piece.id: (piece.email, piece.phone_number) for piece in evidence}
    causes = (keys.get(recorded.event.evidence_id or recorded.event.contact_id or 0) for recorded in events)
    details = (None if key is None else ContactDetails.from_trusted(*key) for key in causes)
    return list(zip(events, details, strict=True))
