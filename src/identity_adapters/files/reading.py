"""Reading the rows of files, one by one or in blocks, whatever their format."""

import codecs
import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import pyarrow as pa

from identity_adapters.files import json_lines, parquet
from identity_adapters.files.block import Block
from identity_adapters.files.delimited import Table
from identity_adapters.files.lines import BROKEN, CHUNK, describe
from identity_adapters.files.row import Columns, FileUnusable, Rejected, Row

SUFFIXES = {".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".gz", ".zst"}
"""Suffixes of the files that are read from a folder. Their content determines the format."""

STANDARD_INPUT = "-"

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


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
    with _open(file) as (stream, start):
        if start == parquet.MAGIC:
            for block in parquet.read_blocks(file, stream, columns):
                yield from block.rows()
        elif start == b"{":
            yield from json_lines.read_rows(file, stream, columns)
        else:
            yield from Table(file, _read_chunks(stream), columns, encoding, delimiter).rows()


def read_blocks(
    file: str, columns: Columns, *, encoding: str = "utf-8", delimiter: str | None = None
) -> Iterator[Block]:
    """Read the same rows in blocks. Arguments and errors are those of `read_rows`."""
    with _open(file) as (stream, start):
        if start == parquet.MAGIC:
            yield from parquet.read_blocks(file, stream, columns)
        elif start == b"{":
            yield from json_lines.read_blocks(file, stream, columns)
        else:
            yield from Table(file, _read_chunks(stream), columns, encoding, delimiter).blocks()


@contextmanager
def _open(file: str) -> Iterator[tuple[io.BufferedReader, bytes]]:
    """The content of a file, decompressed, without a byte order mark; and how it starts."""
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
            else:
                if start.startswith(_GZIP):
                    stream = io.BufferedReader(gzip.GzipFile(fileobj=stream))
                elif start == _ZSTD:
                    stream = io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"))
                if stream.peek(3)[:3] == codecs.BOM_UTF8:
                    stream.read(3)
                start = stream.peek(1)[:1]
        except BROKEN as error:
            raise FileUnusable(file, f"cannot be read: {describe(error)}") from None
        yield stream, start


def _read_chunks(stream: io.BufferedReader) -> Iterator[bytes]:
    return iter(partial(stream.read1, CHUNK), b"")
