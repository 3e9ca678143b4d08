"""The rules: which identity details belong to, and what is written.

Theory of operation
===================

An identity is a connected component. Its nodes are the emails and phone numbers ever seen. Its
edges are the pairs seen together that count, and the links of whoever wrote the database before. Every
pair counts that no ruling and no rule keeps from it (see `identity_core.rules.resolve`). Contacts are how
this is stored: each known value that is not blocked is in at least one live contact, and all contacts that
hold it are in one identity.

The *primary* of an identity is its oldest contact, the one with the smallest
``(created_at, id)``. All others are *secondary* and point straight at the primary.

Details *match* an identity if one of its live contacts has their email or their phone number.

==================================== ==================================================
the details match                    what happens
==================================== ==================================================
no identity                          They become a contact, the primary of a new
                                     identity: *created*.
one, which knows both values         Nothing. But if they are a pair never seen together,
                                     the pair is recorded as evidence: *corroborated*.
one, and the email or the phone      They become a secondary contact, exactly as given:
number is new                        *linked*.
two or more                          The identities merge: *merged*. The oldest primary
                                     stays primary (see `identity_core.rules.merge`).
                                     Then, if the email or the phone number is still new,
                                     the details become a secondary contact; else, if
                                     they are a pair never seen together, the pair is
                                     recorded as evidence.
==================================== ==================================================

Details whose pair does not count are taken as each value alone, and belong to the email. These are pairs
that rulings undo, that pins hold, and that would exceed a limit when they come for the first time: they
are *held*. A *blocked* value identifies nobody: details belong to their other value, and their pair is
recorded so that it counts once the value is no longer blocked. Details that are blocked whole change nothing.
Details with a value that was erased on request, and is *suppressed* since, change nothing either.

Why evidence
    Each distinct pair of email and phone number ever seen is recorded exactly once, as a live
    contact or as evidence. So the record always holds all edges, and one of them can be taken
    away as if it had never come.

Time
    Details without `seen_at` use the current time. Their contact is never dated before the
    primary of the identity it joins: clocks step back, and a late contact must not become
    primary by accident.

    Details with a time older than the primary of the identity they end in always leave a mark,
    even if both values are known: the contact with exactly these details gets the earlier
    date, or, if there is none, the details become a contact. Either way that contact is now the
    oldest, so it is the primary. Hence the primary of an identity and its date are those of the
    earliest details ever seen of it, in whatever order they came.

Imperfect records
    Another program may have written the database: one email in two identities, a secondary of a
    secondary, a younger contact as primary, a deleted primary. A read answers such an identity
    as it should be. A write rewrites it as it should be, whole.

Reconciliation is idempotent: details that were reconciled change nothing when they come again.
The order does not matter either: any order and any batches of the same details give the same
partition of emails and phone numbers into identities. Which contacts and which pieces of
evidence hold the values may differ.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import TypeAlias

from attrs import evolve

from identity_core.errors import IdentityError
from identity_core.model.contact import Contact
from identity_core.model.decision import Decision, Identified, Outcome, WriteSet
from identity_core.model.details import ContactDetails
from identity_core.model.events import Event, EventKind
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.identity import Identity
from identity_core.model.rule_set import Hold, strip
from identity_core.model.snapshot import Snapshot
from identity_core.rules.merge import merge
from identity_core.rules.working_set import Component, WorkingSet


class KeptApart(IdentityError):
    """Details would join values that a pin keeps apart, and may have come before pairs that count.

    Only their whole record can decide which of the pairs is held.

    Attributes:
        position: where in the batch they are; those before can be decided.
    """

    def __init__(self, position: int) -> None:
        super().__init__("a pin keeps apart what some details would join")
        self.position = position


def reconcile(
    batch: Sequence[ContactDetails], snapshot: Snapshot, now: datetime, ids: Iterator[int]
) -> Decision:
    """Decide on a batch of details, in order, as if they came one after the other.

    Args:
        batch: any number of details.
        snapshot: what is known of them, read while nobody else can change it.
        now: the time in UTC, read after nobody else could change the snapshot.
        ids: new ids, ascending; at most one is drawn for each of the details, another for each that has a
            time of its own, and two more for each where limits are in force.

    Returns:
        what to write, and the identity of each of the details after the whole batch.

    Raises:
        KeptApart: some details would join values that a pin keeps apart; `record_pair` decides about them.
    """
    reconciliation = _Reconciliation(batch, snapshot, now, ids)
    made, components = reconciliation.decide(batch)
    return evolve(made, identities=tuple(map(reconciliation.consolidate, components)))


def reconcile_in_turn(
    batches: Sequence[Sequence[ContactDetails]],
    snapshots: Iterable[Snapshot],
    now: datetime,
    ids: Iterator[int],
) -> Iterator[Decision]:
    """Decide on one batch after the other, as `reconcile` does, each as if those before were written.

    Args:
        batches: any number of batches.
        snapshots: for each batch, when its turn comes, what is known of it without those before. Where there
            are pins or limits, the first tells of all batches, and the others of nothing more.
        now: as for `reconcile`.
        ids: as for `reconcile`.

    Yields:
        what to write, batch by batch; without the identities, because they may change again.

    Raises:
        KeptApart: as `reconcile`; the batches before can be written.
    """
    everything = [*chain.from_iterable(batches)]
    reconciliation: _Reconciliation | None = None
    for batch, snapshot in zip(batches, snapshots, strict=False):
        if reconciliation is None:
            reconciliation = _Reconciliation(everything, snapshot, now, ids, is_partial=len(batches) > 1)
        else:
            reconciliation.learn(snapshot)
        made, _ = reconciliation.decide(batch)
        yield made


def find_known(batch: Sequence[ContactDetails], snapshot: Snapshot) -> list[Identified | None]:
    """For each of the details its identity, or None if reconciling would write something."""
    working_set = WorkingSet(batch, snapshot)
    found = [_find_component(details, working_set) for details in batch]
    return [one and Identified(working_set.consolidate(one[0]), *one[1:]) for one in found]


def find_outcomes(batch: Sequence[ContactDetails], snapshot: Snapshot) -> list[Outcome | None]:
    """For each of the details what becomes of them, or None if reconciling would write something."""
    working_set = WorkingSet(batch, snapshot)
    found = [_find_component(details, working_set) for details in batch]
    return [one and one[1] for one in found]


_Found: TypeAlias = tuple[Component | None, Outcome, IdentifierKind | None]
"""The component of details, what became of them, and which of their values does not count."""

_NOBODY: _Found = (None, Outcome.BLOCKED, None)


def _refuse(kept_out: Sequence[Identifier], details: ContactDetails) -> _Found:
    """What becomes of details with values that are kept out."""
    return None, Outcome.SUPPRESSED, None if len(kept_out) == len(details.identifiers) else kept_out[0].kind


def _find_component(details: ContactDetails, working_set: WorkingSet) -> _Found | None:
    """The component of details that change nothing: of the email, if their pair does not count."""
    if blocked := working_set.find_blocked(details):
        return _find_component_of_other(details, blocked, working_set)
    matches = working_set.find_matches(details)
    if working_set.is_known(details, matches):
        return matches[0], Outcome.KNOWN, None
    if details.pair not in working_set.ignored:
        return None
    alone = working_set.take_alone(details)
    of_each = [working_set.find_matches(one) for one in alone]
    if not all(map(working_set.is_known, alone, of_each)):
        return None
    return of_each[0][0], Outcome.HELD, IdentifierKind.PHONE_NUMBER


def _find_component_of_other(
    details: ContactDetails, blocked: Sequence[IdentifierKind], working_set: WorkingSet
) -> _Found | None:
    """The component of details with blocked values, if they change nothing."""
    other = strip(details, blocked)
    if other.key == (None, None):
        return _NOBODY
    if details.pair is not None and not working_set.is_on_record(details.pair):
        return None
    matches = working_set.find_matches(other)
    return (matches[0], Outcome.KNOWN, blocked[0]) if working_set.is_known(other, matches) else None


class _Reconciliation:
    """Applies details to a working set, one after the other, and collects what has to be written.

    Args:
        details: all details that will be decided on.
        snapshot: what is known of them.
        now: the time.
        ids: new ids.
        is_partial: whether further snapshots tell of the rest of them.
    """

    def __init__(
        self,
        details: Sequence[ContactDetails],
        snapshot: Snapshot,
        now: datetime,
        ids: Iterator[int],
        *,
        is_partial: bool = False,
    ) -> None:
        self._working_set = WorkingSet(details, snapshot, is_partial=is_partial)
        self._working_set.count_pairs(details, snapshot.paired)
        self._now = now
        self._ids = ids
        self._begin()

    def _begin(self) -> None:
        """Forget what was collected, because it is written now."""
        self._changed: dict[Component, None] = {}
        self._created: set[int] = set()
        self._redated: set[int] = set()
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._superseded: list[tuple[str, str]] = []
        self._events: list[Event] = []
        self._corroborated = 0

    def decide(self, batch: Sequence[ContactDetails]) -> tuple[Decision, list[Component | None]]:
        """Apply the rules to the next batch: what to write, without the identities, and their components."""
        decided = [self._decide_by_rules(position, details) for position, details in enumerate(batch)]
        made = Decision(
            self._write_set(),
            (),
            tuple(outcome for _, outcome, _ in decided),
            self._corroborated,
            tuple(ignored for _, _, ignored in decided),
        )
        self._begin()
        return made, [component for component, _, _ in decided]

    def learn(self, snapshot: Snapshot) -> None:
        """Add what is known of further details, without those that were decided on."""
        self._working_set.learn(snapshot)

    def consolidate(self, component: Component | None) -> Identity:
        """The identity of a component."""
        return self._working_set.consolidate(component)

    def _decide_by_rules(self, position: int, details: ContactDetails) -> _Found:
        """Apply the rules to details, or to each value alone if their pair does not count."""
        working_set = self._working_set
        if working_set.suppressed:
            kept_out = [one for one in details.identifiers if one in working_set.suppressed]
            if kept_out:  # somebody else may have written the value meanwhile
                return _find_component(details, working_set) or _refuse(kept_out, details)
        if working_set.is_ruled:
            if blocked := working_set.find_blocked(details):
                return self._decide_on_other(position, details, blocked)
            if (pair := details.pair) is not None:
                hold = None if working_set.is_on_record(pair) else self._find_hold(position, details, pair)
                if hold is not None or pair in working_set.ignored:
                    return self._decide_on_each(position, details, pair, hold)
        component, outcome = self._decide(position, details)
        return component, outcome, None

    def _decide(self, position: int, details: ContactDetails) -> tuple[Component, Outcome]:
        component, kind = self._apply(position, details)
        if kind is None:
            return component, Outcome.KNOWN
        if kind is EventKind.CORROBORATED:
            self._corroborated += 1
        return component, Outcome.of(kind)

    def _decide_on_each(
        self, position: int, details: ContactDetails, pair: tuple[str, str], hold: Hold | None
    ) -> _Found:
        """Apply the rules to each value alone, and keep the pair on record if a limit holds it."""
        email, phone_number = self._working_set.take_alone(details)
        component, _ = self._apply(position, email)
        self._apply(position, phone_number)
        if hold is not None:
            self._keep(pair, details.seen_at, component, Standing.HELD, hold)
        return component, Outcome.HELD, IdentifierKind.PHONE_NUMBER

    def _decide_on_other(
        self, position: int, details: ContactDetails, blocked: Sequence[IdentifierKind]
    ) -> _Found:
        """Apply the rules to the value that is not blocked, and keep the pair on record."""
        other = strip(details, blocked)
        if other.key == (None, None):
            return _NOBODY
        component, outcome = self._decide(position, other)
        if details.pair is not None and not self._working_set.is_on_record(details.pair):
            self._keep(details.pair, details.seen_at, component, Standing.BLOCKED, Hold.UNCHECKED)
        return component, outcome, blocked[0]

    def _find_hold(self, position: int, details: ContactDetails, pair: tuple[str, str]) -> Hold | None:
        """The limit that holds a new pair. One that a pin holds is put on record at once."""
        working_set = self._working_set
        ends = working_set.find_ends_apart(details)
        if ends and details.seen_at is None and self._is_latest(ends):
            self._keep(pair, None, ends[0], Standing.HELD)
            return None
        hold = working_set.find_hold(pair)
        if ends and hold is None:
            raise KeptApart(position)
        return hold

    def _apply(self, position: int, details: ContactDetails) -> tuple[Component, EventKind | None]:
        """Apply the rules to details: the component they end in, and what happened, if anything did."""
        working_set = self._working_set
        matches = working_set.find_matches(details)
        if working_set.is_known(details, matches):
            return matches[0], None
        if len(matches) > 1 and working_set.are_apart(matches):
            raise KeptApart(position)

        primaries = [component.primary.id for component in matches]
        contact: Contact | None = None
        evidence: Evidence | None = None
        if not matches:
            kind = EventKind.CREATED
            contact, component = self._create(details)
        else:
            kind = EventKind.CORROBORATED
            component = merge(matches)
            holder, earlier = working_set.holders.get(details.key), component.earlier_date(details)
            if holder is not None and earlier is not None:
                contact = self._date_back(holder, component, earlier)
            elif earlier is not None or not working_set.knows_all(details):
                contact = self._link(details, component)
                kind = EventKind.LINKED
            elif details.pair is not None and not working_set.is_recorded(details.pair):
                evidence = self._record(details.pair, details.seen_at or self._now)
            if len(matches) > 1:
                kind = EventKind.MERGED
        self._changed[component] = None
        self._events.append(
            Event(
                happened_at=self._now,
                kind=kind,
                primary_id=component.primary.id,
                contact_id=contact.id if contact is not None else None,
                evidence_id=evidence.id if evidence is not None else None,
                absorbed_ids=tuple(id for id in primaries if id != component.primary.id),
            )
        )
        return component, kind

    def _is_latest(self, components: Iterable[Component]) -> bool:
        """Whether nothing of some components was seen after now: clocks step back."""
        return all(component.contacts[-1].created_at <= self._now for component in components)

    def _keep(
        self,
        pair: tuple[str, str],
        seen_at: datetime | None,
        component: Component,
        standing: Standing,
        hold: Hold | None = None,
    ) -> None:
        """Record a pair that does not count; the component is that of the values that do."""
        self._working_set.ignored.add(pair)
        evidence = Evidence(next(self._ids), *pair, seen_at or self._now, standing, hold)
        self._evidence[pair] = evidence
        primary_id = component.root.primary.id
        self._events.append(Event(self._now, EventKind.HELD, primary_id, evidence_id=evidence.id))

    def _create(self, details: ContactDetails) -> tuple[Contact, Component]:
        contact = self._new_contact(details, details.seen_at or self._now)
        component = Component([contact])
        self._working_set.add(contact, component)
        return contact, component

    def _link(self, details: ContactDetails, component: Component) -> Contact:
        created_at = details.seen_at or max(self._now, component.primary.created_at)
        contact = self._new_contact(details, created_at)
        insort(component.contacts, contact, key=lambda c: c.seniority)
        self._working_set.add(contact, component)
        return contact

    def _new_contact(self, details: ContactDetails, created_at: datetime) -> Contact:
        contact = Contact(next(self._ids), details.email, details.phone_number, None, None, created_at)
        self._created.add(contact.id)
        if details.pair in self._working_set.evidence:
            self._working_set.evidence.remove(details.pair)
            self._working_set.count_pair(details.pair, -1)
            if self._evidence.pop(details.pair, None) is None:
                self._superseded.append(details.pair)
        return contact

    def _date_back(self, holder: Contact, component: Component, seen_at: datetime) -> Contact:
        contact = evolve(holder, created_at=seen_at)
        del component.contacts[bisect_left(component.contacts, holder.seniority, key=lambda c: c.seniority)]
        component.contacts.insert(0, contact)
        self._working_set.holders[holder.key] = contact
        self._redated.add(contact.id)
        return contact

    def _record(self, pair: tuple[str, str], seen_at: datetime) -> Evidence:
        evidence = Evidence(next(self._ids), *pair, seen_at)
        self._working_set.evidence.add(pair)
        self._working_set.count_pair(pair, 1)
        self._evidence[pair] = evidence
        return evidence

    def _write_set(self) -> WriteSet:
        """Everything that has to be written so far. The contacts are from now on as they are written."""
        created: list[Contact] = []
        altered: list[Contact] = []
        for component in self._changed:
            if component.merged_into is not None:
                continue
            primary = component.primary
            for position, contact in enumerate(component.contacts):
                linked = component.contacts[position] = contact.linked_to(primary)
                if contact.id in self._created:
                    created.append(linked)
                elif linked is not contact or contact.id in self._redated:
                    altered.append(linked)
        return WriteSet(
            created=tuple(sorted(created, key=lambda c: c.id)),
            altered=tuple(sorted(altered, key=lambda c: c.id)),
            evidence=tuple(self._evidence.values()),
            superseded=tuple(self._superseded),
            events=tuple(self._events),
        )
