"""Links: what joins two values in the evidence graph."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from identity_core.model.identifiers import Identifier


class LinkReason(StrEnum):
    """What joins two identifiers."""

    CONTACT = "contact"
    EVIDENCE = "evidence"
    INHERITED = "inherited"
    PIN = "pin"
    UNDONE = "undone"
    """A ruling took the link back, so that it joins nothing."""
    HELD = "held"
    """A pin keeps apart what the pair would join, so that it joins nothing."""


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
    """

    one: Identifier
    other: Identifier
    reason: LinkReason
    id: int
    seen_at: datetime
