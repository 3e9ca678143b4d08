"""The definition of an identity, in ten lines: a connected component of the values over the edges.

The nodes are the emails and phone numbers ever seen, the edges are the pairs that count: all of them.
"""

from collections.abc import Iterable

from identity_core import ContactDetails, Snapshot


def components(details: Iterable[ContactDetails]) -> set[frozenset[str]]:
    """The partition of all emails and phone numbers into identities.

    >>> a, b, c = "a@example.org", "b@example.org", "c@example.org"
    >>> parts = components([ContactDetails(a, "1"), ContactDetails(b, "1"), ContactDetails(c, "2")])
    >>> sorted(map(sorted, parts))
    [['1', 'a@example.org', 'b@example.org'], ['2', 'c@example.org']]
    """
    parts: set[frozenset[str]] = set()
    for one in details:
        values = frozenset(value for value in one.key if value is not None)
        matched = {part for part in parts if part & values}
        parts = (parts - matched) | {values.union(*matched)}
    return parts


def partition(snapshot: Snapshot) -> set[frozenset[str]]:
    """The identities of a snapshot as sets of emails and phone numbers, to compare with `components`."""
    return {
        frozenset(value for contact in contacts for value in contact.key if value is not None)
        for contacts in snapshot.identities
    }
