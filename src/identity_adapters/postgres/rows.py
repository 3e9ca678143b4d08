"""Conversion of rows to values of the core, and the two forms of a stored email."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any, TypeAlias

from attrs import asdict, evolve, frozen

from identity_adapters.webhooks.webhook import PauseReason, Salts, Target, Webhook
from identity_core import (
    Contact,
    ContactDetails,
    DeletedContact,
    Event,
    EventKind,
    Evidence,
    Hold,
    Identifier,
    IdentifierKind,
    LedgerEntry,
    Limits,
    Lineage,
    LinkPrecedence,
    Note,
    Page,
    RecordedEvent,
    RuleSet,
    RulesInForce,
    Ruling,
    Snapshot,
    Standing,
    Verdict,
    Withdrawal,
)
from identity_core.model.columns import ContactColumns
from identity_core.model.erasure import BlockMark
from identity_core.model.identifiers import to_identifiers
from identity_core.model.rule_set import NO_RULES

_LINK_PRECEDENCES = {precedence.value: precedence for precedence in LinkPrecedence}

ReadEmail: TypeAlias = Callable[[str], str]
"""Turns a stored email into the form that details have."""


@frozen
class EmailForms:
    """The two forms of an email with an international domain.

    Attributes:
        to_ascii: converts an email that is not all ASCII to the other form in which another program may
            have stored it, or to None. Contacts with this form are found as well.
        to_unicode: converts such a form to the form of details.
    """

    to_ascii: Callable[[str], str | None] = lambda _: None
    to_unicode: Callable[[str], str] = str

    def to_json(self, batch: Iterable[ContactDetails], rules: RuleSet = NO_RULES) -> str:
        """Encode a row for each of the details, in each form that may be stored.

        Values that the rules block are marked, so that no contact is found by them.
        """
        batch = [*batch]
        keys = {details.key for details in batch}
        keys |= {
            (form, number) for email, number in keys if (form := self._find_ascii_form(email)) is not None
        }
        blocked = rules.pick_blocked(batch)
        if not blocked:
            return json.dumps([{"email": email, "phone_number": number} for email, number in keys])
        blocked_emails = {value for kind, value in blocked if kind is IdentifierKind.EMAIL}
        blocked_emails |= self.find_ascii_forms(blocked_emails)
        blocked_numbers = {value for kind, value in blocked if kind is IdentifierKind.PHONE_NUMBER}
        rows = [
            {
                "blocked_email" if email in blocked_emails else "email": email,
                "blocked_phone_number" if number in blocked_numbers else "phone_number": number,
            }
            for email, number in keys
        ]
        return json.dumps(rows)

    def find_ascii_forms(self, emails: Iterable[str | None]) -> set[str]:
        """Find the ASCII forms of those emails that have one."""
        return {form for form in map(self._find_ascii_form, emails) if form is not None}

    def _find_ascii_form(self, email: str | None) -> str | None:
        return None if email is None or email.isascii() else self.to_ascii(email)

    def make_reader(self, batch: Iterable[ContactDetails | Contact] = ()) -> ReadEmail:
        """Make a function that reads stored emails; an email of the batch already has the form of details."""
        known = {details.email for details in batch}
        return lambda email: self.to_unicode(email) if "xn--" in email and email not in known else email


_IGNORED = {Standing.UNDONE, Standing.HELD, Standing.BLOCKED}


def to_snapshot(
    read_email: ReadEmail, rows: Iterable[tuple[Any, ...]], rules: RuleSet = NO_RULES
) -> Snapshot:
    """Convert rows of contacts, and of pairs with their standings, to a snapshot."""
    contacts: list[Contact] = []
    evidence: list[tuple[str, str]] = []
    ignored: list[tuple[str, str]] = []
    links_of_deleted: dict[int, int | None] = {}
    for id, email, phone_number, linked_id, link_precedence, created_at, is_deleted in rows:
        if email is not None:
            email = read_email(email)
        if id is None:
            if link_precedence == Standing.COUNTS:
                evidence.append((email, phone_number))
            elif link_precedence in _IGNORED:
                ignored.append((email, phone_number))
        elif is_deleted:
            links_of_deleted[id] = linked_id
        else:
            precedence = _LINK_PRECEDENCES.get(link_precedence)
            contacts.append(Contact(id, email, phone_number, linked_id, precedence, created_at))
    return Snapshot.of(contacts, evidence, ignored, links_of_deleted, rules)


def to_columns(
    read_email: ReadEmail, rows: Collection[tuple[Any, ...]], rules: RuleSet = NO_RULES
) -> Snapshot:
    """Convert rows of `statements.LOAD_COLUMNS` to a snapshot."""
    columns = [
        ContactColumns(
            tuple(json.loads(ids)),
            tuple(email and read_email(email) for email in json.loads(emails)),
            tuple(json.loads(phone_numbers)),
            created_at,
        )
        for id, emails, phone_numbers, _, _, created_at, ids in rows
        if id is not None
    ]
    pairs = to_snapshot(read_email, (row for row in rows if row[0] is None), rules)
    return evolve(pairs, columns=tuple(columns))


def add_limited(snapshot: Snapshot, read_email: ReadEmail, rows: Iterable[tuple[Any, ...]]) -> Snapshot:
    """Add to a snapshot what limits depend on, from the rows of `statements.LOAD_WITH_LIMITS`."""
    paired: Counter[Identifier] = Counter()
    accepted: set[tuple[str, str]] = set()
    for _, email, phone_number, number, mark, _, _ in {row for row in rows if row[0] is None}:
        if mark == "paired":
            [identifier] = to_identifiers(email and read_email(email), phone_number)
            paired[identifier] += number
        elif mark == "accepted":
            accepted.add((read_email(email), phone_number))
    if not paired and not accepted:
        return snapshot
    return evolve(snapshot, paired=paired, accepted=frozenset(accepted))


def to_pages(rows: Iterable[tuple[Any, ...]], limit: int, read_email: ReadEmail) -> list[Page]:
    """Convert rows of `statements.PAGES` to pages."""
    pages: list[Page] = []
    for (primary_id, total, emails, numbers), of_identity in groupby(rows, key=lambda row: row[1:5]):
        contacts = [_to_contact(row[-6:], read_email) for row in of_identity if row[-6] is not None]
        last = contacts[limit - 1].seniority if len(contacts) > limit else None
        pages.append(Page(primary_id, total, emails, numbers, tuple(contacts[:limit]), last))
    return pages


def _to_contact(columns: Sequence[Any], read_email: ReadEmail) -> Contact:
    id, email, phone_number, linked_id, precedence, created_at = columns
    email = email and read_email(email)
    return Contact(id, email, phone_number, linked_id, _LINK_PRECEDENCES.get(precedence), created_at)


def to_recorded_event(row: tuple[Any, ...]) -> RecordedEvent:
    """Convert a row of `contact_events` to an event."""
    id, happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids, ruling_id, origin_id, moved = (
        row
    )
    return RecordedEvent(
        id,
        Event(
            happened_at,
            EventKind(kind),
            primary_id,
            contact_id,
            evidence_id,
            tuple(absorbed_ids),
            ruling_id,
            origin_id,
            tuple(moved),
        ),
    )


def to_lineage(
    read_email: ReadEmail, rows: Sequence[tuple[Any, ...]], events: Iterable[tuple[Any, ...]]
) -> Lineage:
    """Convert rows of `statements.LINEAGE` and their events to a lineage."""
    contacts = [
        (deleted_at if is_deleted else None, _to_contact(columns, read_email))
        for *columns, is_deleted, deleted_at, _ in rows
        if columns[0] is not None
    ]
    contacts.sort(key=lambda contact: contact[1].seniority)
    return Lineage(
        tuple(contact for deleted_at, contact in contacts if deleted_at is None),
        tuple(DeletedContact(contact, at) for at, contact in contacts if at is not None),
        tuple(map(to_recorded_event, events)),
    )


def to_deleted(rows: Iterable[tuple[Any, ...]], live_ids: Set[int]) -> tuple[tuple[int, int], ...]:
    """Convert rows of contacts to the ids of the deleted ones, each with the live one that it leads to."""
    links = {row[0]: row[3] for row in rows if row[0] is not None and row[6]}
    found: list[tuple[int, int]] = []
    for id in sorted(links):
        above, passed = links[id], {id}
        while above in links and above not in passed:
            passed.add(above)
            above = links[above]
        if above in live_ids:
            found.append((id, above))
    return tuple(found)


def to_evidence(row: tuple[Any, ...], read_email: ReadEmail) -> Evidence:
    """Convert a row of `contact_evidence` to evidence."""
    id, email, phone_number, seen_at, standing, hold = row
    held_by = None if hold is None else Hold(hold)
    return Evidence(id, read_email(email), phone_number, seen_at, Standing(standing), held_by)


def to_details(pair: tuple[str | None, str | None], read_email: ReadEmail) -> ContactDetails | None:
    """Convert the columns of an email and a phone number to details; None if neither is recorded."""
    email, phone_number = pair
    if email is None and phone_number is None:
        return None
    return ContactDetails.from_trusted(email and read_email(email), phone_number)


def to_ruling(row: tuple[Any, ...]) -> Ruling:
    """Convert a row of `contact_rulings` to a ruling."""
    id, verdict, one_kind, one, other_kind, other, decided_at, decided_by, reason, split_id = row
    return Ruling(
        id,
        Verdict(verdict),
        Identifier(IdentifierKind(one_kind), one),
        Identifier(IdentifierKind(other_kind), other),
        decided_at,
        decided_by,
        reason,
        split_id,
    )


def to_values(identifiers: Iterable[Identifier], emails: EmailForms) -> dict[str, str]:
    """Encode values: emails, in each form that may be stored, phone numbers, and both with their kinds."""
    by_kind: dict[IdentifierKind, set[str]] = {kind: set() for kind in IdentifierKind}
    for kind, value in identifiers:
        by_kind[kind].add(value)
    by_kind[IdentifierKind.EMAIL] |= emails.find_ascii_forms(by_kind[IdentifierKind.EMAIL])
    values = [{"kind": kind, "value": value} for kind, found in by_kind.items() for value in found]
    return {
        "emails": json.dumps([*by_kind[IdentifierKind.EMAIL]]),
        "numbers": json.dumps([*by_kind[IdentifierKind.PHONE_NUMBER]]),
        "values": json.dumps(values),
    }


def to_seen(seen: Mapping[Identifier, date], emails: EmailForms) -> str:
    """Encode the months in which values were seen: of emails, in each form that may be stored."""
    rows = [
        (kind, form, month)
        for (kind, value), month in seen.items()
        for form in _find_forms(kind, value, emails)
    ]
    return json.dumps(
        [{"kind": kind, "value": value, "month": month.isoformat()} for kind, value, month in rows]
    )


def _find_forms(kind: IdentifierKind, value: str, emails: EmailForms) -> set[str]:
    return {value} | (emails.find_ascii_forms([value]) if kind is IdentifierKind.EMAIL else set())


def to_last_seen(rows: Iterable[tuple[Any, ...]], read_email: ReadEmail) -> dict[Identifier, date]:
    """Convert rows of `contact_last_seen`; an email may have one for each form that is stored."""
    found: dict[Identifier, date] = {}
    for kind, value, month in rows:
        is_email = kind == IdentifierKind.EMAIL
        identifier = Identifier(IdentifierKind(kind), read_email(value) if is_email else value)
        found[identifier] = max(month, found.get(identifier, month))
    return found


def to_withdrawn(row: tuple[Any, ...]) -> tuple[Ruling, Withdrawal]:
    """Convert a row of `contact_rulings` to a ruling that is no longer in force, and its end."""
    *ruling, withdrawn_at, withdrawn_by, reason = row
    return to_ruling(tuple(ruling)), Withdrawal(ruling[0], withdrawn_at, withdrawn_by, reason)


def to_deleted_contact(row: tuple[Any, ...], read_email: ReadEmail) -> DeletedContact:
    """Convert a row of a deleted contact."""
    *columns, _, deleted_at = row
    return DeletedContact(_to_contact(columns, read_email), deleted_at)


def to_ledger_entry(row: tuple[Any, ...]) -> LedgerEntry:
    """Convert a row of `contact_audit` to an erasure."""
    id, erased_at, erased_by, contact_ids, evidence_ids, ruling_ids, blocks, suppressed_until = row
    marks = (BlockMark(mark["version"], IdentifierKind(mark["kind"]), mark["position"]) for mark in blocks)
    ids = tuple(contact_ids), tuple(evidence_ids), tuple(ruling_ids)
    return LedgerEntry(id, erased_at, erased_by, *ids, tuple(marks), suppressed_until)


def to_ledger_values(entry: LedgerEntry) -> dict[str, Any]:
    """Encode an erasure as the statements take it."""
    return {
        "id": entry.id,
        "erased_at": to_naive(entry.erased_at),
        "suppressed_until": to_naive(entry.suppressed_until),
        "by": entry.erased_by,
        "ids": json.dumps(entry.contact_ids),
        "evidence_ids": json.dumps(entry.evidence_ids),
        "ruling_ids": json.dumps(entry.ruling_ids),
        "blocks": to_blocks_json(entry.blocks),
    }


def to_naive(moment: datetime | None) -> datetime | None:
    """A time for columns without a time zone, in UTC."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def to_blocks_json(blocks: Iterable[BlockMark]) -> str:
    """Encode where rules blocked values."""
    return json.dumps([*map(asdict, blocks)])


