"""Rulings: what they are about, what they did or would do, and those in force."""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from attrs import evolve

from identity_adapters.api import IdentifierValue, Time
from identity_adapters.api.explanations import ChainLink, to_chain_link
from identity_adapters.api.identities import IdentityPage, to_identity_page
from identity_core import (
    Contact,
    Identifier,
    InvalidDetails,
    NotRecorded,
    QueryIdentities,
    Ruled,
    Ruling,
    Verdict,
    cut_page,
)
from identity_core.model.decision import LATER, hide_new_id

MAX_REASON_LENGTH = 500
MAX_MOVED_IDS = 1_000
"""How many ids of moved contacts an answer has at most."""


class RulingAnswer(msgspec.Struct, rename="camel"):
    """What a ruling did; after a dry run, `applied` is false, and it is what the ruling would do.

    - `plan` is a token of the record. Sent with the ruling, it has the ruling fail if the record has changed.
    - `rulingIds` are the rulings that it put in force, and `withdrawnRulingIds` those that it ended.
    - `identities` are the identities after it, each with its first page, oldest first.
    - `primariesBefore` and `primariesAfter` are the primaries of their contacts.
    - `movedContacts` is how many contacts get another primary; `movedContactIds` are at most 1,000 of them.
    - `undone` are the links that it undoes.
    - `chain` is what still joins the values of an undone pair; it is empty if nothing does.

    After a dry run, 0 is the id of each contact and ruling that would be new.
    """

    applied: bool
    plan: str
    ruling_ids: tuple[int, ...]
    withdrawn_ruling_ids: tuple[int, ...]
    identities: list[IdentityPage]
    primaries_before: tuple[int, ...]
    primaries_after: tuple[int, ...]
    moved_contacts: int
    moved_contact_ids: tuple[int, ...]
    undone: list[ChainLink]
    chain: list[ChainLink]


class RulingRecord(msgspec.Struct, rename="camel"):
    """A ruling in force. `splitId` is the pin of the split that it is part of."""

    id: int
    verdict: Verdict
    one: IdentifierValue
    other: IdentifierValue
    decided_at: Time
    decided_by: str | None
    reason: str
    split_id: int | None


class RulingsAnswer(msgspec.Struct):
    """Rulings in force, by id. `next` is the `after` of the next page; null on the last page."""

    rulings: list[RulingRecord]
    next: int | None


def to_ruling_answer(ruled: Ruled, *, is_applied: bool) -> RulingAnswer:
    """Convert what a ruling did, or would do, to an answer."""
    now = datetime.now(UTC)
    pages = [
        to_identity_page(cut_page([_date_now(contact, now) for contact in contacts]))
        for contacts in ruled.identities
    ]
    new_ids = (hide_new_id(ruling.id) for ruling in ruled.writes.rulings)
    return RulingAnswer(
        applied=is_applied,
        plan=ruled.plan,
        ruling_ids=tuple(new_ids),
        withdrawn_ruling_ids=tuple(withdrawal.ruling_id for withdrawal in ruled.writes.withdrawals),
        identities=pages,
        primaries_before=ruled.primaries_before,
        primaries_after=tuple(page.primary_contact_id for page in pages),
        moved_contacts=len(ruled.moved_ids),
        moved_contact_ids=ruled.moved_ids[:MAX_MOVED_IDS],
        undone=[*map(to_chain_link, ruled.undone)],
        chain=[*map(to_chain_link, ruled.chain)],
    )


def _date_now(contact: Contact, now: datetime) -> Contact:
    """A contact with the current time, if it is dated as what would be new."""
    return evolve(contact, created_at=now) if contact.created_at == LATER else contact


def to_rulings_answer(rulings: Sequence[Ruling], limit: int) -> RulingsAnswer:
    """Convert the first `limit` of some rulings to an answer."""
    records = [*map(to_ruling_record, rulings[:limit])]
    return RulingsAnswer(records, records[-1].id if len(rulings) > limit else None)


def to_ruling_record(ruling: Ruling) -> RulingRecord:
    return RulingRecord(
        ruling.id,
        ruling.verdict,
        IdentifierValue.of(ruling.one),
        IdentifierValue.of(ruling.other),
        ruling.decided_at,
        ruling.decided_by,
        ruling.reason,
        ruling.split_id,
    )


def parse_reason(reason: object) -> str:
    """Parse the reason of a ruling.

    >>> parse_reason(" a typo ")
    'a typo'

    Raises:
        InvalidDetails: it is blank, too long, or has control characters.
    """
    if reason is None:
        raise InvalidDetails("reason", "must be given")
    if not isinstance(reason, str):
        raise InvalidDetails("reason", "must be text")
    if not (reason := reason.strip()):
        raise InvalidDetails("reason", "must not be blank")
    if len(reason) > MAX_REASON_LENGTH:
        raise InvalidDetails("reason", f"must have at most {MAX_REASON_LENGTH} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in reason):
        raise InvalidDetails("reason", "must not have control characters or lone surrogates")
    return reason


async def find_ends(
    queries: QueryIdentities, one: Identifier | int, other: Identifier | int
) -> tuple[Identifier, Identifier]:
    """The values that a split or a pin is about, where contacts stand for them by their ids.

    Of a contact, it is the email, or the phone number if the other end has the same email or the contact has
    none.

    Raises:
        NotRecorded: there is no such contact.
        InvalidDetails: both are the same value.
    """
    ones = await _find_identifiers(queries, "one", one)
    others = await _find_identifiers(queries, "other", other)
    start = next((value for value in ones if value not in others), ones[0])
    end = next((value for value in others if value not in ones), others[0])
    if start == end:
        raise InvalidDetails("other", "must differ from one")
    return start, end


async def _find_identifiers(
    queries: QueryIdentities, name: str, end: Identifier | int
) -> tuple[Identifier, ...]:
    if not isinstance(end, int):
        return (end,)
    contacts = await queries.find(end) or ()
    identifiers = next((contact.identifiers for contact in contacts if contact.id == end), ())
    if not identifiers:
        raise NotRecorded(name, "is no live contact with a value")
    return identifiers
