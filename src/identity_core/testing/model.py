"""The definition of an identity, in ten lines: a connected component of the values over the edges.

The nodes are the emails and phone numbers ever seen, the edges are the pairs that count. Without rulings
these are all pairs: `components`. With rulings it is `resolved` that says so.
"""

from collections.abc import Iterable
from datetime import datetime

from identity_core import ContactDetails, Identifier, Record, Snapshot, Standing, Verdict


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


def resolved(record: Record) -> set[frozenset[str]]:
    """The partition of all emails and phone numbers of a record, as the rulings in force have it.

    It is what `resolve` specifies, by sets alone, of a record that inherited no links.
    """

    def ends(*verdicts: Verdict) -> list[frozenset[Identifier]]:
        return [ruling.values for ruling in record.rulings if ruling.verdict in verdicts]

    seen: dict[frozenset[Identifier], tuple[datetime, int]] = {}
    for piece in record.evidence:
        seen[frozenset(piece.identifiers)] = (piece.seen_at, piece.id)
    for contact in record.contacts:
        if None not in contact.key:
            seen[frozenset(contact.identifiers)] = contact.seniority
    parts = {frozenset([value]) for contact in record.contacts for value in contact.identifiers}
    kept = {
        frozenset(piece.identifiers)
        for piece in record.evidence
        if piece.standing is Standing.BLOCKED
        or (piece.hold is not None and piece.pair not in record.accepted_pairs)
    }
    pairs = sorted(seen.keys() - ends(Verdict.UNDONE) - kept, key=seen.__getitem__)
    for edge in (*ends(Verdict.SAME, Verdict.INHERITED), *pairs):
        if record.rules.block_any(edge):
            continue
        matched = {part for part in parts if part & edge}
        joined = edge.union(*matched)
        if not any(pin <= joined for pin in ends(Verdict.DIFFERENT)):
            parts = (parts - matched) | {joined}
    return {frozenset(value for _, value in part) for part in parts}


def partition(known: Snapshot | Record) -> set[frozenset[str]]:
    """The identities that are stored, as sets of values, to compare with `components` or `resolved`."""
    return {
        frozenset(value for contact in contacts for value in contact.key if value is not None)
        for contacts in known.identities
    }
