"""Blocks of rows, column by column."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
from attrs import frozen

from identity_adapters.files.row import Rejected, Row

Values: TypeAlias = "pa.Array | Sequence[Any] | None"
"""The values of a column, as in the file; None if the file has no such column."""


@frozen
class Block:
    """Some rows of a file, and what cannot be read among them.

    Attributes:
        lines: the line of each row, ascending.
        email: the email of each row.
        phone_number: likewise.
        created_at: the time of each row; a time of Parquet is a duration since 1970.
        rejected: the rows that cannot be read, by line.
    """

    lines: Sequence[int]
    email: Values
    phone_number: Values
    created_at: Values
    rejected: Sequence[Rejected] = ()

    @classmethod
    def from_rows(cls, rows: Sequence[Row | Rejected]) -> "Block":
        """Make a block of rows in order."""
        rejected = [row for row in rows if isinstance(row, Rejected)]
        valid = [row for row in rows if not isinstance(row, Rejected)]
        columns: Iterable[tuple[Any, ...]] = zip(*valid, strict=True) if valid else ((), (), (), ())
        lines, email, phone_number, created_at = columns
        return cls(lines, email, phone_number, created_at, rejected)

    def rows(self) -> Iterator[Row | Rejected]:
        """The rows in order."""
        columns = (_to_list(column, len(self.lines)) for column in self.columns)
        rows: Iterable[Row | Rejected] = zip(self.lines, *columns, strict=True)
        return heapq.merge(rows, self.rejected, key=_find_line)

    @property
    def columns(self) -> tuple[Values, Values, Values]:
        """Emails, phone numbers and times."""
        return self.email, self.phone_number, self.created_at


def _to_list(values: Values, length: int) -> Sequence[Any]:
    if values is None:
        return [None] * length
    return values.to_pylist() if isinstance(values, pa.Array) else values


def _find_line(row: Row | Rejected) -> int:
    return row.line if isinstance(row, Rejected) else row[0]
