"""Striking values out of what people wrote."""

import re
from collections.abc import Callable, Collection, Iterator

from identity_core.errors import InvalidDetails
from identity_core.model.identifiers import Identifier, IdentifierKind, normalise_email

STRUCK = "[erased]"
"""What stands in place of a value."""

LEAST_DIGITS = 7
"""How many of the last digits of a phone number name it, at least: people leave out the country."""

_EMAIL = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")
_NUMBERS = re.compile(r"[+(]*\d(?:[\d ./()\[\]-]*\d)?")
_WORD = re.compile(r"\S+")


def make_strike(values: Collection[Identifier], mark: str = STRUCK) -> Callable[[str], str]:
    """Make the function that strikes some values out of a text, in whatever way they are written there.

    What names a person otherwise stays.

    Args:
        values: the values.
        mark: what stands in their place.

    >>> from identity_core import ContactDetails
    >>> strike = make_strike(ContactDetails("doc@hillvalley.edu", "+1 555-0123").identifiers)
    >>> strike("Doc@HillValley.edu called from 1 (555) 0123 or 555.0123, not from 555-0199.")
    '[erased] called from [erased] or [erased], not from 555-0199.'
    """
    emails = {value for kind, value in values if kind is IdentifierKind.EMAIL}
    numbers: set[str] = set()
    for kind, value in values:
        if kind is IdentifierKind.PHONE_NUMBER:
            digits = _to_digits(value)
            numbers.update(digits[start:] for start in range(max(1, len(digits) - LEAST_DIGITS + 1)))

    def strike_email(found: re.Match[str]) -> str:
        mention = found[0].rstrip(".!?")
        return mark + found[0][len(mention) :] if _normalize(mention) in emails else found[0]

    def strike_numbers(found: re.Match[str]) -> str:
        text, struck, at = found[0], "", 0
        for start, end in _find_spans(text):
            if start >= at and _to_digits(text[start:end]) in numbers:
                struck += text[at:start] + mark
                at = end
        return struck + text[at:]

    return lambda text: _NUMBERS.sub(strike_numbers, _EMAIL.sub(strike_email, text))


def _find_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where in a text of numbers one may be: any words in a row, the first and the most words first."""
    words = [found.span() for found in _WORD.finditer(text)]
    for first, (start, _) in enumerate(words):
        for _, end in reversed(words[first:]):
            yield start, end


def _to_digits(text: str) -> str:
    """The digits without zeros in front, which stand for leaving out the country or for dialling it."""
    return "".join(filter(str.isdigit, text)).lstrip("0") or "0"


def _normalize(email: str) -> str | None:
    try:
        return normalise_email(email)
    except InvalidDetails:
        return None
