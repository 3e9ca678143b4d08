"""The canonical state: which pairs of a record count, and which values belong together.

`resolve` is the specification of everything that decides. Inherited links and pins *same* join their
values. Then every pair that is not undone, in the order of time, joins its two values, unless that would
bring values together that a pin *different* keeps apart: then it is *held*. Pairs of one time come
in the order in which they were recorded.

Details that arrive in the order of time lead to the same state one by one. For a pair that arrives late
this holds too, unless it would bring values together that are kept apart: it may have come before pairs
that count. Only then a record is resolved again, whole.
"""

from collections.abc import Iterable
from datetime import datetime

from attrs import frozen

from identity_core.model.contact import Contact
from identity_core.model.evidence import Standing
from identity_core.model.identifiers import Identifier
from identity_core.model.record import Record
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
        held: the pairs that are held.
    """

    partition: Partition
    held: frozenset[Pair]


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
            number = partition.first(*contact.key)
            if number is None:
                continue
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
    partition = Partition()
    for contact in record.contacts:
        partition.first(*contact.key)
        if contact.phone_number is not None:
            partition.phone_number(contact.phone_number)
    for ruling in record.rulings_with(Verdict.DIFFERENT):
        partition.keep_apart(partition.number(ruling.one), partition.number(ruling.other))
    partition.join_all((r.one, r.other) for r in record.rulings_with(Verdict.SAME, Verdict.INHERITED))
    cut = {ruling.values for ruling in record.rulings_with(Verdict.UNDONE)}
    for link in links:
        if frozenset([link.one, link.other]) not in cut:
            partition.join(partition.number(link.one), partition.number(link.other))
    held = [
        pair
        for _, pair in order_pairs(record)
        if not partition.join(partition.email(pair[0]), partition.phone_number(pair[1]))
    ]
    return Resolution(partition, frozenset(held))


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
    """The pairs that are not undone, in the order of their times, each with its time and its id."""
    undone = record.undone_pairs
    times: dict[Pair, tuple[datetime, int]] = {}
    for contact in record.contacts:
        if contact.email is not None and contact.phone_number is not None:
            pair = (contact.email, contact.phone_number)
            times[pair] = min(times.get(pair, contact.seniority), contact.seniority)
    for piece in record.evidence:
        time = (piece.seen_at, piece.id)
        times[piece.pair] = min(times.get(piece.pair, time), time)
    return sorted((time, pair) for pair, time in times.items() if pair not in undone)
