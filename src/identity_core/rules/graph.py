"""The evidence graph of a record: values are nodes; pairs, pins and inherited links that count are edges."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from attrs import evolve

from identity_core.model.contact import Contact
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier
from identity_core.model.link import Link, LinkReason
from identity_core.model.record import Record
from identity_core.model.ruling import Ruling, Verdict
from identity_core.rules.partition import Partition
from identity_core.rules.resolve import InheritedLink, Resolution, find_inherited_links, resolve

Source = Contact | Evidence | InheritedLink | Ruling
"""What makes an edge."""

_REASONS = {
    Verdict.SAME: LinkReason.PIN,
    Verdict.INHERITED: LinkReason.INHERITED,
    Verdict.UNDONE: LinkReason.UNDONE,
}

Edges = dict[int, Source]
"""The nodes next to a node, each with what joins the two."""


class Graph:
    """Nodes are the numbers that a partition gives to values; each node has its edges."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.edges: list[Edges] = [{} for _ in partition.identifiers]

    def join(self, one: int, other: int, source: Source) -> None:
        """Add an edge, and the nodes that are new; of several edges between two nodes the first stays."""
        self.edges += ({} for _ in range(len(self.edges), max(one, other) + 1))
        self.edges[one].setdefault(other, source)
        self.edges[other].setdefault(one, source)

    def find_path(self, one: int, other: int) -> list[int]:
        """The shortest path from a node to another; empty if there is none."""
        if max(one, other) >= len(self.edges):
            return []
        came_from = {one: one}
        queue = deque([one])
        while queue and other not in came_from:
            here = queue.popleft()
            for there in self.edges[here]:
                if there not in came_from:
                    came_from[there] = here
                    queue.append(there)
        if other not in came_from:
            return []
        path = [other]
        while path[-1] != one:
            path.append(came_from[path[-1]])
        return path[::-1]

    def reach(self, start: int, without: int | None = None) -> set[int]:
        """The nodes that paths from a node lead to, itself included."""
        reached = {start}
        to_visit = [start]
        while to_visit:
            for there in self.edges[to_visit.pop()]:
                if there not in reached and there != without:
                    reached.add(there)
                    to_visit.append(there)
        return reached

    def find_chain(self, one: Identifier, other: Identifier) -> tuple[Link, ...]:
        """The shortest chain of links between two values; empty if there is none."""
        ends = self.partition.number(one), self.partition.number(other)
        return self.to_chain(self.find_path(*ends))

    def to_chain(self, path: Sequence[int]) -> tuple[Link, ...]:
        """The links along a path."""
        return tuple(self.to_link(here, there) for here, there in pairwise(path))

    def to_link(self, here: int, there: int) -> Link:
        """The edge between two nodes as a link."""
        one, other = self.partition.identifiers[here], self.partition.identifiers[there]
        source = self.edges[here][there]
        if isinstance(source, Contact):
            return Link(one, other, LinkReason.CONTACT, source.id, source.created_at)
        if isinstance(source, Evidence):
            return Link.of(source, one, other)
        if isinstance(source, InheritedLink):
            return Link(one, other, LinkReason.INHERITED, source.contact.id, source.contact.created_at)
        return Link(one, other, _REASONS[source.verdict], source.id, source.decided_at)


def build_graph(record: Record, links: Iterable[InheritedLink], resolution: Resolution) -> Graph:
    """Build the graph of what counts.

    Of several edges between two values, a pin stays before a contact, and a contact before evidence.

    Args:
        record: whole.
        links: what it inherited.
        resolution: which of its pairs count.
    """
    partition = resolution.partition
    ignored = resolution.ignored
    cut = {ruling.values for ruling in record.rulings_with(Verdict.UNDONE)}
    sources: list[tuple[Identifier, Identifier, Source]] = [
        (ruling.one, ruling.other, ruling) for ruling in record.rulings_with(Verdict.SAME)
    ]
    for contact in record.contacts:
        held = contact.identifiers
        if len(held) == 2 and contact.key not in ignored:
            sources.append((held[0], held[1], contact))
    sources += [
        (*piece.identifiers, evolve(piece, standing=Standing.COUNTS))
        for piece in record.evidence
        if piece.pair not in ignored
    ]
    sources += [(r.one, r.other, r) for r in record.rulings_with(Verdict.INHERITED)]
    sources += [
        (link.one, link.other, link) for link in links if frozenset([link.one, link.other]) not in cut
    ]
    numbered = [(partition.number(one), partition.number(other), source) for one, other, source in sources]
    graph = Graph(partition)
    for one, other, source in numbered:
        # Another program may have linked what a pin keeps apart.
        if partition.find(one) == partition.find(other):
            graph.join(one, other, source)
    return graph


def build_graph_of(record: Record) -> Graph:
    """Build the graph of what counts in a record that nobody has resolved yet."""
    links = find_inherited_links(record)
    return build_graph(record, links, resolve(record, links))


def find_inert(record: Record, resolution: Resolution) -> Iterator[tuple[Identifier, Identifier, Source]]:
    """The links that join nothing, each with its two values; those that rulings undid come first.

    Pairs of contacts are among them: these may not be settled yet.
    """
    for ruling in record.rulings_with(Verdict.UNDONE):
        yield ruling.one, ruling.other, ruling
    pieces = [
        *record.evidence,
        *(
            Evidence(contact.id, contact.email, contact.phone_number, contact.created_at)
            for contact in record.contacts
            if contact.email is not None and contact.phone_number is not None
        ),
    ]
    for piece in pieces:
        standing = resolution.find_standing(piece.pair)
        if standing is not Standing.COUNTS:
            yield *piece.identifiers, evolve(piece, standing=standing)
