"""The application of rules to what is recorded.

New pairs are checked when they come. When the rules change, each pair that a block or a limit concerns is
looked at again: a pair with a blocked value stops counting, and one that was blocked or held counts
again if nothing else holds it. Each record is brought in line for itself, so that the service goes on.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime

from attrs import evolve

from identity_core.model.decision import Decision
from identity_core.model.events import EventKind
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.record import Record
from identity_core.model.rule_set import Hold, RuleSet
from identity_core.model.ruling import Ruling, Verdict
from identity_core.rules.resolve import InheritedLink, Pair, find_inherited_links, order_pairs, resolve
from identity_core.rules.settle import Settlement, settle

REASON = "one of the values was blocked"
"""The reason of rulings that keep inherited links until their values are no longer blocked."""


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


def settle_by_rules(
    record: Record,
    now: datetime,
    ids: Iterator[int],
    released: Collection[Hold] = (),
    joined: EventKind = EventKind.MERGED,
) -> Settlement:
    """Settle a record by its rules, as `apply_rules` does."""
    links = find_inherited_links(record)
    kept = tuple(_keep(record, links, now, ids))
    after = evolve(record.revise(kept), evidence=_consider_again(record, links, released))
    settlement = settle(record, after, links, now, ids, joined)
    return evolve(settlement, writes=evolve(settlement.writes, rulings=kept))


def _keep(
    record: Record, links: Collection[InheritedLink], now: datetime, ids: Iterator[int]
) -> Iterator[Ruling]:
    """Rulings that remember the inherited links which a block cuts."""
    for link in links:
        if record.rules.block_any([link.one, link.other]):
            yield Ruling(next(ids), Verdict.INHERITED, link.one, link.other, now, None, REASON)


def _consider_again(
    record: Record, links: Collection[InheritedLink], released: Collection[Hold]
) -> tuple[Evidence, ...]:
    """The evidence, with those pairs no longer blocked or held that may count."""
    known = {identifier for contact in record.contacts for identifier in contact.identifiers} | record.asked
    waiting = [
        piece
        for piece in record.evidence
        if waits(piece, record.rules, released) and known.issuperset(piece.identifiers)
    ]
    if not waiting:
        return record.evidence
    admission = Admission(record, links)
    changed: dict[Pair, Evidence] = {}
    for piece in sorted(waiting, key=lambda piece: piece.id):
        hold = piece.hold
        if hold is Hold.UNCHECKED or hold in released:
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
        links: what it inherited.
    """

    def __init__(self, record: Record, links: Collection[InheritedLink]) -> None:
        resolution = resolve(record, links)
        self._partition = resolution.partition
        self._limits = record.rules.limits
        self._undone = record.undone_pairs
        self._paired: defaultdict[int, set[int]] = defaultdict(set)
        for _, pair in order_pairs(record):
            if resolution.find_standing(pair) is Standing.COUNTS:
                self._count(*self._number(pair))

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
