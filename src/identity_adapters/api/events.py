"""Events of one identity and of all identities."""

from collections.abc import Sequence
from typing import Any

import msgspec

from identity_adapters.api import IdentifierValue, Time
from identity_core import ContactDetails, EventKind, RecordedEvent


class EventRecord(msgspec.Struct, rename="camel"):
    """An event in ids: what happened to which identity, caused by which contact, evidence or ruling.

    The contact, all contacts of the absorbed primaries, and the moved contacts belong to the primary from
    then on. The moved contacts left the identity of the origin.
    """

    id: int
    happened_at: Time
    kind: EventKind
    primary_contact_id: int
    contact_id: int | None
    evidence_id: int | None
    absorbed_primary_contact_ids: tuple[int, ...]
    ruling_id: int | None
    origin_primary_contact_id: int | None
    moved_contact_ids: tuple[int, ...]


class HistoryRecord(EventRecord):
    """An event of an identity, with the details that caused it."""

    details: IdentifierValue | None


class HistoryAnswer(msgspec.Struct):
    """The events of an identity, in order. `next` is the `after` of the next page; null on the last page."""

    events: list[HistoryRecord]
    next: int | None


class MergesAnswer(msgspec.Struct):
    """Merges, newest first. `next` is the `before` of the next page; null on the last page."""

    merges: list[HistoryRecord]
    next: int | None


class ChangesAnswer(msgspec.Struct):
    """Events of all identities. `next` is the cursor to poll with: the next `after`."""

    events: list[EventRecord]
    next: str


def to_history_answer(
    events: Sequence[tuple[RecordedEvent, ContactDetails | None]], limit: int
) -> HistoryAnswer:
    """Convert the first `limit` events of a history to an answer."""
    return HistoryAnswer(*_to_page(events, limit))


def to_merges_answer(
    merges: Sequence[tuple[RecordedEvent, ContactDetails | None]], limit: int
) -> MergesAnswer:
    """Convert the first `limit` of some merges to an answer."""
    return MergesAnswer(*_to_page(merges, limit))


def to_changes_answer(events: Sequence[RecordedEvent], cursor: str) -> ChangesAnswer:
    """Convert events of the feed, and the cursor after them, to an answer."""
    return ChangesAnswer([*map(to_event_record, events)], cursor)


def to_event_record(recorded: RecordedEvent) -> EventRecord:
    """Convert an event to an answer."""
    return EventRecord(**_to_fields(recorded))


def _to_page(
    events: Sequence[tuple[RecordedEvent, ContactDetails | None]], limit: int
) -> tuple[list[HistoryRecord], int | None]:
    """The first `limit` events, and the id of the last one if there are more."""
    records = [
        HistoryRecord(
            **_to_fields(recorded), details=None if details is None else IdentifierValue(*details.key)
        )
        for recorded, details in events[:limit]
    ]
    return records, records[-1].id if len(events) > limit else None


def _to_fields(recorded: RecordedEvent) -> dict[str, Any]:
    event = recorded.event
    return {
        "id": recorded.id,
        "happened_at": event.happened_at,
        "kind": event.kind,
        "primary_contact_id": event.primary_id,
        "contact_id": event.contact_id,
        "evidence_id": event.evidence_id,
        "absorbed_primary_contact_ids": event.absorbed_ids,
        "ruling_id": event.ruling_id,
        "origin_primary_contact_id": event.origin_id,
        "moved_contact_ids": event.moved_ids,
    }
