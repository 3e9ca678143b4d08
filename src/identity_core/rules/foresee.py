"""What rules would do to a record."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from heapq import nsmallest
from itertools import count

from attrs import evolve, frozen

from identity_core.model.decision import LATER, NEW_IDS, WriteSet
from identity_core.model.evidence import Standing
from identity_core.model.identifiers import Identifier, to_identifiers
from identity_core.model.parts import Parts
from identity_core.model.record import Record
from identity_core.model.rule_set import Hold, RuleSet
from identity_core.model.rules_preview import AffectedIdentity
from identity_core.rules.apply import settle_by_rules
from identity_core.rules.parts import settle_leaving
from identity_core.rules.resolve import Pair

SHOWN = 5
"""How many values are shown as the reason why an identity would change."""


@frozen
class Foreseen:
    """What rules would do to a record.

    Attributes:
        affected: the identities that would change.
        added: how many more identities there would be.
        sizes: how many contacts each of the identities would have that the affected ones become.
        changes: the pairs that would stand otherwise, with how they stand before and after.
    """

    affected: tuple[AffectedIdentity, ...]
    added: int
    sizes: tuple[int, ...]
    changes: Mapping[Pair, tuple[Standing, Standing]]


def foresee(record: Record, released: Collection[Hold], *, retroactive: bool = False) -> Foreseen:
    """What `apply_rules`, or `apply_retroactively`, would do to a record."""
    settlement = settle_by_rules(record, LATER, count(NEW_IDS), released, retroactive=retroactive)
    changes = dict(_find_changes(record, settlement.writes))
    partners: defaultdict[Identifier, set[Identifier]] = defaultdict(set)
    for pair in changes:
        email, phone_number = to_identifiers(*pair)
        partners[email].add(phone_number)
        partners[phone_number].add(email)
    touched = {contact.id for contact in (*settlement.writes.rewritten, *settlement.writes.deleted)}
    current = settlement.movement.current
    parts = {
        contacts[0].id: Counter(current[contact.id] for contact in contacts) for contacts in record.identities
    }
    sources: defaultdict[int, set[int]] = defaultdict(set)
    for primary_id, own in parts.items():
        for part in own:
            sources[part].add(primary_id)
    affected: list[AffectedIdentity] = []
    becomes: set[int] = set()
    for contacts in record.identities:
        primary_id = contacts[0].id
        own = parts[primary_id]
        joined_ids = {source for part in own for source in sources[part]} - {primary_id}
        if len(own) > 1 or joined_ids or any(contact.id in touched for contact in contacts):
            values = {identifier for contact in contacts for identifier in contact.identifiers}
            # No contact may have a value that is blocked.
            values.update(other for value in tuple(values) for other in partners.get(value, ()))
            affected.append(
                AffectedIdentity(
                    primary_id,
                    len(contacts),
                    tuple(sorted(own.values(), reverse=True)),
                    tuple(sorted(joined_ids)),
                    tuple(_find_most(values, partners)),
                )
            )
            becomes.update(own)
    sizes = tuple(len(contacts) for contacts in settlement.identities if contacts[0].id in becomes)
    return Foreseen(
        tuple(affected),
        len(settlement.identities) - len(record.identities),
        sizes,
        changes,
    )


@frozen
class LeavingPart:
    """An identity that would leave a very large one.

    Attributes:
        contact_ids: the contacts that it has now, as part of the large one.
        size: how many contacts it would have.
        changes: its pairs that would stand otherwise, with how they stand before and after.
    """

    contact_ids: frozenset[int]
    size: int
    changes: Mapping[Pair, tuple[Standing, Standing]]


def foresee_leaving(parts: Parts, released: Collection[Hold] = ()) -> tuple[LeavingPart, ...]:
    """What `detach` would let leave."""
    settled = settle_leaving(parts, LATER, count(NEW_IDS), released)
    if settled is None:
        return ()
    record, settlement = settled
    current = settlement.movement.current
    ids: defaultdict[int, set[int]] = defaultdict(set)
    homes: dict[Identifier, int] = {}
    for contact in record.contacts:
        ids[current[contact.id]].add(contact.id)
        homes.update(dict.fromkeys(contact.identifiers, current[contact.id]))
    changes: defaultdict[int, dict[Pair, tuple[Standing, Standing]]] = defaultdict(dict)
    for pair, standings in _find_changes(record, settlement.writes):
        one, other = to_identifiers(*pair)
        changes[homes[other if record.rules.blocks(one) else one]][pair] = standings
    _, *leaving = settlement.identities
    primary_ids = [contacts[0].id for contacts in leaving]
    return tuple(
        LeavingPart(frozenset(ids[id]), len(contacts), changes[id])
        for id, contacts in zip(primary_ids, leaving, strict=True)
    )


class LargeIdentity:
    """Adds up what would leave a very large identity, part by part.

    Args:
        rules: by which parts would leave.

    Attributes:
        left: the ids of the contacts that would leave.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.left: set[int] = set()
        self._rules = rules
        self._parts: list[int] = []
        self._sizes: list[int] = []
        self._shared: Counter[Identifier] = Counter()
        self._most: list[tuple[Identifier, int]] = []

    def add(self, part: LeavingPart) -> None:
        """Add a part, unless it was added already."""
        if not self.left.isdisjoint(part.contact_ids):
            return
        self.left |= part.contact_ids
        self._parts.append(len(part.contact_ids))
        self._sizes.append(part.size)
        numbers = Counter(value for pair in part.changes for value in to_identifiers(*pair))
        own = [(value, number) for value, number in numbers.items() if not self._rules.blocks(value)]
        self._most = nsmallest(SHOWN, [*self._most, *own], key=_rank)
        self._shared.update({value: n for value, n in numbers.items() if self._rules.blocks(value)})

    def combine(self, rest: Record, foreseen: Foreseen) -> Foreseen:
        """What would become of all of it.

        Args:
            rest: the record of what would not leave part by part.
            foreseen: what would become of the rest.
        """
        [contacts] = rest.identities
        of_rest = foreseen.affected[0].parts if foreseen.affected else (len(contacts),)
        known = {value for contact in contacts for value in contact.identifiers}
        numbers = Counter(self._shared)
        for pair in foreseen.changes:
            values = to_identifiers(*pair)
            # A pair of a blocked value of the rest may be that of a part that would leave.
            if all(value in known or self._rules.blocks(value) for value in values):
                numbers.update(values)
        affected = AffectedIdentity(
            contacts[0].id,
            len(contacts) + len(self.left),
            tuple(sorted((*of_rest, *self._parts), reverse=True)),
            (),
            tuple(nsmallest(SHOWN, [*numbers.items(), *self._most], key=_rank)),
        )
        return Foreseen(
            (affected,),
            foreseen.added + len(self._parts),
            (*(foreseen.sizes or (len(contacts),)), *self._sizes),
            foreseen.changes,
        )


