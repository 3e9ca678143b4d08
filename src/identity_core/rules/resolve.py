"""The canonical state: which pairs of a record count, and which values belong together.

`resolve` is the specification of everything that decides. A blocked value is joined to nothing. Inherited
links and pins *same* join their values. Then every pair that is not undone, in the order of time, joins
its two values, unless that would bring values together that a pin *different* keeps apart: then it is
*held*. Pairs of one time come in the order in which they were recorded.

Limits are applied to a pair once, when it is recorded (`identity_core.rules.reconcile`). A pair that
exceeded one stays *held*, unless a pin says that its two values are the same. What limits hold and what
was blocked counts only when it is considered again (`identity_core.rules.apply`), because the record
does not follow such pairs: of one value there may be millions. Limits that are put in force retroactively are
applied to all pairs, in this order.

Details that arrive in the order of time lead to the same state one by one. For a pair that arrives late
this holds too, unless it would bring values together that are kept apart: it may have come before pairs
that count. Only then a record is resolved again, whole.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from attrs import frozen

from identity_core.model.contact import Contact
from identity_core.model.evidence import Standing
from identity_core.model.identifiers import Identifier
from identity_core.model.record import Record
from identity_core.model.rule_set import RuleSet
from identity_core.model.ruling import Ruling, Verdict
from identity_core.rules.partition import Partition

Pair = tuple[str, str]


@frozen
class InheritedLink:
    """A link between contacts that no pair and no pin explains; another program wrote it.

    Attributes:
        one: a value of the primary.
        other: a value of the contact.
        contact: the contact that is linked.
    """

    one: Identifier
    other: Identifier
    contact: Contact


@frozen
class Resolution:
    """What belongs together.

    Attributes:
        partition: the values of the record.
        ignored: the pairs that do not count, each with the reason.
    """

    partition: Partition
    ignored: Mapping[Pair, Standing]

    def find_standing(self, pair: Pair) -> Standing:
        """Whether a pair of the record counts."""
        return self.ignored.get(pair, Standing.COUNTS)


def find_inherited_links(record: Record) -> list[InheritedLink]:
    """The links of a record that nothing else explains."""
    undone = record.undone_pairs
    partition = Partition()
    for contact in record.contacts:
        if contact.email is not None and contact.phone_number is not None and contact.key not in undone:
            partition.join(partition.email(contact.email), partition.phone_number(contact.phone_number))
    for piece in record.evidence:
        if piece.standing is Standing.COUNTS and piece.pair not in undone:
            partition.join(partition.email(piece.email), partition.phone_number(piece.phone_number))
    partition.join_all((r.one, r.other) for r in record.rulings_with(Verdict.SAME, Verdict.INHERITED))
    links: list[InheritedLink] = []
    for contacts in record.identities:
        anchor: int | None = None
        for contact in contacts:
            value = find_anchor(contact, record.rules)
            if value is None:
                continue
            number = partition.number(value)
            if anchor is None:
                anchor = number
            elif partition.find(anchor) != partition.find(number):
                partition.join(anchor, number)
                one, other = partition.identifiers[anchor], partition.identifiers[number]
                links.append(InheritedLink(one, other, contact))
    return links


def resolve(record: Record, links: Iterable[InheritedLink] = ()) -> Resolution:
    """Resolve a record by the rulings in force.

    Args:
        record: whole.
        links: what it inherited.
    """
    partition = join_first(record, links)
    ignored: dict[Pair, Standing] = {}
    blocked = {piece.pair for piece in record.evidence if piece.standing is Standing.BLOCKED}
    exceeding = {piece.pair for piece in record.evidence if piece.hold is not None} - record.accepted_pairs
    undone = record.undone_pairs
    for _, pair in order_pairs(record):
        if pair in blocked or record.rules.blocks_pair(pair):
            ignored[pair] = Standing.BLOCKED
        elif pair in undone:
            ignored[pair] = Standing.UNDONE
        elif pair in exceeding or not partition.join(
            partition.email(pair[0]), partition.phone_number(pair[1])
        ):
            ignored[pair] = Standing.HELD
    return Resolution(partition, ignored)


def join_first(record: Record, links: Iterable[InheritedLink]) -> Partition:
    """The values of a record, joined by what comes before pairs: pins and inherited links."""
    partition = Partition()
    for contact in record.contacts:
        partition.first(*contact.key)
        if contact.phone_number is not None:
            partition.phone_number(contact.phone_number)
    for ruling in record.rulings_with(Verdict.DIFFERENT):
        partition.keep_apart(partition.number(ruling.one), partition.number(ruling.other))
    rules = record.rules
    partition.join_all(
        (ruling.one, ruling.other)
        for ruling in record.rulings_with(Verdict.SAME, Verdict.INHERITED)
        if not rules.block_any(ruling.values)
    )
    cut = {ruling.values for ruling in record.rulings_with(Verdict.UNDONE)}
    for link in links:
        ends = frozenset([link.one, link.other])
        if ends not in cut and not rules.block_any(ends):
            partition.join(partition.number(link.one), partition.number(link.other))
    return partition


def find_anchor(contact: Contact, rules: RuleSet) -> Identifier | None:
    """The value by which a contact is linked; one that identifies somebody, if there is one."""
    identifiers = contact.identifiers
    preferred = (one for one in identifiers if not rules.block_any([one]))
    return next(preferred, identifiers[0] if identifiers else None)


def find_pins_between(
    record: Record, resolution: Resolution, one: Identifier, other: Identifier
) -> list[Ruling]:
    """The pins that keep apart what belongs to two values."""
    partition = resolution.partition
    sides = {partition.find(partition.number(value)) for value in (one, other)}
    return [
        ruling
        for ruling in record.rulings_with(Verdict.DIFFERENT)
        if {partition.find(partition.number(end)) for end in ruling.values} == sides
    ]


def order_pairs(record: Record) -> list[tuple[tuple[datetime, int], Pair]]:
    """The pairs in the order of their times, each with its time and its id."""
    times: dict[Pair, tuple[datetime, int]] = {}
    for contact in record.contacts:
        if contact.email is not None and contact.phone_number is not None:
            pair = (contact.email, contact.phone_number)
            times[pair] = min(times.get(pair, contact.seniority), contact.seniority)
    for piece in record.evidence:
        time = (piece.seen_at, piece.id)
        times[piece.pair] = min(times.get(piece.pair, time), time)
    return sorted((time, pair) for pair, time in times.items())
