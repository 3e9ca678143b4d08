"""The history of an identity: what happened to it, and what it was at some time.

Everything that changes an identity is an event. So the state at any time since events are
recorded follows from applying the events until then. A contact that no event mentions existed
before; it is shown with the primary that it is linked to now.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from identity_core.model.contact import Contact
from identity_core.model.details import ContactDetails
from identity_core.model.events import RecordedEvent
from identity_core.model.evidence import Evidence


def as_of(
    contacts: Sequence[Contact], events: Iterable[RecordedEvent], contact_id: int, moment: datetime
) -> tuple[Contact, ...]:
    """The contacts that an identity had at some time, oldest first; none if the contact did not exist.

    Links, link precedences and dates are those of today.

    Args:
        contacts: of the identity as it is now, oldest first.
        events: all events of it, in the order of their ids.
        contact_id: the contact whose identity is asked for.
        moment: the time, with an offset from UTC.
    """
    above: dict[int, int] = {}

    def root(id: int) -> int:
        while above.get(id, id) != id:
            above[id] = above.get(above[id], above[id])
            id = above[id]
        return id

    events = list(events)
    caused = {recorded.event.contact_id for recorded in events} - {None}
    existing = {contact.id for contact in contacts if contact.id not in caused}
    for contact in contacts:
        if contact.id in existing and contact.linked_id is not None:
            above[contact.id] = contact.linked_id
    for recorded in events:
        event = recorded.event
        if event.happened_at > moment:
            continue
        joined = event.absorbed_ids
        if event.contact_id is not None and event.contact_id not in existing:
            existing.add(event.contact_id)
            joined = (*joined, event.contact_id)
        for id in joined:
            above[root(id)] = root(event.primary_id)
    if contact_id not in existing:
        return ()
    return tuple(c for c in contacts if c.id in existing and root(c.id) == root(contact_id))


def add_details(
    events: Sequence[RecordedEvent], contacts: Iterable[Contact], evidence: Iterable[Evidence]
) -> list[tuple[RecordedEvent, ContactDetails | None]]:
    """Pair each event with the details that caused it; None if they are no longer recorded."""
    keys = {contact.id: contact.key for contact in contacts}
    keys |= {piece.id: (piece.email, piece.phone_number) for piece in evidence}
    causes = (keys.get(recorded.event.contact_id or recorded.event.evidence_id or 0) for recorded in events)
    details = (None if key is None else ContactDetails.from_trusted(*key) for key in causes)
    return list(zip(events, details, strict=True))
