"""Erasing: what goes with a person, and what becomes of the rest.

A person is an identity: its contacts go, deleted ones included, with every pair, every ruling and every
block that names one of its values. What is left is settled as if these had never come. A pin that
kept somebody apart only because of the person no longer does.

Only an identity that is as it should be can be erased whole: an imperfect one is repaired before.
"""

from collections.abc import Collection, Iterator, Sequence, Set
from datetime import datetime
from itertools import count

from attrs import evolve, frozen

from identity_core.errors import IdentityError
from identity_core.model.contact import Contact
from identity_core.model.decision import LATER, NEW_IDS, WriteSet
from identity_core.model.dossier import Dossier
from identity_core.model.erasure import Erasure, LedgerEntry
from identity_core.model.events import Event, EventKind
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.lineage import DeletedContact
from identity_core.model.record import Record, make_plan
from identity_core.model.rule_set import RuleSet
from identity_core.model.snapshot import Snapshot
from identity_core.rules.apply import settle_by_rules
from identity_core.rules.articulation import find_articulation_points
from identity_core.rules.graph import build_graph_of
from identity_core.rules.resolve import find_inherited_links
from identity_core.rules.settle import settle

Target = Identifier | int
"""Who is to be erased: a value, or the id of a contact."""


class Outdated(IdentityError):
    """The person, or the rules, are no longer as they were when it was foreseen whom an erasure removes."""

    def __init__(self) -> None:
        super().__init__("the person or the rules changed")


class RulesNameValue(IdentityError):
    """The rules block a value that is to be erased; nobody else may decide meanwhile."""

    def __init__(self) -> None:
        super().__init__("the rules block a value of the person")


MOST = 5
"""How many weak values are looked at."""


@frozen
class Erasing:
    """What erasing decides.

    Attributes:
        erasure: what goes.
        writes: what has to be written.
    """

    erasure: Erasure
    writes: WriteSet


@frozen
class WeakValue:
    """A value that alone joins emails, so that they may be those of strangers.

    Attributes:
        value: the value.
        contacts: how many contacts would leave the identity without it.
        one: an email that it joins.
        other: an email that would no longer be joined to that one.
    """

    value: Identifier
    contacts: int
    one: Identifier
    other: Identifier


@frozen
class Scope:
    """Whom an erasure removes.

    Attributes:
        contacts: the live contacts, oldest first.
        deleted: the deleted contacts that lead to them or have nothing but their values.
        values: the values that go.
    """

    contacts: tuple[Contact, ...]
    deleted: tuple[DeletedContact, ...]
    values: frozenset[Identifier]

    @property
    def contact_ids(self) -> tuple[int, ...]:
        """All contacts that go, in ascending order."""
        ids = {contact.id for contact in self.contacts} | {one.contact.id for one in self.deleted}
        return tuple(sorted(ids))

    @property
    def plan(self) -> str:
        """A short token, which nobody else has."""
        return make_plan((*self.contacts, *(one.contact for one in self.deleted)), (), ())


def find_scope(dossier: Dossier, target: Target) -> Scope:
    """Find whom the erasure of a target removes.

    A deleted contact goes with the person that it leads to, or of whom it has a value. A value that only
    such a contact has goes too.

    Args:
        dossier: of the target.
        target: a value or a contact of it.
    """
    record = dossier.record
    leads_to = dict(record.deleted)
    live_id = leads_to.get(target, target) if isinstance(target, int) else None
    contacts = next(
        (
            contacts
            for contacts in record.identities
            if any(live_id == contact.id or target in contact.identifiers for contact in contacts)
        ),
        (),
    )
    values = {value for contact in contacts for value in contact.identifiers}
    if isinstance(target, Identifier):
        values.add(target)
    live_ids = {contact.id for contact in contacts}
    gone_ids = {id for id, to in record.deleted if to in live_ids} | _find_dead_ids(dossier, target)
    live = {value for contact in record.contacts for value in contact.identifiers}
    while True:
        deleted = [
            one
            for one in dossier.deleted
            if one.contact.id in gone_ids or not values.isdisjoint(one.contact.identifiers)
        ]
        of_deleted = {value for one in deleted for value in one.contact.identifiers if value not in live}
        if of_deleted <= values:
            return Scope(contacts, tuple(deleted), frozenset(values))
        # Further deleted contacts may have them.
        values |= of_deleted


