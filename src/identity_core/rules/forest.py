"""Which contacts, evidence and events a whole history gives, from where its values occur first.

Theory of operation
===================

This is what `identity_core.rules.reconcile` comes to where nothing is known before and no ruling or rule
applies, the details come in the order of their times, and each distinct pair of values comes once. Then
details need not look at values at all. Number the details in their order, from 1, and give each two more
numbers: that of the details in which their email occurs first, and that of those in which their phone
number does. Details in which one of their values occurs first become a contact; so a number says which
contact holds a value, and each of the details is an edge between two contacts.

=================================== ===================================================
an email or a phone number occurs    what happens
=================================== ===================================================
first, and the other value too, or   They become the primary contact of a new identity:
there is no other                    *created*.
first, and the other value before    They become a secondary contact: *linked*.
before, both, in one identity        Their pair is recorded as evidence: *corroborated*.
before, both, in two identities      The identities merge into that of the smaller
                                     primary, and the pair is recorded: *merged*.
before, and there is no other        Nothing: *known*.
=================================== ===================================================

Since nothing is older than what came before, the smallest number of an identity is its primary. Identities
are kept in a forest of disjoint sets, whose roots are the primaries (Tarjan, Efficiency of a Good But Not
Linear Set Union Algorithm, 1975), with path halving (van Leeuwen and van der Weide, 1977).
"""

from collections.abc import Iterable, Iterator, MutableMapping, MutableSequence
from typing import TypeAlias

from identity_core.model.events import EventKind

Parents: TypeAlias = "MutableSequence[int] | MutableMapping[int, int]"
"""The forest: for the number of each contact that of one above it, or its own if it is a primary."""


def grow(
    numbered: Iterable[tuple[int, int, int]], parents: Parents
) -> Iterator[tuple[EventKind | None, int, int]]:
    """Decide on distinct details in the order of their times.

    Args:
        numbered: for each of the details its number, that of the first details with its email, and that of
            the first with its phone number; 0 for a value that it does not have. Ascending; numbers may be
            missing, for example those of other identities.
        parents: the forest, which grows.

    Yields:
        For each of the details what happens, None if nothing; the primary of their identity then; and the
        primary that was absorbed by it, or 0.

    >>> [kind.value for kind, _, _ in grow([(1, 1, 1), (2, 2, 2), (3, 3, 1), (4, 1, 2)], [0] * 5)]
    ['created', 'created', 'linked', 'merged']
    """
    created, linked = EventKind.CREATED, EventKind.LINKED
    merged, corroborated = EventKind.MERGED, EventKind.CORROBORATED
    for number, email, phone_number in numbered:
        if email == number or phone_number == number:
            known = phone_number if email == number else email
            if known in (0, number):
                parents[number] = number
                yield created, number, 0
            else:
                primary = find_primary(known, parents)
                parents[number] = primary
                yield linked, primary, 0
        elif not email or not phone_number:
            yield None, 0, 0
        else:
            one, other = find_primary(email, parents), find_primary(phone_number, parents)
            if one == other:
                yield corroborated, one, 0
            else:
                primary, absorbed = (one, other) if one < other else (other, one)
                parents[absorbed] = primary
                yield merged, primary, absorbed


def find_primary(number: int, parents: Parents) -> int:
    """The primary of the identity of a contact."""
    above = parents[number]
    while above != number:
        parents[number] = number = parents[above]
        above = parents[number]
    return number
