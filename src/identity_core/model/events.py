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
    HELD = "held"
    """A pair does not count: it would join two values that a pin keeps apart, or a rule says so."""
    RELEASED = "released"
    """A pair that was held counts; with a ruling, because somebody accepted what a limit holds."""
    UNDONE = "undone"
    """A ruling took a pair or an inherited link back."""
    RESTORED = "restored"
    """An undone pair or inherited link counts again."""
    PINNED = "pinned"
    """A ruling pinned two values together or apart."""
    UNPINNED = "unpinned"
    """A pin was removed."""
    SPLIT = "split"
    """Contacts left an identity and are one of their own."""
    ERASED = "erased"
    """A person was erased. Nothing but ids is left of their contacts."""


@frozen
class Event:
    """One decision that changed something, in ids alone: no personal value is in it.

    Attributes:
        happened_at: when it was decided, in UTC.
        kind: what happened.
        primary_id: the primary of the identity from then on.
        contact_id: the contact that caused it, if one was written. Where a pair stops counting, the contact
            that was made for the phone number, or that of the pair if it keeps the phone number because
            the email is blocked; where it counts again, the contact that was made, deleted.
        evidence_id: the evidence that caused it, if some was written.
        absorbed_ids: the contacts that stopped being primary. All contacts of their identities belong to
            the primary from then on.
        ruling_id: the ruling that caused it, if one did.
        origin_id: where contacts left an identity, its primary, which it keeps. Where a pair counts again,
            that of the identity which the deleted contact leaves, if it was not in that of the email.
        moved_ids: where contacts left an identity, all that did; they belong to the primary from then on.
            Where a person was erased, all contacts that were.
    """

    happened_at: datetime
    kind: EventKind
    primary_id: int
    contact_id: int | None = None
    evidence_id: int | None = None
    absorbed_ids: tuple[int, ...] = ()
    ruling_id: int | None = None
    origin_id: int | None = None
    moved_ids: tuple[int, ...] = ()

    @property
    def keeps_number(self) -> bool:
        """Whether a contact lost its email, and not its phone number, because their pair stopped counting."""
        return self.kind is EventKind.HELD and self.contact_id == self.evidence_id is not None

    @property
    def has_details(self) -> bool:
        """Whether details caused it, or it is about a pair."""
        return self.contact_id is not None or self.evidence_id is not None


@frozen
class RecordedEvent:
    """An event that is stored.

    Attributes:
        id: grows with time among the events of one identity.
        event: what happened.
    """

    id: int
    event: Event
