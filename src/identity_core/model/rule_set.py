"""Rules: which values identify nobody, and how much one customer may have in common.

They are off by default. They keep strangers apart who share a value: the shop's own phone number, an
address that is typed where one must be given.
"""

import re
from collections.abc import Collection, Iterable
from enum import StrEnum
from functools import cached_property
from itertools import chain

from attrs import Attribute, asdict, define, evolve, field, frozen

from identity_core.model.details import ContactDetails
from identity_core.model.identifiers import Identifier, IdentifierKind, to_identifiers
from identity_core.model.patterns import Patterns
from identity_core.model.presets import PRESETS
from identity_core.model.ruling import Note


class Hold(StrEnum):
    """Why a recorded pair waits for somebody to accept or reject it."""

    PHONE_NUMBERS_PER_EMAIL = "phone_numbers_per_email"
    EMAILS_PER_PHONE_NUMBER = "emails_per_phone_number"
    VALUES_PER_IDENTITY = "values_per_identity"
    VALUES_ON_SMALLER_SIDE = "values_on_smaller_side"
    UNCHECKED = "unchecked"
    """It came while one of its values was blocked; no limit was applied to it yet."""


@frozen
class Limits:
    """How much may belong together by pairs; None is no limit.

    A limit is applied to a pair when it is seen for the first time. Pairs that count stay as they are, unless
    limits are put in force retroactively.

    Attributes:
        phone_numbers_per_email: with how many phone numbers an email may be in a pair that counts.
        emails_per_phone_number: with how many emails a phone number may be.
        values_per_identity: how many emails and phone numbers an identity may have.
        values_on_smaller_side: how many the smaller one of two identities may have that a pair makes one.
    """

    phone_numbers_per_email: int | None = None
    emails_per_phone_number: int | None = None
    values_per_identity: int | None = None
    values_on_smaller_side: int | None = None

    @property
    def counts_pairs(self) -> bool:
        """Whether it matters in how many pairs a value is."""
        return self.phone_numbers_per_email is not None or self.emails_per_phone_number is not None

    @property
    def counts_values(self) -> bool:
        """Whether it matters how many values an identity has."""
        return self.values_per_identity is not None or self.values_on_smaller_side is not None

    @property
    def unlimited_size(self) -> int | None:
        """How many values an identity may have whatever joined them; None for any number.

        >>> Limits(values_per_identity=9, values_on_smaller_side=2).unlimited_size
        5
        """
        # Both sides of a pair that exceeds the limit of the smaller one have more values than that.
        smaller = self.values_on_smaller_side
        sizes = (self.values_per_identity, None if smaller is None else 2 * smaller + 1)
        return min((size for size in sizes if size is not None), default=None)

    def has(self, hold: Hold) -> bool:
        """Whether there is the limit that holds a pair."""
        return getattr(self, hold, None) is not None

    def find_hold(
        self, phone_numbers: int, emails: int, one: int = 0, other: int = 0, *, are_joined: bool = False
    ) -> Hold | None:
        """The limit that a new pair would exceed; None if it may count.

        Args:
            phone_numbers: with how many phone numbers its email is in pairs that count.
            emails: with how many emails its phone number is.
            one: how many values belong to its email, itself included.
            other: how many belong to its phone number.
            are_joined: whether the two belong together already.

        >>> Limits(emails_per_phone_number=2).find_hold(phone_numbers=0, emails=2)
        <Hold.EMAILS_PER_PHONE_NUMBER: 'emails_per_phone_number'>
        """
        if _exceeds(phone_numbers + 1, self.phone_numbers_per_email):
            return Hold.PHONE_NUMBERS_PER_EMAIL
        if _exceeds(emails + 1, self.emails_per_phone_number):
            return Hold.EMAILS_PER_PHONE_NUMBER
        if are_joined:
            return None
        if _exceeds(one + other, self.values_per_identity):
            return Hold.VALUES_PER_IDENTITY
        if _exceeds(min(one, other), self.values_on_smaller_side):
            return Hold.VALUES_ON_SMALLER_SIDE
        return None


NO_LIMITS = Limits()

_ONE_DIGIT = re.compile(r"\+?([^+])\1*")


def _exceeds(number: int, limit: int | None) -> bool:
    return limit is not None and number > limit


def _freeze(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)


def _check_presets(_: object, attribute: "Attribute[frozenset[str]]", names: frozenset[str]) -> None:
    if not names <= PRESETS.keys():
        raise ValueError(f"{attribute.name} must be some of: {', '.join(sorted(PRESETS))}")


