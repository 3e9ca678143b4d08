"""The preview: what reconciling details would do."""

from datetime import UTC, datetime

from attrs import evolve

from identity_core.model.decision import Preview
from identity_core.model.details import ContactDetails
from identity_core.model.snapshot import Snapshot
from identity_core.rules.reconcile import reconcile

_LATER = datetime.max.replace(tzinfo=UTC)
_NEW_ID = 2**63 - 1
"""A time and an id that are later than all there are."""


def preview(details: ContactDetails, snapshot: Snapshot) -> Preview:
    """What `reconcile` would decide on details, if nothing else happened before."""
    decision = reconcile([details], snapshot, _LATER, iter([_NEW_ID]))
    [identity], [outcome] = decision.identities, decision.outcomes
    return Preview(
        outcome,
        evolve(
            identity,
            primary_contact_id=_hide_new_id(identity.primary_contact_id),
            secondary_contact_ids=tuple(map(_hide_new_id, identity.secondary_contact_ids)),
        ),
        tuple(id for event in decision.writes.events for id in event.absorbed_ids),
        len(decision.writes.altered),
    )


def _hide_new_id(contact_id: int) -> int:
    return 0 if contact_id == _NEW_ID else contact_id
