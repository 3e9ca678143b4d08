"""Details out of rows: checked, and in the order of their times, whatever the size of the files."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from identity_adapters.files.row import Rejected, Row
from identity_core import ContactDetails, InvalidDetails

MEMORY = "200MB"
"""What sorting takes of memory; the rest of it goes to disk."""

_BLOCK = 50_000
_REMEMBERED = 50_000
_MEMORABLE = 500
"""Characters of what is remembered at most; what is longer is rejected anyway."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIMES = pa.timestamp("us", "UTC")
_NOW = 2**63 - 1
"""Stands for details without a time of their own, which come last."""


def moment(value: Any) -> datetime | None:
    """A time as files have it; None where there is none.

    ISO 8601, in UTC unless it says otherwise; or a number: seconds since 1970, from 10¹¹ on
    milliseconds, from 10¹⁴ on microseconds; or a duration since 1970.

    Returns:
        It, in UTC.

    Raises:
        ValueError: it is none.
        OverflowError: it is not in the years 1 to 9999 in UTC.

    >>> moment("2009-04-24T13:30:00+02:00").isoformat()
    '2009-04-24T11:30:00+00:00'
    >>> moment("1240572600") == moment(1240572600000) == moment("2009-04-24 11:30")
    True
    """
    if isinstance(value, str):
        value = value.strip()
        try:
            value = datetime.fromisoformat(value) if value else None
        except ValueError:
            value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        size = abs(value)
        scale = 1 if size < 1e11 else 1_000 if size < 1e14 else 1_000_000
        value = _EPOCH + timedelta(seconds=value / scale)
    elif isinstance(value, timedelta):
        value = _EPOCH + value
    if value is not None and not isinstance(value, datetime):
        raise ValueError("no time")
    if value is None or value.tzinfo is UTC:
        return value
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def checked(
    file: str,
    rows: Iterable[Row | Rejected],
    make_details: Callable[[Any, Any], ContactDetails],
    reject: Callable[[Rejected], None],
) -> Iterator[ContactDetails]:
    """The details of the rows of a file; what is none is rejected."""
    remembered: dict[tuple[str, str], ContactDetails | InvalidDetails] = {}
    for row in rows:
        if isinstance(row, Rejected):
            reject(row)
            continue
        line, email, phone_number, created_at = row
        # Who ordered once orders again, and soon.
        is_text = isinstance(email, str) and isinstance(phone_number, str)
        found = remembered.get((email, phone_number)) if is_text else None
        if found is None:
            try:
                found = make_details(email, phone_number)
            except InvalidDetails as error:
                found = error
            if len(remembered) == _REMEMBERED:
                remembered.clear()
            if is_text and len(email) + len(phone_number) <= _MEMORABLE:
                remembered[email, phone_number] = found
        if isinstance(found, InvalidDetails):
            reject(Rejected(file, line, found.field, found.reason))
            continue
        try:
            seen_at = moment(created_at)
            yield found if seen_at is None else ContactDetails.from_trusted(*found.key, seen_at)
        except (ValueError, OverflowError):
            reject(Rejected(file, line, "created_at", "is neither ISO 8601 nor a number of seconds"))


SortingFailed = duckdb.Error
"""What is raised where there is no room to sort."""


class Sorted:
    """Details in the order of their times; of those that say the same the first alone.

    Those of equal times keep their order. What comes again later would teach nothing new.

    Args:
        details: in any order, of any number.
        folder: where to put what does not fit into memory.

    Attributes:
        read: how many there were.
    """

    def __init__(self, details: Iterable[ContactDetails], folder: Path | None = None) -> None:
        self.read = 0
        self._folder = tempfile.TemporaryDirectory(dir=folder, prefix="identity-import-")
        self._database = duckdb.connect(
            Path(self._folder.name) / "sorting",
            config={"memory_limit": MEMORY, "threads": 2, "preserve_insertion_order": False},
        )
        self._database.execute("SET enable_progress_bar = false")  # it would be on the standard output
        self._database.execute(
            "CREATE TABLE given (email VARCHAR, phone_number VARCHAR, moment BIGINT, position BIGINT)"
        )
        details = iter(details)
        while block := list(islice(details, _BLOCK)):
            columns = {
                "email": pa.array([one.email for one in block], pa.string()),
                "phone_number": pa.array([one.phone_number for one in block], pa.string()),
                "moment": pa.array([one.seen_at for one in block], _TIMES).cast(pa.int64()).fill_null(_NOW),
                "position": pa.array(range(self.read, self.read + len(block)), pa.int64()),
            }
            self._database.from_arrow(pa.table(columns)).insert_into("given")
            self.read += len(block)

    def __iter__(self) -> Iterator[ContactDetails]:
        found = self._database.execute(
            "SELECT email, phone_number, first.moment FROM ("
            " SELECT email, phone_number, min({'moment': moment, 'position': position}) AS first"
            " FROM given GROUP BY email, phone_number"
            ") ORDER BY first"
        )
        while rows := found.fetchmany(_BLOCK):
            for email, phone_number, number in rows:
                yield ContactDetails.from_trusted(email, phone_number, _time(number))

    def __len__(self) -> int:
        [(different,)] = self._database.execute(
            "SELECT count(*) FROM (SELECT DISTINCT email, phone_number FROM given)"
        ).fetchall()
        return int(different)

    def close(self) -> None:
        self._database.close()
        self._folder.cleanup()


def _time(number: int) -> datetime | None:
    return None if number == _NOW else _EPOCH + number * _MICROSECOND
