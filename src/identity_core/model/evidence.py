"""Evidence: a pair of email and phone number that was seen together but that no contact holds."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.rule_set import Hold


class Standing(StrEnum):
    """Whether a recorded pair joins its two values."""

    COUNTS = "counts"
    UNDONE = "undone"
    """A person said that it was wrong."""
    HELD = "held"
    """It would join two values that a pin keeps apart, or exceed a limit."""
    BLOCKED = "blocked"
    """One of its values identifies nobody."""


@frozen
class Evidence:
    """A pair seen together that no contact holds: both values were known already, or it does not count.

    Attributes:
        id: from the same supply as contact ids. The pair of a contact that stopped counting has the id of
            the contact, which keeps the email.
        email: normalised.
        phone_number: normalised.
        seen_at: when, in UTC.
        standing: whether it joins the two.
        hold: the limit that it would exceed, until somebody rules on it or the limit is raised; None if
            no limit holds it. A pin that says that the two are one overrides it.
    """

    id: int
    email: str
    phone_number: str
    seen_at: datetime
    standing: Standing = Standing.COUNTS
    hold: Hold | None = None

    @property
    def pair(self) -> tuple[str, str]:
        """Email and phone number, as in `ContactDetails.pair`."""
        return self.email, self.phone_number

    @property
    def leads_on(self) -> bool:
        """Whether a record follows the pair from one of its values to the other.

        Of a value that is blocked, or at its limit, there may be millions of pairs: these are not followed.
        """
        return self.standing is Standing.COUNTS or (self.standing is Standing.HELD and self.hold is None)

    @property
    def identifiers(self) -> tuple[Identifier, Identifier]:
        """The email and the phone number."""
        return Identifier(IdentifierKind.EMAIL, self.email), Identifier(
            IdentifierKind.PHONE_NUMBER, self.phone_number
        )
