"""What is handed out to a person: everything on record of them, and nothing of anybody else.

A person is who an erasure would remove. A pair or a ruling may name one of their values and one of somebody
else, which is left out: a pin that says that the two are different persons, a pair that a limit holds, or one
that was undone. So is a value that is blocked, which identifies nobody.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import zip_longest

from attrs import evolve, frozen

from identity_core.model.contact import Contact
from identity_core.model.dossier import Dossier
from identity_core.model.events import RecordedEvent
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.rule_set import Hold, RulesInForce
from identity_core.model.ruling import Note, Ruling, Verdict, Withdrawal
from identity_core.rules.erase import Scope
from identity_core.rules.strike import make_strike

OTHER_PERSON = "other person"
"""What stands in place of somebody else's value where people wrote it."""


@frozen
class DisclosedValue:
    """A value of the person.

    Attributes:
        value: the value.
        first_seen: the earliest date on record with it, in UTC; None if it was never seen.
        last_seen: the first day of the month in which it was last seen; None if that is not recorded.
        is_blocked: whether the rules in force block it.
    """

    value: Identifier
    first_seen: datetime | None
    last_seen: date | None
    is_blocked: bool


@frozen
class DisclosedContact:
    """A contact of the person, or one that has a value of theirs.

    Attributes:
        contact: without the values of others.
        deleted_at: when it was deleted, in UTC; None if it is live.
        left_out: the kinds of the values that are left out, because they are of others.
    """

    contact: Contact
    deleted_at: datetime | None
    left_out: tuple[IdentifierKind, ...]


@frozen
class DisclosedPair:
    """A pair with a value of the person, in a live contact or as evidence.

    Attributes:
        email: None if it is somebody else's.
        phone_number: None if it is somebody else's.
        seen_at: when it was first seen, in UTC.
        standing: whether it joins the two.
        hold: the limit that holds it; None if none does.
    """

    email: str | None
    phone_number: str | None
    seen_at: datetime
    standing: Standing
    hold: Hold | None


@frozen
class DisclosedRuling:
    """A ruling that names a value of the person.

    Attributes:
        id: of the ruling.
        verdict: what it says.
        one: None if it is somebody else's.
        other: None if it is somebody else's.
        decided_at: when, in UTC.
        decided_by: who; None if nobody said.
        reason: why, without values of others that these rulings name.
        split_id: the ruling of the split that it is part of.
        withdrawal: its end, likewise; None if it is in force.
    """

    id: int
    verdict: Verdict
    one: Identifier | None
    other: Identifier | None
    decided_at: datetime
    decided_by: str | None
    reason: str
    split_id: int | None
    withdrawal: Withdrawal | None


@frozen
class NamingRules:
    """Rules that block values of the person by themselves, not by a pattern.

    Attributes:
        version: of the rules.
        values: the values of the person that they name, sorted.
        note: who put them in force, why and when; None if nobody did.
        replaced_at: when others came into force, in UTC; None if these are in force.
    """

    version: int
    values: tuple[Identifier, ...]
    note: Note | None
    replaced_at: datetime | None


@frozen
class Disclosure:
    """Everything on record of a person.

    Attributes:
        values: sorted.
        contacts: live ones, oldest first, then deleted ones, in the order of ids.
        pairs: in the order in which they were first seen.
        rulings: in force or not, in the order of ids.
        rules: those that name a value, oldest first.
        events: of the identity, in the order of ids.
    """

    values: tuple[DisclosedValue, ...]
    contacts: tuple[DisclosedContact, ...]
    pairs: tuple[DisclosedPair, ...]
    rulings: tuple[DisclosedRuling, ...]
    rules: tuple[NamingRules, ...]
    events: tuple[RecordedEvent, ...]


def find_person(dossier: Dossier, scope: Scope) -> Scope:
    """Find the contacts of a person as they are recorded, also where these are not in line with the rules.

    Args:
        dossier: of the person.
        scope: whom an erasure would remove, once everything is as it should be.
    """
    ids = {contact.id for contact in scope.contacts}
    recorded = (
        contact
        for contact in dossier.record.contacts
        if contact.id in ids or not scope.values.isdisjoint(contact.identifiers)
    )
    return evolve(scope, contacts=tuple(sorted(recorded, key=lambda contact: contact.seniority)))