def _find_dead_ids(dossier: Dossier, target: Target) -> set[int]:
    """The contacts of the identity of a target that another program deleted whole."""
    leading = {id for id, _ in dossier.record.deleted}
    dead = [one.contact for one in dossier.deleted if one.contact.id not in leading]
    return {
        contact.id
        for contacts in Snapshot.of(dead).identities
        if any(target == contact.id or target in contact.identifiers for contact in contacts)
        for contact in contacts
    }


def foresee_scope(dossier: Dossier, target: Target) -> tuple[Scope, bool]:
    """Find whom the erasure of a target removes once everything is as it should be, and whether it is."""
    settled = settle_by_rules(dossier.record, LATER, count(NEW_IDS))
    record = evolve(dossier.record, identities=settled.identities)
    return find_scope(evolve(dossier, record=record), target), settled.writes == WriteSet()


def find_leading(scope: Scope, target: Target) -> set[Identifier]:
    """Values by whose record all of a person is found, and those that no live contact has."""
    live = {value for contact in scope.contacts for value in contact.identifiers}
    own = [contact for contact in scope.contacts if target == contact.id]
    first = next((contact for contact in (*own, *scope.contacts) if contact.identifiers), None)
    leading: set[Identifier] = (
        {target} if isinstance(target, Identifier) else {*(first.identifiers if first else ())}
    )
    return leading | (scope.values - live)


def find_leading_of_all(dossier: Dossier) -> set[Identifier]:
    """Values by whose record all identities of a dossier are found."""
    held = (
        next((contact.identifiers for contact in contacts if contact.identifiers), ())
        for contacts in dossier.record.identities
    )
    return {value for values in held for value in values}


def erase(
    record: Record,
    now: datetime,
    ids: Iterator[int],
    *,
    scope: Scope,
    rules: RuleSet,
    by: str | None,
    suppressed_until: datetime | None = None,
    alone: bool = True,
) -> Erasing:
    """Erase a person.

    Args:
        record: of values that lead to the person, as it is under the locks.
        now: the time in UTC.
        ids: new ids, ascending.
        scope: whom it removes, as it was foreseen of what is as it should be.
        rules: those in force then.
        by: who erases; None if nobody said.
        suppressed_until: until when the values are kept out; None if they may come back.
        alone: whether nobody else can decide meanwhile.

    Raises:
        Outdated: the person or the rules changed.
        RulesNameValue: the rules block a value of the person, and others can decide meanwhile.
    """
    if record.rules != rules or not _is_still(record, scope):
        raise Outdated
    unblocked = rules.unblock(scope.values)
    if unblocked is not rules and not alone:
        raise RulesNameValue
    erasure = Erasure(
        next(ids),
        scope.values,
        scope.contact_ids,
        by,
        suppressed_until,
        None if unblocked is rules else unblocked,
    )
    return _conclude(record, now, ids, erasure)


def _is_still(record: Record, scope: Scope) -> bool:
    """Whether a person is who was foreseen."""
    ids = {contact.id for contact in scope.contacts}
    of_person = [contacts for contacts in record.identities if not ids.isdisjoint(c.id for c in contacts)]
    others = (contact for contacts in record.identities if contacts not in of_person for contact in contacts)
    return (
        of_person == ([scope.contacts] if scope.contacts else [])
        and all(scope.values.isdisjoint(contact.identifiers) for contact in others)
        and {id for id, to in record.deleted if to in ids} <= {*scope.contact_ids}
    )