@define(frozen=True, slots=False)
class RuleSet:
    """The rules in force, all of them off by default.

    A *pattern* stands for many values: ``*`` for any characters, ``?`` for one.

    Attributes:
        emails: those that identify nobody.
        phone_numbers: likewise.
        email_patterns: patterns of emails that identify nobody.
        phone_number_patterns: likewise.
        presets: names of `presets.PRESETS`, whose patterns identify nobody either.
        one_digit: whether phone numbers that repeat one digit identify nobody.
        limits: how much may belong together.

    Raises:
        ValueError: there is no such preset.

    >>> rules = RuleSet(email_patterns=["*@example.org"], one_digit=True)
    >>> rules.blocks(Identifier(IdentifierKind.EMAIL, "test@example.org"))
    True
    >>> rules.blocks(Identifier(IdentifierKind.PHONE_NUMBER, "0000000"))
    True
    """

    emails: frozenset[str] = field(default=frozenset(), converter=_freeze)
    phone_numbers: frozenset[str] = field(default=frozenset(), converter=_freeze)
    email_patterns: frozenset[str] = field(default=frozenset(), converter=_freeze)
    phone_number_patterns: frozenset[str] = field(default=frozenset(), converter=_freeze)
    presets: frozenset[str] = field(default=frozenset(), converter=_freeze, validator=_check_presets)
    one_digit: bool = False
    limits: Limits = NO_LIMITS

    @cached_property
    def is_off(self) -> bool:
        """Whether no value is blocked and nothing is limited."""
        return not self.blocks_any and not self.is_limited

    @cached_property
    def is_limited(self) -> bool:
        """Whether anything is limited."""
        return self.limits != NO_LIMITS

    @cached_property
    def blocks_any(self) -> bool:
        """Whether any value identifies nobody."""
        return bool(
            self.emails
            or self.phone_numbers
            or self.email_patterns
            or self.phone_number_patterns
            or self.presets
            or self.one_digit
        )

    @property
    def all_email_patterns(self) -> frozenset[str]:
        """The patterns of emails, those of the presets included."""
        return self.email_patterns.union(*(PRESETS[name].email_patterns for name in self.presets))

    @property
    def all_phone_number_patterns(self) -> frozenset[str]:
        """The patterns of phone numbers, those of the presets included."""
        presets = (PRESETS[name].phone_number_patterns for name in self.presets)
        return self.phone_number_patterns.union(*presets)

    @cached_property
    def _email_patterns(self) -> Patterns:
        return Patterns(self.all_email_patterns)

    @cached_property
    def _phone_number_patterns(self) -> Patterns:
        return Patterns(self.all_phone_number_patterns)

    def blocks(self, identifier: Identifier) -> bool:
        """Whether a value identifies nobody."""
        kind, value = identifier
        if kind is IdentifierKind.EMAIL:
            return value in self.emails or self._email_patterns.match(value)
        return (
            value in self.phone_numbers
            or self._phone_number_patterns.match(value)
            or (self.one_digit and _ONE_DIGIT.fullmatch(value) is not None)
        )

    def pick_blocked(self, batch: Collection[ContactDetails]) -> frozenset[Identifier]:
        """Which values of some details identify nobody; faster than to ask of each of them."""
        if not self.blocks_any:
            return frozenset()
        emails = {details.email for details in batch if details.email is not None}
        numbers = {details.phone_number for details in batch if details.phone_number is not None}
        blocked_emails, blocked_numbers = emails & self.emails, numbers & self.phone_numbers
        if self._email_patterns:
            blocked_emails.update(filter(self._email_patterns.match, emails))
        if self._phone_number_patterns:
            blocked_numbers.update(filter(self._phone_number_patterns.match, numbers))
        if self.one_digit:
            blocked_numbers.update(filter(_ONE_DIGIT.fullmatch, numbers))
        if not blocked_emails and not blocked_numbers:
            return frozenset()
        return frozenset(
            chain(
                (Identifier(IdentifierKind.EMAIL, email) for email in blocked_emails),
                (Identifier(IdentifierKind.PHONE_NUMBER, number) for number in blocked_numbers),
            )
        )

    def block(self, identifier: Identifier) -> "RuleSet":
        """The same rules, and a value more that identifies nobody."""
        kind, value = identifier
        if kind is IdentifierKind.EMAIL:
            return evolve(self, emails=self.emails | {value})
        return evolve(self, phone_numbers=self.phone_numbers | {value})

    def list_blocked(self, kind: IdentifierKind) -> list[Identifier]:
        """The values of a kind that are blocked by themselves, sorted."""
        values = self.emails if kind is IdentifierKind.EMAIL else self.phone_numbers
        return [Identifier(kind, value) for value in sorted(values)]

    def unblock(self, identifiers: Iterable[Identifier]) -> "RuleSet":
        """The same rules, without what they say of some values alone; patterns stay."""
        values = {*identifiers}
        emails = frozenset(e for e in self.emails if Identifier(IdentifierKind.EMAIL, e) not in values)
        numbers = frozenset(
            n for n in self.phone_numbers if Identifier(IdentifierKind.PHONE_NUMBER, n) not in values
        )
        if (emails, numbers) == (self.emails, self.phone_numbers):
            return self
        return evolve(self, emails=emails, phone_numbers=numbers)

    def block_any(self, identifiers: Iterable[Identifier]) -> bool:
        """Whether one of some values identifies nobody."""
        return self.blocks_any and any(map(self.blocks, identifiers))

    def blocks_pair(self, pair: tuple[str, str]) -> bool:
        """Whether the email or the phone number of a pair identifies nobody."""
        return self.block_any(to_identifiers(*pair))

    def find_blocked(self, details: ContactDetails) -> tuple[IdentifierKind, ...]:
        """Which of the email and the phone number identify nobody."""
        if not self.blocks_any:
            return ()
        return tuple(identifier.kind for identifier in details.identifiers if self.blocks(identifier))


