"""Decisions: what a rule wants written, and what becomes of details."""

from datetime import UTC, datetime
from enum import StrEnum

from attrs import frozen

from identity_core.model.contact import Contact
from identity_core.model.erasure import Erasure
from identity_core.model.events import Event, EventKind
from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import IdentifierKind
from identity_core.model.identity import Identity
from identity_core.model.ruling import Ruling, Withdrawal

LATER = datetime.max.replace(tzinfo=UTC)
NEW_IDS = 2**62
"""The time and the first new id of a decision that is only looked at: later than all there are."""


def hide_new_id(id: int) -> int:
    """The id as it is shown: 0 if what has it would be new."""
    return 0 if id >= NEW_IDS else id


class Outcome(StrEnum):
    """What became of details, for the client that sent them."""

    KNOWN = "known"
    """They were known, or confirmed what was known."""
    CREATED = "created"
    LINKED = "linked"
    MERGED = "merged"
    HELD = "held"
    """Their pair is on record but does not count; each value was taken alone."""
    BLOCKED = "blocked"
    """All their values are blocked, so they identify nobody; nothing was recorded."""
    SUPPRESSED = "suppressed"
    """One of their values was erased on request and is kept out; nothing was recorded of either."""

    @classmethod
    def of(cls, kind: EventKind) -> "Outcome":
        """The outcome of details that caused an event of this kind.

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
class WriteSet:
    """Everything that a decision writes, all at once or not at all.

    Attributes:
        created: new contacts.
        altered: recorded contacts with their new link, link precedence or date.
        rewritten: recorded contacts whose phone number was taken from them or given back; their email stays
            as it is recorded.
        deleted: contacts whose details another contact holds. Each is linked to the primary, so
            that its id still leads to the identity.
        evidence: new evidence, and recorded evidence with another standing.
        superseded: pairs whose evidence is removed, because a contact now holds them.
        rulings: new rulings.
        withdrawals: ends of rulings.
        events: what happened, in order.
        erasure: what is erased, once all the rest is written.
    """

    created: tuple[Contact, ...] = ()
    altered: tuple[Contact, ...] = ()
    deleted: tuple[Contact, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    superseded: tuple[tuple[str, str], ...] = ()
    events: tuple[Event, ...] = ()
    rewritten: tuple[Contact, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    erasure: Erasure | None = None


@frozen
class Decision:
    """What a rule decides about a batch of details.

    Attributes:
        writes: what has to be written.
        identities: the identity that each of the details ends in.
        outcomes: what became of each of the details.
        corroborated: how many of the known details confirmed an identity by a new pair or an earlier date.
        ignored: which value of each of the details did not count for its identity, as of `Identified`.
    """

    writes: WriteSet
    identities: tuple[Identity, ...]
    outcomes: tuple[Outcome, ...] = ()
    corroborated: int = 0
    ignored: tuple[IdentifierKind | None, ...] = ()


@frozen
class Identified:
    """What `IdentifyContacts` answers for some details.

    Attributes:
        identity: the identity that they belong to; `NOBODY` if all their values are blocked, or one is kept
            out.
        outcome: what became of them.
        ignored: which of their values did not count; None if all did. If they were suppressed, which of them
            is kept out; None if all are.
    """

    identity: Identity
    outcome: Outcome
    ignored: IdentifierKind | None = None


@frozen
class Preview:
    """What identifying some details would do; nothing is written.

    Attributes:
        outcome: what would become of them.
        identity: the identity that they would belong to; 0 is the id of a contact that would be new.
        absorbed_ids: the primary contacts that would become secondary.
        moved: how many recorded contacts would get another link or date.
        ignored: which of their values would not count, as of `Identified`.
    """

    outcome: Outcome
    identity: Identity
    absorbed_ids: tuple[int, ...]
    moved: int
    ignored: IdentifierKind | None = None
