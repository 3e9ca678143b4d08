"""Rows of CSV.

Python's own reader decides what a row is, because it knows the line of every row, also of one that is
rejected. It gets one line after the other, and the size of a row is limited. This bounds memory, however
well a file is compressed. Where pyarrow finds the same rows, it reads them, since it is many times as fast.
"""

import codecs
import csv
from collections.abc import Iterator
from typing import cast

from identity_adapters.files.block import Block
from identity_adapters.files.lines import BROKEN, MAX_ROW, ROW_TOO_LONG, Lines, describe
from identity_adapters.files.row import Columns, FileUnusable, Rejected, Row
from identity_adapters.files.split import split_lines

_DELIMITERS = ",;\t|"

# Undecodable bytes become a lone surrogate, which makes an email or a phone number invalid.
_UNDECODABLE = "identity-lone-surrogate"
codecs.register_error(_UNDECODABLE, lambda error: ("\udc80", cast(UnicodeDecodeError, error).end))


class Table:
    """A CSV file whose first line was read.

    Args:
        file: its name.
        chunks: its bytes.
        columns: the names of its columns.
        encoding: of the bytes.
        delimiter: None for the most frequent candidate in the first line.

    Raises:
        FileUnusable: it cannot be read at all, or columns are missing.
        LookupError: the encoding is unknown.
    """

    def __init__(
        self, file: str, chunks: Iterator[bytes], columns: Columns, encoding: str, delimiter: str | None
    ) -> None:
        self._file = file
        self._lines = Lines(_to_utf_8(chunks, encoding))
        self._taken = 0  # bytes of the current row
        csv.field_size_limit(2 * MAX_ROW)  # the limit of a row applies first
        try:
            first = self._take_line()
            if not first.strip():
                raise FileUnusable(file, "is empty")
            self._delimiter = delimiter or max(_DELIMITERS, key=first.count)
            names = next(csv.reader([first], delimiter=self._delimiter, strict=True))
            self._positions = columns.find(names)
        except _RowTooLong as error:
            raise FileUnusable(file, f"its first line {error}") from None
        except (csv.Error, TypeError):  # a delimiter of several characters is a TypeError
            raise FileUnusable(file, "its first line is not that of a CSV file") from None
        except BROKEN as error:
            raise FileUnusable(file, f"cannot be read: {describe(error)}") from None
        except ValueError as error:
            raise FileUnusable(file, str(error)) from None
        self._width = len(names)

    def blocks(self) -> Iterator[Block]:
        """The rows in order, in blocks."""
        while True:
            try:
                text = self._lines.peek_block()
            except BROKEN as error:
                rest = Rejected.rest(self._file, self._lines.number + 1, describe(error))
                yield Block.from_rows([rest])
                return
            if not text:
                return
            number = self._lines.number + 1
            block = split_lines(text, number, self._delimiter, self._width, self._positions)
            if block is None:
                block = Block.from_rows([*self._read_rows(is_one_block=True)])
            else:
                self._lines.skip_block(text.count(b"\n") + (not text.endswith(b"\n")))
            yield block

    def rows(self) -> Iterator[Row | Rejected]:
        """The rows in order."""
        return self._read_rows(is_one_block=False)

    def _read_rows(self, *, is_one_block: bool) -> Iterator[Row | Rejected]:
        """Read all rows, or only those that begin in the next block."""
        email, phone_number, created_at = self._positions
        reader = csv.reader(iter(self._take_line, ""), delimiter=self._delimiter, strict=True)
        while True:
            line = self._lines.number + 1
            self._taken = 0
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                last = self._lines.number
                yield Rejected(
                    self._file, line, "row", str(error) if last == line else f"{error}, up to line {last}"
                )
            except BROKEN as error:
                yield Rejected.rest(self._file, line, describe(error))
                return
            else:
                if len(row) == self._width:
                    yield (
                        line,
                        None if email is None else row[email],
                        None if phone_number is None else row[phone_number],
                        None if created_at is None else row[created_at],
                    )
                elif row:
                    yield Rejected(self._file, line, "row", f"has {len(row)} fields instead of {self._width}")
            if is_one_block and self._lines.is_block_taken:
                return

    def _take_line(self) -> str:
        """The next line of the current row; empty at the end.

        Raises:
            _RowTooLong: the row is too long with this line.
            Exception: one of `BROKEN`.
        """
        line = self._lines.take()
        self._taken += len(line)
        if self._taken > MAX_ROW:
            raise _RowTooLong(ROW_TOO_LONG)
        return line.decode("utf-8", _UNDECODABLE)


class _RowTooLong(csv.Error):
    pass


def _to_utf_8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    "".encode(encoding)  # raises LookupError for what is no encoding of text
    if codecs.lookup(encoding).name == "utf-8":
        return chunks
    texts = codecs.iterdecode(chunks, encoding, _UNDECODABLE)
    return (text.encode("utf-8", "surrogatepass") for text in texts)
