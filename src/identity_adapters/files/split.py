"""Splitting lines of CSV by pyarrow, where it provably finds what Python's strict reader finds.

Both readers begin a quoted field with a quote at its start, and end it with the next quote that is not
doubled. Elsewhere a quote is a character like any other. They differ in two cases, which Python's reader
rejects and pyarrow accepts: a quoted field ends and is followed by more than a delimiter or the end of the
line, and a quoted field is still open at the end of the text.

So text with quotes is split only if

1. the result has as many delimiters as the text, and as many rows as the text has lines: no delimiter and
   no line break is quoted, except for line breaks at the end in a field that is still open;
2. each quote comes directly after the start of a field or directly before its end. By 1 no quote does both;
3. Python's reader accepts the last line.

Assume that a quote ends a quoted field and is followed by more than a delimiter or the end of the line. By 2
a delimiter or a line break comes before it. That is in the quoted field, which 1 excludes. Assume that a
field is open at the end. By 1 it begins in the last line, which 3 excludes.
"""

import csv
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv

from identity_adapters.files.block import Block
from identity_adapters.files.lines import MAX_ROW


def split_lines(
    text: bytes, number: int, delimiter: str, width: int, positions: Sequence[int | None]
) -> Block | None:
    """Split lines of CSV that are all valid; None if they may not be, or may be too long.

    Args:
        text: the lines, in UTF-8.
        number: the number of the first one.
        delimiter: between fields.
        width: the number of fields of each line.
        positions: of email, phone number and time among them; None for a missing column.
    """
    # pyarrow skips a byte order mark. A carriage return alone is a line break, too, but rarely one.
    if len(text) > MAX_ROW or not delimiter.isascii() or delimiter in '"\r\n' or text[:1] == b"\xef":
        return None
    if text.count(b"\r") != text.count(b"\r\n"):
        return None
    names = [str(position) for position in range(width)]
    wanted = [*{str(position) for position in positions if position is not None}]
    has_quotes = b'"' in text
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(text),
            pa.csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
            pa.csv.ParseOptions(delimiter=delimiter, quote_char='"' if has_quotes else False),
            pa.csv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string())),
        )
    except pa.ArrowException:  # another number of fields, or invalid UTF-8
        return None
    lines = _find_lines(text, number, table.num_rows)
    if lines is None or (has_quotes and not _is_regular(text, delimiter, (width - 1) * table.num_rows)):
        return None
    email, phone_number, created_at = (
        None if one is None else table.column(str(one)).combine_chunks() for one in positions
    )
    return Block(lines, email, phone_number, created_at)


def _find_lines(text: bytes, number: int, rows: int) -> Sequence[int] | None:
    """The numbers of the lines that are not empty; None if they are not as many as the rows."""
    if rows == text.count(b"\n") + (not text.endswith(b"\n")):
        return range(number, number + rows)
    lines = [at for at, line in enumerate(text.splitlines(), start=number) if line]
    return lines if rows == len(lines) else None


def _is_regular(text: bytes, delimiter: str, delimiters: int) -> bool:
    """Whether quotes are as described above, if there are so many delimiters between fields."""
    if text.count(delimiter.encode()) != delimiters:
        return False
    fields = text.translate(bytes.maketrans(f"{delimiter}\r".encode(), b"\n\n"))
    starts = fields.count(b'\n"') + fields.startswith(b'"')
    ends = fields.count(b'"\n') + fields.endswith(b'"')
    if starts + ends != text.count(b'"'):
        return False
    last = text.rstrip(b"\r\n").rpartition(b"\n")[2].decode(errors="replace")
    try:
        next(csv.reader([last], delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True
