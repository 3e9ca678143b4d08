"""What queries are answered with, as HTTP and the command line write it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from identity_core import (
    Contact,
    ContactDetails,
    EventKind,
    Explanation,
    Happening,
    Identifier,
    Kind,
    Link,
    LinkPrecedence,
    Page,
    Reason,
    WeakestLink,
)

MAX_ID = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Time = Annotated[datetime, Meta(tz=True)]


class ContactRecord(msgspec.Struct, rename="camel"):
    """One contact on record."""

    id: int
    email: str | None
    phone_number: str | None
    link_precedence: LinkPrecedence
    created_at: Time


class IdentityPage(msgspec.Struct, rename="camel"):
    """An identity: how much there is of it, and some of its contacts, oldest first.

    `next` is the `after` of the next page; null on the last one.
    """

    primary_contact_id: int
    total_contacts: int
    total_emails: int
    total_phone_numbers: int
    contacts: list[ContactRecord]
    next: str | None


class LookupAnswer(msgspec.Struct):
    """What `POST /lookup` answers: the identities touched, the oldest first."""

    identities: list[IdentityPage]


def shown(found: Page) -> IdentityPage:
    """A page as it is answered."""
    return IdentityPage(
        found.primary_contact_id,
        found.total_contacts,
        found.total_emails,
        found.total_phone_numbers,
        [_record(contact, found.primary_contact_id) for contact in found.contacts],
        None if found.last is None else _cursor(*found.last),
    )


def _record(contact: Contact, primary_contact_id: int) -> ContactRecord:
    is_primary = contact.id == primary_contact_id
    precedence = LinkPrecedence.PRIMARY if is_primary else LinkPrecedence.SECONDARY
    return ContactRecord(contact.id, contact.email, contact.phone_number, precedence, contact.created_at)


def _cursor(created_at: datetime, contact_id: int) -> str:
    return f"{(created_at - _EPOCH) // _MICROSECOND}.{contact_id}"


class Cursor:
    """Where a page of an identity ends: the age of its last contact."""

    def __init__(self, written: str) -> None:
        number, _, contact_id = written.partition(".")
        try:
            self.age = _EPOCH + int(number) * _MICROSECOND, int(contact_id)
        except OverflowError as error:
            raise ValueError from error
        if not 0 <= self.age[1] <= MAX_ID:
            raise ValueError


class Value(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An email or a phone number."""

    email: str | None = None
    phone_number: str | None = None


class ChainLink(msgspec.Struct, rename="camel"):
    """One step from an identifier to the next: by a contact, by evidence, or by an inherited link."""

    one: Value
    other: Value
    reason: Reason
    id: int
    seen_at: Time


class Weakest(msgspec.Struct, rename="camel"):
    """The value that, taken away, parts the two."""

    identifier: Value
    pairs: int
    contacts_before: int
    contacts_after: int


class ExplainAnswer(msgspec.Struct, rename="camel"):
    """What `POST /explain` answers."""

    is_connected: bool
    chain: list[ChainLink]
    weakest_link: Weakest | None


def explained(found: Explanation | None) -> ExplainAnswer:
    """An explanation as it is answered."""
    if found is None:
        return ExplainAnswer(False, [], None)
    weakest = found.weakest_link
    return ExplainAnswer(
        True, [_step(link) for link in found.chain], None if weakest is None else _weakest(weakest)
    )


def _value(identifier: Identifier) -> Value:
    if identifier.kind is Kind.EMAIL:
        return Value(email=identifier.value)
    return Value(phone_number=identifier.value)


def _weakest(link: WeakestLink) -> Weakest:
    return Weakest(_value(link.identifier), link.edges, link.contacts_before, link.contacts_after)


def _step(link: Link) -> ChainLink:
    return ChainLink(_value(link.one), _value(link.other), link.reason, link.id, link.seen_at)


class EventRecord(msgspec.Struct, rename="camel"):
    """One event, in ids: what happened to which identity, by which contact or evidence."""

    id: int
    happened_at: Time
    kind: EventKind
    primary_contact_id: int
    contact_id: int | None
    evidence_id: int | None
    absorbed_primary_contact_ids: tuple[int, ...]


class HistoryRecord(EventRecord):
    """One event of an identity, with the details that it was about."""

    details: Value | None


class HistoryAnswer(msgspec.Struct):
    """What happened to an identity, in order. `next` is the `after` of the next page; null on the last."""

    events: list[HistoryRecord]
    next: int | None


class ChangesAnswer(msgspec.Struct):
    """What happened to all identities. `next` is the `after` to ask with the next time."""

    events: list[EventRecord]
    next: str


def told(found: Sequence[tuple[Happening, ContactDetails | None]], limit: int) -> HistoryAnswer:
    """At most so many events as they are answered."""
    events = [
        HistoryRecord(**event_fields(happening), details=None if details is None else Value(*details.key))
        for happening, details in found[:limit]
    ]
    return HistoryAnswer(events, events[-1].id if len(found) > limit else None)


def event_fields(happening: Happening) -> dict[str, Any]:
    """The fields of an `EventRecord`."""
    event = happening.event
    return {
        "id": happening.id,
        "happened_at": event.happened_at,
        "kind": event.kind,
        "primary_contact_id": event.primary_id,
        "contact_id": event.contact_id,
        "evidence_id": event.evidence_id,
        "absorbed_primary_contact_ids": event.absorbed_ids,
    }
