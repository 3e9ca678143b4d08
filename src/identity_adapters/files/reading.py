"""Rows of files, one after the other, each with the line it stands on.

CSV is read by Python's own reader and JSON Lines by msgspec, since they can tell the line of every
row, also of one that is refused later; pyarrow, DuckDB and polars tell it of broken rows alone.
pyarrow reads Parquet, and what is compressed.
"""

import codecs
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from attrs import frozen

MAX_FIELD = 1_000_000
"""Characters of one field; a longer one is most likely a quote that was never closed."""

SUFFIXES = {".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".gz", ".zst"}
"""What the name of a file in a folder ends in if it is one of ours. What is in it is seen by its content."""

STANDARD_INPUT = "-"

_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_DELIMITERS = ",;\t|"
_BROKEN = (OSError, EOFError, zlib.error, pa.ArrowException)


class FileUnusable(Exception):
    """A file of which nothing can be read; the text names it and says why."""


@frozen
class Rejected:
    """A row that is left out.

    Attributes:
        file: the name of the file, as it was given.
        line: its line in the file; for Parquet its row.
        field: the field that is wrong, or ``row`` or ``file`` where it is as a whole.
        reason: why. It quotes no value.
    """

    file: str
    line: int
    field: str
    reason: str


Row: TypeAlias = tuple[int, Any, Any, Any]
"""Line, email, phone number and time, as they stand in the file."""


_USUAL = {
    "email": ("email", "e-mail", "email_address", "emailaddress", "mail"),
    "phone_number": ("phone_number", "phonenumber", "phone", "telephone", "mobile", "tel"),
    "created_at": ("created_at", "createdat", "created", "date", "timestamp", "time", "seen_at"),
}


@frozen
class Columns:
    """What the columns of the files are called.

    Attributes:
        email: the name of that of emails; any of the usual names where it is None.
        phone_number: likewise.
        created_at: likewise.
    """

    email: str | None = None
    phone_number: str | None = None
    created_at: str | None = None

    def find(self, names: Sequence[str]) -> tuple[int | None, int | None, int | None]:
        """Where they are among some names.

        Raises:
            ValueError: one that was named is not there, or neither email nor phone number is.
        """
        positions: list[int | None] = []
        plain = [name.strip().lower().replace(" ", "_") for name in names]
        for column, usual in _USUAL.items():
            named = getattr(self, column)
            if named is not None and named not in names:
                raise ValueError(f"has no column {named}")
            if named is not None:
                positions.append(names.index(named))
            else:
                positions.append(next((plain.index(name) for name in usual if name in plain), None))
        if positions[0] is None and positions[1] is None:
            raise ValueError("has no column of emails or phone numbers that is called as usual; name them")
        return positions[0], positions[1], positions[2]


def files_in(paths: Iterable[str]) -> list[str]:
    """The files that some paths name; of a folder all that look like ours, in the order of their names.

    Raises:
        FileUnusable: there is nothing under a name.
    """
    found: list[str] = []
    for name in paths:
        path = Path(name)
        if name != STANDARD_INPUT and path.is_dir():
            inside = sorted(str(one) for one in path.iterdir() if one.is_file() and one.suffix in SUFFIXES)
            if not inside:
                raise FileUnusable(f"{name}: has no file that ends in {', '.join(sorted(SUFFIXES))}")
            found += inside
        elif name != STANDARD_INPUT and not path.exists():
            raise FileUnusable(f"{name}: is not there")
        else:
            found.append(name)
    return found


def rows(
    file: str, columns: Columns, *, encoding: str = "utf-8", delimiter: str | None = None
) -> Iterator[Row | Rejected]:
    """The rows of a file, in order, and what could not be read of it.

    Args:
        file: its name, or ``-`` for the standard input.
        columns: what its columns are called.
        encoding: of its text.
        delimiter: of CSV; the one that its first line is full of if it is None.

    Raises:
        FileUnusable: it cannot be opened, or lacks the columns.
    """
    with ExitStack() as stack:
        try:
            if file == STANDARD_INPUT:
                stream = cast(io.BufferedReader, sys.stdin.buffer)
            else:
                stream = stack.enter_context(Path(file).open("rb"))
            start = stream.peek(4)[:4]
            if start == _PARQUET:
                if file == STANDARD_INPUT:
                    raise FileUnusable("standard input: Parquet can be read from a file alone")
                yield from _parquet_rows(file, columns)
                return
            if start.startswith(_GZIP):
                stream = io.BufferedReader(gzip.GzipFile(fileobj=stream))
            elif start == _ZSTD:
                stream = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"))
            if stream.peek(3)[:3] == codecs.BOM_UTF8:
                stream.read(3)
            start = stream.peek(1)[:1]
        except _BROKEN as error:
            raise FileUnusable(f"{file}: cannot be read: {_reason(error)}") from None
        if start == b"{":
            yield from _json_rows(file, stream, columns)
        else:
            yield from _csv_rows(file, stream, columns, encoding, delimiter)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is cut short or damaged"


def _broken_off(file: str, line: int, error: Exception) -> Rejected:
    return Rejected(file, line, "file", f"the rest cannot be read: {_reason(error)}")


def _csv_rows(
    file: str, stream: IO[bytes], columns: Columns, encoding: str, delimiter: str | None
) -> Iterator[Row | Rejected]:
    # What is not of the encoding becomes lone surrogates, which no email or phone number may have.
    text = io.TextIOWrapper(stream, encoding, "surrogateescape", newline="")
    csv.field_size_limit(MAX_FIELD)
    line = 1
    try:
        first = text.readline()
        if not first.strip():
            raise FileUnusable(f"{file}: is empty")
        if delimiter is None:
            delimiter = max(_DELIMITERS, key=first.count)
        names = next(csv.reader([first], delimiter=delimiter, strict=True))
        email, phone_number, created_at = columns.find(names)
    except ValueError as error:
        raise FileUnusable(f"{file}: {error}") from None
    except (csv.Error, TypeError):  # a delimiter of several characters is a TypeError
        raise FileUnusable(f"{file}: its first line is not that of a CSV file") from None
    except _BROKEN as error:
        raise FileUnusable(f"{file}: cannot be read: {_reason(error)}") from None
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 2
        try:
            row = next(reader)
            if len(row) != len(names):
                if row:
                    reason = f"has {len(row)} fields instead of {len(names)}"
                    yield Rejected(file, line, "row", reason)
                continue
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"a field has over {MAX_FIELD:,} characters" if "limit" in str(error) else str(error)
            lines = reader.line_num + 1
            yield Rejected(file, line, "row", reason if lines == line else f"{reason}, up to line {lines}")
            continue
        except _BROKEN as error:
            yield _broken_off(file, line, error)
            return
        yield (
            line,
            None if email is None else row[email],
            None if phone_number is None else row[phone_number],
            None if created_at is None else row[created_at],
        )


def _json_rows(file: str, stream: IO[bytes], columns: Columns) -> Iterator[Row | Rejected]:
    line = 0
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    positions: dict[tuple[str, ...], tuple[int | None, int | None, int | None]] = {}
    while True:
        line += 1
        try:
            text = stream.readline(64 * MAX_FIELD)
        except _BROKEN as error:
            yield _broken_off(file, line, error)
            return
        if not text:
            return
        if text.isspace():
            continue
        try:
            row = decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield Rejected(file, line, "row", "is not a JSON object")
            continue
        names = tuple(row)
        if names not in positions:
            if len(positions) > 1000:
                positions.clear()
            try:
                positions[names] = columns.find(names)
            except ValueError as error:
                yield Rejected(file, line, "row", str(error))
                continue
        values = tuple(row.values())
        email, phone_number, created_at = positions[names]
        yield (
            line,
            None if email is None else values[email],
            None if phone_number is None else values[phone_number],
            None if created_at is None else values[created_at],
        )


def _parquet_rows(file: str, columns: Columns) -> Iterator[Row | Rejected]:
    line = 0
    try:
        with pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            try:
                found = [None if position is None else names[position] for position in columns.find(names)]
            except ValueError as error:
                raise FileUnusable(f"{file}: {error}") from None
            for batch in parquet.iter_batches(10_000, columns=[name for name in found if name is not None]):
                values = [
                    [None] * len(batch) if name is None else batch.column(name).to_pylist() for name in found
                ]
                for email, phone_number, created_at in zip(*values, strict=True):
                    line += 1
                    yield line, email, phone_number, created_at
    except _BROKEN as error:
        if line == 0:
            raise FileUnusable(f"{file}: cannot be read: {_reason(error)}") from None
        yield _broken_off(file, line + 1, error)
