"""The repair of identities that other programs wrote.

`reconcile` answers imperfect records as they should be, and writes right what it writes. But it
leaves alone what no details match. `repair` takes recorded details in place of new ones, and
restores the definition of an identity (see `identity_core.rules.reconcile`):

- Identities that hold one email or one phone number, or that evidence joins, become one.
- Every contact points straight at the oldest, which is the primary.
- Of contacts that hold the same details the oldest stays; the others are deleted.
- Evidence is removed where a contact holds the pair.

It is idempotent: where all of this holds already, nothing changes.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from identity_core.model.contact import Contact
from identity_core.model.decision import Decision, WriteSet
from identity_core.model.details import ContactDetails
from identity_core.model.events import Event, EventKind
from identity_core.model.snapshot import Snapshot
from identity_core.rules.merge import merge
from identity_core.rules.working_set import Component, WorkingSet


def repair(
    batch: Sequence[ContactDetails], snapshot: Snapshot, now: datetime, ids: Iterator[int]
) -> Decision:
    """Decide how to repair the identities that some recorded details match.

    It is a decision for `ContactRepository.transact`, as `reconcile` is, but draws no id.

    Returns:
        what to write, and no identities.
    """
    del ids
    working_set = WorkingSet(batch, snapshot)
    components: dict[Component, None] = {}
    for details in batch:
        if matches := working_set.find_matches(details):
            components[merge(matches)] = None

    altered: list[Contact] = []
    deleted: list[Contact] = []
    superseded: list[tuple[str, str]] = []
    events: list[Event] = []
    for component in components:
        if component.merged_into is not None:
            continue
        primary = component.primary
        kept = _drop_repetitions(component.contacts)
        linked = [contact.linked_to(primary) for contact in kept]
        relinked = [after for before, after in zip(kept, linked, strict=True) if after is not before]
        kept_ids = {contact.id for contact in kept}
        extra = [contact.linked_to(primary) for contact in component.contacts if contact.id not in kept_ids]
        held_twice = working_set.evidence & {contact.key for contact in kept}
        if relinked or extra or held_twice:
            altered += relinked
            deleted += extra
            superseded += sorted(held_twice)
            former_primaries = [contact.id for contact in component.contacts if contact.linked_id is None]
            absorbed = tuple(id for id in former_primaries if id != primary.id)
            events.append(Event(now, EventKind.REPAIRED, primary.id, absorbed_ids=absorbed))
    return Decision(WriteSet((), tuple(altered), tuple(deleted), (), tuple(superseded), tuple(events)), ())


def _drop_repetitions(contacts: Sequence[Contact]) -> list[Contact]:
    """The first of the contacts that hold the same details, and all that hold none."""
    by_key: dict[object, Contact] = {}
    for contact in contacts:
        by_key.setdefault(contact.id if contact.key == (None, None) else contact.key, contact)
    return list(by_key.values())
