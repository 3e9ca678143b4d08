"""Writing of write sets."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import asdict, evolve

from identity_adapters.offload import offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, send
from identity_core import Contact, Event, Ruling, WriteSet

COPY_FROM = 500
"""The number of new contacts above which COPY is used instead of INSERT."""


async def write(connection: Connection, writes: WriteSet, now: datetime) -> None:
    """Write a write set, in at most two statements unless it has very many rows."""
    if len(writes.created) > COPY_FROM:
        await _copy(connection, writes, now)
        writes = evolve(writes, created=(), events=())
    if writes.created or writes.evidence or writes.events:
        new = {
            "created": [
                {**_to_link_row(contact), "email": contact.email, "phone_number": contact.phone_number}
                for contact in writes.created
            ],
            "evidence": [
                {
                    "id": evidence.id,
                    "email": evidence.email,
                    "phone_number": evidence.phone_number,
                    "seen_at": _to_naive(evidence.seen_at),
                    "standing": evidence.standing,
                    "hold": evidence.hold,
                }
                for evidence in writes.evidence
            ],
            "events": [
                {
                    "happened_at": _to_naive(event.happened_at),
                    "kind": event.kind,
                    "primary_id": event.primary_id,
                    "contact_id": event.contact_id,
                    "evidence_id": event.evidence_id,
                    "absorbed_ids": event.absorbed_ids,
                    **_to_ruling_fields(event),
                }
                for event in writes.events
            ],
        }
        await send(connection, statements.INSERT, _to_parameters(now, new))
    if writes.altered or writes.deleted or writes.superseded:
        altered = await offload(len(writes.altered), lambda: [*map(_to_link_row, writes.altered)])
        changed = {
            "altered": altered,
            "deleted": [_to_link_row(contact) for contact in writes.deleted],
            "superseded": [{"email": email, "phone_number": number} for email, number in writes.superseded],
        }
        await send(connection, statements.UPDATE, _to_parameters(now, changed))
    if writes.rewritten or writes.rulings or writes.withdrawals:
        ruled = {
            "rewritten": [
                {**_to_link_row(contact), "email": contact.email, "phone_number": contact.phone_number}
                for contact in writes.rewritten
            ],
            "rulings": [*map(_to_ruling_row, writes.rulings)],
            "withdrawals": [
                {**asdict(withdrawal), "withdrawn_at": _to_naive(withdrawal.withdrawn_at)}
                for withdrawal in writes.withdrawals
            ],
        }
        await send(connection, statements.RULE, _to_parameters(now, ruled))


async def _copy(connection: Connection, writes: WriteSet, now: datetime) -> None:
    """Write new contacts and all events by COPY.

    In the order of their emails contacts take a quarter less time, because neighbours in an index do.
    """
    written_at = _to_naive(now)
    contacts = "".join(
        f"{c.id}\t{_escape(c.email)}\t{_escape(c.phone_number)}\t{_or_null(c.linked_id)}"
        f"\t{_or_null(c.link_precedence)}\t{_to_naive(c.created_at)}\t{written_at}\n"
        for c in sorted(writes.created, key=lambda contact: contact.email or "")
    )
    events = "".join(
        f"{written_at if e.happened_at is now else _to_naive(e.happened_at)}\t{e.kind}\t{e.primary_id}"
        f"\t{_or_null(e.contact_id)}\t{_or_null(e.evidence_id)}\t{_to_array(e.absorbed_ids)}"
        f"\t{_or_null(e.ruling_id)}\t{_or_null(e.origin_id)}\t{_to_array(e.moved_ids)}\n"
        for e in writes.events
    )
    cursor = connection.cursor()
    for statement, rows in ((statements.COPY_CONTACTS, contacts), (statements.COPY_EVENTS, events)):
        async with cursor.copy(statement) as copy:
            await copy.write(rows)


def _escape(value: str | None) -> str:
    """Escape a value for the text format of COPY; details have no other characters that need it."""
    return "\\N" if value is None else value.replace("\\", "\\\\")


def _or_null(value: object) -> object:
    return "\\N" if value is None else value


def _to_array(ids: Sequence[int]) -> str:
    return f"{{{','.join(map(str, ids))}}}" if ids else "{}"


def _to_parameters(now: datetime, by_name: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {"now": _to_naive(now)} | {name: json.dumps(rows) for name, rows in by_name.items()}


def _to_link_row(contact: Contact) -> dict[str, Any]:
    return {
        "id": contact.id,
        "linked_id": contact.linked_id,
        "link_precedence": contact.link_precedence,
        "created_at": _to_naive(contact.created_at),
    }


def _to_ruling_fields(event: Event) -> dict[str, Any]:
    """What events of rulings have; others, far the most, are spared it."""
    if event.ruling_id is None and event.origin_id is None and not event.moved_ids:
        return {}
    return {"ruling_id": event.ruling_id, "origin_id": event.origin_id, "moved_ids": event.moved_ids}


def _to_ruling_row(ruling: Ruling) -> dict[str, Any]:
    return {
        "id": ruling.id,
        "verdict": ruling.verdict,
        "one_kind": ruling.one.kind,
        "one": ruling.one.value,
        "other_kind": ruling.other.kind,
        "other": ruling.other.value,
        "decided_at": _to_naive(ruling.decided_at),
        "decided_by": ruling.decided_by,
        "reason": ruling.reason,
        "split_id": ruling.split_id,
    }


def _to_naive(moment: datetime) -> str:
    """Format a time for columns without a time zone, in UTC."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat()[: -len("+00:00")]
