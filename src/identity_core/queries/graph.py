"""The evidence graph of an identity, now or at some time, to draw it.

Its values are nodes. A link joins two of them, or would if it were not undone, held or blocked; the far end
of such a link may belong to somebody else. Two values have one link at most: one that counts, if there is
one.

What counted at some time follows from the contacts of that time and from the events of the pairs that no
contact held. Pins that were removed since are not drawn: what only they joined is drawn as inherited.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from attrs import evolve, frozen

from identity_core.model.contact import Contact
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier
from identity_core.model.lineage import Lineage
from identity_core.model.link import Link
from identity_core.model.record import Record
from identity_core.model.ruling import PINS, Ruling, Verdict
from identity_core.queries.history import as_of, find_standings
from identity_core.rules.articulation import find_articulation_points
from identity_core.rules.graph import Graph, build_graph, find_inert
from identity_core.rules.partition import Partition
from identity_core.rules.resolve import InheritedLink, Resolution, find_inherited_links, resolve


@frozen
class Node:
    """A value in the graph of an identity.

    Attributes:
        identifier: the value.
        is_member: whether it belongs to the identity; if not, it is the far end of a link that does not
            count, or of a pin.
        is_blocked: whether the rules in force block it.
    """

    identifier: Identifier
    is_member: bool = True
    is_blocked: bool = False


@frozen
class WeakestValue:
    """The value without which most contacts would leave the largest part of an identity.

    Attributes:
        identifier: the value.
        leaving: how many contacts would leave.
    """

    identifier: Identifier
    leaving: int


@frozen
class IdentityGraph:
    """The evidence graph of an identity.

    Attributes:
        primary_contact_id: the id of its oldest contact.
        total_contacts: how many contacts it has.
        nodes: its values, those of older contacts first, and then the values of others that links lead to.
        links: by their times.
        pins: those in force about any of its values, in the order of ids.
        weakest: None if no single value holds it together.
    """

    primary_contact_id: int
    total_contacts: int
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    pins: tuple[Ruling, ...]
    weakest: WeakestValue | None


def draw(record: Record, contacts: Sequence[Contact]) -> IdentityGraph | None:
    """Draw the graph of an identity; None if the record has nothing of it any more.

    Args:
        record: of a value of the identity.
        contacts: of the identity, at least one, oldest first. They may be older than the record.
    """
    ids = {contact.id for contact in contacts}
    current = next((own for own in record.identities if any(one.id in ids for one in own)), None)
    if current is None:
        if any(contact.identifiers for contact in contacts):
            return None
        current = tuple(contacts)  # without a value, nothing leads to them
    links = find_inherited_links(record)
    resolution = resolve(record, links)
    graph = build_graph(record, links, resolution)
    return _draw(record, resolution, graph, current)


def draw_as_of(lineage: Lineage, record: Record, contact_id: int, moment: datetime) -> IdentityGraph | None:
    """Draw the graph that an identity had at some time; None if the contact did not exist.

    Args:
        lineage: of the identity as it is now.
        record: of the values of the lineage, as it is now.
        contact_id: the contact whose identity is asked for.
        moment: the time, with an offset from UTC.
    """
    known = as_of(lineage, record.evidence, contact_id, moment)
    contacts = tuple(contact for contact in known if contact.created_at <= moment)
    if not contacts:
        return None
    then = _rewind(lineage, record, contacts, moment)
    links = find_inherited_links(then)
    resolution = _resolve_as_recorded(then, links)
    return _draw(then, resolution, build_graph(then, links, resolution), contacts)


def _rewind(lineage: Lineage, record: Record, contacts: tuple[Contact, ...], moment: datetime) -> Record:
    """A record as it was at some time, as far as it is about some contacts of that time."""
    values = {value for contact in contacts for value in contact.identifiers}
    counting = {contact.key for contact in contacts}
    evidence: list[Evidence] = []
    for piece in _find_pieces(lineage, record, moment):
        counts = piece.standing is Standing.COUNTS
        # Of a pair that counted, both values were those of the identity, or neither was.
        if piece.pair not in counting and (not counts or values.issuperset(piece.identifiers)):
            evidence.append(piece)
            if counts:
                counting.add(piece.pair)
    rulings = tuple(
        ruling
        for ruling in record.rulings
        if ruling.decided_at <= moment
        # It may come from another database, where it was decided earlier.
        and (ruling.verdict is not Verdict.UNDONE or ruling.pair not in counting)
    )
    return Record((contacts,), tuple(evidence), rulings, rules=record.rules)


def _find_pieces(lineage: Lineage, record: Record, moment: datetime) -> Iterator[Evidence]:
    """The evidence as it stood at some time, and the pairs of contacts that did not count then.

    A pair that only events of other identities tell of was there from its date on.
    """
    standings = find_standings(lineage, moment)
    for piece in record.evidence:
        standing = standings.get(piece.id, piece.standing)
        if standing is not None and piece.seen_at <= moment:
            yield evolve(piece, standing=standing)
    for contact in (*lineage.contacts, *(one.contact for one in lineage.deleted)):
        standing = standings.get(contact.id)
        if standing in (None, Standing.COUNTS) or contact.created_at > moment:
            continue
        if contact.email is not None and contact.phone_number is not None:
            yield Evidence(contact.id, contact.email, contact.phone_number, contact.created_at, standing)


def _resolve_as_recorded(record: Record, links: Iterable[InheritedLink]) -> Resolution:
    """Which pairs count as the record says: neither pins nor rules decide about them again."""
    partition = Partition()
    for contact in record.contacts:
        partition.join_all([(contact.identifiers[0], value) for value in contact.identifiers])
    known = {*partition.identifiers}
    pieces = [piece for piece in record.evidence if piece.standing is Standing.COUNTS]
    partition.join_all(piece.identifiers for piece in pieces)
    partition.join_all(
        (ruling.one, ruling.other)
        for ruling in record.rulings_with(Verdict.SAME, Verdict.INHERITED)
        if known >= ruling.values
    )
    partition.join_all((link.one, link.other) for link in links)
    ignored = {
        piece.pair: piece.standing for piece in record.evidence if piece.standing is not Standing.COUNTS
    }
    return Resolution(partition, ignored)


def _draw(record: Record, resolution: Resolution, graph: Graph, contacts: Sequence[Contact]) -> IdentityGraph:
    """Draw the graph of what counts, with what does not."""
    number = graph.partition.number
    members: set[int] = set()
    for node in (number(value) for contact in contacts for value in contact.identifiers):
        if node not in members:
            members |= graph.reach(node)
    weakest = find_articulation_points(graph, contacts, 1)
    for one, other, source in find_inert(record, resolution):
        here, there = number(one), number(other)
        if here in members or there in members:
            graph.join(here, there, source)
    links = [
        graph.to_link(*sorted((here, there), key=graph.partition.identifiers.__getitem__))
        for here in sorted(members)
        for there in graph.edges[here]
        if here < there or there not in members
    ]
    pins = [
        ruling
        for ruling in record.rulings
        if ruling.verdict in PINS and not members.isdisjoint(map(number, ruling.values))
    ]
    ends = [*((link.one, link.other) for link in links), *((pin.one, pin.other) for pin in pins)]
    named = map(number, chain.from_iterable(ends))
    identifiers = graph.partition.identifiers
    return IdentityGraph(
        contacts[0].id,
        len(contacts),
        tuple(
            Node(identifiers[node], node in members, record.rules.blocks(identifiers[node]))
            for node in dict.fromkeys([*sorted(members), *named])
        ),
        tuple(sorted(links, key=lambda link: (link.seen_at, link.id, link.one, link.other))),
        tuple(pins),
        next((WeakestValue(value, leaving) for leaving, value in weakest), None),
    )
