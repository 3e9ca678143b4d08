"""Rules from TOML."""

import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from attrs import fields, frozen

from identity_adapters.api import MakeDetails
from identity_adapters.api.rules import MAX_LIMIT, make_rules, parse_blocked_value, parse_preset
from identity_adapters.rules_file.lines import Path, find_lines
from identity_core import ContactDetails, IdentifierKind, InvalidDetails, Limits, RuleSet

_KEYS = {
    "blocked": ("emails", "phone_numbers", "one_digit", "presets"),
    "limits": tuple(limit.name for limit in fields(Limits)),
}
"""The tables and their keys."""


@frozen
class Fault:
    """What is wrong in a file of rules.

    Attributes:
        line: where, counted from 1; None if it cannot be told.
        key: what is wrong, such as ``blocked.emails``.
        reason: why, as the end of a sentence that starts with the key; it quotes no values.
    """

    line: int | None
    key: str
    reason: str

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.key} {self.reason}"


class InvalidRules(Exception):
    """A file of rules that cannot be used.

    Attributes:
        faults: all that is wrong, by line.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line or 0))
        super().__init__("\n".join(map(str, self.faults)))


def parse_rules(text: str, make_details: MakeDetails = ContactDetails) -> RuleSet:
    """Parse TOML as rules.

    Args:
        text: the content of the file.
        make_details: makes details of an email and a phone number; values are normalised as it does.

    Raises:
        InvalidRules: the file cannot be used.

    >>> rules = parse_rules('''
    ... [blocked]
    ... emails = ["Test@Example.org", "*@example.com"]
    ... [limits]
    ... emails_per_phone_number = 5
    ... ''')
    >>> rules.emails, rules.email_patterns, rules.limits.emails_per_phone_number
    (frozenset({'test@example.org'}), frozenset({'*@example.com'}), 5)
    """
    try:
        document = _Document(tomllib.loads(text))
    except (ValueError, RecursionError) as error:
        raise InvalidRules([_describe_syntax(str(error))]) from None
    emails = document.read_values("emails", partial(_parse_value, IdentifierKind.EMAIL, make_details))
    phone_numbers = document.read_values(
        "phone_numbers", partial(_parse_value, IdentifierKind.PHONE_NUMBER, make_details)
    )
    presets = document.read_values("presets", parse_preset)
    one_digit = document.read_one_digit()
    limits = document.read_limits()
    if document.faults:
        lines = find_lines(text)
        raise InvalidRules(
            Fault(_find_line(lines, path), _name(path), reason) for path, reason in document.faults
        )
    return make_rules(emails, phone_numbers, presets, one_digit=one_digit, limits=limits)


class _Document:
    """The tables of a file, and what is wrong in them.

    Attributes:
        faults: the path and the reason of each.
    """

    def __init__(self, tables: dict[str, Any]) -> None:
        self.faults: list[tuple[Path, str]] = []
        self._check_keys((), tables, tuple(_KEYS))
        self._tables = {name: self._read_table(name, tables.get(name, {})) for name in _KEYS}

    def _read_table(self, name: str, table: Any) -> dict[str, Any]:
        if not isinstance(table, dict):
            self.faults.append(((name,), "must be a table"))
            return {}
        self._check_keys((name,), table, _KEYS[name])
        return table

    def _check_keys(self, path: Path, table: Iterable[str], known: Sequence[str]) -> None:
        reason = f"is unknown; there are {', '.join(known)}"
        self.faults += [((*path, key), reason) for key in table if key not in known]

    def read_values(self, key: str, parse: Callable[[Any], str]) -> list[str]:
        """Read an array of the blocked values."""
        array = self._tables["blocked"].get(key, [])
        path = ("blocked", key)
        if not isinstance(array, list):
            self.faults.append((path, "must be an array"))
            return []
        values = []
        for number, value in enumerate(array):
            try:
                values.append(parse(value))
            except InvalidDetails as error:
                self.faults.append(((*path, number), error.reason))
        return values

    def read_one_digit(self) -> bool:
        value = self._tables["blocked"].get("one_digit", False)
        if not isinstance(value, bool):
            self.faults.append((("blocked", "one_digit"), "must be true or false"))
        return value is True

    def read_limits(self) -> Limits:
        limits = {key: self._tables["limits"].get(key) for key in _KEYS["limits"]}
        for key, limit in limits.items():
            if limit is not None and (type(limit) is not int or not 1 <= limit <= MAX_LIMIT):
                self.faults.append((("limits", key), f"must be a whole number from 1 to {MAX_LIMIT}"))
        return Limits(**limits)


def _parse_value(kind: IdentifierKind, make_details: MakeDetails, value: Any) -> str:
    return parse_blocked_value(kind, value, make_details)


def _find_line(lines: dict[Path, int], path: Path) -> int | None:
    """The line of a path, or of the innermost table around it whose line is known."""
    found = (lines.get(path[:length]) for length in range(len(path), 0, -1))
    return next(filter(None, found), None)


def _name(path: Path) -> str:
    """A path for people; a key that may be a personal value is not quoted."""
    *around, last = path
    table = ".".join(map(str, around))
    if isinstance(last, int):
        return f"value {last + 1} of {table}"
    if re.fullmatch("[A-Za-z_]+", last):
        return ".".join(map(str, path))
    return f"a key of {table or 'the file'}"


_SYNTAX = re.compile(r"(?P<reason>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", re.DOTALL)
_MARKS_QUOTED = re.compile(r"[^'\"()]*(?:'.{1,2}'[^'\"()]*)?", re.DOTALL)


def _describe_syntax(message: str) -> Fault:
    """Describe an error of `tomllib`, without the keys that it may quote."""
    found = _SYNTAX.fullmatch(message)
    if found is None:
        return Fault(None, "the file", "must be TOML")
    line = int(found["line"]) if found["line"] else None
    if not _MARKS_QUOTED.fullmatch(found["reason"]):
        return Fault(line, "the file", "must be TOML: a table or a key is invalid, or there twice")
    return Fault(line, "the file", f"must be TOML: {found['reason'].lower()}")
