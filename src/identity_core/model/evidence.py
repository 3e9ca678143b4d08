"""Evidence: a pair of email and phone number that was seen together but that no contact holds."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from identity_core.model.identifiers import Identifier, IdentifierKind


class Standing(StrEnum):
    """Whether a recorded pair joins its two values."""

    COUNTS = "counts"
    UNDONE = "undone"
    """A person said that it was wrong."""
    HELD = "held"
    """It would join two values that a pin keeps apart."""


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
    """

    id: int
    email: str
    phone_number: str
    seen_at: datetime
    standing: Standing = Standing.COUNTS

    @property
    def pair(self) -> tuple[str, str]:
        """Email and phone number, as in `ContactDetails.pair`."""
        return self.email, self.phone_number

    @property
    def identifiers(self) -> tuple[Identifier, Identifier]:
        """The email and the phone number."""
        return Identifier(IdentifierKind.EMAIL, self.email), Identifier(
            IdentifierKind.PHONE_NUMBER, self.phone_number
        )
