"""Details sorted by time, however many there are."""

import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa

from identity_core import ContactDetails

MEMORY_LIMIT = "200MB"
"""Memory that sorting uses at most; beyond it, data spills to disk."""

_BLOCK = 50_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIMES = pa.timestamp("us", "UTC")
_NOW = 2**63 - 1
"""Stands for the time of details without one, which come last."""


SortingFailed = duckdb.Error
"""Raised if there is no space left to sort."""


class SortedDetails:
    """Details in the order of their times, without duplicates: of equal details the earliest stays.

    Details with equal times keep their order. A later duplicate adds no information.

    Args:
        details: in any order, of any number.
        folder: where data spills that does not fit into memory; None for the system's temporary folder.

    Attributes:
        read: how many details there were, duplicates included.
    """

    def __init__(self, details: Iterable[ContactDetails], folder: Path | None = None) -> None:
        self.read = 0
        self._folder = tempfile.TemporaryDirectory(dir=folder, prefix="identity-import-")
        self._database = duckdb.connect(
            Path(self._folder.name) / "sorting",
            config={"memory_limit": MEMORY_LIMIT, "threads": 2, "preserve_insertion_order": False},
        )
        self._database.execute("SET enable_progress_bar = false")  # it would go to standard output
        self._database.execute(
            "CREATE TABLE unsorted (email VARCHAR, phone_number VARCHAR, moment BIGINT, position BIGINT)"
        )
        details = iter(details)
        while block := list(islice(details, _BLOCK)):
            columns = {
                "email": pa.array([one.email for one in block], pa.string()),
                "phone_number": pa.array([one.phone_number for one in block], pa.string()),
                "moment": pa.array([one.seen_at for one in block], _TIMES).cast(pa.int64()).fill_null(_NOW),
                "position": pa.array(range(self.read, self.read + len(block)), pa.int64()),
            }
            self._database.from_arrow(pa.table(columns)).insert_into("unsorted")
            self.read += len(block)

    def __iter__(self) -> Iterator[ContactDetails]:
        cursor = self._database.execute(
            "SELECT email, phone_number, first.moment FROM ("
            " SELECT email, phone_number, min({'moment': moment, 'position': position}) AS first"
            " FROM unsorted GROUP BY email, phone_number"
            ") ORDER BY first"
        )
        while rows := cursor.fetchmany(_BLOCK):
            for email, phone_number, number in rows:
                yield ContactDetails.from_trusted(email, phone_number, _to_time(number))

    def __len__(self) -> int:
        [(distinct,)] = self._database.execute(
            "SELECT count(*) FROM (SELECT DISTINCT email, phone_number FROM unsorted)"
        ).fetchall()
        return int(distinct)

    def close(self) -> None:
        self._database.close()
        self._folder.cleanup()


def _to_time(number: int) -> datetime | None:
    return None if number == _NOW else _EPOCH + number * _MICROSECOND
