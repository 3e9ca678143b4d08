"""Details sorted by time, however many there are."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from identity_adapters.times import from_microseconds
from identity_core import ContactDetails

MEMORY_LIMIT = "200MB"
"""Memory that sorting uses at most unless told otherwise; beyond it, data spills to disk."""

_ROWS = 50_000


SortingFailed = duckdb.Error
"""Raised if there is no space left to sort."""


class SortedDetails:
    """Details in the order of their times, without duplicates: of equal details the earliest stays.

    Details with equal times keep their order. A later duplicate adds no information.

    Args:
        batches: the details, in batches of the schema `batches.SCHEMA`.
        folder: where data spills that does not fit into memory; None for the system's temporary folder.
        memory_limit: the memory that the database uses at most.

    Attributes:
        read: how many details there were, duplicates included.
        database: only to read from. Its table ``unsorted`` has all details: email, phone_number, moment
            in microseconds since 1970 or null, and position, which counts from 0.
    """

    def __init__(
        self,
        batches: Iterable[pa.RecordBatch],
        folder: Path | None = None,
        memory_limit: str = MEMORY_LIMIT,
    ) -> None:
        self.read = 0
        self._folder = tempfile.TemporaryDirectory(dir=folder, prefix="identity-import-")
        self.database = duckdb.connect(
            Path(self._folder.name) / "sorting",
            config={"memory_limit": memory_limit, "threads": 2, "preserve_insertion_order": False},
        )
        self.database.execute("SET enable_progress_bar = false")  # it would go to standard output
        self.database.execute(
            "CREATE TABLE unsorted (email VARCHAR, phone_number VARCHAR, moment BIGINT, position BIGINT)"
        )
        for table in _join(batches):
            positions = pa.array(range(self.read, self.read + len(table)), pa.int64())
            self.database.from_arrow(table.append_column("position", positions)).insert_into("unsorted")
            self.read += len(table)

    def __iter__(self) -> Iterator[ContactDetails]:
        cursor = self.database.execute(
            "SELECT email, phone_number, first.moment FROM ("
            " SELECT email, phone_number, min({'moment': moment, 'position': position}) AS first"
            " FROM unsorted GROUP BY email, phone_number"
            ") ORDER BY first.moment NULLS LAST, first.position"
        )
        while rows := cursor.fetchmany(_ROWS):
            for email, phone_number, moment in rows:
                seen_at = None if moment is None else from_microseconds(moment)
                yield ContactDetails.from_trusted(email, phone_number, seen_at)

    def __len__(self) -> int:
        [(distinct,)] = self.database.execute(
            "SELECT count(*) FROM (SELECT DISTINCT email, phone_number FROM unsorted)"
        ).fetchall()
        return int(distinct)

    def close(self) -> None:
        self.database.close()
        self._folder.cleanup()


def _join(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join batches into tables of about `_ROWS` rows, since each insertion costs some milliseconds."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        if rows >= _ROWS:
            yield pa.Table.from_batches(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)