def strip(details: ContactDetails, blocked: Iterable[IdentifierKind]) -> ContactDetails:
    """Details without the values that identify nobody; they may be empty.

    >>> strip(ContactDetails("doc@hillvalley.edu", "555-0123"), [IdentifierKind.EMAIL]).key
    (None, '5550123')
    """
    return ContactDetails.from_trusted(
        None if IdentifierKind.EMAIL in blocked else details.email,
        None if IdentifierKind.PHONE_NUMBER in blocked else details.phone_number,
        details.seen_at,
    )


NO_RULES = RuleSet()
"""Every value identifies somebody, and nothing is limited."""


@frozen
class RulesInForce:
    """The rules, and how far what was recorded before is in line with them.

    Attributes:
        rules: the rules.
        version: counts the changes of the rules; 0 if there never were any.
        released: the limits that were raised: what they hold is considered again.
        retroactive: whether the limits are applied to all that is recorded, as if they had been in force
            from the beginning.
        settled_id: what was recorded with ids up to this one is in line.
        last_id: what was recorded with larger ids was in line from the beginning.
        note: who put them in force, why and when; None if nobody did.
    """

    rules: RuleSet = NO_RULES
    version: int = 0
    released: frozenset[Hold] = frozenset()
    settled_id: int = 0
    last_id: int = 0
    note: Note | None = None
    retroactive: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether everything that is recorded is in line with the rules."""
        return self.settled_id >= self.last_id

    def replace(
        self, rules: RuleSet, note: Note | None, last_id: int, *, retroactive: bool = False
    ) -> "RulesInForce":
        """Put other rules in force.

        Args:
            rules: the rules.
            note: who puts them in force, why and when.
            last_id: the largest id that anything recorded has.
            retroactive: whether the limits are applied to all that is recorded.
        """
        released = find_raised(self.rules.limits, rules.limits)
        if not self.is_settled:
            released |= self.released
            retroactive = retroactive or self.retroactive
        return RulesInForce(rules, self.version + 1, released, 0, last_id, note, retroactive)


@frozen
class UnsettledLink:
    """A pair, or a ruling, that may not be in line with the rules.

    Attributes:
        ends: its two values.
        primary_ids: the primary of the identity of each; None for a blocked value that no contact has.
        large_ids: those of these primaries whose identities are too large to be read whole.
    """

    ends: tuple[Identifier, Identifier]
    primary_ids: tuple[int | None, int | None]
    large_ids: frozenset[int] = frozenset()

    def choose(self, rules: RuleSet) -> list[Identifier]:
        """The values whose record decides about it: those that identify somebody, if there are any.

        Very many links may have one blocked value; nothing is gained by reading what else has it.
        """
        return [value for value in self.ends if not rules.blocks(value)] or [*self.ends]


def find_raised(before: Limits, after: Limits) -> frozenset[Hold]:
    """The limits that were raised or removed.

    >>> find_raised(Limits(phone_numbers_per_email=2, values_per_identity=9), Limits(values_per_identity=5))
    frozenset({<Hold.PHONE_NUMBERS_PER_EMAIL: 'phone_numbers_per_email'>})
    """
    old, new = asdict(before), asdict(after)
    return frozenset(
        Hold(name)
        for name, limit in old.items()
        if limit is not None and (new[name] is None or new[name] > limit)
    )
