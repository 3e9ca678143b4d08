"""What somebody identified themselves with: normalised and checked when it is made.

Normalisation, so that one person's spellings compare as equal:

- Surrounding space goes, and a blank value counts as absent.
- An email is lower-cased and composed (Unicode's NFC), since some systems send an accented
  letter as two characters.
- A phone number keeps a leading ``+`` and its digits; the digits of any script become
  ASCII. Spaces, dots, dashes, brackets, slashes and other marks go. A whole number is
  accepted as a phone number, since clients send them.

Refused is what cannot identify anybody or cannot be stored, and nothing stricter, because an
address that looks odd still identifies somebody:

- what is not text (for a phone number: text or a whole number that is not negative);
- control characters, NUL and lone surrogates, invisible format characters and line separators,
  and characters that Unicode does not define;
- an email without exactly one ``@`` between two non-empty parts, or of over 255 characters;
- a phone number with a letter, without a digit, or of over 20 characters;
- details with neither an email nor a phone number;
- a time without an offset from UTC.

The lengths are counted after normalising.
"""

import unicodedata
from datetime import UTC, datetime

from attrs import field, frozen

from identity_core.errors import InvalidDetails

MAX_EMAIL_LENGTH = 255
MAX_PHONE_NUMBER_LENGTH = 20


def normalise_email(value: object) -> str | None:
    """The email as it is compared and stored; None where it is absent or blank.

    Raises:
        InvalidDetails: for the field ``email``.

    >>> normalise_email("  Doc@HillValley.edu ")
    'doc@hillvalley.edu'
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidDetails("email", "must be text")
    email = value.strip().lower()
    if not email:
        return None
    if not email.isascii():
        email = unicodedata.normalize("NFC", email)
    _refuse_unusable("email", email)
    local, _, domain = email.partition("@")
    if not local or not domain or "@" in domain:
        raise InvalidDetails("email", "must have exactly one @ between two non-empty parts")
    if len(email) > MAX_EMAIL_LENGTH:
        raise InvalidDetails("email", f"must have at most {MAX_EMAIL_LENGTH} characters")
    return email


def normalise_phone_number(value: object) -> str | None:
    """The phone number as it is compared and stored; None where it is absent or blank.

    Raises:
        InvalidDetails: for the field ``phone_number``.

    >>> normalise_phone_number(" +1 (555) 01-23")
    '+15550123'
    >>> normalise_phone_number(123456)
    '123456'
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise InvalidDetails("phone_number", "must not be negative")
        if value >= 10**MAX_PHONE_NUMBER_LENGTH:
            raise _phone_number_too_long()
        return str(value)
    if not isinstance(value, str):
        raise InvalidDetails("phone_number", "must be text or a whole number")
    text = value.strip()
    if not text:
        return None
    _refuse_unusable("phone_number", text)
    # Most are plain digits already, and need not be looked at one by one.
    is_plain = text.isascii() and text.removeprefix("+").isdecimal()
    number = text if is_plain else _dialled(text)
    if number in ("", "+"):
        raise InvalidDetails("phone_number", "must have a digit")
    if len(number) > MAX_PHONE_NUMBER_LENGTH:
        raise _phone_number_too_long()
    return number


def _dialled(text: str) -> str:
    kept: list[str] = []
    for character in text:
        if character.isdecimal():
            kept.append(str(unicodedata.decimal(character)))
        elif character.isalnum():
            raise InvalidDetails("phone_number", "must not have letters")
        elif character in "+\N{FULLWIDTH PLUS SIGN}" and not kept:
            kept.append("+")
    return "".join(kept)


def _phone_number_too_long() -> InvalidDetails:
    return InvalidDetails("phone_number", f"must have at most {MAX_PHONE_NUMBER_LENGTH} characters")


# By Unicode's general category. What is invisible makes two values that look the same. What is not
# defined cannot be compared: another version of Unicode, such as the database's, may compose it.
_UNUSABLE = {
    "Cc": "control characters or lone surrogates",
    "Cs": "control characters or lone surrogates",
    "Cf": "invisible characters",
    "Zl": "invisible characters",
    "Zp": "invisible characters",
    "Cn": "characters that Unicode does not define",
}


def _refuse_unusable(name: str, text: str) -> None:
    if text.isprintable():  # far the most common, and far faster than looking at each character
        return
    for character in text:
        if unusable := _UNUSABLE.get(unicodedata.category(character)):
            raise InvalidDetails(name, f"must not have {unusable}")


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
    def on_record(
        cls, email: str | None, phone_number: str | None, seen_at: datetime | None = None
    ) -> "ContactDetails":
        """Details that are taken as they are: they were checked, or others wrote what would be refused.

        >>> ContactDetails.on_record("no email", None)
        ContactDetails(email='no email', phone_number=None, seen_at=None)
        """
        details = cls.__new__(cls)
        set_ = object.__setattr__  # as attrs does it; unrolled, since an import makes millions
        set_(details, "email", email)
        set_(details, "phone_number", phone_number)
        set_(details, "seen_at", seen_at)
        return details

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
