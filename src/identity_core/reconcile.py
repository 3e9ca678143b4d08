"""The rules: to which identity details belong, and what is to be written for it.

Theory of operation
===================

Contacts that share an email or a phone number, directly or through others, form one
identity. Its *primary* is its oldest contact, the one with the smallest ``(created_at, id)``.
All others are *secondary* and point straight at the primary.

Details *touch* an identity if one of its live contacts has their email or their phone number.

==================================== ==================================================
the details touch                    what happens
==================================== ==================================================
no identity                          They become a contact, the primary of a new
                                     identity: *created*.
one, which knows all of them         Nothing. But if they are a pair never seen together,
                                     the pair is recorded as evidence: *corroborated*.
one, and email or phone number is    They become a secondary contact, just as given:
new                                  *linked*.
two or more                          These become one identity: *merged*. The oldest
                                     primary stays primary. Then, if the email or phone
                                     number is still new, they become a secondary contact;
                                     else, if they are a pair never seen together, the
                                     pair is recorded as evidence.
==================================== ==================================================

Why evidence
    Each distinct pair of email and phone number ever seen is on record exactly once, as a
    live contact or as evidence. So the identities are at any time the connected components
    of what is on record, and one piece can be taken away as if it had never come.

Time
    Details without a time of their own are of now. Their contact is never dated before the
    primary of the identity it joins: clocks step back, and a late contact must not become
    primary by accident.

    Details with a time of their own that are older than the primary of the identity they end
    in always leave a mark, even if all of them is known: the contact with exactly these
    details is dated back, or, without one, they become a contact. Either way it is the
    oldest now, and so the primary. Hence an identity's primary and date are those of the
    earliest details ever seen of it, whatever the order in which they came.

Imperfect records
    Others may have written the database: one email in two identities, a secondary of a
    secondary, a younger contact as primary, a primary that was deleted. Read, such an
    identity is answered as it should be. Written to, it is written as it should be, whole.

Doing it twice is doing it once: details that were reconciled change nothing when they come
again. And the order does not matter: any order and any batches of the same details give the
same partition of emails and phone numbers into identities. Which contacts and which pieces
of evidence hold them may differ.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from attrs import evolve

from identity_core.changes import Changes, Event, EventKind, Evidence, Foresight, Outcome, Reconciliation
from identity_core.contact import Contact
from identity_core.details import ContactDetails
from identity_core.draft import Draft, Group, merge
from identity_core.identity import Identity
from identity_core.snapshot import Snapshot

_LATER = datetime.max.replace(tzinfo=UTC)
_NOT_YET = 2**63 - 1
"""Stand for a time and an id that are later than all there are."""


def reconcile(
    batch: Sequence[ContactDetails], snapshot: Snapshot, now: datetime, ids: Iterator[int]
) -> Reconciliation:
    """Decide on a batch of details, in order, as if they came one after the other.

    Args:
        batch: the details, of any number.
        snapshot: what is known of them, taken while nobody else can change it.
        now: the time, in UTC, read after nobody else could change it.
        ids: never given before, ascending; at most one is drawn for each of the details.

    Returns:
        what to write, and for each of the details its identity after the whole batch.
    """
    draft = Draft(batch, snapshot)
    decision = _Decision(draft, now, ids)
    decided = [decision.decide(details) for details in batch]
    return Reconciliation(
        decision.changes(),
        tuple(draft.identity(group) for group, _ in decided),
        tuple(outcome for _, outcome in decided),
    )


def foresee(details: ContactDetails, snapshot: Snapshot) -> Foresight:
    """What `reconcile` would decide on details, if nothing came between."""
    decided = reconcile([details], snapshot, _LATER, iter([_NOT_YET]))
    [identity], [outcome] = decided.identities, decided.outcomes
    return Foresight(
        outcome,
        evolve(
            identity,
            primary_contact_id=_foreseen(identity.primary_contact_id),
            secondary_contact_ids=tuple(map(_foreseen, identity.secondary_contact_ids)),
        ),
        tuple(id for event in decided.changes.events for id in event.absorbed_ids),
        len(decided.changes.altered),
    )


def _foreseen(contact_id: int) -> int:
    return 0 if contact_id == _NOT_YET else contact_id


def settled(batch: Sequence[ContactDetails], snapshot: Snapshot) -> list[Identity | None]:
    """For each of the details the identity they belong to, or None if something is to be written."""
    draft = Draft(batch, snapshot)
    groups = [draft.touched(details) for details in batch]
    return [
        draft.identity(touched[0]) if draft.is_settled(details, touched) else None
        for details, touched in zip(batch, groups, strict=True)
    ]


def unsettled(batch: Sequence[ContactDetails], snapshot: Snapshot) -> list[ContactDetails]:
    """Those of the details for which something is to be written."""
    draft = Draft(batch, snapshot)
    return [details for details in batch if not draft.is_settled(details, draft.touched(details))]


class _Decision:
    """Applies details to a draft one after the other and keeps what is to be written."""

    def __init__(self, draft: Draft, now: datetime, ids: Iterator[int]) -> None:
        self._draft = draft
        self._now = now
        self._ids = ids
        self._written: dict[Group, None] = {}
        self._created: set[int] = set()
        self._redated: set[int] = set()
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._superseded: list[tuple[str, str]] = []
        self._events: list[Event] = []

    def decide(self, details: ContactDetails) -> tuple[Group, Outcome]:
        """Apply the rules to the next details; the group they end in, and what became of them."""
        draft = self._draft
        touched = draft.touched(details)
        if draft.is_settled(details, touched):
            return touched[0], Outcome.KNOWN

        primaries = [group.primary.id for group in touched]
        contact: Contact | None = None
        evidence: Evidence | None = None
        if not touched:
            kind = EventKind.CREATED
            contact, group = self._create(details)
        else:
            kind = EventKind.CORROBORATED
            group = merge(touched)
            holder, earlier = draft.holders.get(details.key), group.earlier(details)
            if holder is not None and earlier is not None:
                contact = self._date_back(holder, group, earlier)
            elif earlier is not None or not draft.knows_all(details):
                contact = self._link(details, group)
                kind = EventKind.LINKED
            elif details.pair is not None and not draft.is_on_record(details.pair):
                evidence = self._record(details.pair, details.seen_at or self._now)
            if len(touched) > 1:
                kind = EventKind.MERGED
        self._written[group] = None
        self._events.append(
            Event(
                happened_at=self._now,
                kind=kind,
                primary_id=group.primary.id,
                contact_id=contact.id if contact is not None else None,
                evidence_id=evidence.id if evidence is not None else None,
                absorbed_ids=tuple(id for id in primaries if id != group.primary.id),
            )
        )
        return group, Outcome.of(kind)

    def _create(self, details: ContactDetails) -> tuple[Contact, Group]:
        contact = self._new_contact(details, details.seen_at or self._now)
        group = Group([contact])
        self._draft.enter(contact, group)
        return contact, group

    def _link(self, details: ContactDetails, group: Group) -> Contact:
        created_at = details.seen_at or max(self._now, group.primary.created_at)
        contact = self._new_contact(details, created_at)
        insort(group.contacts, contact, key=lambda c: c.age)
        self._draft.enter(contact, group)
        return contact

    def _new_contact(self, details: ContactDetails, created_at: datetime) -> Contact:
        contact = Contact(next(self._ids), details.email, details.phone_number, None, None, created_at)
        self._created.add(contact.id)
        if details.pair in self._draft.evidence:
            self._draft.evidence.remove(details.pair)
            if self._evidence.pop(details.pair, None) is None:
                self._superseded.append(details.pair)
        return contact

    def _date_back(self, holder: Contact, group: Group, seen_at: datetime) -> Contact:
        contact = evolve(holder, created_at=seen_at)
        del group.contacts[bisect_left(group.contacts, holder.age, key=lambda c: c.age)]
        group.contacts.insert(0, contact)
        self._draft.holders[holder.key] = contact
        self._redated.add(contact.id)
        return contact

    def _record(self, pair: tuple[str, str], seen_at: datetime) -> Evidence:
        evidence = Evidence(next(self._ids), *pair, seen_at)
        self._draft.evidence.add(pair)
        self._evidence[pair] = evidence
        return evidence

    def changes(self) -> Changes:
        """All that is to be written so far."""
        created: list[Contact] = []
        altered: list[Contact] = []
        for group in self._written:
            if group.merged_into is not None:
                continue
            for contact in group.contacts:
                linked = contact.linked_to(group.primary)
                if contact.id in self._created:
                    created.append(linked)
                elif linked is not contact or contact.id in self._redated:
                    altered.append(linked)
        return Changes(
            created=tuple(sorted(created, key=lambda c: c.id)),
            altered=tuple(sorted(altered, key=lambda c: c.id)),
            evidence=tuple(self._evidence.values()),
            superseded=tuple(self._superseded),
            events=tuple(self._events),
        )
