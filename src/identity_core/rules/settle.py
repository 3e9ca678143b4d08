"""Settling: the contacts, evidence and events that bring what is stored in line with the rulings.

A contact whose pair stops counting keeps its id and its email; the pair becomes evidence under the id of
the contact. If no other contact holds the phone number, it gets a contact of its own with the same date. When
the pair counts again, the contact gets its number back, and the other one is deleted. So undoing a pair
and restoring it leaves what was before. Where the pair stops counting because a value is blocked, the contact
keeps the other value, and the blocked one needs no contact.
A pair that a limit holds moves to the evidence in the same way, and back when the limit no longer holds it.

Whatever changes, the contacts of each identity are written as they should be: linked straight to the
oldest, no details held twice, no evidence of a pair that a contact holds.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain

from attrs import evolve, frozen

from identity_core.model.contact import Contact
from identity_core.model.decision import WriteSet
from identity_core.model.events import EventKind
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.record import Record
from identity_core.model.rule_set import Hold
from identity_core.rules.narrate import Assessed, Movement, compare_rulings, narrate_movement, narrate_rulings
from identity_core.rules.resolve import InheritedLink, Pair, Resolution, resolve

Contacts = tuple[Contact, ...]


@frozen
class Settlement:
    """What settling writes, and what it leads to.

    Attributes:
        writes: contacts, evidence and events.
        resolution: which pairs count.
        identities: all identities of the record afterwards; each is its contacts, oldest first.
        movement: which contacts went where.
    """

    writes: WriteSet
    resolution: Resolution
    identities: tuple[Contacts, ...]
    movement: Movement


def settle(
    before: Record,
    after: Record,
    links: Sequence[InheritedLink],
    now: datetime,
    ids: Iterator[int],
    joined: EventKind = EventKind.MERGED,
) -> Settlement:
    """Settle a record.

    Args:
        before: as it is stored.
        after: the same contacts, with the rulings and the evidence that shall be.
        links: what it inherited.
        now: the time of the events and of contacts for values that were never seen.
        ids: new ids, ascending; one is drawn for each new contact.
        joined: the kind of the events of identities that become one.
    """
    settling = _Settling(before, after, resolve(after, links), now, ids)
    settling.assess_evidence()
    settling.assess_contacts()
    settling.drop_repetitions()
    settling.keep_numbers()
    settling.add_values()
    return settling.finish(joined)


class _Settling:
    """The contacts and the evidence of a record on their way from before to after."""

    def __init__(
        self, before: Record, after: Record, resolution: Resolution, now: datetime, ids: Iterator[int]
    ) -> None:
        self._before = before
        self._after = after
        self._resolution = resolution
        self._partition = resolution.partition
        self._now = now
        self._ids = ids
        self._rules = after.rules
        self._contacts = {contact.id: contact for contact in before.contacts}
        self._holders = {contact.key: contact.id for contact in before.contacts}
        self._former = {contact.id: contacts[0].id for contacts in before.identities for contact in contacts}
        self._created: set[int] = set()
        self._rewritten: set[int] = set()
        self._without_email: set[int] = set()
        self._deleted: dict[int, Contact] = {}
        self._taken: list[tuple[Contact, Evidence]] = []
        self._evidence: dict[Pair, Evidence] = {}
        self._superseded: list[Pair] = []
        self._holds: dict[Pair, Hold | None] = {}
        self._assessed: list[Assessed] = []

    def assess_evidence(self) -> None:
        """Let evidence stand as the resolution says; a pair that counts again goes back to its contact."""
        recorded = {piece.pair: piece for piece in self._before.evidence}
        for piece in self._after.evidence:
            standing = self._resolution.find_standing(piece.pair)
            before = recorded.get(piece.pair)
            if standing is Standing.COUNTS and piece.pair in self._holders:
                self._superseded.append(piece.pair)
            elif before is None and piece.pair in self._holders:
                self._holds[piece.pair] = piece.hold  # the contact still has to lose it
            elif before is None or standing is not before.standing:
                companion, is_accepted = None, False
                if standing is Standing.COUNTS and self._is_of_contact(piece):
                    companion = self._give_back(piece)
                else:
                    self._evidence[piece.pair] = evolve(piece, standing=standing)
                    is_accepted = standing is Standing.COUNTS and piece.hold is not None
                self._assessed.append(Assessed(before or piece, standing, companion, is_accepted))
            elif piece.hold is not before.hold:
                self._evidence[piece.pair] = evolve(piece, standing=standing)

    def _is_of_contact(self, piece: Evidence) -> bool:
        """Whether the pair was that of a contact, which is still as it was left.

        A pair that a limit holds stays evidence, so that it is held again once no pin says otherwise.
        """
        contact = self._contacts.get(piece.id)
        return (
            contact is not None
            and contact.key in ((piece.email, None), (None, piece.phone_number))
            and contact.created_at == piece.seen_at
            and piece.hold is None
        )

    def _give_back(self, piece: Evidence) -> int | None:
        """Give a contact its pair back; the id of the contact that was made for the number, now deleted."""
        contact = self._contacts[piece.id]
        has_email = contact.email is not None
        self._contacts[contact.id] = evolve(contact, email=piece.email, phone_number=piece.phone_number)
        self._rewritten.add(contact.id)
        self._superseded.append(piece.pair)
        self._holders[piece.pair] = contact.id
        companion_id = self._holders.get((None, piece.phone_number)) if has_email else None
        companion = self._contacts.get(companion_id or 0)
        if companion is None or companion.created_at != piece.seen_at or companion.id < contact.id:
            return None
        self._delete(companion)
        return companion.id

    def assess_contacts(self) -> None:
        """Take the phone number, or an email that is blocked, from each contact whose pair does not count."""
        for contact in self._before.contacts:
            if contact.email is None or contact.phone_number is None:
                continue
            pair = (contact.email, contact.phone_number)
            standing = self._resolution.find_standing(pair)
            if standing is not Standing.COUNTS:
                email, number = contact.identifiers
                if (
                    standing is Standing.BLOCKED
                    and not self._rules.blocks(number)
                    and self._rules.blocks(email)
                ):
                    self._contacts[contact.id] = evolve(contact, email=None)
                    self._without_email.add(contact.id)
                else:
                    self._contacts[contact.id] = evolve(contact, phone_number=None)
                self._rewritten.add(contact.id)
                piece = Evidence(contact.id, *pair, contact.created_at, hold=self._holds.get(pair))
                self._taken.append((contact, piece))

    def keep_numbers(self) -> None:
        """Keep each phone number that was taken as if it had come alone, at the time of its contact."""
        recorded = {piece.pair for piece in self._after.evidence} - self._holds.keys()
        held = self._collect_values() if self._taken else set()
        oldest = self._find_oldest() if self._taken else {}
        alone = {one.phone_number: one for one in self._contacts.values() if one.email is None}
        for contact, piece in sorted(self._taken, key=lambda one: one[0].seniority):
            _, number = piece.identifiers
            root = self._partition.find(self._partition.number(number))
            companion = contact.id if contact.id in self._without_email else None
            standing = self._resolution.find_standing(piece.pair)
            # Where a value is blocked, the contact has the other one still, and the blocked one needs none.
            is_needed = standing is not Standing.BLOCKED
            if is_needed and (number not in held or contact.created_at < oldest[root]):
                oldest[root] = contact.created_at
                companion = self._keep_alone(number, contact, alone.pop(number.value, None))
                held.add(number)
            if piece.pair not in recorded:
                self._evidence[piece.pair] = evolve(piece, standing=standing)
                self._assessed.append(Assessed(piece, standing, companion))
                recorded.add(piece.pair)

    def _find_oldest(self) -> dict[int, datetime]:
        """By what stands for an identity, the date of its oldest contact."""
        oldest: dict[int, datetime] = {}
        for contact in self._contacts.values():
            number = self._partition.first(*contact.key)
            if number is not None:
                root = self._partition.find(number)
                oldest[root] = min(oldest.get(root, contact.created_at), contact.created_at)
        return oldest

    def _keep_alone(self, number: Identifier, taken_from: Contact, alone: Contact | None) -> int:
        """Make a contact for a phone number, in place of a younger one that has it alone; its id.

        The younger one is not dated back, because it might be primary when the pair counts again.
        """
        if alone is not None:
            self._delete(alone)
        made = self._create(number, taken_from.created_at)
        self._former[made] = self._former[taken_from.id]
        return made

    def drop_repetitions(self) -> None:
        """Delete the contacts whose details an older one holds."""
        holders: dict[object, Contact] = {}
        for contact in sorted(self._contacts.values(), key=lambda contact: contact.seniority):
            key = contact.id if contact.key == (None, None) else contact.key
            if holders.setdefault(key, contact) is not contact:
                self._delete(contact)

    def add_values(self) -> None:
        """Make a contact for each value that a ruling or evidence names and that was never seen.

        A value that was blocked has the date of the evidence. None is dated before the identity that it
        joins, because clocks step back.
        """
        added, _ = compare_rulings(self._before, self._after)
        named = {value for ruling in self._after.rulings for value in ruling.values}
        named.update(value for piece in self._after.evidence for value in piece.identifiers)
        named &= self._before.asked
        named = {value for value in named if not self._rules.block_any([value])}
        named.update(value for ruling in added for value in ruling.values)
        new = sorted(named - self._collect_values()) if named else []
        oldest = self._find_oldest() if new else {}
        seen = self._find_times_of_blocked() if new else {}
        for identifier in new:
            root = self._partition.find(self._partition.number(identifier))
            seen_at = seen.get(identifier, self._now)
            made = self._create(identifier, max(seen_at, oldest.get(root, seen_at)))
            self._former[made] = made

    def _find_times_of_blocked(self) -> dict[Identifier, datetime]:
        """When each value was first seen in a pair that was blocked before."""
        times: dict[Identifier, datetime] = {}
        for piece in self._before.evidence:
            if piece.standing is Standing.BLOCKED:
                for identifier in piece.identifiers:
                    times[identifier] = min(times.get(identifier, piece.seen_at), piece.seen_at)
        return times

    def _collect_values(self) -> set[Identifier]:
        return {identifier for contact in self._contacts.values() for identifier in contact.identifiers}

    def _create(self, identifier: Identifier, created_at: datetime) -> int:
        is_email = identifier.kind is IdentifierKind.EMAIL
        email, phone_number = (identifier.value, None) if is_email else (None, identifier.value)
        contact = Contact(next(self._ids), email, phone_number, None, None, created_at)
        self._contacts[contact.id] = contact
        self._created.add(contact.id)
        return contact.id

    def _delete(self, contact: Contact) -> None:
        self._deleted[contact.id] = contact
        del self._contacts[contact.id]

    def finish(self, joined: EventKind) -> Settlement:
        """Link the contacts of each identity to its oldest, and tell what happened."""
        roots = self._find_roots()
        by_root: defaultdict[int, list[Contact]] = defaultdict(list)
        for contact in sorted(self._contacts.values(), key=lambda contact: contact.seniority):
            by_root[roots[contact.id]].append(contact)
        primaries = {root: contacts[0] for root, contacts in by_root.items()}
        identities = [
            tuple(contact.linked_to(primaries[root]) for contact in contacts)
            for root, contacts in by_root.items()
        ]
        before = {contact.id: contact for contact in self._before.contacts}
        linked = [contact for contacts in identities for contact in contacts]
        created = [contact for contact in linked if contact.id in self._created]
        changed = [c for c in linked if c.id not in self._created and c is not before[c.id]]
        deleted = [contact.linked_to(primaries[roots[contact.id]]) for contact in self._deleted.values()]
        current = {id: primaries[root].id for id, root in roots.items()}
        current.update((id, current[leads_to]) for id, leads_to in self._before.deleted)
        movement = Movement(
            self._former | {id: self._former[leads_to] for id, leads_to in self._before.deleted},
            current,
            before | {contact.id: contact for contact in created},
        )
        repaired = {movement.current[contact.id] for contact in (*changed, *deleted)}
        repaired |= {movement.current[self._holders[pair]] for pair in self._superseded}
        rulings = chain.from_iterable(compare_rulings(self._before, self._after))
        writes = WriteSet(
            created=tuple(sorted(created, key=lambda c: c.id)),
            altered=tuple(sorted((c for c in changed if c.id not in self._rewritten), key=lambda c: c.id)),
            deleted=tuple(deleted),
            evidence=tuple(sorted(self._evidence.values(), key=lambda piece: piece.id)),
            superseded=tuple(sorted(self._superseded)),
            events=(
                *narrate_rulings(self._before, self._after, self._assessed, movement, self._now),
                *narrate_movement(
                    self._before,
                    self._assessed,
                    movement,
                    self._now,
                    joined=joined,
                    ruling_id=min((ruling.id for ruling in rulings), default=None),
                    repaired=repaired if joined is EventKind.REPAIRED else (),
                ),
            ),
            rewritten=tuple(sorted((c for c in changed if c.id in self._rewritten), key=lambda c: c.id)),
        )
        return Settlement(writes, self._resolution, tuple(identities), movement)

    def _find_roots(self) -> dict[int, int]:
        """By id of a contact, what stands for its identity; one without values goes with its primary."""
        partition = self._partition
        roots: dict[int, int] = {}
        for contact in (*self._contacts.values(), *self._deleted.values()):
            number = partition.first(*contact.key)
            if number is not None:
                roots[contact.id] = partition.find(number)
        for contacts in self._before.identities:
            without = [contact.id for contact in contacts if contact.id not in roots]
            if without:
                root = next((roots[c.id] for c in contacts if c.id in roots), -contacts[0].id)
                roots.update(dict.fromkeys(without, root))
        return roots
