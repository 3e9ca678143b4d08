"""The lines of a TOML file on which its tables, keys and values are, which `tomllib` does not tell."""

import re
import tomllib
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The names of the tables and the key, and the number of a value in an array, from 0."""

_PIECE = re.compile(
    r'''
    """ (?: \\. | [^\\] )*? "{3,5} | \'\'\' .*? '{3,5}  # strings of several lines
    | " (?: \\. | [^"\\] )* " | ' [^']* '
    | \# [^\n]*
    | [\n\[\]{},=]
    | [^\s\[\]{},=\#"']+
    ''',
    re.VERBOSE | re.DOTALL,
)


def find_lines(text: str) -> dict[Path, int]:
    r"""Find the line of each table, key and value of an array.

    Keys in inline tables are left out.

    Args:
        text: valid TOML.

    >>> find_lines('[blocked]\nemails = [\n  "a@x",\n]')
    {('blocked',): 1, ('blocked', 'emails'): 2, ('blocked', 'emails', 0): 3}
    """
    lines: dict[Path, int] = {}
    table: Path = ()
    statement = ""  # what came of a header, or of a key
    path: Path | None = None  # of the value that is read
    depth = number = 0
    line = 1
    for piece in _PIECE.findall(f"{text}\n"):
        if piece == "\n" and not depth:
            if statement.startswith("["):
                table = _parse_path(statement)
                _add(lines, table, line)
            statement, path = "", None
        elif piece == "=" and path is None:
            path = table + _parse_path(f"{statement}=0")
            _add(lines, path, line)
            number = 0
        elif path is None:
            statement += "" if piece.startswith("#") else piece
        elif piece in ("]", "}"):
            depth -= 1
        elif piece == "," and depth == 1:
            number += 1
        elif piece != "\n" and not piece.startswith("#"):
            if depth:
                lines.setdefault((*path, number), line)
            depth += piece in ("[", "{")
        line += piece.count("\n")
    return lines


def _parse_path(statement: str) -> Path:
    """The names in a header or a key."""
    path: Path = ()
    found: Any = tomllib.loads(statement)
    while isinstance(found, dict) and found:
        [(name, found)] = found.items()
        path += (name,)
    return path


def _add(lines: dict[Path, int], path: Path, line: int) -> None:
    """Add a path, and the tables that it is in."""
    for length in range(1, len(path) + 1):
        lines.setdefault(path[:length], line)
