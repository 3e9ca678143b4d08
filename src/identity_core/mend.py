"""Bringing identities that others wrote to the invariants.

What `reconcile` answers of imperfect records is right, and what it writes it writes right. But it
leaves alone what no details touch. `mend` is given what stands on record in place of new details:

- Identities that hold one email or one phone number, or that evidence joins, become one.
- Every contact points straight at the oldest, which is the primary.
- Of contacts that hold the same the oldest stays; the others are deleted.
- Evidence goes where a contact holds the pair.

Where all that holds already nothing changes, so mending twice is mending once.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from identity_core.changes import Changes, Event, EventKind, Reconciliation
from identity_core.contact import Contact
from identity_core.details import ContactDetails
from identity_core.draft import Draft, Group, merge
from identity_core.snapshot import Snapshot


def mend(
    batch: Sequence[ContactDetails], snapshot: Snapshot, now: datetime, ids: Iterator[int]
) -> Reconciliation:
    """Decide how to mend the identities that some details on record touch.

    It is a decision for `ContactRepository.transact`, as `reconcile` is, but draws no id.

    Returns:
        what to write, and no identities.
    """
    del ids
    draft = Draft(batch, snapshot)
    groups: dict[Group, None] = {}
    for details in batch:
        if touched := draft.touched(details):
            groups[merge(touched)] = None

    altered: list[Contact] = []
    deleted: list[Contact] = []
    superseded: list[tuple[str, str]] = []
    events: list[Event] = []
    for group in groups:
        if group.merged_into is not None:
            continue
        kept = _without_repetition(group.contacts)
        linked = [contact.linked_to(group.primary) for contact in kept]
        relinked = [after for before, after in zip(kept, linked, strict=True) if after is not before]
        kept_ids = {contact.id for contact in kept}
        extra = [c.linked_to(group.primary) for c in group.contacts if c.id not in kept_ids]
        twice = draft.evidence & {contact.key for contact in kept}
        if relinked or extra or twice:
            altered += relinked
            deleted += extra
            superseded += sorted(twice)
            formerly = [contact.id for contact in group.contacts if contact.linked_id is None]
            absorbed = tuple(id for id in formerly if id != group.primary.id)
            events.append(Event(now, EventKind.MENDED, group.primary.id, absorbed_ids=absorbed))
    return Reconciliation(
        Changes(
            altered=tuple(altered), deleted=tuple(deleted), superseded=tuple(superseded), events=tuple(events)
        ),
        (),
    )


def _without_repetition(contacts: Sequence[Contact]) -> list[Contact]:
    """Of contacts that hold the same the first; and all that hold nothing."""
    by_key: dict[object, Contact] = {}
    for contact in contacts:
        by_key.setdefault(contact.id if contact.key == (None, None) else contact.key, contact)
    return list(by_key.values())
