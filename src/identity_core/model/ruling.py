"""Rulings: what people decide about the record. A ruling overrides what was seen."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from identity_core.model.identifiers import Identifier, IdentifierKind


class Verdict(StrEnum):
    """What a ruling says of its two values."""

    UNDONE = "undone"
    """The pair, or the inherited link, between them was wrong and does not count."""
    SAME = "same"
    """They are one customer: a pin."""
    DIFFERENT = "different"
    """They are never one customer: a pin."""
    INHERITED = "inherited"
    """The link that they inherited was undone and restored, so that it counts again."""


PINS = frozenset([Verdict.SAME, Verdict.DIFFERENT])
"""The verdicts of pins."""


@frozen
class Ruling:
    """A person's decision about two values.

    Attributes:
        id: from the same supply as contact ids.
        verdict: what it says.
        one: a value; of a pair, the email.
        other: another value.
        decided_at: when, in UTC.
        decided_by: who; None if nobody said.
        reason: why.
        split_id: the ruling that pins the two apart, if a split made both.
    """

    id: int
    verdict: Verdict
    one: Identifier
    other: Identifier
    decided_at: datetime
    decided_by: str | None
    reason: str
    split_id: int | None = None

    @property
    def pair(self) -> tuple[str, str] | None:
        """The email and the phone number; None if it is about two values of one kind."""
        if (self.one.kind, self.other.kind) != (IdentifierKind.EMAIL, IdentifierKind.PHONE_NUMBER):
            return None
        return self.one.value, self.other.value

    @property
    def values(self) -> frozenset[Identifier]:
        """The two values in no order."""
        return frozenset([self.one, self.other])


@frozen
class Withdrawal:
    """The end of a ruling: it no longer applies, and stays on record.

    Attributes:
        ruling_id: the ruling.
        withdrawn_at: when, in UTC.
        withdrawn_by: who; None if nobody said.
        reason: why.
    """

    ruling_id: int
    withdrawn_at: datetime
    withdrawn_by: str | None
    reason: str


@frozen
class Note:
    """Who rules, and why.

    Attributes:
        by: who; None if nobody said.
        reason: why.
        at: when it was decided, in UTC; None means now. Only rulings from elsewhere have a time of
            their own.
    """

    by: str | None
    reason: str
    at: datetime | None = None
