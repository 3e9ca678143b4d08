"""Conversion of rows to values of the core, and the two forms of a stored email."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from itertools import groupby
from typing import Any, TypeAlias

from attrs import asdict, evolve, frozen

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
)
from identity_core.model.columns import ContactColumns
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
) -> Lineage | None:
    """Convert rows of `statements.LINEAGE` and their events to a lineage; None if there are none."""
    if not rows:
        return None
    contacts = [
        (deleted_at if is_deleted else None, _to_contact(columns, read_email))
        for *columns, is_deleted, deleted_at in rows
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
