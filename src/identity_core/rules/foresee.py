"""What rules would do to a record."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from heapq import nsmallest
from itertools import count

from attrs import evolve, frozen

from identity_core.model.decision import LATER, NEW_IDS, WriteSet
from identity_core.model.evidence import Standing
from identity_core.model.identifiers import Identifier, to_identifiers
from identity_core.model.record import Record
from identity_core.model.rule_set import Hold
from identity_core.model.rules_preview import AffectedIdentity
from identity_core.rules.apply import settle_by_rules
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
    return nsmallest(SHOWN, counted, key=lambda counted: (-counted[1], counted[0]))