def foresee_block(
    record: Record, value: Identifier, released: Collection[Hold] = ()
) -> tuple[int, ...] | None:
    """What `apply_rules` would make of the identity of a value if the value was blocked, too.

    Args:
        record: of the value.
        value: the value.
        released: as for `foresee`.

    Returns:
        how many contacts of the identity each identity would have, the most first; None if no contact has
        the value.
    """
    own = next((c for c in record.identities if any(value in contact.identifiers for contact in c)), None)
    if own is None:
        return None
    foreseen = foresee(evolve(record, rules=record.rules.block(value)), released)
    parts = (identity.parts for identity in foreseen.affected if identity.primary_id == own[0].id)
    return next(parts, (len(own),))


def _find_changes(record: Record, writes: WriteSet) -> Iterator[tuple[Pair, tuple[Standing, Standing]]]:
    """The pairs that would stand otherwise, with how they stand before and after."""
    recorded = {piece.pair: piece.standing for piece in record.evidence}
    afterwards = [(piece.pair, piece.standing) for piece in writes.evidence]
    afterwards += [(pair, Standing.COUNTS) for pair in writes.superseded]
    for pair, standing in afterwards:
        before = recorded.get(pair, Standing.COUNTS)
        if standing is not before:
            yield pair, (before, standing)


def _find_most(
    values: Iterable[Identifier], partners: Mapping[Identifier, Collection[Identifier]]
) -> list[tuple[Identifier, int]]:
    """Those of some values that most of the changed pairs have, the most first."""
    counted = ((one, len(partners[one])) for one in values if one in partners)
    return nsmallest(SHOWN, counted, key=_rank)


def _rank(counted: tuple[Identifier, int]) -> tuple[int, Identifier]:
    """The sort key of values with numbers of pairs: the most first, and of as many as the values sort."""
    value, number = counted
    return -number, value
