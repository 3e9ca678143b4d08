"""The lines of a text, one by one or in blocks, in bounded memory."""

import zlib
from collections.abc import Iterator

import pyarrow as pa

MAX_ROW = 2**20
"""Bytes of one row of text at most; a longer row usually comes from an unclosed quote."""

CHUNK = 2**13
"""Bytes that are read at once. Where a file is damaged, so many before the damage may be lost."""

BLOCK = MAX_ROW - CHUNK
"""Bytes of a block of lines, about. It is longer than a row may be only if it has a line that is."""

ROW_TOO_LONG = f"has over {MAX_ROW // 2**20} MiB"

BROKEN = (OSError, EOFError, UnicodeError, zlib.error, pa.ArrowException)
"""What reading a file raises that is damaged, or not of its encoding."""


class Lines:
    r"""Lines that end with ``\n``, ``\r`` or ``\r\n``, in UTF-8.

    Of a line over `MAX_ROW` bytes, the middle may be missing; it stays longer than that.

    Args:
        chunks: the bytes, in chunks of any size.

    Attributes:
        number: how many lines were taken.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.number = 0
        self._chunks = chunks
        self._error: Exception | None = None
        self._start = b""  # of a line whose end is not yet read
        self._block = b""
        self._lines: list[bytes] = []  # a block in lines, the next one last

    def peek_block(self) -> bytes:
        """The next lines, each of them whole; empty at the end.

        Raises:
            Exception: one of `BROKEN`, once; the rest cannot be read.
        """
        if self._lines:
            self._block = b"".join(reversed(self._lines))
            self._lines = []
        elif not self._block:
            self._block = self._read_block()
        return self._block

    def skip_block(self, count: int) -> None:
        """Take all lines of the block that was peeked at; there are so many."""
        self._block = b""
        self.number += count

    def take(self) -> bytes:
        """Take the next line, with its end; empty at the end.

        Raises:
            Exception: one of `BROKEN`, once; the rest cannot be read.
        """
        if not self._lines:
            self._lines = self.peek_block().splitlines(keepends=True)
            self._lines.reverse()
            self._block = b""
        if not self._lines:
            return b""
        self.number += 1
        return self._lines.pop()

    @property
    def is_block_taken(self) -> bool:
        """Whether the line that was taken last is the last one of its block."""
        return not self._lines

    def _read_block(self) -> bytes:
        text = bytearray(self._start)
        self._start = b""
        wanted = BLOCK
        while self._error is None:
            try:
                while len(text) < wanted:
                    text += next(self._chunks)
            except StopIteration:
                return bytes(text)
            except BROKEN as error:
                self._error = error
            # A carriage return that comes last may belong to a line feed.
            end = 1 + max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1))
            if end:
                self._start = b"" if self._error else bytes(text[end:])
                return bytes(text[:end])
            del text[MAX_ROW + 1 : -1]
            wanted = len(text) + BLOCK
        failure, self._error, self._chunks = self._error, None, iter(())
        raise failure


def describe(error: Exception) -> str:
    """Why a file cannot be read; for one of `BROKEN`."""
    if isinstance(error, UnicodeError):
        return "it is not valid in this encoding"
    return (error.strerror if isinstance(error, OSError) else None) or "it is truncated or damaged"
