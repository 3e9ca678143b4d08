"""Everything on record of a person, as one document that is written piece by piece.

A document may be of an identity of any size, so it is never held as a whole: its members are lists, and the
records of each are made while they are written.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated

import msgspec
from attrs import frozen
from msgspec import Meta

from identity_adapters.api import DetailsMember, IdentifierValue, Time
from identity_adapters.api.events import EventRecord, to_event_record
from identity_adapters.api.rules import HeldBy
from identity_core import (
    DisclosedContact,
    DisclosedPair,
    DisclosedRuling,
    DisclosedValue,
    Disclosure,
    Identifier,
    NamingRules,
    Standing,
    Verdict,
)

CHUNK = 500
"""How many records are encoded at once."""

Month = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}$")]


class AccessedValue(msgspec.Struct, rename="camel"):
    """A value of the person. `lastSeenMonth` is null unless that is recorded."""

    value: IdentifierValue
    first_seen: Time | None
    last_seen_month: Month | None
    is_blocked: bool


class AccessedContact(msgspec.Struct, rename="camel"):
    """A contact of the person. The members in `ofOtherPerson` are null, because they are somebody else's."""

    id: int
    email: str | None
    phone_number: str | None
    of_other_person: tuple[DetailsMember, ...]
    linked_id: int | None
    created_at: Time
    deleted_at: Time | None


class AccessedPair(msgspec.Struct, rename="camel"):
    """An email and a phone number that were seen together. One that is null is somebody else's."""

    email: str | None
    phone_number: str | None
    first_seen: Time
    standing: Standing
    held_by: HeldBy | None


class AccessedWithdrawal(msgspec.Struct, rename="camel"):
    """The end of a decision."""

    withdrawn_at: Time
    withdrawn_by: str | None
    reason: str


class AccessedDecision(msgspec.Struct, rename="camel"):
    """A ruling about two values. One that is null is somebody else's.

    `withdrawal` is null while the ruling is in force.
    """

    id: int
    verdict: Verdict
    one: IdentifierValue | None
    other: IdentifierValue | None
    reason: str
    decided_at: Time
    decided_by: str | None
    split_id: int | None
    withdrawal: AccessedWithdrawal | None


class AccessedRules(msgspec.Struct, rename="camel"):
    """Rules that block values of the person by themselves, since when, and until when."""

    version: int
    values: tuple[IdentifierValue, ...]
    applied_at: Time | None
    applied_by: str | None
    reason: str | None
    replaced_at: Time | None


class AccessAnswer(msgspec.Struct, rename="camel"):
    """Everything on record of a person.

    - `values` are their emails and phone numbers, with the earliest date on record of each.
    - `contacts` are their contacts, live ones first, then deleted ones.
    - `pairs` are the pairs of email and phone number on record with one of the values.
    - `decisions` are the rulings that name one of the values, in force or not.
    - `rules` are the rules that name one of the values, in force or not.
    - `history` are the events of the identity, in ids alone.
    """

    generated_at: Time
    values: list[AccessedValue]
    contacts: list[AccessedContact]
    pairs: list[AccessedPair]
    decisions: list[AccessedDecision]
    rules: list[AccessedRules]
    history: list[EventRecord]


@frozen
class AccessDocument:
    """What is handed out of a person; each property makes the records of a member anew.

    Attributes:
        disclosure: what is on record of them.
        generated_at: when it was read, in UTC.
    """

    disclosure: Disclosure
    generated_at: datetime

    @property
    def values(self) -> Iterator[AccessedValue]:
        return map(_to_value, self.disclosure.values)

    @property
    def contacts(self) -> Iterator[AccessedContact]:
        return map(_to_contact, self.disclosure.contacts)

    @property
    def pairs(self) -> Iterator[AccessedPair]:
        return map(_to_pair, self.disclosure.pairs)

    @property
    def decisions(self) -> Iterator[AccessedDecision]:
        return map(_to_decision, self.disclosure.rulings)

    @property
    def rules(self) -> Iterator[AccessedRules]:
        return map(_to_rules, self.disclosure.rules)

    @property
    def history(self) -> Iterator[EventRecord]:
        return map(to_event_record, self.disclosure.events)

    def encode(self) -> Iterator[bytes]:
        """The JSON of the `AccessAnswer`, in pieces."""
        encode = msgspec.json.encode
        yield b'{"generatedAt":' + encode(self.generated_at)
        members: dict[str, Iterator[msgspec.Struct]] = {
            "values": self.values,
            "contacts": self.contacts,
            "pairs": self.pairs,
            "decisions": self.decisions,
            "rules": self.rules,
            "history": self.history,
        }
        for name, records in members.items():
            before = f',"{name}":['.encode()
            while chunk := [*islice(records, CHUNK)]:
                yield before + encode(chunk)[1:-1]
                before = b","
            yield b"]" if before == b"," else before + b"]"
        yield b"}"


def _to_value(known: DisclosedValue) -> AccessedValue:
    month = None if known.last_seen is None else f"{known.last_seen:%Y-%m}"
    return AccessedValue(IdentifierValue.of(known.value), known.first_seen, month, known.is_blocked)


def _to_contact(disclosed: DisclosedContact) -> AccessedContact:
    contact = disclosed.contact
    return AccessedContact(
        contact.id,
        contact.email,
        contact.phone_number,
        tuple(map(DetailsMember.of, disclosed.left_out)),
        contact.linked_id,
        contact.created_at,
        disclosed.deleted_at,
    )


def _to_pair(pair: DisclosedPair) -> AccessedPair:
    held_by = None if pair.hold is None else HeldBy.of(pair.hold)
    return AccessedPair(pair.email, pair.phone_number, pair.seen_at, pair.standing, held_by)


def _to_decision(ruling: DisclosedRuling) -> AccessedDecision:
    end = ruling.withdrawal
    return AccessedDecision(
        ruling.id,
        ruling.verdict,
        _to_identifier_value(ruling.one),
        _to_identifier_value(ruling.other),
        ruling.reason,
        ruling.decided_at,
        ruling.decided_by,
        ruling.split_id,
        None if end is None else AccessedWithdrawal(end.withdrawn_at, end.withdrawn_by, end.reason),
    )


def _to_identifier_value(value: Identifier | None) -> IdentifierValue | None:
    return None if value is None else IdentifierValue.of(value)


def _to_rules(naming: NamingRules) -> AccessedRules:
    note = naming.note
    return AccessedRules(
        naming.version,
        tuple(map(IdentifierValue.of, naming.values)),
        None if note is None else note.at,
        None if note is None else note.by,
        None if note is None else note.reason,
        naming.replaced_at,
    )
