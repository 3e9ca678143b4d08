"""Rows as details, in the Python workers of Spark.

The functions that make details are those of an import: no other implementation lower-cases, trims and reads
digits exactly as the core does. They work on Arrow's batches.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import repeat
from typing import Any, TypeAlias

import pyarrow as pa

from identity_adapters.files.details import parse_rows
from identity_adapters.files.row import Columns, Rejected, Row
from identity_core import ContactDetails

ReadRows: TypeAlias = Callable[[pa.RecordBatch], Iterable[Row | Rejected]]

DETAILS = (
    "email string, phone_number string, seen_at timestamp, position long,"
    " file string, row long, field string, reason string"
)
"""What becomes of rows, as Spark declares it. Details have the first four columns, rejected rows the rest."""

_TYPES = (
    *(pa.string(), pa.string(), pa.timestamp("us", "UTC"), pa.int64()),
    *(pa.string(), pa.int64(), pa.string(), pa.string()),
)
_NAMES = tuple(column.split()[0] for column in DETAILS.split(","))
_CACHED_NAMES = 100


def parse_batches(
    batches: Iterable[pa.RecordBatch],
    *,
    read_rows: ReadRows,
    make_details: Callable[[Any, Any], ContactDetails],
    positions: Mapping[str, int],
    now: datetime,
) -> Iterator[pa.RecordBatch]:
    """Parse the rows of a partition.

    Args:
        batches: with the columns `file` and `start`, besides those that `read_rows` reads. Rows that follow
            each other with equal ones do so in the file, too.
        read_rows: reads a row from each row of a batch; their lines are not used.
        make_details: makes details of an email and a phone number; raises `InvalidDetails`.
        positions: where each file begins in the order of all rows.
        now: the time of rows that have none.

    Yields:
        Batches with the columns of `DETAILS`.
    """
    done: list[tuple[Any, ...]] = []
    file, start, number = "", -1, 0

    def number_rows(batch: pa.RecordBatch) -> Iterator[Row | Rejected]:
        nonlocal file, start, number
        places = zip(batch["file"].to_pylist(), batch["start"].to_pylist(), strict=True)
        for place, row in zip(places, read_rows(batch), strict=True):
            number = number + 1 if place == (file, start) else 0
            file, start = place
            yield row

    def reject(row: Rejected) -> None:
        done.append((None, None, None, None, file, start + number + 1, row.field, row.reason))

    for batch in batches:
        for details in parse_rows("", number_rows(batch), make_details, reject):
            position = positions[file] + start + number
            done.append((*details.key, details.seen_at or now, position, None, None, None, None))
        if done:
            columns = zip(*done, strict=True)
            yield pa.record_batch(list(map(pa.array, columns, _TYPES)), _NAMES)
            done.clear()


def read_values(batch: pa.RecordBatch) -> Iterator[Row | Rejected]:
    """Read rows whose values are in the columns `email`, `phone_number` and `created_at`."""
    columns = map(_to_values, (batch["email"], batch["phone_number"], batch["created_at"]))
    return zip(repeat(0), *columns, strict=False)


def read_csv(batch: pa.RecordBatch) -> Iterator[Row | Rejected]:
    """Read rows of CSV, whose column `fault` says what is wrong with a row as a whole."""
    for fault, row in zip(batch["fault"].to_pylist(), read_values(batch), strict=True):
        yield row if fault is None else Rejected("", 0, "row", fault)


def read_json(batch: pa.RecordBatch, columns: Columns) -> Iterator[Row | Rejected]:
    """Read lines of JSON in the column `line`, each with names of its own."""
    found: dict[tuple[str, ...], tuple[int | None, int | None, int | None]] = {}
    for line in _to_values(batch["line"]):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            yield Rejected("", 0, "row", "is not a JSON object")
            continue
        names, values = tuple(row), tuple(row.values())
        try:
            if names not in found:
                if len(found) == _CACHED_NAMES:
                    found.clear()
                found[names] = columns.find(names)
        except ValueError as error:
            yield Rejected("", 0, "row", str(error))
            continue
        email, phone_number, created_at = (
            None if position is None else values[position] for position in found[names]
        )
        yield 0, email, phone_number, created_at


def _to_values(column: pa.Array) -> list[Any]:
    """Values as `parse_rows` takes them: times are durations since 1970."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        return list(column.cast(pa.int64()).cast(pa.duration("us")).to_pylist())
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        # Lone surrogates in place of bytes that are not UTF-8, which are rejected.
        texts = column.cast(pa.binary()).to_pylist()
        return [None if text is None else text.decode(errors="surrogateescape") for text in texts]
