"""Groups of identities that have to be looked at together."""

from collections.abc import Iterable
from typing import TypeAlias

from identity_core.model.identifiers import Identifier

Place: TypeAlias = int | Identifier
"""An identity by its primary; or a value that no contact has."""


class Groups:
    """Groups of places, joined as it turns out that they belong together, each with values that lead to it.

    >>> one, other = Identifier("email", "a@example.org"), Identifier("email", "b@example.org")
    >>> groups = Groups()
    >>> groups.add([1], [one])
    >>> groups.add([2], [other])
    >>> groups.add([1, 2], [])
    >>> groups.take([2]) == {one, other}
    True
    """

    def __init__(self) -> None:
        self._above: dict[Place, Place] = {}
        self._values: dict[Place, set[Identifier]] = {}
        self._joined: set[Place] = set()

    def add(self, places: Iterable[Place], values: Iterable[Identifier]) -> None:
        """Join the groups of some places, and add values to the group."""
        self._values.setdefault(self._join(places), set()).update(values)

    def is_alone(self, place: Place) -> bool:
        """Whether a place is in a group of its own."""
        return self._find(place) not in self._joined

    def take(self, places: Iterable[Place]) -> set[Identifier]:
        """Join the groups of some places, and take the values of the group."""
        return self._values.pop(self._join(places), set())

    def first(self) -> Place | None:
        """A place of the oldest group that has values; None if none has."""
        return next(iter(self._values), None)

    def _join(self, places: Iterable[Place]) -> Place:
        first, *others = dict.fromkeys(map(self._find, places))
        if others:
            self._joined.add(first)
        for other in others:
            self._above[other] = first
            if other in self._values:
                self._values.setdefault(first, set()).update(self._values.pop(other))
        return first

    def _find(self, place: Place) -> Place:
        above = self._above
        while (parent := above.setdefault(place, place)) != place:
            above[place] = above[parent]
            place = parent
        return place
