"""The rules in force, and values that rules block."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
from attrs import asdict
from msgspec import Meta

from identity_adapters.api import MakeDetails, Time
from identity_core import Hold, IdentifierKind, InvalidDetails, Limits, RuleSet, RulesInForce
from identity_core.model.identifiers import MAX_PHONE_NUMBER_LENGTH
from identity_core.model.presets import PRESETS
from identity_core.model.rule_set import NO_LIMITS

MAX_LIMIT = 2**31 - 1

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]

_WILDCARD = re.compile(r"[*?]")
_PHONE_NUMBER_MARKS = str.maketrans("", "", " -./()")


class HeldBy(StrEnum):
    """The limit that holds a pair, by its name in the rules.

    `unchecked` pairs came while one of their values was blocked; no limit was applied to them yet.
    """

    PHONE_NUMBERS_PER_EMAIL = "phoneNumbersPerEmail"
    EMAILS_PER_PHONE_NUMBER = "emailsPerPhoneNumber"
    VALUES_PER_IDENTITY = "valuesPerIdentity"
    VALUES_ON_SMALLER_SIDE = "valuesOnSmallerSide"
    UNCHECKED = "unchecked"

    @classmethod
    def of(cls, hold: Hold) -> "HeldBy":
        return cls[hold.name]


class BlockedValues(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Values that identify nobody.

    A member of `emails` or `phoneNumbers` that has `*` or `?` is a pattern: `*` stands for any characters,
    `?` for one. `oneDigit` blocks phone numbers that repeat one digit. `presets` are names of published lists
    of placeholders.
    """

    emails: tuple[str, ...] = ()
    phone_numbers: tuple[str, ...] = ()
    one_digit: bool = False
    presets: tuple[str, ...] = ()


class RuleLimits(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How much may belong together by pairs. Null is no limit.

    - `phoneNumbersPerEmail`: with how many phone numbers an email may be in pairs that count.
    - `emailsPerPhoneNumber`: with how many emails a phone number may be.
    - `valuesPerIdentity`: how many emails and phone numbers an identity may have.
    - `valuesOnSmallerSide`: how many the smaller one of two identities may have that a pair makes one.
    """

    phone_numbers_per_email: Limit | None = None
    emails_per_phone_number: Limit | None = None
    values_per_identity: Limit | None = None
    values_on_smaller_side: Limit | None = None


class RulesAnswer(msgspec.Struct, rename="camel"):
    """The rules in force.

    `version` counts their changes. `appliedAt`, `appliedBy` and `reason` are of the last change; they are
    null if there never was one. `isSettled` is whether everything that is recorded is in line with the rules.
    """

    blocked: BlockedValues
    limits: RuleLimits
    version: int
    applied_at: Time | None
    applied_by: str | None
    reason: str | None
    is_settled: bool


def to_rules_answer(in_force: RulesInForce) -> RulesAnswer:
    """Convert the rules in force to an answer."""
    rules, note = in_force.rules, in_force.note
    blocked = BlockedValues(
        _sort(rules.emails, rules.email_patterns),
        _sort(rules.phone_numbers, rules.phone_number_patterns),
        rules.one_digit,
        _sort(rules.presets),
    )
    return RulesAnswer(
        blocked,
        RuleLimits(**asdict(rules.limits)),
        in_force.version,
        None if note is None else note.at,
        None if note is None else note.by,
        None if note is None else note.reason,
        in_force.is_settled,
    )


def _sort(*values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(value for some in values for value in some))


def make_rules(
    emails: Sequence[str],
    phone_numbers: Sequence[str],
    presets: Sequence[str],
    *,
    one_digit: bool,
    limits: Limits = NO_LIMITS,
) -> RuleSet:
    """Make rules of what was parsed; values that have wildcards are patterns."""
    return RuleSet(
        emails=(value for value in emails if not is_pattern(value)),
        phone_numbers=(value for value in phone_numbers if not is_pattern(value)),
        email_patterns=filter(is_pattern, emails),
        phone_number_patterns=filter(is_pattern, phone_numbers),
        presets=presets,
        one_digit=one_digit,
        limits=limits,
    )


def is_pattern(value: str) -> bool:
    """Whether a blocked value stands for many."""
    return _WILDCARD.search(value) is not None


def parse_preset(value: object) -> str:
    """Parse the name of a preset.

    Raises:
        InvalidDetails: there is no such preset.
    """
    if not isinstance(value, str) or value not in PRESETS:
        raise InvalidDetails("presets", f"must be one of {', '.join(sorted(PRESETS))}")
    return value


def parse_blocked_value(kind: IdentifierKind, value: object, make_details: MakeDetails) -> str:
    """Parse a value that is blocked, or a pattern; the result is spelled as values of details are.

    >>> from identity_core import ContactDetails
    >>> parse_blocked_value(IdentifierKind.EMAIL, "Test@Example.org", ContactDetails)
    'test@example.org'
    >>> parse_blocked_value(IdentifierKind.EMAIL, "*.Example.org", ContactDetails)
    '*.example.org'
    >>> parse_blocked_value(IdentifierKind.PHONE_NUMBER, "+1 (555) 01??", ContactDetails)
    '+155501??'

    Raises:
        InvalidDetails: it cannot be used.
    """
    if not isinstance(value, str):
        raise InvalidDetails(kind, "must be text")
    if not value.strip():
        raise InvalidDetails(kind, "must not be blank")
    if is_pattern(value) and not any(map(str.isalnum, value)):
        raise InvalidDetails(kind, "must have a letter or a digit, or it would match everything")
    if kind is IdentifierKind.PHONE_NUMBER:
        return _parse_phone_number(value, make_details)
    # A pattern may be of the end of a domain alone.
    lacks_local_part = is_pattern(value) and "@" not in value
    [email] = make_details(f"x@{value.strip()}" if lacks_local_part else value, None).identifiers
    return email.value.removeprefix("x@") if lacks_local_part else email.value


def _parse_phone_number(value: str, make_details: MakeDetails) -> str:
    if not is_pattern(value):
        [phone_number] = make_details(None, value).identifiers
        return phone_number.value
    pattern = value.translate(_PHONE_NUMBER_MARKS)
    if not re.fullmatch(r"\+?[0-9*?]+", pattern):
        raise InvalidDetails("phone_number", "must have digits, with * and ? for others")
    if len(pattern) > MAX_PHONE_NUMBER_LENGTH:
        raise InvalidDetails("phone_number", f"must have at most {MAX_PHONE_NUMBER_LENGTH} characters")
    return pattern
