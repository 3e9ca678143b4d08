"""Rows of Parquet files.

DuckDB reads them, because it keeps to a limit of memory. A few hundred bytes of Parquet can stand for
gigabytes, and what a file says of its own sizes can be wrong, so no look at them beforehand is enough.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import IO

import duckdb

from identity_adapters.files.row import Columns, FileUnusable, Rejected, Row

MAGIC = b"PAR1"
"""What a file begins and ends with."""

MEMORY = "200MB"
"""What reading takes of memory."""

MAX_FIELD = 10_000
"""Bytes of one field."""

MAX_FOOTER = 2**20
"""Bytes of the footer, of which the limit of memory does not count what it takes: some 300 times as much."""

_AT_ONCE = 500

_TIMES = {
    "date": "TRY_CAST({} AS TIMESTAMP)",
    "timestamp": "{}",
    "timestamp_ns": "{}",
    "timestamp with time zone": "{}",
    "timestamptz_ns": "CAST({} AS TIMESTAMP_NS)",
}
"""Types of times, and what `epoch_us` takes of them."""

_NUMBERS = {"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"}
_SMALL = {"varchar", "boolean", "decimal", "double", "float", "time", "null", *_TIMES, *_NUMBERS}
"""Types whose values are small, unlike lists; a text can be measured before it is taken."""

_NEVER = 2**63 - 1
"""Microseconds since 1970 that no datetime can be."""

_COLUMNS = ("email", "phone_number", "created_at")
_SCHEMA = "SELECT name, coalesce(num_children, 0) FROM parquet_schema($path)"
_READING = """
SELECT {columns}, line FROM read_parquet(
    $path, binary_as_string=true, file_row_number=true, hive_partitioning=false, utf8_validation='{invalid}'
) AS file({names}, line)
"""

# A text that is not UTF-8 differs between the reading that replaces the wrong bytes and the one that
# leaves them out. A field that is too long never becomes a value of Python.
_ROWS = """
SELECT a.line + 1, CASE {too_long} END, CASE {not_utf8} END, {values}
FROM ({replacing}) AS a POSITIONAL JOIN ({leaving_out}) AS b
"""


def rows(file: str, stream: IO[bytes], columns: Columns) -> Iterator[Row | Rejected]:
    """The rows of a file, in order, and what could not be read of it; a time is one since 1970.

    Args:
        file: its name.
        stream: the same file, opened.
        columns: what its columns are called.

    Raises:
        FileUnusable: none of it can be read, or it lacks the columns.
    """
    path = {"path": f"/dev/fd/{stream.fileno()}"}  # a name would be taken for a pattern
    line = 0
    try:
        stream.seek(-8, io.SEEK_END)
        footer, end = stream.read(4), stream.read(4)
        if end == MAGIC and int.from_bytes(footer, "little") > MAX_FOOTER:
            raise FileUnusable(
                file, f"its footer has over {MAX_FOOTER // 2**20} MiB; fewer row groups take less"
            )
        with closing(_database()) as database:
            names = _top_level(database.execute(_SCHEMA, path).fetchall())
            reading = _reading(names, columns.find(names))
            described = database.execute(f"{reading.format(invalid='strict')} LIMIT 0", path).description
            types = {column: type_.id for column, type_, *_ in described[:-1]}
            for column, type_ in types.items():
                if type_ not in _SMALL:
                    raise FileUnusable(file, f"its column of {column} is a {type_}")
            found = database.execute(_query(reading, types), path)
            is_time = types["created_at"] in _TIMES
            read = chain.from_iterable(iter(partial(found.fetchmany, _AT_ONCE), []))
            for line, too_long, not_utf8, email, phone_number, created_at in read:
                if too_long is not None:
                    yield Rejected(file, line, too_long, f"has over {MAX_FIELD:,} bytes")
                elif not_utf8 is not None:
                    yield Rejected(file, line, not_utf8, "is not UTF-8")
                elif is_time and created_at is not None:
                    yield line, email, phone_number, timedelta(microseconds=created_at)
                else:
                    yield line, email, phone_number, created_at
    except (OSError, UnicodeError, duckdb.Error) as error:
        if line == 0:
            raise FileUnusable(file, f"cannot be read: {_reason(error)}") from None
        yield Rejected.rest(file, line + 1, _reason(error))
    except ValueError as error:
        raise FileUnusable(file, str(error)) from None


def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "threads": 1,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    # Row groups can be larger than the limit, and need not be in memory as a whole. A progress bar would be
    # written to the standard output.
    return database.execute("SET disable_parquet_prefetching = true; SET enable_progress_bar = false")


def _top_level(schema: Iterable[tuple[str, int]]) -> list[str]:
    """The columns of a file, of all nodes of its schema in depth-first order."""
    names = []
    inside = 0
    for name, children in list(schema)[1:]:
        if inside:
            inside -= 1
        else:
            names.append(name)
        inside += children
    return names


def _reading(names: Sequence[str], positions: Iterable[int | None]) -> str:
    """SQL for email, phone number, time and line of each row; what becomes of invalid UTF-8 is left open."""
    columns = [
        f"{'NULL' if position is None else f'c{position}'} AS {column}"
        for column, position in zip(_COLUMNS, positions, strict=True)
    ]
    aliases = [f"c{position}" for position in range(len(names))]
    return _READING.format(columns=", ".join(columns), names=", ".join(aliases), invalid="{invalid}")


def _query(reading: str, types: Mapping[str, str]) -> str:
    """SQL for the line of each row, the column that is too long or not UTF-8, and the values."""
    too_long, not_utf8, values = ["WHEN false THEN NULL"], ["WHEN false THEN NULL"], []
    for column, type_ in types.items():
        if type_ == "varchar":
            too_long.append(f"WHEN strlen(a.{column}) > {MAX_FIELD} THEN '{column}'")
            not_utf8.append(f"WHEN a.{column} IS DISTINCT FROM b.{column} THEN '{column}'")
            values.append(f"CASE WHEN strlen(a.{column}) <= {MAX_FIELD} THEN a.{column} END")
        elif type_ in _TIMES:
            microseconds = f"epoch_us({_TIMES[type_].format(f'a.{column}')})"  # NULL where it is infinite
            values.append(f"CASE WHEN a.{column} IS NOT NULL THEN coalesce({microseconds}, {_NEVER}) END")
        else:
            values.append(f"a.{column}")
    return _ROWS.format(
        too_long=" ".join(too_long),
        not_utf8=" ".join(not_utf8),
        values=", ".join(values),
        replacing=reading.format(invalid="replace"),
        leaving_out=reading.format(invalid="ignore"),
    )


def _reason(error: Exception) -> str:
    match error:
        case OSError(strerror=str(reason)):
            return reason
        case duckdb.OutOfMemoryException():
            return f"that takes over {MEMORY} of memory; smaller row groups or pages take less"
        case duckdb.ConversionException():
            return "a time lies too far away"
        case _:
            return "it is cut short or damaged"
