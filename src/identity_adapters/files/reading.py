"""Rows of files, one after the other, each with the line it stands on.

CSV is read by Python's own reader and JSON Lines by msgspec, since they can tell the line of every
row, also of one that is refused later; pyarrow, DuckDB and polars tell it of broken rows alone.

Text is read a row at a time, and a row has a limit, so that memory is bounded however well a file is
compressed.
"""

import codecs
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import pyarrow as pa

from identity_adapters.files import parquet
from identity_adapters.files.row import Columns, FileUnusable, Rejected, Row

MAX_ROW = 2**20
"""Bytes of one row of text; a longer one is most likely a quote that was never closed."""

SUFFIXES = {".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".gz", ".zst"}
"""What the name of a file in a folder ends in if it is one of ours. What is in it is seen by its content."""

STANDARD_INPUT = "-"

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_DELIMITERS = ",;\t|"
_BROKEN = (OSError, EOFError, UnicodeError, zlib.error, pa.ArrowException)
_ROW_TOO_LONG = f"has over {MAX_ROW // 2**20} MiB"

# What cannot be decoded becomes a lone surrogate, which no email or phone number may have.
_UNDECODABLE = "identity-lone-surrogate"
codecs.register_error(_UNDECODABLE, lambda error: ("\udc80", cast(UnicodeDecodeError, error).end))


def files_in(paths: Iterable[str], *, follow_links: bool = False) -> tuple[list[str], list[str]]:
    """The files that some paths name; of a folder all that look like ours, in the order of their names.

    Args:
        paths: names of files and folders. They may be symbolic links.
        follow_links: whether to take the symbolic links in a folder as well.

    Returns:
        The files, and the symbolic links that were skipped.

    Raises:
        FileUnusable: there is nothing under a name.
    """
    found: list[str] = []
    skipped: list[str] = []
    for name in paths:
        path = Path(name)
        if name != STANDARD_INPUT and path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.is_file() and one.suffix in SUFFIXES)
            links = [] if follow_links else [one for one in inside if one.is_symlink()]
            if len(links) == len(inside):
                but = " but symbolic links" if links else ""
                raise FileUnusable(name, f"has no file that ends in {', '.join(sorted(SUFFIXES))}{but}")
            found += [str(one) for one in inside if follow_links or not one.is_symlink()]
            skipped += map(str, links)
        elif name != STANDARD_INPUT and not path.exists():
            raise FileUnusable(name, "is not there")
        else:
            found.append(name)
    return found, skipped


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
        LookupError: there is no such encoding.
    """
    with ExitStack() as stack:
        try:
            if file == STANDARD_INPUT:
                stream = cast(io.BufferedReader, sys.stdin.buffer)
            else:
                stream = stack.enter_context(Path(file).open("rb"))
            start = stream.peek(4)[:4]
            if start == parquet.MAGIC:
                if not stream.seekable() or file == STANDARD_INPUT:
                    raise FileUnusable(file, "Parquet can be read from a file alone")
                yield from parquet.rows(file, stream, columns)
                return
            if start.startswith(_GZIP):
                stream = io.BufferedReader(gzip.GzipFile(fileobj=stream))
            elif start == _ZSTD:
                stream = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"))
            if stream.peek(3)[:3] == codecs.BOM_UTF8:
                stream.read(3)
            start = stream.peek(1)[:1]
        except _BROKEN as error:
            raise FileUnusable(file, f"cannot be read: {_reason(error)}") from None
        if start == b"{":
            yield from _json_rows(file, stream, columns)
        else:
            yield from _csv_rows(file, stream, columns, encoding, delimiter)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is not text in this encoding"
    return (error.strerror if isinstance(error, OSError) else None) or "it is cut short or damaged"


class _RowTooLong(csv.Error):
    pass


class _Bounded(io.BufferedReader):
    """A stream of which one row can take only so much.

    Args:
        stream: what to read.
        row: tells which row is being read.
    """

    def __init__(self, stream: IO[bytes], row: Callable[[], int]) -> None:
        super().__init__(cast(io.RawIOBase, stream))
        self._find_row = row
        self._row = self._taken = 0

    def read1(self, size: int = -1, /) -> bytes:
        row = self._find_row()
        if row != self._row:
            self._row, self._taken = row, 0
        if self._taken > MAX_ROW:
            self._taken = 0  # the rest of the row is read to be skipped
            raise _RowTooLong(_ROW_TOO_LONG)
        chunk = super().read1(size)
        self._taken += len(chunk)
        return chunk


def _skip_line(text: io.TextIOWrapper) -> bool:
    """Read to the end of a line; whether there is more of it."""
    try:
        text.readline()
    except _RowTooLong:
        return True
    return False


def _csv_rows(
    file: str, stream: IO[bytes], columns: Columns, encoding: str, delimiter: str | None
) -> Iterator[Row | Rejected]:
    line = 1
    bounded = _Bounded(stream, lambda: line)
    with io.TextIOWrapper(bounded, encoding, _UNDECODABLE, newline="") as text:
        csv.field_size_limit(2 * MAX_ROW)  # a row ends before it does
        try:
            first = text.readline()
            if not first.strip():
                raise FileUnusable(file, "is empty")
            if delimiter is None:
                delimiter = max(_DELIMITERS, key=first.count)
            names = next(csv.reader([first], delimiter=delimiter, strict=True))
            email, phone_number, created_at = columns.find(names)
        except _RowTooLong as error:
            raise FileUnusable(file, f"its first line {error}") from None
        except (csv.Error, TypeError):  # a delimiter of several characters is a TypeError
            raise FileUnusable(file, "its first line is not that of a CSV file") from None
        except _BROKEN as error:
            raise FileUnusable(file, f"cannot be read: {_reason(error)}") from None
        except ValueError as error:
            raise FileUnusable(file, str(error)) from None
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        width = len(names)
        before = 2  # the number of a line, of which the reader has seen none
        is_inside = False
        while True:
            try:
                while is_inside:
                    is_inside = _skip_line(text)
                line = reader.line_num + before
                for row in reader:
                    if len(row) == width:
                        yield (
                            line,
                            None if email is None else row[email],
                            None if phone_number is None else row[phone_number],
                            None if created_at is None else row[created_at],
                        )
                    elif row:
                        yield Rejected(file, line, "row", f"has {len(row)} fields instead of {width}")
                    line = reader.line_num + before
                return
            except csv.Error as error:
                if isinstance(error, _RowTooLong):
                    before += 1  # the reader has not counted the line that it was in
                    is_inside = True
                last = reader.line_num + before - 1
                yield Rejected(
                    file, line, "row", str(error) if last == line else f"{error}, up to line {last}"
                )
            except _BROKEN as error:
                yield Rejected.rest(file, line, _reason(error))
                return


def _json_rows(file: str, stream: IO[bytes], columns: Columns) -> Iterator[Row | Rejected]:
    line = 0
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    positions: dict[tuple[str, ...], tuple[int | None, int | None, int | None]] = {}
    while True:
        line += 1
        try:
            text = stream.readline(MAX_ROW + 1)
            if len(text) > MAX_ROW:
                while text and not text.endswith(b"\n"):
                    text = stream.readline(MAX_ROW)
                yield Rejected(file, line, "row", _ROW_TOO_LONG)
                continue
        except _BROKEN as error:
            if line == 1:
                raise FileUnusable(file, f"cannot be read: {_reason(error)}") from None
            yield Rejected.rest(file, line, _reason(error))
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
        found = positions.get(names)
        if found is None:
            try:
                found = columns.find(names)
            except ValueError as error:
                yield Rejected(file, line, "row", str(error))
                continue
            if len(positions) == 100:
                positions.clear()
            if len(text) <= 10_000:  # so that what is remembered stays small
                positions[names] = found
        values = tuple(row.values())
        email, phone_number, created_at = found
        yield (
            line,
            None if email is None else values[email],
            None if phone_number is None else values[phone_number],
            None if created_at is None else values[created_at],
        )
