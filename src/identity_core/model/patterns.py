"""Patterns of values: ``*`` stands for any characters, ``?`` for one."""

import re
from collections import defaultdict
from collections.abc import Iterable

_WILDCARD = re.compile(r"[*?]")


class Patterns:
    """Patterns that are matched at once; thousands take hardly longer than one.

    Most are text that a value must start with, or an asterisk and text that it must end with. These texts are
    looked up. Only what remains of a pattern, behind the text that it starts with, is an expression.

    >>> patterns = Patterns(["*@example.org", "1555???"])
    >>> [patterns.match(value) for value in ("test@example.org", "1555123", "1555")]
    [True, True, False]
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        ends: set[str] = set()
        rests: defaultdict[str, list[str]] = defaultdict(list)
        sizes: defaultdict[int, set[int]] = defaultdict(set)  # of starts, by the length of the whole
        open_sizes: set[int] = set()
        for pattern in sorted(patterns):
            end = pattern.lstrip("*")
            if end and end != pattern and not _WILDCARD.search(end):
                ends.add(end)
                continue
            start = _WILDCARD.split(pattern, maxsplit=1)[0]
            rests[start].append(pattern[len(start) :])
            (open_sizes if "*" in pattern else sizes[len(pattern)]).add(len(start))
        self._ends = frozenset(ends)
        self._end_sizes = {*map(len, ends)}
        self._rests = {start: _compile(of_start) for start, of_start in rests.items()}
        self._sizes = {length: of_length | open_sizes for length, of_length in sizes.items()}
        self._open_sizes = open_sizes

    def __bool__(self) -> bool:
        return bool(self._ends or self._rests)

    def match(self, value: str) -> bool:
        """Whether one of the patterns stands for a value."""
        for size in self._end_sizes:
            if value[-size:] in self._ends:
                return True
        for size in self._sizes.get(len(value), self._open_sizes):
            rest = self._rests.get(value[:size])
            if rest is not None and rest.fullmatch(value, size):
                return True
        return False


def _compile(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_to_expression, patterns)), re.DOTALL)


def _to_expression(pattern: str) -> str:
    """The regular expression of a pattern.

    Each part between two asterisks is matched where it comes first, and never again (an atomic group). That
    finds a match if there is one, and many asterisks do not take long.
    """
    first, *parts = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", pattern))
    if not parts:
        return first
    *inner, last = parts
    return first + "".join(f"(?>.*?{part})" for part in inner) + f".*{last}"