def erase_again(
    record: Record,
    now: datetime,
    ids: Iterator[int],
    *,
    contacts: Collection[Contact],
    blocked: Set[Identifier],
    entry: LedgerEntry,
) -> Erasing:
    """Erase what a backup brought back: exactly the contacts of an erasure, whoever they belong to now.

    Values that other live contacts hold stay: these are of somebody else, or of one who came back.

    Args:
        record: of the values of the contacts, as it is under the locks.
        now: the time in UTC.
        ids: new ids, ascending.
        contacts: the contacts of the erasure that are there, deleted ones included.
        blocked: its values that rules block.
        entry: the erasure.
    """
    gone = {contact.id for contact in contacts}
    gone.update(id for id, to in record.deleted if to in gone)
    values = {*blocked}.union(*(contact.identifiers for contact in contacts))
    values -= {value for one in record.contacts if one.id not in gone for value in one.identifiers}
    rules = record.rules.unblock(values)
    erasure = Erasure(
        next(ids),
        frozenset(values),
        tuple(sorted(gone)),
        entry.erased_by,
        None if entry.suppressed_until is None or entry.suppressed_until <= now else entry.suppressed_until,
        rules=None if rules is record.rules else rules,
        evidence_ids=entry.evidence_ids,
        ruling_ids=entry.ruling_ids,
        again=entry,
    )
    return _conclude(record, now, ids, erasure)


def _conclude(record: Record, now: datetime, ids: Iterator[int], erasure: Erasure) -> Erasing:
    """Settle what is left of a record, and tell what happened."""
    left = _leave(record, erasure)
    links = [
        link for link in find_inherited_links(record) if erasure.values.isdisjoint([link.one, link.other])
    ]
    writes = settle(left, left, links, now, ids).writes
    told = () if not erasure.contact_ids else (_narrate(record, erasure, now),)
    return Erasing(erasure, evolve(writes, events=(*writes.events, *told), erasure=erasure))


def _narrate(record: Record, erasure: Erasure, now: datetime) -> Event:
    gone = {*erasure.contact_ids}
    oldest = (contact.id for contacts in record.identities for contact in contacts if contact.id in gone)
    primary_id = next(oldest, erasure.contact_ids[0])
    return Event(now, EventKind.ERASED, primary_id, moved_ids=erasure.contact_ids)


def _leave(record: Record, erasure: Erasure) -> Record:
    """The record without what is erased."""
    gone, values = {*erasure.contact_ids}, erasure.values
    identities = (
        tuple(contact for contact in contacts if contact.id not in gone) for contacts in record.identities
    )
    return evolve(
        record,
        identities=tuple(contacts for contacts in identities if contacts),
        evidence=tuple(
            piece
            for piece in record.evidence
            if piece.id not in erasure.evidence_ids and values.isdisjoint(piece.identifiers)
        ),
        rulings=tuple(
            ruling
            for ruling in record.rulings
            if ruling.id not in erasure.ruling_ids and values.isdisjoint(ruling.values)
        ),
        asked=record.asked - values,
        deleted=tuple((id, to) for id, to in record.deleted if id not in gone and to not in gone),
        rules=record.rules if erasure.rules is None else erasure.rules,
    )


def find_weak_values(record: Record, contacts: Sequence[Contact]) -> tuple[WeakValue, ...]:
    """Find single values that alone join emails of an identity, which may be those of strangers.

    Args:
        record: that the identity is part of.
        contacts: of the identity.

    Returns:
        at most `MOST` values, first that without which most contacts would leave.
    """
    alone = evolve(record, identities=(tuple(contacts),)) if contacts else record
    graph = build_graph_of(alone)
    partition = graph.partition
    found: list[WeakValue] = []
    for leaving, value in find_articulation_points(graph, alone.contacts, MOST):
        node = partition.number(value)
        reached = {node}
        emails: list[Identifier] = []
        for there in graph.edges[node]:
            if there not in reached:
                part = graph.reach(there, without=node)
                reached |= part
                of_part = (partition.identifiers[number] for number in part)
                emails += sorted(one for one in of_part if one.kind is IdentifierKind.EMAIL)[:1]
        if len(emails) > 1:
            found.append(WeakValue(value, leaving, emails[0], emails[1]))
    return tuple(found)
