"""Evidence: a pair of email and phone number that was seen together but that no contact holds."""

from datetime import datetime

from attrs import frozen


@frozen
class Evidence:
    """A pair seen together that no contact holds, because both values were known already.

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
