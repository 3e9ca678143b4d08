"""What happened to an identity, and what it was at some time.

Everything that changed identities is an event. So an identity is known at any time since events
are recorded: its events are applied, one after the other, until then. A contact that no event
tells of was there before; it is shown with the primary that it is linked to now.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import frozen

from identity_core.changes import Event
from identity_core.contact import Contact


@frozen
class Happening:
    """An event on record.

    Attributes:
        id: grows with time among the events of one identity.
        event: what happened.
    """

    id: int
    event: Event


def as_of(
    contacts: Sequence[Contact], happenings: Iterable[Happening], contact_id: int, moment: datetime
) -> tuple[Contact, ...]:
    """The contacts that an identity had at some time, oldest first; none if the contact was not there.

    Links, precedences and dates are those of today.

    Args:
        contacts: of the identity as it is, oldest first.
        happenings: all events of it, in the order of their ids.
        contact_id: which of the contacts is asked about.
        moment: when, with an offset from UTC.
    """
    above: dict[int, int] = {}

    def root(id: int) -> int:
        while above.get(id, id) != id:
            above[id] = above.get(above[id], above[id])
            id = above[id]
        return id

    happenings = list(happenings)
    caused = {happening.event.contact_id for happening in happenings} - {None}
    there = {contact.id for contact in contacts if contact.id not in caused}
    for contact in contacts:
        if contact.id in there and contact.linked_id is not None:
            above[contact.id] = contact.linked_id
    for happening in happenings:
        event = happening.event
        if event.happened_at > moment:
            continue
        joined = event.absorbed_ids
        if event.contact_id is not None and event.contact_id not in there:
            there.add(event.contact_id)
            joined = (*joined, event.contact_id)
        for id in joined:
            above[root(id)] = root(event.primary_id)
    if contact_id not in there:
        return ()
    return tuple(c for c in contacts if c.id in there and root(c.id) == root(contact_id))
