"""Erasures: what one would remove, its receipt, and the lines of the ledger."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from identity_adapters.api import IdentifierValue, Time
from identity_adapters.api.rulings import RulingRecord, to_ruling_record
from identity_core import Contact, ErasurePreview, Hold, IdentifierKind, LedgerEntry, Standing, WeakValue
from identity_core.model.erasure import BlockMark

LEFT_TO_DO = (
    "Backups from before still have this person: keep the ledger apart from them, and replay it after each"
    " restore (identity erase --replay).",
    "The write-ahead log, its archives and replication slots have what was written until they are recycled.",
    "Deleted rows stay in the files of the tables until VACUUM; VACUUM (FULL) rewrites the files at once.",
    "Exports, dumps and hand-outs, and the files that were imported, are not the service's.",
    "So are logs and copies of other systems; those that follow the changes get an event with the ids.",
    "Reasons of rulings and rules may describe this person otherwise than by email or phone number.",
)
"""What the operator still has to see to after an erasure."""


class ErasedContact(msgspec.Struct, rename="camel"):
    """A contact that would go. `deletedAt` is null unless it was deleted before."""

    id: int
    email: str | None
    phone_number: str | None
    created_at: Time
    deleted_at: Time | None


class ErasedPair(msgspec.Struct, rename="camel"):
    """A pair that would go and that no contact holds."""

    id: int
    email: str
    phone_number: str
    seen_at: Time
    standing: Standing
    hold: Hold | None


class WeakValueRecord(msgspec.Struct, rename="camel"):
    """A value that alone joins the emails `one` and `other`, which may be those of two persons.

    Without it, `contacts` contacts would leave the identity. Split the two first if they are strangers.
    """

    value: IdentifierValue
    contacts: int
    one: IdentifierValue
    other: IdentifierValue


class ErasurePreviewRecord(msgspec.Struct, rename="camel"):
    """What an erasure would remove.

    - `plan` is a token of the person. Sent with the erasure, it has it fail if they are no longer the same.
    - `rulings` are the rulings that would go, in force or not. `blocked` are the values that the rules would
      no longer block.
    - `weakValues` suggest that strangers would be erased too.
    """

    plan: str
    values: list[IdentifierValue]
    contacts: list[ErasedContact]
    pairs: list[ErasedPair]
    rulings: list[RulingRecord]
    blocked: list[IdentifierValue]
    weak_values: list[WeakValueRecord]


class BlockMarkRecord(msgspec.Struct, rename="camel"):
    """Where rules blocked a value that went: its place among those of its kind, without the value."""

    version: int
    kind: IdentifierKind
    position: int


class LedgerRecord(msgspec.Struct, rename="camel"):
    """An erasure in ids: a line of the ledger. It names the contacts, evidence and rulings that went.

    `blocks` are the places in rules where a value was blocked that went. `suppressedUntil` is until when the
    values are kept out; null if they may come back.
    """

    id: int
    erased_at: Time
    erased_by: str | None
    contact_ids: tuple[int, ...]
    evidence_ids: tuple[int, ...]
    ruling_ids: tuple[int, ...]
    blocks: tuple[BlockMarkRecord, ...]
    suppressed_until: Time | None


class ErasureReceipt(LedgerRecord, rename="camel"):
    """The receipt of an erasure. `leftToDo` is what the operator still has to see to."""

    left_to_do: tuple[str, ...]


class ErasureAnswer(msgspec.Struct, rename="camel"):
    """What an erasure would remove, after a dry run; else its receipt. The other one is null."""

    preview: ErasurePreviewRecord | None = None
    receipt: ErasureReceipt | None = None


def to_preview_record(preview: ErasurePreview) -> ErasurePreviewRecord:
    """Convert what an erasure would remove."""
    return ErasurePreviewRecord(
        preview.plan,
        [*map(IdentifierValue.of, preview.values)],
        [*_to_contacts(preview)],
        [
            ErasedPair(one.id, one.email, one.phone_number, one.seen_at, one.standing, one.hold)
            for one in preview.evidence
        ],
        [*map(to_ruling_record, (*preview.rulings, *preview.withdrawn))],
        [*map(IdentifierValue.of, preview.blocked)],
        [*map(_to_weak_value, preview.weak_values)],
    )


def _to_contacts(preview: ErasurePreview) -> Iterator[ErasedContact]:
    for contact in preview.contacts:
        yield _to_contact(contact, None)
    for deleted in preview.deleted:
        yield _to_contact(deleted.contact, deleted.deleted_at)


def _to_contact(contact: Contact, deleted_at: datetime | None) -> ErasedContact:
    return ErasedContact(contact.id, contact.email, contact.phone_number, contact.created_at, deleted_at)


def _to_weak_value(weak: WeakValue) -> WeakValueRecord:
    value, one, other = (IdentifierValue.of(end) for end in (weak.value, weak.one, weak.other))
    return WeakValueRecord(value, weak.contacts, one, other)


def to_receipt(entry: LedgerEntry) -> ErasureReceipt:
    """Make the receipt of an erasure."""
    return ErasureReceipt(**msgspec.structs.asdict(to_ledger_record(entry)), left_to_do=LEFT_TO_DO)


def to_ledger_record(entry: LedgerEntry) -> LedgerRecord:
    """Convert an erasure to a line of the ledger."""
    return LedgerRecord(
        entry.id,
        entry.erased_at,
        entry.erased_by,
        entry.contact_ids,
        entry.evidence_ids,
        entry.ruling_ids,
        tuple(BlockMarkRecord(mark.version, mark.kind, mark.position) for mark in entry.blocks),
        entry.suppressed_until,
    )


def to_ledger_entry(record: LedgerRecord) -> LedgerEntry:
    """Convert a line of the ledger to an erasure."""
    return LedgerEntry(
        record.id,
        record.erased_at,
        record.erased_by,
        record.contact_ids,
        record.evidence_ids,
        record.ruling_ids,
        tuple(BlockMark(mark.version, mark.kind, mark.position) for mark in record.blocks),
        record.suppressed_until,
    )
