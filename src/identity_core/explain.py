"""Why two identifiers are one customer: the evidence that joins them.

Theory of operation
===================

What is on record makes a graph: each email and each phone number is a node, and each pair seen
together, by a contact or as evidence, is an edge. What one identity holds is connected.

In a database that others wrote before, links may join contacts that share nothing. Such a link
is an *inherited* one: an edge between a value of the contact and one of its primary. It stands
only where no evidence does the same.

The *chain* between two values is the shortest way through the graph. Its *weakest link* is the
value that, taken away, parts the two; of several the one that the fewest edges hold. Where
there is none, at least two ways lead from one to the other that share no value in between.

The values that every way passes are found in one walk along the chain: whatever can be reached
around it, by nodes that are not on it, is visited once; a value that no such detour passes by
is one that parts. (The same idea as in Tarjan, Depth-first search and linear graph algorithms,
1972, for one pair of nodes.)
"""

from collections import deque
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from attrs import frozen

from identity_core.changes import Evidence
from identity_core.contact import Contact
from identity_core.details import ContactDetails


class Kind(StrEnum):
    """What an identifier is."""

    EMAIL = "email"
    PHONE_NUMBER = "phone_number"


class Identifier(NamedTuple):
    """An email or a phone number."""

    kind: Kind
    value: str


class Reason(StrEnum):
    """What joins two identifiers."""

    CONTACT = "contact"
    EVIDENCE = "evidence"
    INHERITED = "inherited"


@frozen
class Link:
    """One step of a chain.

    Attributes:
        one: where it starts.
        other: where it leads.
        reason: what joins the two.
        id: of the contact or the evidence; of an inherited link the contact that is linked.
        seen_at: when the two were first seen together; of an inherited link, when the contact was.
    """

    one: Identifier
    other: Identifier
    reason: Reason
    id: int
    seen_at: datetime


@frozen
class WeakestLink:
    """The value that, taken away, parts two identifiers.

    Attributes:
        identifier: the value.
        edges: how many pairs seen together it is part of.
        contacts_before: how many contacts hold what would still be joined to the first identifier.
        contacts_after: likewise, to the second.
    """

    identifier: Identifier
    edges: int
    contacts_before: int
    contacts_after: int


@frozen
class Explanation:
    """Why two identifiers are of one identity.

    Attributes:
        chain: the shortest way from the one to the other; empty if they are the same.
        weakest_link: None where no single value parts them.
    """

    chain: tuple[Link, ...]
    weakest_link: WeakestLink | None


def identifiers_of(one: Contact | ContactDetails) -> list[Identifier]:
    """What a contact holds, or what details have."""
    held = ((Kind.EMAIL, one.email), (Kind.PHONE_NUMBER, one.phone_number))
    return [Identifier(kind, value) for kind, value in held if value is not None]


def explain(
    contacts: Sequence[Contact], evidence: Collection[Evidence], one: Identifier, other: Identifier
) -> Explanation | None:
    """Why two identifiers are one customer; None if they are not.

    Args:
        contacts: of the identity that the first belongs to, oldest first.
        evidence: all that joins values of the identity.
        one: an identifier of the identity.
        other: any.
    """
    holding = [(contact, held) for contact in contacts if (held := identifiers_of(contact))]
    graph = _graph(holding, evidence)
    if one not in graph or other not in graph:
        return None
    way = _shortest_way(graph, one, other)
    chain = tuple(_link(here, there, graph[here][there]) for here, there in pairwise(way))
    parting = _parting(graph, way)
    if not parting:
        return Explanation(chain, None)
    weakest = min(parting, key=lambda identifier: len(graph[identifier]))
    return Explanation(
        chain,
        WeakestLink(
            weakest,
            len(graph[weakest]),
            _contacts_holding(_reached(graph, one, without=weakest), holding),
            _contacts_holding(_reached(graph, other, without=weakest), holding),
        ),
    )


_Holding = Sequence[tuple[Contact, list[Identifier]]]
"""Contacts with what they hold, which is something."""

_Graph = dict[Identifier, dict[Identifier, Contact | Evidence]]
"""Each identifier with those it is joined to, and by what."""


def _graph(holding: _Holding, evidence: Collection[Evidence]) -> _Graph:
    """The evidence graph of an identity; of several that join the same the oldest contact stands."""
    graph: _Graph = {}
    for contact, held in holding:
        for identifier in held:
            graph.setdefault(identifier, {})
        if len(held) == 2:
            _join(graph, held[0], held[1], contact)
    for piece in evidence:
        email, number = Identifier(Kind.EMAIL, piece.email), Identifier(Kind.PHONE_NUMBER, piece.phone_number)
        if email in graph and number in graph:
            _join(graph, email, number, piece)
    _join_inherited(graph, holding)
    return graph


def _join_inherited(graph: _Graph, holding: _Holding) -> None:
    joined: set[Identifier] = set()
    for contact, [identifier, *_] in holding:
        if identifier not in joined:
            reached = _reached(graph, identifier)
            if joined:
                _, [first, *_] = holding[0]
                _join(graph, first, identifier, contact)
            joined |= reached


def _join(graph: _Graph, one: Identifier, other: Identifier, by: Contact | Evidence) -> None:
    graph[one].setdefault(other, by)
    graph[other].setdefault(one, by)


def _link(one: Identifier, other: Identifier, by: Contact | Evidence) -> Link:
    if isinstance(by, Evidence):
        return Link(one, other, Reason.EVIDENCE, by.id, by.seen_at)
    reason = Reason.CONTACT if {one, other} <= {*identifiers_of(by)} else Reason.INHERITED
    return Link(one, other, reason, by.id, by.created_at)


def _shortest_way(graph: _Graph, one: Identifier, other: Identifier) -> list[Identifier]:
    came_from: dict[Identifier, Identifier] = {one: one}
    line = deque([one])
    while other not in came_from:
        here = line.popleft()
        for there in graph[here]:
            if there not in came_from:
                came_from[there] = here
                line.append(there)
    way = [other]
    while way[-1] != one:
        way.append(came_from[way[-1]])
    return way[::-1]


def _parting(graph: _Graph, way: Sequence[Identifier]) -> list[Identifier]:
    """The values between the ends of a way without which no other way leads from end to end."""
    position = {identifier: number for number, identifier in enumerate(way)}
    parting = []
    furthest = 0
    visited: set[Identifier] = set()
    for number, identifier in enumerate(way):
        if 0 < number < len(way) - 1 and furthest <= number:
            parting.append(identifier)
        beside = [identifier]
        while beside:
            for there in graph[beside.pop()]:
                if there in position:
                    furthest = max(furthest, position[there])
                elif there not in visited:
                    visited.add(there)
                    beside.append(there)
    return parting


def _reached(graph: _Graph, start: Identifier, without: Identifier | None = None) -> set[Identifier]:
    reached = {start}
    line = [start]
    while line:
        for there in graph[line.pop()]:
            if there not in reached and there != without:
                reached.add(there)
                line.append(there)
    return reached


def _contacts_holding(identifiers: AbstractSet[Identifier], holding: _Holding) -> int:
    return sum(not identifiers.isdisjoint(held) for _, held in holding)
