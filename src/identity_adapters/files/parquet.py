"""Reading the rows of Parquet files.

DuckDB reads them, because it enforces a memory limit. A few hundred bytes of Parquet can encode
gigabytes, and the sizes that a file declares can be wrong, so checking them beforehand is not enough.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from identity_adapters.files.block import Block
from identity_adapters.files.row import Columns, FileUnusable, Rejected

MAGIC = b"PAR1"
"""The first and the last bytes of a file."""

MEMORY_LIMIT = "200MB"
"""Memory that reading uses at most."""

MAX_FIELD = 10_000
"""Bytes of one field at most."""

MAX_FOOTER = 2**20
"""Bytes of the footer at most. The memory limit ignores what a footer needs: about 300 times its size."""

_BLOCK = 2_048
"""Rows of a block, as many as DuckDB itself reads at once."""

_TIMES = {
    "date": "TRY_CAST({} AS TIMESTAMP)",
    "timestamp": "{}",
    "timestamp_ns": "{}",
    "timestamp with time zone": "{}",
    "timestamptz_ns": "CAST({} AS TIMESTAMP_NS)",
}
"""Types of times, and their conversions for `epoch_us`."""

_NUMBERS = {"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"}
_SMALL = {"varchar", "boolean", "decimal", "double", "float", "time", "null", *_TIMES, *_NUMBERS}
"""Types whose values are small, unlike lists; the length of a text is checked before it is fetched."""

_NEVER = 2**63 - 1
"""Microseconds since 1970 beyond the range of datetime."""

_COLUMNS = ("email", "phone_number", "created_at")
_SCHEMA = "SELECT name, coalesce(num_children, 0) FROM parquet_schema($path)"
_READ = """
SELECT {columns}, line FROM read_parquet(
    $path, binary_as_string=true, file_row_number=true, hive_partitioning=false, utf8_validation='{invalid}'
) AS file({names}, line)
"""

# Invalid UTF-8 gives different texts if the invalid bytes are replaced and if they are ignored. A field
# that is too long never becomes a Python value.
_ROWS = """
SELECT a.line + 1, CASE {too_long} END, CASE {not_utf8} END, {values}
FROM ({replacing}) AS a POSITIONAL JOIN ({ignoring}) AS b
"""


def read_blocks(file: str, stream: IO[bytes], columns: Columns) -> Iterator[Block]:
    """Read the rows of a file in order, in blocks.

    Args:
        file: its name.
        stream: the open file.
        columns: the names of its columns.

    Raises:
        FileUnusable: it cannot be read at all, or columns are missing.
    """
    path = {"path": f"/dev/fd/{stream.fileno()}"}  # DuckDB interprets a name as a pattern
    line = 0
    try:
        stream.seek(-8, io.SEEK_END)
        footer, end = stream.read(4), stream.read(4)
        if end == MAGIC and int.from_bytes(footer, "little") > MAX_FOOTER:
            raise FileUnusable(file, f"its footer has over {MAX_FOOTER // 2**20} MiB; write fewer row groups")
        with closing(_open_database()) as database:
            names = _find_column_names(database.execute(_SCHEMA, path).fetchall())
            read = _build_read(names, columns.find(names))
            described = database.execute(f"{read.format(invalid='strict')} LIMIT 0", path).description
            types = {column: type_.id for column, type_, *_ in described[:-1]}
            for column, type_ in types.items():
                if type_ not in _SMALL:
                    raise FileUnusable(
                        file, f"its column {column} is a {type_}; it must be text, a number or a time"
                    )
            found = database.sql(_build_query(read, types), params=path).to_arrow_reader(_BLOCK)
            is_time = types["created_at"] in _TIMES
            for batch in found:
                yield _to_block(file, batch, is_time)
                line = batch.column(0)[-1].as_py()
    except (OSError, UnicodeError, duckdb.Error) as error:
        if line == 0:
            raise FileUnusable(file, f"cannot be read: {_describe(error)}") from None
        yield Block.from_rows([Rejected.rest(file, line + 1, _describe(error))])
    except ValueError as error:
        raise FileUnusable(file, str(error)) from None


def _to_block(file: str, batch: pa.RecordBatch, is_time: bool) -> Block:
    lines, too_long, not_utf8 = (batch.column(position) for position in range(3))
    rejected = []
    if too_long.null_count + not_utf8.null_count < 2 * len(batch):
        flags = zip(lines.to_pylist(), too_long.to_pylist(), not_utf8.to_pylist(), strict=True)
        for line, long, invalid in flags:
            if long is not None:
                rejected.append(Rejected(file, line, long, f"has over {MAX_FIELD:,} bytes"))
            elif invalid is not None:
                rejected.append(Rejected(file, line, invalid, "is not valid UTF-8"))
        batch = batch.filter(pc.and_(pc.is_null(too_long), pc.is_null(not_utf8)))
    _, _, _, email, phone_number, created_at = batch.columns
    if is_time:
        created_at = created_at.cast(pa.duration("us"))
    return Block(batch.column(0).to_pylist(), email, phone_number, created_at, rejected)


def _open_database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": 1,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    # Row groups can be larger than the limit, and need not be in memory as a whole. A progress bar would
    # go to standard output.
    return database.execute("SET disable_parquet_prefetching = true; SET enable_progress_bar = false")


def _find_column_names(schema: Iterable[tuple[str, int]]) -> list[str]:
    """The names of the top-level columns in a schema, whose nodes are in depth-first order."""
    names = []
    inside = 0
    for name, children in list(schema)[1:]:
        if inside:
            inside -= 1
        else:
            names.append(name)
        inside += children
    return names


def _build_read(names: Sequence[str], positions: Iterable[int | None]) -> str:
    """SQL for email, phone number, time and line of each row, with a placeholder for the UTF-8 policy."""
    columns = [
        f"{'NULL' if position is None else f'c{position}'} AS {column}"
        for column, position in zip(_COLUMNS, positions, strict=True)
    ]
    aliases = [f"c{position}" for position in range(len(names))]
    return _READ.format(columns=", ".join(columns), names=", ".join(aliases), invalid="{invalid}")


def _build_query(read: str, types: Mapping[str, str]) -> str:
    """SQL for the line of each row, the column that is too long or invalid UTF-8, and the values."""
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
        replacing=read.format(invalid="replace"),
        ignoring=read.format(invalid="ignore"),
    )


def _describe(error: Exception) -> str:
    match error:
        case OSError(strerror=str(reason)):
            return reason
        case duckdb.OutOfMemoryException():
            return f"it needs over {MEMORY_LIMIT} of memory; write smaller row groups or pages"
        case duckdb.ConversionException():
            return "a time is out of range"
        case _:
            return "it is truncated or damaged"