def disclose(dossier: Dossier, person: Scope, events: Sequence[RecordedEvent]) -> Disclosure:
    """Put together what is handed out.

    Args:
        dossier: of the person.
        person: whom it is about, by `find_person`.
        events: of their contacts.
    """
    evidence = [piece for piece in dossier.record.evidence if not person.values.isdisjoint(piece.identifiers)]
    contacts = [
        *((one, None) for one in person.contacts),
        *((d.contact, d.deleted_at) for d in person.deleted),
    ]
    return Disclosure(
        tuple(_disclose_values(dossier, person.values, [one for one, _ in contacts], evidence)),
        tuple(_disclose_contact(one, deleted_at, person.values) for one, deleted_at in contacts),
        tuple(_disclose_pairs(person.contacts, evidence, person.values)),
        tuple(_disclose_rulings(dossier, person.values)),
        tuple(_find_naming_rules(dossier.rules, person.values)),
        tuple(events),
    )


def _disclose_values(
    dossier: Dossier,
    values: Collection[Identifier],
    contacts: Iterable[Contact],
    evidence: Iterable[Evidence],
) -> Iterator[DisclosedValue]:
    first: dict[Identifier, datetime] = {}
    seen = [(one.identifiers, one.created_at) for one in contacts]
    seen += [(piece.identifiers, piece.seen_at) for piece in evidence]
    for identifiers, at in seen:
        for value in identifiers:
            first[value] = min(first.get(value, at), at)
    rules, last = dossier.record.rules, dossier.last_seen
    for value in sorted(values):
        yield DisclosedValue(value, first.get(value), last.get(value), rules.blocks(value))


def _disclose_contact(
    contact: Contact, deleted_at: datetime | None, values: Collection[Identifier]
) -> DisclosedContact:
    left_out = tuple(value.kind for value in contact.identifiers if value not in values)
    if IdentifierKind.EMAIL in left_out:
        contact = evolve(contact, email=None)
    if IdentifierKind.PHONE_NUMBER in left_out:
        contact = evolve(contact, phone_number=None)
    return DisclosedContact(contact, deleted_at, left_out)


def _disclose_pairs(
    contacts: Iterable[Contact], evidence: Iterable[Evidence], values: Collection[Identifier]
) -> Iterator[DisclosedPair]:
    pieces: dict[tuple[str, str], Evidence] = {}
    for contact in contacts:
        if contact.email is not None and contact.phone_number is not None:
            piece = Evidence(contact.id, contact.email, contact.phone_number, contact.created_at)
            pieces.setdefault(piece.pair, piece)
    for piece in evidence:
        seen_at = min(piece.seen_at, pieces.get(piece.pair, piece).seen_at)
        pieces[piece.pair] = evolve(piece, seen_at=seen_at)
    for piece in sorted(pieces.values(), key=lambda piece: (piece.seen_at, piece.id)):
        email, phone_number = (value.value if value in values else None for value in piece.identifiers)
        yield DisclosedPair(email, phone_number, piece.seen_at, piece.standing, piece.hold)


def _disclose_rulings(dossier: Dossier, values: frozenset[Identifier]) -> Iterator[DisclosedRuling]:
    every: list[tuple[Ruling, Withdrawal | None]] = [
        *((ruling, None) for ruling in dossier.record.rulings),
        *dossier.withdrawn,
    ]
    naming = [(ruling, end) for ruling, end in every if not values.isdisjoint(ruling.values)]
    strike = make_strike({v for ruling, _ in naming for v in ruling.values - values}, f"[{OTHER_PERSON}]")
    for ruling, end in sorted(naming, key=lambda one: one[0].id):
        yield DisclosedRuling(
            ruling.id,
            ruling.verdict,
            ruling.one if ruling.one in values else None,
            ruling.other if ruling.other in values else None,
            ruling.decided_at,
            ruling.decided_by,
            strike(ruling.reason),
            ruling.split_id,
            None if end is None else evolve(end, reason=strike(end.reason)),
        )


def _find_naming_rules(
    versions: Sequence[RulesInForce], values: frozenset[Identifier]
) -> Iterator[NamingRules]:
    for version, following in zip_longest(versions, versions[1:]):
        blocked = (value for kind in IdentifierKind for value in version.rules.list_blocked(kind))
        if named := tuple(sorted(values.intersection(blocked))):
            replaced_at = None if following is None or following.note is None else following.note.at
            yield NamingRules(version.version, named, version.note, replaced_at)
