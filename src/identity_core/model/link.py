"""Links: what joins two values in the evidence graph."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier
from identity_core.model.rule_set import Hold


class LinkReason(StrEnum):
    """What joins two identifiers."""

    CONTACT = "contact"
    EVIDENCE = "evidence"
    INHERITED = "inherited"
    PIN = "pin"
    UNDONE = "undone"
    """A ruling took the link back, so that it joins nothing."""
    HELD = "held"
    """A pin keeps apart what the pair would join, or it would exceed a limit, so that it joins nothing."""
    BLOCKED = "blocked"
    """One of the two identifies nobody, so that the pair joins nothing."""


INERT = frozenset([LinkReason.UNDONE, LinkReason.HELD, LinkReason.BLOCKED])
"""The reasons of links that join nothing."""

_REASONS = {
    Standing.UNDONE: LinkReason.UNDONE,
    Standing.HELD: LinkReason.HELD,
    Standing.BLOCKED: LinkReason.BLOCKED,
}


@frozen
class Link:
    """One step of a chain.

    Attributes:
        one: where the step starts.
        other: where it leads.
        reason: what joins the two.
        id: of the contact, the evidence or the ruling; for an inherited link, of the contact that is linked,
            or of the ruling that restored the link.
        seen_at: when the two were first seen together; for an inherited link, when the contact was; for a
            ruling, when it was decided.
        hold: the limit that holds the pair; None if no limit does.
    """

    one: Identifier
    other: Identifier
    reason: LinkReason
    id: int
    seen_at: datetime
    hold: Hold | None = None

    @property
    def counts(self) -> bool:
        """Whether it joins the two."""
        return self.reason not in INERT

    @classmethod
    def of(cls, piece: Evidence, one: Identifier, other: Identifier) -> "Link":
        """The link that a piece of evidence is, from one of its values to the other."""
        reason = _REASONS.get(piece.standing, LinkReason.EVIDENCE)
        hold = piece.hold if reason is LinkReason.HELD else None
        return cls(one, other, reason, piece.id, piece.seen_at, hold)
