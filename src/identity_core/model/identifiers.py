"""Identifiers: emails and phone numbers, normalised so that one person's spellings compare as equal.

- Surrounding space is removed, and a blank value counts as absent.
- An email is lower-cased and composed (Unicode's NFC), since some systems send an accented
  letter as two characters.
- A phone number keeps a leading ``+`` and its digits; digits of any script become ASCII. Spaces,
  dots, dashes, brackets, slashes and other marks are removed. A whole number is accepted as a
  phone number, since clients send them.

A value is rejected if it cannot identify anybody or cannot be stored, and for nothing stricter,
because an address that looks odd still identifies somebody:

- anything but text (for a phone number: text or a whole number that is not negative);
- control characters, NUL and lone surrogates, invisible format characters and line separators,
  and characters that Unicode does not define;
- an email without exactly one ``@`` between two non-empty parts, or of over 255 characters;
- a phone number with a letter, without a digit, or of over 20 characters.

Lengths are counted after normalising.
"""

import unicodedata
from enum import StrEnum
from typing import NamedTuple

from identity_core.errors import InvalidDetails

MAX_EMAIL_LENGTH = 255
MAX_PHONE_NUMBER_LENGTH = 20


class IdentifierKind(StrEnum):
    """What an identifier is."""

    EMAIL = "email"
    PHONE_NUMBER = "phone_number"


class Identifier(NamedTuple):
    """An email or a phone number, normalised."""

    kind: IdentifierKind
    value: str


def to_identifiers(email: str | None, phone_number: str | None) -> tuple[Identifier, ...]:
    """The identifiers that two normalised values are, the email first; None is none.

    >>> to_identifiers(None, "5550123")
    (Identifier(kind=<IdentifierKind.PHONE_NUMBER: 'phone_number'>, value='5550123'),)
    """
    emails = () if email is None else (Identifier(IdentifierKind.EMAIL, email),)
    if phone_number is None:
        return emails
    return (*emails, Identifier(IdentifierKind.PHONE_NUMBER, phone_number))


def normalise_email(value: object) -> str | None:
    """Normalise an email as it is compared and stored; None if it is absent or blank.

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
    _reject_unusable("email", email)
    local, _, domain = email.partition("@")
    if not local or not domain or "@" in domain:
        raise InvalidDetails("email", "must have exactly one @ between two non-empty parts")
    if len(email) > MAX_EMAIL_LENGTH:
        raise InvalidDetails("email", f"must have at most {MAX_EMAIL_LENGTH} characters")
    return email


def normalise_phone_number(value: object) -> str | None:
    """Normalise a phone number as it is compared and stored; None if it is absent or blank.

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
    _reject_unusable("phone_number", text)
    # Most are plain digits already and need no look at each character.
    is_plain = text.isascii() and text.removeprefix("+").isdecimal()
    number = text if is_plain else _to_digits(text)
    if number in ("", "+"):
        raise InvalidDetails("phone_number", "must have a digit")
    if len(number) > MAX_PHONE_NUMBER_LENGTH:
        raise _phone_number_too_long()
    return number


def _to_digits(text: str) -> str:
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


def _reject_unusable(name: str, text: str) -> None:
    if text.isprintable():  # far the most common, and far faster than looking at each character
        return
    for character in text:
        if unusable := _UNUSABLE.get(unicodedata.category(character)):
            raise InvalidDetails(name, f"must not have {unusable}")
