"""Articulation points: values without which an identity would fall into parts.

They are found in one depth-first walk of the evidence graph (Hopcroft and Tarjan, Algorithm 447: efficient
algorithms for graph manipulation, 1973). Contacts are nodes, too, next to
their values, so that the walk counts them: a contact stays with the value that it keeps.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest

from identity_core.model.contact import Contact
from identity_core.model.identifiers import Identifier
from identity_core.rules.graph import Graph

ArticulationPoint = tuple[int, Identifier]
"""How many contacts would leave the largest part without a value, and the value."""


def find_articulation_points(
    graph: Graph, contacts: Iterable[Contact], limit: int
) -> list[ArticulationPoint]:
    """Find the values without which most contacts would leave the largest part of their identity.

    Args:
        graph: of what counts.
        contacts: those that are counted.
        limit: how many values at most.

    Returns:
        the values, that of the most contacts first.
    """
    partition = graph.partition
    neighbours = [[*edges] for edges in graph.edges]
    values = len(neighbours)
    for contact in contacts:
        numbers = [partition.number(identifier) for identifier in contact.identifiers]
        if len(numbers) > 1 and numbers[1] not in graph.edges[numbers[0]]:
            numbers.pop()
        for number in numbers:
            neighbours[number].append(len(neighbours))
        neighbours.append(numbers)
    # A value with one neighbour joins nobody, though a contact of its own would part from that.
    found = (
        (leaving, partition.identifiers[node])
        for node, leaving in _walk(neighbours, values)
        if leaving and len(graph.edges[node]) > 1
    )
    return nsmallest(limit, found, key=rank_point)


def rank_point(point: ArticulationPoint) -> tuple[int, Identifier]:
    """The sort key: the most contacts first, and of as many the value that sorts first."""
    leaving, value = point
    return -leaving, value


def _walk(neighbours: Sequence[Sequence[int]], values: int) -> Iterator[tuple[int, int]]:
    """The articulation points among the values, each with how many contacts would leave the largest part.

    Args:
        neighbours: the nodes next to each node, those of the values first.
        values: how many nodes are values.
    """
    order = [0] * len(neighbours)
    lowest = [0] * len(neighbours)
    sizes = [0] * values + [1] * (len(neighbours) - values)
    visited = 0
    for root in range(values):
        if order[root]:
            continue
        visited += 1
        order[root] = lowest[root] = visited
        parted: dict[int, list[int]] = {}
        path = [(root, iter(neighbours[root]))]
        while path:
            here, rest = path[-1]
            there = next((there for there in rest if not order[there]), None)
            if there is not None:
                visited += 1
                order[there] = lowest[there] = visited
                path.append((there, iter(neighbours[there])))
                continue
            path.pop()
            # What is next to it is below it, and known, or above it, and has its own place as its lowest yet.
            lowest[here] = min([lowest[here], *(lowest[there] for there in neighbours[here])])
            if path:
                above = path[-1][0]
                sizes[above] += sizes[here]
                if lowest[here] >= order[above]:
                    parted.setdefault(above, []).append(sizes[here])
        # No contact is among them: both values that it joins are next to each other as well.
        for node, parts in parted.items():
            above_all = sizes[root] - sum(parts)
            yield node, sizes[root] - max(above_all, *parts)
