"""Rows of JSON Lines."""

from collections.abc import Iterator
from typing import IO, Any

import msgspec

from identity_adapters.files.block import Block
from identity_adapters.files.lines import BLOCK, BROKEN, MAX_ROW, ROW_TOO_LONG, describe
from identity_adapters.files.row import Columns, FileUnusable, Rejected, Row

_ROWS = 10_000
"""Rows of a block at most."""


def read_rows(file: str, stream: IO[bytes], columns: Columns) -> Iterator[Row | Rejected]:
    """Read the rows of a file in order; rows that cannot be read are yielded as `Rejected`.

    Args:
        file: its name.
        stream: the open file.
        columns: the names in its objects.

    Raises:
        FileUnusable: it cannot be read at all.
    """
    for _, row in _read_rows(file, stream, columns):
        yield row


def read_blocks(file: str, stream: IO[bytes], columns: Columns) -> Iterator[Block]:
    """Read the same rows in blocks, whose size is limited. Arguments and errors are those of `read_rows`."""
    block: list[Row | Rejected] = []
    size = 0
    for length, row in _read_rows(file, stream, columns):
        block.append(row)
        size += length
        if size >= BLOCK or len(block) == _ROWS:
            yield Block.from_rows(block)
            block, size = [], 0
    if block:
        yield Block.from_rows(block)


def _read_rows(file: str, stream: IO[bytes], columns: Columns) -> Iterator[tuple[int, Row | Rejected]]:
    """Each row, after its length in bytes."""
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
                yield 0, Rejected(file, line, "row", ROW_TOO_LONG)
                continue
        except BROKEN as error:
            if line == 1:
                raise FileUnusable(file, f"cannot be read: {describe(error)}") from None
            yield 0, Rejected.rest(file, line, describe(error))
            return
        if not text:
            return
        if text.isspace():
            continue
        try:
            members = decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield 0, Rejected(file, line, "row", "is not a JSON object")
            continue
        names = tuple(members)
        found = positions.get(names)
        if found is None:
            try:
                found = columns.find(names)
            except ValueError as error:
                yield 0, Rejected(file, line, "row", str(error))
                continue
            if len(positions) == 100:
                positions.clear()
            if len(text) <= 10_000:  # keeps the cache small
                positions[names] = found
        values = tuple(members.values())
        email, phone_number, created_at = found
        row = (
            line,
            None if email is None else values[email],
            None if phone_number is None else values[phone_number],
            None if created_at is None else values[created_at],
        )
        yield len(text), row
