"""The application of rules to what is recorded.

New pairs are checked when they come. When the rules change, each pair that a block or a limit concerns is
looked at again: a pair with a blocked value stops counting, and one that was blocked or held counts
again if nothing else holds it. Each record is brought in line for itself, so that the service goes on.

Retroactive limits are applied as if they, and the rulings in force, had been there before the first pair:
all pairs are considered, in the order of `resolve`. What may count depends on pairs that limits hold, so
the record has to have both values of these. Then the outcome depends on nothing but what is recorded, however
often and in whichever part this is done.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from attrs import evolve, frozen

from identity_core.errors import IdentityError
from identity_core.model.decision import Decision, WriteSet
from identity_core.model.events import EventKind
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier, to_identifiers
from identity_core.model.record import Record
from identity_core.model.rule_set import Hold, RuleSet
from identity_core.model.ruling import Ruling, Verdict
from identity_core.rules.partition import Partition
from identity_core.rules.resolve import (
    InheritedLink,
    Pair,
    find_inherited_links,
    join_first,
    order_pairs,
    resolve,
)
from identity_core.rules.settle import Settlement, settle

REASON = "one of the values was blocked"
"""The reason of rulings that keep inherited links until their values are no longer blocked."""

FOLLOWED = 1_000
"""How many pairs of a value that do not count are considered together, at most."""


class LeadsFurther(IdentityError):
    """Pairs that limits hold lead to identities that a record does not have.

    Attributes:
        values: the values that lead to these.
    """

    def __init__(self, values: frozenset[Identifier]) -> None:
        super().__init__("pairs that limits hold lead to further identities")
        self.values = values


@frozen
class Applied:
    """What applying limits retroactively writes.

    Attributes:
        writes: contacts, evidence, rulings and events.
        pairs: all pairs that were considered.
    """

    writes: WriteSet
    pairs: frozenset[Pair]


def apply_rules(
    record: Record, now: datetime, ids: Iterator[int], *, released: Collection[Hold] = ()
) -> Decision:
    """Bring a record in line with its rules.

    Args:
        record: with both values of each pair that is to count again.
        now: the time in UTC.
        ids: new ids, ascending.
        released: pairs that these limits held are considered again.
    """
    return Decision(settle_by_rules(record, now, ids, released).writes, ())


def apply_retroactively(record: Record, now: datetime, ids: Iterator[int]) -> Applied:
    """Bring a record in line with its rules, and apply its limits to all that it has.

    Args:
        record: with both values of each pair that a limit holds or that was blocked and no longer is; of very
            many pairs of one value, those without both stay as they are.
        now: the time in UTC.
        ids: new ids, ascending.

    Raises:
        LeadsFurther: the record lacks some of these values.
    """
    if further := find_further_values(record):
        raise LeadsFurther(further)
    settlement = settle_by_rules(record, now, ids, retroactive=True)
    known = record.known
    pairs = (pair for _, pair in order_pairs(record) if known.issuperset(to_identifiers(*pair)))
    return Applied(settlement.writes, frozenset(pairs))


def find_further_values(record: Record) -> frozenset[Identifier]:
    """The values that a record lacks though pairs which limits hold, or which were blocked, lead to them.

    A value with `FOLLOWED` such pairs, of which the record may have but some, leads no further by these.
    """
    waiting = [
        piece.identifiers
        for piece in record.evidence
        if (piece.standing is Standing.BLOCKED or piece.hold is not None)
        and not record.rules.blocks_pair(piece.pair)
    ]
    number = Counter(value for ends in waiting for value in ends)
    followed = (ends for ends in waiting if all(number[value] < FOLLOWED for value in ends))
    return frozenset(value for ends in followed for value in ends) - record.known


def settle_by_rules(
    record: Record,
    now: datetime,
    ids: Iterator[int],
    released: Collection[Hold] = (),
    joined: EventKind = EventKind.MERGED,
    *,
    retroactive: bool = False,
) -> Settlement:
    """Settle a record by its rules, as `apply_rules` and `apply_retroactively` do."""
    links = find_inherited_links(record)
    kept = tuple(_keep(record, links, now, ids))
    evidence = _consider_all(record, links) if retroactive else _consider_again(record, links, released)
    after = evolve(record.revise(kept), evidence=evidence)
    settlement = settle(record, after, links, now, ids, joined)
    return evolve(settlement, writes=evolve(settlement.writes, rulings=kept))


def _keep(
    record: Record, links: Collection[InheritedLink], now: datetime, ids: Iterator[int]
) -> Iterator[Ruling]:
    """Rulings that remember the inherited links which a block cuts."""
    for link in links:
        if record.rules.block_any([link.one, link.other]):
            yield Ruling(next(ids), Verdict.INHERITED, link.one, link.other, now, None, REASON)


def _consider_all(record: Record, links: Collection[InheritedLink]) -> tuple[Evidence, ...]:
    """The evidence by limits that are applied to every pair, with the pairs of contacts that they hold."""
    known, accepted, undone = record.known, record.accepted_pairs, record.undone_pairs
    recorded = {piece.pair: piece for piece in record.evidence}
    admission = Admission(record, join_first(record, links))
    changed: dict[Pair, Evidence] = {}
    for (seen_at, id), pair in order_pairs(record):
        piece = recorded.get(pair)
        before = None if piece is None else piece.hold
        if record.rules.blocks_pair(pair) or not known.issuperset(to_identifiers(*pair)):
            continue
        if pair in accepted and (before is None or record.rules.limits.has(before)):
            hold = before
        elif (pair in undone and before is None) or admission.is_kept_apart(pair):
            hold = None
        else:
            hold = admission.find_hold(pair)
        if hold is None or pair in accepted:
            admission.admit(pair)
        standing = Standing.COUNTS if hold is None else Standing.HELD
        if piece is not None:
            changed[pair] = evolve(piece, standing=standing, hold=hold)
        elif hold is not None:
            changed[pair] = Evidence(id, *pair, seen_at, standing, hold)
    kept = (piece for piece in record.evidence if piece.pair not in changed)
    return tuple(sorted((*kept, *changed.values()), key=lambda piece: piece.id))


def _consider_again(
    record: Record, links: Collection[InheritedLink], released: Collection[Hold]
) -> tuple[Evidence, ...]:
    """The evidence, with those pairs no longer blocked or held that may count."""
    known = record.known
    waiting = [
        piece
        for piece in record.evidence
        if waits(piece, record.rules, released) and known.issuperset(piece.identifiers)
    ]
    if not waiting:
        return record.evidence
    resolution = resolve(record, links)
    counting = (pair for _, pair in order_pairs(record) if pair not in resolution.ignored)
    admission = Admission(record, resolution.partition, counting)
    changed: dict[Pair, Evidence] = {}
    for piece in sorted(waiting, key=lambda piece: piece.id):
        hold = piece.hold
        if hold is not None and (hold in released or not record.rules.limits.has(hold)):
            hold = admission.find_hold(piece.pair)
        if hold is None:
            admission.admit(piece.pair)
        standing = Standing.COUNTS if hold is None else Standing.HELD
        changed[piece.pair] = evolve(piece, standing=standing, hold=hold)
    return tuple(changed.get(piece.pair, piece) for piece in record.evidence)


def waits(piece: Evidence, rules: RuleSet, released: Collection[Hold]) -> bool:
    """Whether a pair is no longer blocked, or no longer held by its limit, and has to be considered again."""
    return (piece.standing is Standing.BLOCKED or piece.hold in released) and not rules.blocks_pair(
        piece.pair
    )


class Admission:
    """Checks the pairs of a record against the limits, one after the other.

    Args:
        record: with both values of each pair that is checked.
        partition: what belongs together already.
        counting: the pairs that count already.
    """

    def __init__(self, record: Record, partition: Partition, counting: Iterable[Pair] = ()) -> None:
        self._partition = partition
        self._limits = record.rules.limits
        self._undone = record.undone_pairs
        self._paired: defaultdict[int, set[int]] = defaultdict(set)
        for pair in counting:
            self._count(*self._number(pair))

    def is_kept_apart(self, pair: Pair) -> bool:
        """Whether a pair would join values that a pin keeps apart."""
        return self._partition.are_apart(*self._number(pair))

    def find_hold(self, pair: Pair) -> Hold | None:
        """The limit that a pair would exceed; None if it may count."""
        partition = self._partition
        email, number = self._number(pair)
        return self._limits.find_hold(
            len(self._paired[email] - {number}),
            len(self._paired[number] - {email}),
            partition.size(email),
            partition.size(number),
            are_joined=partition.find(email) == partition.find(number),
        )

    def admit(self, pair: Pair) -> None:
        """Let a pair count, unless a ruling says otherwise."""
        email, number = self._number(pair)
        if pair not in self._undone and self._partition.join(email, number):
            self._count(email, number)

    def _number(self, pair: Pair) -> tuple[int, int]:
        return self._partition.email(pair[0]), self._partition.phone_number(pair[1])

    def _count(self, email: int, number: int) -> None:
        self._paired[email].add(number)
        self._paired[number].add(email)
