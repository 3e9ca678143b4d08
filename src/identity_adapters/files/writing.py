"""Writing to a file: identities as JSON Lines, contacts as CSV or Parquet."""

import csv
import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from identity_adapters.files.private import open_private
from identity_core import Identity

NAMES = ("contactId", "email", "phoneNumber", "createdAt", "primaryContactId")
FORMATS = ("jsonl", "csv", "parquet")
_ROWS = 50_000
_SCHEMA = pa.schema(
    zip(
        NAMES,
        (pa.int64(), pa.string(), pa.string(), pa.timestamp("us", "UTC"), pa.int64()),
        strict=True,
    )
)


def detect_format(file: str) -> str:
    """The format that the suffix of a file name determines; JSON Lines without such a suffix."""
    suffixes = [suffix.lstrip(".") for suffix in Path(file).suffixes]
    return next((one for one in reversed(suffixes) if one in FORMATS), "jsonl")


def write_identities(file: str, identities: Iterable[Identity]) -> int:
    """Write JSON Lines, each an identity as ``POST /identify`` answers it; return how many."""
    encode = msgspec.json.Encoder().encode
    written = 0
    with _open(file) as stream:
        for identity in identities:
            contact = {
                "primaryContactId": identity.primary_contact_id,
                "emails": identity.emails,
                "phoneNumbers": identity.phone_numbers,
                "secondaryContactIds": identity.secondary_contact_ids,
            }
            stream.write(encode({"contact": contact}) + b"\n")
            written += 1
    return written


def write_csv(file: str, rows: Iterable[tuple[Any, ...]]) -> int:
    """Write CSV, one contact per row; return how many."""
    written = 0
    with _open(file) as stream:
        text = io.TextIOWrapper(stream, "utf-8", newline="")
        writer = csv.writer(text)
        writer.writerow(NAMES)
        for id, email, phone_number, created_at, primary_id in rows:
            writer.writerow((id, email, phone_number, created_at.isoformat(), primary_id))
            written += 1
        text.detach()  # flushes, but leaves the stream open
    return written


def write_parquet(file: str, rows: Iterable[tuple[Any, ...]]) -> int:
    """Write Parquet, one contact per row; return how many."""
    rows = iter(rows)
    written = 0
    with _open(file) as stream, pq.ParquetWriter(stream, _SCHEMA) as writer:
        while block := list(islice(rows, _ROWS)):
            columns = [
                pa.array(column, type)
                for column, type in zip(zip(*block, strict=True), _SCHEMA.types, strict=True)
            ]
            writer.write_table(pa.table(columns, schema=_SCHEMA))
            written += len(block)
    return written


@contextmanager
def _open(file: str) -> Iterator[IO[bytes]]:
    """A stream to write a file, which gets its name only when it is complete."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = Path(f"{file}.unfinished")
    # An existing file or link is removed, so that nothing is written through a link.
    unfinished.unlink(missing_ok=True)
    created = open(unfinished, "xb", opener=open_private)  # noqa: SIM115
    try:
        with ExitStack() as stack:
            stream: Any = stack.enter_context(created)
            if file.endswith(".gz"):
                stream = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="wb", mtime=0))
            elif file.endswith(".zst"):
                stream = stack.enter_context(pa.CompressedOutputStream(stream, "zstd"))
            yield stream
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
