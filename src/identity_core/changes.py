"""What a decision asks a repository to write."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from identity_core.contact import Contact
from identity_core.identity import Identity


@frozen
class Evidence:
    """A pair seen together that no contact holds: both values were known already.

    Attributes:
        id: from the same supply as contact ids.
        email: normalised.
        phone_number: normalised.
        seen_at: when, in UTC.
    """

    id: int
    email: str
    phone_number: str
    seen_at: datetime


class EventKind(StrEnum):
    """What details did to the identities."""

    CREATED = "created"
    """They became the first contact of a new identity."""
    LINKED = "linked"
    """They became another contact of an identity."""
    MERGED = "merged"
    """They made two or more identities one."""
    CORROBORATED = "corroborated"
    """They confirmed an identity: a pair never seen together, or an earlier date."""
    MENDED = "mended"
    """An identity that others had written was brought to the invariants."""


class Outcome(StrEnum):
    """What became of details, for whoever sent them."""

    KNOWN = "known"
    """They were known, or confirmed what was."""
    CREATED = "created"
    LINKED = "linked"
    MERGED = "merged"

    @classmethod
    def of(cls, kind: EventKind) -> "Outcome":
        """The outcome of details that came to an event.

        >>> Outcome.of(EventKind.CORROBORATED)
        <Outcome.KNOWN: 'known'>
        """
        return _OUTCOMES.get(kind, cls.KNOWN)


_OUTCOMES = {
    EventKind.CREATED: Outcome.CREATED,
    EventKind.LINKED: Outcome.LINKED,
    EventKind.MERGED: Outcome.MERGED,
}


@frozen
class Event:
    """One decision that changed something, in ids only: no personal value is in it.

    Attributes:
        happened_at: when it was decided, in UTC.
        kind: what happened.
        primary_id: the primary that the identity has since then.
        contact_id: the contact that caused it, if one was written.
        evidence_id: the evidence that caused it, if some was written.
        absorbed_ids: the contacts that were a primary before and no longer are.
    """

    happened_at: datetime
    kind: EventKind
    primary_id: int
    contact_id: int | None = None
    evidence_id: int | None = None
    absorbed_ids: tuple[int, ...] = ()


@frozen
class Changes:
    """All that is to be written, at once or not at all.

    Attributes:
        created: new contacts.
        deleted: contacts that another holds the details of; linked to the primary, so that whoever
            knows them by their ids finds it.
        altered: contacts on record whose link, link precedence or date is now this one.
        evidence: new evidence.
        superseded: pairs whose evidence goes, since a contact holds them.
        events: what happened, in order.
    """

    created: tuple[Contact, ...] = ()
    altered: tuple[Contact, ...] = ()
    deleted: tuple[Contact, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    superseded: tuple[tuple[str, str], ...] = ()
    events: tuple[Event, ...] = ()


@frozen
class Reconciliation:
    """What became of a batch of details.

    Attributes:
        changes: what is to be written for it to hold.
        identities: for each of the details the identity it ended in.
        outcomes: for each of the details what became of it.
    """

    changes: Changes
    identities: tuple[Identity, ...]
    outcomes: tuple[Outcome, ...] = ()


@frozen
class Identified:
    """What the use case answers of some details.

    Attributes:
        identity: whose they are.
        outcome: what became of them.
    """

    identity: Identity
    outcome: Outcome


@frozen
class Foresight:
    """What would become of some details; nothing of it was written.

    Attributes:
        outcome: what would become of them.
        identity: the identity that they would be of; 0 stands for the contact that would be written.
        absorbed_ids: the primaries that would no longer be one.
        moved: how many contacts on record would be linked or dated anew.
    """

    outcome: Outcome
    identity: Identity
    absorbed_ids: tuple[int, ...]
    moved: int
