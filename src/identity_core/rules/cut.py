"""The smallest cut: the fewest links whose undoing parts two values.

It is a minimum cut, found as a maximum flow (Dinic, Algorithm for solution of a problem of maximum
flow in networks with power estimation, 1970). Every link has a capacity of a large number plus its
rank, so that fewer links always win; among as few, the weaker ones do: inherited links before pairs, and of
these younger before older. Pins are never cut. Of several such cuts the one nearest to the
first value is returned.
"""

from collections import deque
from collections.abc import Iterator
from itertools import pairwise

from identity_core.model.contact import Contact
from identity_core.model.evidence import Evidence
from identity_core.model.link import Link
from identity_core.model.ruling import Ruling, Verdict
from identity_core.rules.graph import Graph, Source

_Capacities = dict[int, dict[int, int]]


def find_cut(graph: Graph, one: int, other: int) -> tuple[Link, ...]:
    """Find the smallest cut between two nodes that a path joins.

    Returns:
        the links from the side of the first to the side of the second, weakest first; none if pins join the
        two whatever is undone.
    """
    nodes = graph.reach(one)
    edges = [
        (here, there, source)
        for here in nodes
        for there, source in graph.edges[here].items()
        if here < there and not _is_pin(source)
    ]
    edges.sort(key=lambda edge: (_weakness(edge[2]), edge[0], edge[1]))
    base = len(edges) * (len(edges) + 1)
    unlimited = (base + len(edges)) * len(edges) + 1
    capacities: _Capacities = {here: dict.fromkeys(graph.edges[here], unlimited) for here in nodes}
    ranks: dict[tuple[int, int], int] = {}
    for rank, (here, there, _) in enumerate(edges):
        capacities[here][there] = capacities[there][here] = base + rank
        ranks[here, there] = ranks[there, here] = rank
    if not _saturate(capacities, one, other, unlimited):
        return ()
    near = _measure_distances(capacities, one, None).keys()
    crossing = [(here, there) for here in near for there in graph.edges[here] if there not in near]
    return tuple(graph.to_link(*edge) for edge in sorted(crossing, key=lambda edge: ranks[edge]))


def _is_pin(source: Source) -> bool:
    return isinstance(source, Ruling) and source.verdict is Verdict.SAME


def _weakness(source: Source) -> tuple[bool, float, int]:
    """The sort key of links, the weakest first."""
    if isinstance(source, Contact):
        return True, -source.created_at.timestamp(), -source.id
    if isinstance(source, Evidence):
        return True, -source.seen_at.timestamp(), -source.id
    return False, 0, -(source.id if isinstance(source, Ruling) else source.contact.id)


def _saturate(capacities: _Capacities, source: int, sink: int, unlimited: int) -> bool:
    """Send as much flow as there can be, which changes the capacities; False if it is unlimited."""
    flow = 0
    while sink in (distances := _measure_distances(capacities, source, sink)):
        to_try = {node: iter(list(capacities[node])) for node in distances}
        while sent := _augment(capacities, distances, to_try, source, sink):
            flow += sent
            if flow >= unlimited:
                return False
    return True


def _measure_distances(capacities: _Capacities, source: int, sink: int | None) -> dict[int, int]:
    """How many steps each node is away through edges with capacity left, up to the sink."""
    distances = {source: 0}
    queue = deque([source])
    while queue and sink not in distances:
        here = queue.popleft()
        for there, capacity in capacities[here].items():
            if capacity and there not in distances:
                distances[there] = distances[here] + 1
                queue.append(there)
    return distances


def _augment(
    capacities: _Capacities,
    distances: dict[int, int],
    to_try: dict[int, Iterator[int]],
    source: int,
    sink: int,
) -> int:
    """Send flow along one shortest path; how much, 0 if there is no path left."""
    path = [source]
    while path[-1] != sink:
        here = path[-1]
        for there in to_try[here]:
            if capacities[here][there] and distances.get(there) == distances[here] + 1:
                path.append(there)
                break
        else:
            path.pop()
            if not path:
                return 0
    steps = list(pairwise(path))
    sent = min(capacities[here][there] for here, there in steps)
    for here, there in steps:
        capacities[here][there] -= sent
        capacities[there][here] += sent
    return sent