def to_rules_json(rules: RuleSet) -> str:
    """Encode rules as `contact_rules` keeps them."""
    return json.dumps(asdict(rules), default=sorted)


def to_rules_in_force(row: tuple[Any, ...]) -> RulesInForce:
    """Convert a row of `contact_rules` to the rules in force."""
    version, rules, released, settled_id, last_id, applied_at, applied_by, reason, retroactive = row
    return RulesInForce(
        RuleSet(**{**rules, "limits": Limits(**rules["limits"])}),
        version,
        frozenset(map(Hold, released)),
        settled_id,
        last_id,
        Note(applied_by, reason, applied_at),
        retroactive,
    )


def to_webhook(row: tuple[Any, ...]) -> Webhook:
    """Convert a row of `contact_webhooks` to a webhook."""
    id, url, kinds, description, allows_http, networks, *row_of_salts, cursor, replays = row[:12]
    created_at, paused_at, paused_because, *others = row[12:]
    return Webhook(
        id,
        Target(url, frozenset(map(EventKind, kinds)), description, allows_http, tuple(networks)),
        Salts(*row_of_salts),
        cursor,
        replays,
        created_at,
        paused_at,
        paused_because and PauseReason(paused_because),
        *others,
    )


def to_webhook_values(target: Target, salts: Salts) -> dict[str, Any]:
    """Encode a webhook as the statement takes it that adds one."""
    return {
        "url": target.url,
        "kinds": json.dumps(sorted(target.kinds)),
        "description": target.description,
        "allows_http": target.allows_http,
        "networks": json.dumps([*map(str, target.networks)]),
        "key_id": salts.key_id,
        "salt": salts.current,
        "previous_salt": salts.previous,
        "previous_until": to_naive(salts.previous_until),
    }
