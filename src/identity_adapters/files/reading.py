"""Reading the rows of files one by one, each with its line number.

Python's own reader reads CSV, and msgspec reads JSON Lines, because they know the line of every row,
also of one that is rejected later; pyarrow, DuckDB and polars know the lines of broken rows only.

Text is read one row at a time, and the size of a row is limited. This bounds memory, however well a
file is compressed.
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
"""Bytes of one row of text at most; a longer row usually comes from an unclosed quote."""

SUFFIXES = {".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".gz", ".zst"}
"""Suffixes of the files that are read from a folder. Their content determines the format."""

STANDARD_INPUT = "-"

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_DELIMITERS = ",;\t|"
_BROKEN = (OSError, EOFError, UnicodeError, zlib.error, pa.ArrowException)
_ROW_TOO_LONG = f"has over {MAX_ROW // 2**20} MiB"

# Undecodable bytes become a lone surrogate, which makes an email or a phone number invalid.
_UNDECODABLE = "identity-lone-surrogate"
codecs.register_error(_UNDECODABLE, lambda error: ("\udc80", cast(UnicodeDecodeError, error).end))


def find_files(paths: Iterable[str], *, follow_links: bool = False) -> tuple[list[str], list[str]]:
    """Find the files under some paths; of a folder, all files with one of `SUFFIXES`, in the order of names.

    Args:
        paths: names of files and folders, which may be symbolic links.
        follow_links: whether to read the symbolic links in a folder as well.

    Returns:
        The files, and the symbolic links that were skipped.

    Raises:
        FileUnusable: a path does not exist, or a folder has no such file.
    """
    found: list[str] = []
    skipped: list[str] = []
    for name in paths:
        path = Path(name)
        if name != STANDARD_INPUT and path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.is_file() and one.suffix in SUFFIXES)
            links = [] if follow_links else [one for one in inside if one.is_symlink()]
            if len(links) == len(inside):
                links_only = " except symbolic links" if links else ""
                raise FileUnusable(
                    name, f"has no file that ends in {', '.join(sorted(SUFFIXES))}{links_only}"
                )
            found += [str(one) for one in inside if follow_links or not one.is_symlink()]
            skipped += map(str, links)
        elif name != STANDARD_INPUT and not path.exists():
            raise FileUnusable(name, "does not exist")
        else:
            found.append(name)
    return found, skipped


def read_rows(
    file: str, columns: Columns, *, encoding: str = "utf-8", delimiter: str | None = None
) -> Iterator[Row | Rejected]:
    """Read the rows of a file in order; rows that cannot be read are yielded as `Rejected`.

    Args:
        file: its name, or ``-`` for standard input.
        columns: the names of its columns.
        encoding: of CSV.
        delimiter: of CSV; None for the most frequent candidate in its first line.

    Raises:
        FileUnusable: it cannot be opened, or columns are missing.
        LookupError: the encoding is unknown.
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
                    raise FileUnusable(file, "is Parquet, which can be read from a regular file only")
                yield from parquet.read_rows(file, stream, columns)
                return
            if start.startswith(_GZIP):
                stream = io.BufferedReader(gzip.GzipFile(fileobj=stream))
            elif start == _ZSTD:
                stream = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"))
            if stream.peek(3)[:3] == codecs.BOM_UTF8:
                stream.read(3)
            start = stream.peek(1)[:1]
        except _BROKEN as error:
            raise FileUnusable(file, f"cannot be read: {_describe(error)}") from None
        if start == b"{":
            yield from _json_rows(file, stream, columns)
        else:
            yield from _csv_rows(file, stream, columns, encoding, delimiter)


def _describe(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is not valid in this encoding"
    return (error.strerror if isinstance(error, OSError) else None) or "it is truncated or damaged"


class _RowTooLong(csv.Error):
    pass


class _Bounded(io.BufferedReader):
    """A stream that limits the bytes of one row.

    Args:
        stream: the stream to read.
        row: returns the number of the current row.
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
            self._taken = 0  # the rest of the row is read and skipped
            raise _RowTooLong(_ROW_TOO_LONG)
        chunk = super().read1(size)
        self._taken += len(chunk)
        return chunk


def _skip_line(text: io.TextIOWrapper) -> bool:
    """Read to the end of a line; return whether it continues beyond the limit of a row."""
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
        csv.field_size_limit(2 * MAX_ROW)  # the limit of a row applies first
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
            raise FileUnusable(file, f"cannot be read: {_describe(error)}") from None
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
                    before += 1  # the reader has not counted the current line
                    is_inside = True
                last = reader.line_num + before - 1
                yield Rejected(
                    file, line, "row", str(error) if last == line else f"{error}, up to line {last}"
                )
            except _BROKEN as error:
                yield Rejected.rest(file, line, _describe(error))
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
                raise FileUnusable(file, f"cannot be read: {_describe(error)}") from None
            yield Rejected.rest(file, line, _describe(error))
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
            if len(text) <= 10_000:  # keeps the cache small
                positions[names] = found
        values = tuple(row.values())
        email, phone_number, created_at = found
        yield (
            line,
            None if email is None else values[email],
            None if phone_number is None else values[phone_number],
            None if created_at is None else values[created_at],
        )
