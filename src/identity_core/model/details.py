"""Contact details: an email, a phone number or both, seen together, normalised and checked when made."""

from datetime import UTC, datetime

from attrs import field, frozen

from identity_core.errors import InvalidDetails
from identity_core.model.identifiers import (
    Identifier,
    IdentifierKind,
    normalise_email,
    normalise_phone_number,
    to_identifiers,
)


def _utc(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidDetails("seen_at", "must be a datetime")
    if value.utcoffset() is None:
        raise InvalidDetails("seen_at", "must have an offset from UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidDetails("seen_at", "must lie in the years 1 to 9999 in UTC") from None


@frozen
class ContactDetails:
    """One email, one phone number, or both, seen together.

    Attributes:
        email: normalised, or None.
        phone_number: normalised, or None.
        seen_at: when they were seen, in UTC; None means now. Only details that are taken
            over from elsewhere carry a time of their own.

    Raises:
        InvalidDetails: a value cannot be used, or both are missing.

    >>> ContactDetails(email="Doc@HillValley.edu", phone_number="555-0123")
    ContactDetails(email='doc@hillvalley.edu', phone_number='5550123', seen_at=None)
    """

    email: str | None = field(default=None, converter=normalise_email)
    phone_number: str | None = field(default=None, converter=normalise_phone_number)
    seen_at: datetime | None = field(default=None, converter=_utc)

    def __attrs_post_init__(self) -> None:
        if self.email is None and self.phone_number is None:
            raise InvalidDetails("details", "must have an email, a phone number or both")

    @classmethod
    def from_trusted(
        cls, email: str | None, phone_number: str | None, seen_at: datetime | None = None
    ) -> "ContactDetails":
        """Details that are taken as they are: they were checked, or others wrote what would be refused.

        >>> ContactDetails.from_trusted("no email", None)
        ContactDetails(email='no email', phone_number=None, seen_at=None)
        """
        details = cls.__new__(cls)
        set_ = object.__setattr__  # as attrs does it; unrolled, since an import makes millions
        set_(details, "email", email)
        set_(details, "phone_number", phone_number)
        set_(details, "seen_at", seen_at)
        return details

    @classmethod
    def of(cls, identifier: Identifier) -> "ContactDetails":
        """A value as details that hold nothing else.

        >>> ContactDetails.of(Identifier(IdentifierKind.PHONE_NUMBER, "5550123")).key
        (None, '5550123')
        """
        kind, value = identifier
        is_email = kind is IdentifierKind.EMAIL
        return cls.from_trusted(value if is_email else None, None if is_email else value)

    @property
    def key(self) -> tuple[str | None, str | None]:
        """Email and phone number: two details with one key say the same."""
        return self.email, self.phone_number

    @property
    def pair(self) -> tuple[str, str] | None:
        """Email and phone number where both are given, else None."""
        if self.email is None or self.phone_number is None:
            return None
        return self.email, self.phone_number

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The email and the phone number, those that are given."""
        return to_identifiers(self.email, self.phone_number)
