"""Why two identifiers are one customer: the evidence that joins them.

Theory of operation
===================

The record is a graph: each email and each phone number is a node, and each pair seen together, in
a contact or as evidence, is an edge. An identity is one of its connected components.

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
"""

from collections import deque
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from attrs import frozen

from identity_core.model.contact import Contact
from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import Identifier, to_identifiers


class LinkReason(StrEnum):
    """What joins two identifiers."""

    CONTACT = "contact"
    EVIDENCE = "evidence"
    INHERITED = "inherited"


@frozen
class Link:
    """One step of a chain.

    Attributes:
        one: where the step starts.
        other: where it leads.
        reason: what joins the two.
        id: of the contact or the evidence; for an inherited link, of the contact that is linked.
        seen_at: when the two were first seen together; for an inherited link, when the contact was.
    """

    one: Identifier
    other: Identifier
    reason: LinkReason
    id: int
    seen_at: datetime


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
    """Why two identifiers are one identity.

    Attributes:
        chain: the shortest path from one to the other; empty if they are the same.
        weakest_link: None if no single value separates them.
    """

    chain: tuple[Link, ...]
    weakest_link: WeakestLink | None


def explain(
    contacts: Sequence[Contact], evidence: Collection[Evidence], one: Identifier, other: Identifier
) -> Explanation | None:
    """Explain why two identifiers are one customer; None if they are not.

    Args:
        contacts: of the identity that the first belongs to, oldest first.
        evidence: all evidence that joins values of the identity.
        one: an identifier of the identity.
        other: any.
    """
    holding = [(contact, held) for contact in contacts if (held := contact.identifiers)]
    graph = _build_graph(holding, evidence)
    if one not in graph or other not in graph:
        return None
    path = _find_shortest_path(graph, one, other)
    chain = tuple(_to_link(here, there, graph[here][there]) for here, there in pairwise(path))
    cut_values = _find_cut_values(graph, path)
    if not cut_values:
        return Explanation(chain, None)
    weakest = min(cut_values, key=lambda identifier: len(graph[identifier]))
    return Explanation(
        chain,
        WeakestLink(
            weakest,
            len(graph[weakest]),
            _count_contacts(_reach(graph, one, without=weakest), holding),
            _count_contacts(_reach(graph, other, without=weakest), holding),
        ),
    )


_Holding = Sequence[tuple[Contact, tuple[Identifier, ...]]]
"""Contacts that have identifiers, with these."""

_Graph = dict[Identifier, dict[Identifier, Contact | Evidence]]
"""Each identifier with those it is joined to, and by what."""


def _build_graph(holding: _Holding, evidence: Collection[Evidence]) -> _Graph:
    """The evidence graph of an identity; of several edges between two values the oldest contact's stays."""
    graph: _Graph = {}
    for contact, held in holding:
        for identifier in held:
            graph.setdefault(identifier, {})
        if len(held) == 2:
            _join(graph, held[0], held[1], contact)
    for piece in evidence:
        email, number = to_identifiers(piece.email, piece.phone_number)
        if email in graph and number in graph:
            _join(graph, email, number, piece)
    _join_inherited(graph, holding)
    return graph


def _join_inherited(graph: _Graph, holding: _Holding) -> None:
    joined: set[Identifier] = set()
    for contact, [identifier, *_] in holding:
        if identifier not in joined:
            reached = _reach(graph, identifier)
            if joined:
                _, [first, *_] = holding[0]
                _join(graph, first, identifier, contact)
            joined |= reached


def _join(graph: _Graph, one: Identifier, other: Identifier, by: Contact | Evidence) -> None:
    graph[one].setdefault(other, by)
    graph[other].setdefault(one, by)


def _to_link(one: Identifier, other: Identifier, by: Contact | Evidence) -> Link:
    if isinstance(by, Evidence):
        return Link(one, other, LinkReason.EVIDENCE, by.id, by.seen_at)
    reason = LinkReason.CONTACT if {one, other} <= {*by.identifiers} else LinkReason.INHERITED
    return Link(one, other, reason, by.id, by.created_at)


def _find_shortest_path(graph: _Graph, one: Identifier, other: Identifier) -> list[Identifier]:
    came_from: dict[Identifier, Identifier] = {one: one}
    queue = deque([one])
    while other not in came_from:
        here = queue.popleft()
        for there in graph[here]:
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    path = [other]
    while path[-1] != one:
        path.append(came_from[path[-1]])
    return path[::-1]


def _find_cut_values(graph: _Graph, path: Sequence[Identifier]) -> list[Identifier]:
    """The values between the ends of a path that every path from end to end passes."""
    position = {identifier: number for number, identifier in enumerate(path)}
    cut_values = []
    furthest = 0
    visited: set[Identifier] = set()
    for number, identifier in enumerate(path):
        if 0 < number < len(path) - 1 and furthest <= number:
            cut_values.append(identifier)
        beside = [identifier]
        while beside:
            for there in graph[beside.pop()]:
                if there in position:
                    furthest = max(furthest, position[there])
                elif there not in visited:
                    visited.add(there)
                    beside.append(there)
    return cut_values


def _reach(graph: _Graph, start: Identifier, without: Identifier | None = None) -> set[Identifier]:
    reached = {start}
    to_visit = [start]
    while to_visit:
        for there in graph[to_visit.pop()]:
            if there not in reached and there != without:
                reached.add(there)
                to_visit.append(there)
    return reached


def _count_contacts(identifiers: AbstractSet[Identifier], holding: _Holding) -> int:
    return sum(not identifiers.isdisjoint(held) for _, held in holding)
