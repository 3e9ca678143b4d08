"""Why two identifiers are one customer, or why they are not, although they share a history.

Theory of operation
===================

The record is a graph: each email and each phone number is a node, and each pair seen together, in
a contact or as evidence, is an edge if it counts. So is each pin that says that two values are the
same. An identity is one of its connected components.

In a database that another program wrote, links may join contacts that share nothing. Such a link
is *inherited*: an edge between a value of the contact and a value of its primary. It is part of
the graph only where no pair joins the two.

The *chain* between two values is the shortest path through the graph. Its *weakest link* is the
value whose removal separates the two; if there are several, the one with the fewest edges. If
there is none, at least two paths lead from one to the other that share no value in between.

The values that every path passes are found in one walk along the chain: each node that can be
reached around the chain is visited once, and a value that no such detour avoids separates the
ends. (The same idea as in Tarjan, Depth-first search and linear graph algorithms, 1972, for one
pair of nodes.)

Two values that are not joined may share a history: the chain then leads over links that are undone,
held or blocked, which join nothing.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from attrs import frozen

from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import Identifier
from identity_core.model.link import Link
from identity_core.model.record import Record
from identity_core.rules.graph import Graph, build_graph, find_inert
from identity_core.rules.resolve import Resolution, find_inherited_links, find_pins_between, resolve


@frozen
class WeakestLink:
    """The value whose removal separates two identifiers.

    Attributes:
        identifier: the value.
        edges: how many pairs it is part of.
        contacts_before: how many contacts would stay joined to the first identifier.
        contacts_after: how many would stay joined to the second.
    """

    identifier: Identifier
    edges: int
    contacts_before: int
    contacts_after: int


@frozen
class Explanation:
    """Why two identifiers are one identity, or why they are not.

    Attributes:
        chain: the shortest path from one to the other; empty if they are the same, or if they are not one
            identity and share no history.
        weakest_link: None if no single value separates them, or if they are not one identity.
        is_joined: whether they are one identity.
        pin_ids: the pins that keep apart what belongs to the two.
    """

    chain: tuple[Link, ...]
    weakest_link: WeakestLink | None
    is_joined: bool = True
    pin_ids: tuple[int, ...] = ()


def explain(record: Record, one: Identifier, other: Identifier) -> Explanation | None:
    """Explain why two identifiers are one customer, or not; None if they have nothing to do with each other.

    Args:
        record: of the two.
        one: an identifier.
        other: another, or the same.
    """
    links = find_inherited_links(record)
    resolution = resolve(record, links)
    graph = build_graph(record, links, resolution)
    start, end = (resolution.partition.number(identifier) for identifier in (one, other))
    path = graph.find_path(start, end)
    if not path:
        return _explain_separation(record, resolution, graph, one, other)
    cut_values = _find_cut_values(graph, path)
    if not cut_values:
        return Explanation(graph.to_chain(path), None)
    weakest = min(cut_values, key=lambda number: len(graph.edges[number]))
    return Explanation(
        graph.to_chain(path),
        WeakestLink(
            resolution.partition.identifiers[weakest],
            len(graph.edges[weakest]),
            _count_contacts(graph, graph.reach(start, without=weakest), record),
            _count_contacts(graph, graph.reach(end, without=weakest), record),
        ),
    )


def _explain_separation(
    record: Record, resolution: Resolution, graph: Graph, one: Identifier, other: Identifier
) -> Explanation | None:
    """Explain why two identifiers that nothing joins are not one customer."""
    partition = resolution.partition
    pin_ids = tuple(pin.id for pin in find_pins_between(record, resolution, one, other))
    for end, far_end, source in find_inert(record, resolution):
        ends = partition.number(end), partition.number(far_end)
        # Of values that only rulings name, the record does not know.
        if isinstance(source, Evidence) or max(ends) < len(graph.edges):
            graph.join(*ends, source)
    chain = graph.find_chain(one, other)
    return Explanation(chain, None, is_joined=False, pin_ids=pin_ids) if chain or pin_ids else None


def _find_cut_values(graph: Graph, path: Sequence[int]) -> list[int]:
    """The nodes between the ends of a path that every path from end to end passes."""
    position = {node: number for number, node in enumerate(path)}
    cut_values = []
    furthest = 0
    visited: set[int] = set()
    for number, node in enumerate(path):
        if 0 < number < len(path) - 1 and furthest <= number:
            cut_values.append(node)
        beside = [node]
        while beside:
            for there in graph.edges[beside.pop()]:
                if there in position:
                    furthest = max(furthest, position[there])
                elif there not in visited:
                    visited.add(there)
                    beside.append(there)
    return cut_values


def _count_contacts(graph: Graph, nodes: AbstractSet[int], record: Record) -> int:
    number = graph.partition.number
    return sum(any(number(value) in nodes for value in contact.identifiers) for contact in record.contacts)
