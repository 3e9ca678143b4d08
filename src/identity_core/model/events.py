"""Events: what changed an identity, in ids alone."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen


class EventKind(StrEnum):
    """What happened to an identity."""

    CREATED = "created"
    """Details became the first contact of a new identity."""
    LINKED = "linked"
    """Details became another contact of an identity."""
    MERGED = "merged"
    """Details made one identity of two or more."""
    CORROBORATED = "corroborated"
    """Details confirmed an identity: a pair never seen together, or an earlier date."""
    REPAIRED = "repaired"
    """An identity that another program wrote was repaired."""


@frozen
class Event:
    """One decision that changed something, in ids alone: no personal value is in it.

    Attributes:
        happened_at: when it was decided, in UTC.
        kind: what happened.
        primary_id: the primary of the identity from then on.
        contact_id: the contact that caused it, if one was written.
        evidence_id: the evidence that caused it, if some was written.
        absorbed_ids: the contacts that stopped being primary.
    """

    happened_at: datetime
    kind: EventKind
    primary_id: int
    contact_id: int | None = None
    evidence_id: int | None = None
    absorbed_ids: tuple[int, ...] = ()


@frozen
class RecordedEvent:
    """An event that is stored.

    Attributes:
        id: grows with time among the events of one identity.
        event: what happened.
    """

    id: int
    event: Event
