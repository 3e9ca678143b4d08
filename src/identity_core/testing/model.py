"""What the whole is about, in ten lines: the connected components of the details."""

from collections.abc import Iterable

from identity_core import ContactDetails


def components(details: Iterable[ContactDetails]) -> set[frozenset[str]]:
    """The partition of all emails and phone numbers that these details make.

    >>> a, b, c = "a@example.org", "b@example.org", "c@example.org"
    >>> parts = components([ContactDetails(a, "1"), ContactDetails(b, "1"), ContactDetails(c, "2")])
    >>> sorted(map(sorted, parts))
    [['1', 'a@example.org', 'b@example.org'], ['2', 'c@example.org']]
    """
    parts: set[frozenset[str]] = set()
    for one in details:
        values = frozenset(value for value in one.key if value is not None)
        touched = {part for part in parts if part & values}
        parts = (parts - touched) | {values.union(*touched)}
    return parts
