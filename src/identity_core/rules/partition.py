"""A partition of values: which belong together, and which are kept apart.

It is a union-find forest with path halving and union by size (Tarjan and van Leeuwen, Worst-case analysis
of set union algorithms, 1984). Values are numbered, because sets of numbers are far quicker than
sets of identifiers.
"""

from collections.abc import Iterable

from identity_core.model.identifiers import Identifier, IdentifierKind


class Partition:
    """Starts with every value alone.

    >>> partition = Partition()
    >>> one, two = partition.email("a@example.org"), partition.email("b@example.org")
    >>> number = partition.phone_number("1")
    >>> partition.keep_apart(one, two)
    >>> partition.join(one, number), partition.join(two, number)
    (True, False)
    """

    def __init__(self) -> None:
        self.identifiers: list[Identifier] = []
        self._emails: dict[str, int] = {}
        self._phone_numbers: dict[str, int] = {}
        self._above: list[int] = []
        self._sizes: list[int] = []
        self._apart: dict[int, list[tuple[int, int]]] = {}

    def email(self, value: str) -> int:
        """The number of an email."""
        number = self._emails.get(value)
        if number is None:
            number = self._emails[value] = self._add(Identifier(IdentifierKind.EMAIL, value))
        return number

    def phone_number(self, value: str) -> int:
        """The number of a phone number."""
        number = self._phone_numbers.get(value)
        if number is None:
            number = self._phone_numbers[value] = self._add(Identifier(IdentifierKind.PHONE_NUMBER, value))
        return number

    def number(self, identifier: Identifier) -> int:
        """The number of an identifier."""
        kind, value = identifier
        return self.email(value) if kind is IdentifierKind.EMAIL else self.phone_number(value)

    def first(self, email: str | None, phone_number: str | None) -> int | None:
        """The number of the email, or of the phone number where there is no email."""
        if email is not None:
            return self.email(email)
        return None if phone_number is None else self.phone_number(phone_number)

    def find(self, number: int) -> int:
        """The number that stands for all values that belong together with this one."""
        above = self._above
        while above[number] != number:
            above[number] = number = above[above[number]]
        return number

    def size(self, number: int) -> int:
        """How many values belong together with this one, itself included."""
        return self._sizes[self.find(number)]

    def keep_apart(self, one: int, other: int) -> None:
        """Let no later `join` bring two values together."""
        for number in (one, other):
            self._apart.setdefault(self.find(number), []).append((one, other))

    def are_apart(self, one: int, other: int) -> bool:
        """Whether joining all that belongs to two values would join values that are kept apart."""
        one, other = self.find(one), self.find(other)
        return one != other and bool(self._apart) and not self._may_join(one, other)

    def join(self, one: int, other: int) -> bool:
        """Join all that belongs to two values; False if that would join values that are kept apart."""
        one, other = self.find(one), self.find(other)
        if one == other:
            return True
        if self._apart and not self._may_join(one, other):
            return False
        if self._sizes[one] < self._sizes[other]:
            one, other = other, one
        self._above[other] = one
        self._sizes[one] += self._sizes[other]
        if other in self._apart:
            self._apart.setdefault(one, []).extend(self._apart.pop(other))
        return True

    def join_all(self, pairs: Iterable[tuple[Identifier, Identifier]]) -> None:
        """Join the values of each pair."""
        for one, other in pairs:
            self.join(self.number(one), self.number(other))

    def _may_join(self, one: int, other: int) -> bool:
        fewer = min(self._apart.get(one, ()), self._apart.get(other, ()), key=len)
        return all({self.find(end) for end in ends} != {one, other} for ends in fewer)

    def _add(self, identifier: Identifier) -> int:
        number = len(self.identifiers)
        self.identifiers.append(identifier)
        self._above.append(number)
        self._sizes.append(1)
        return number
