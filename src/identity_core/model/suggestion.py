"""Values that join much, and what blocking each of them would do."""

from attrs import frozen

from identity_core.model.identifiers import Identifier


@frozen
class SharedValue:
    """A value, and how much it joins.

    Attributes:
        identifier: the value.
        partners: with how many others it is in pairs that count.
        merges: how many of these pairs made one identity of several when they came.
        primary_id: the primary of its identity.
        contacts: how many contacts the identity has.
    """

    identifier: Identifier
    partners: int
    merges: int
    primary_id: int
    contacts: int


@frozen
class Suggestion:
    """A value that may be worth blocking, and what that would do.

    Attributes:
        value: the value, and how much it joins.
        parts: how many contacts of the identity each identity would have that it would become, the most
            first; None if the identity is too large to find out.
    """

    value: SharedValue
    parts: tuple[int, ...] | None

    @property
    def leaving(self) -> int | None:
        """How many contacts would leave the largest part of the identity; None if it is too large."""
        return None if self.parts is None else sum(self.parts[1:])
