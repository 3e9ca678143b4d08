"""The preview: what reconciling details would do."""

from collections.abc import Iterator
from itertools import count

from attrs import evolve

from identity_core.model.decision import LATER, NEW_IDS, Decision, Preview, WriteSet, hide_new_id
from identity_core.model.details import ContactDetails
from identity_core.model.record import Record
from identity_core.rules.late import settle_pair
from identity_core.rules.reconcile import KeptApart, reconcile


def preview(details: ContactDetails, record: Record) -> Preview:
    """What `reconcile` would decide on details, if nothing else happened before."""
    moved = 0
    absorbed: tuple[int, ...] = ()
    ids = count(NEW_IDS)
    try:
        decision = _reconcile(details, record, ids)
    except KeptApart:
        settlement = settle_pair(details, record, LATER, ids)
        writes = settlement.writes
        moved = len(writes.altered) + len(writes.rewritten)
        absorbed = _find_absorbed(writes)
        kept = (piece for piece in record.evidence if piece.pair not in {e.pair for e in writes.evidence})
        after = evolve(record, identities=settlement.identities, evidence=(*kept, *writes.evidence))
        decision = _reconcile(details, after, ids)
    [identity], [outcome], [ignored] = decision.identities, decision.outcomes, decision.ignored
    return Preview(
        outcome,
        evolve(
            identity,
            primary_contact_id=hide_new_id(identity.primary_contact_id),
            secondary_contact_ids=tuple(map(hide_new_id, identity.secondary_contact_ids)),
        ),
        tuple(id for id in (*absorbed, *_find_absorbed(decision.writes)) if id < NEW_IDS),
        moved + len(decision.writes.altered),
        ignored,
    )


def _reconcile(details: ContactDetails, record: Record, ids: Iterator[int]) -> Decision:
    return reconcile([details], record.to_snapshot(details), LATER, ids)


def _find_absorbed(writes: WriteSet) -> tuple[int, ...]:
    return tuple(id for event in writes.events for id in event.absorbed_ids)
