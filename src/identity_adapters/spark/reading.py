"""Reading orders with Spark.

**Position.** Details of equal times are decided in the order of their rows: by path as given, then by the
name of the file, then by the place in the file. Spark promises no order of partitions, so no row number of
Spark's is used. In Parquet, the place is the index of the row that Spark tells. In text, it is the byte at
which the row's part of the file begins, plus the number of rows since: a part with n rows has at least
n bytes, so that this grows from each row to the next, however the file is divided. Files are thus in the
order of their names, and every run has the same order.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial, reduce
from itertools import count
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.sql.types import StringType, StructField, StructType

from identity_adapters.files.row import Columns, FileUnusable
from identity_adapters.spark.rows import DETAILS, ReadRows, parse_batches, read_csv, read_json, read_values
from identity_core import ContactDetails

FORMATS = ("csv", "json", "parquet")
SUFFIXES = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    ".parquet": "parquet",
}
COMPRESSIONS = {".gz", ".bz2", ".zst", ".lz4", ".snappy", ".deflate"}

FILE_SIZE = 2**42
"""Bytes of one file, or for Parquet its rows, at most: as far apart files are in the order of all rows."""

_BROKEN = "_broken"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def read_details(
    session: SparkSession,
    paths: Sequence[str],
    columns: Columns,
    make_details: Callable[[Any, Any], ContactDetails],
    now: datetime,
    *,
    format: str | None = None,
    options: Mapping[str, str] | None = None,
) -> DataFrame:
    """Read details, and rejected rows.

    Args:
        session: it reads the files.
        paths: files, folders and patterns, as Spark takes them.
        columns: the names of the columns.
        make_details: makes details of an email and a phone number; raises `InvalidDetails`.
        now: the time of rows that have none.
        format: of all files; None for the format that their names determine.
        options: of Spark's reader of that format.

    Returns:
        Rows with the columns of `DETAILS`, each at a position of its own.

    Raises:
        FileUnusable: a path does not exist, has no file, or lacks columns.
    """
    positions = count(step=FILE_SIZE)
    parts = []
    for path in paths:
        files = _find_files(session, path)
        read = _READERS[format or _detect_format(path, files)]
        rows, read_rows = read(session, path, columns, dict(options or {}))
        parse = partial(
            parse_batches,
            read_rows=read_rows,
            make_details=make_details,
            positions=dict(zip(files, positions, strict=False)),
            now=now,
        )
        parts.append(rows.mapInArrow(parse, DETAILS))
    return reduce(DataFrame.unionAll, parts)


def _find_files(session: SparkSession, path: str) -> list[str]:
    """The files of a path in the order of their names, as Spark calls them."""
    try:
        listed = session.read.format("binaryFile").load(path).select("_metadata.file_path").collect()
    except AnalysisException as error:
        raise FileUnusable(path, "does not exist or cannot be read") from error
    if not listed:
        raise FileUnusable(path, "has no file, or only empty ones")
    return sorted((file for (file,) in listed), key=unquote)


def _detect_format(path: str, files: Sequence[str]) -> str:
    found = {SUFFIXES.get(_find_suffix(file)) for file in files}
    if len(found) > 1:
        raise FileUnusable(path, "has files of several formats; give each a path of its own, or --format")
    [format_] = found
    if format_ is None:
        raise FileUnusable(path, f"must end in {', '.join(SUFFIXES)}, or --format must say what it is")
    return format_


def _find_suffix(file: str) -> str:
    suffixes = PurePosixPath(file).suffixes
    return next((suffix for suffix in reversed(suffixes) if suffix not in COMPRESSIONS), "").lower()


def _find_columns(path: str, names: Sequence[str], columns: Columns) -> Iterator[Column]:
    try:
        positions = columns.find(names)
    except ValueError as error:
        raise FileUnusable(path, str(error)) from None
    for name, position in zip(("email", "phone_number", "created_at"), positions, strict=True):
        if position is None:
            yield sf.lit(None).cast("string").alias(name)
        else:
            yield sf.col("`{}`".format(names[position].replace("`", "``"))).alias(name)


def _read_csv(
    session: SparkSession, path: str, columns: Columns, options: dict[str, str]
) -> tuple[DataFrame, ReadRows]:
    # A row with a quoted line break is one row only where no file is divided, hence multiLine.
    options = {"header": "true", "escape": '"', "enforceSchema": "false", "multiLine": "true"} | options
    declared = session.read.options(**options).csv(path).schema
    schema = StructType([*declared.fields, StructField(_BROKEN, StringType())])
    options["columnNameOfCorruptRecord"] = _BROKEN
    rows = session.read.options(**options).schema(schema).csv(path)
    email, phone_number, created_at = _find_columns(path, declared.names, columns)
    fault = (
        sf.when(sf.col(_BROKEN).isNotNull(), "does not have the fields of the header")
        # Spark has replaced them, so that different values may have become equal.
        .when(
            sf.concat_ws("", email, phone_number).contains(_REPLACEMENT),
            "has bytes that are not of the encoding",
        )
        .alias("fault")
    )
    place = _find_place("file_block_start")
    return rows.select(email, phone_number, created_at, fault, *place), read_csv


def _read_json(
    session: SparkSession, path: str, columns: Columns, options: dict[str, str]
) -> tuple[DataFrame, ReadRows]:
    # Spark would infer one type for all values of a column, and turn numbers into text.
    rows = session.read.options(**options).text(path)
    line = sf.col("value").alias("line")
    is_blank = sf.trim("value") == ""
    return rows.where(~is_blank).select(line, *_find_place("file_block_start")), partial(
        read_json, columns=columns
    )


def _read_parquet(
    session: SparkSession, path: str, columns: Columns, options: dict[str, str]
) -> tuple[DataFrame, ReadRows]:
    rows = session.read.options(**options).parquet(path)
    return rows.select(*_find_columns(path, rows.columns, columns), *_find_place("row_index")), read_values


def _find_place(start: str) -> tuple[Column, Column]:
    return sf.col("_metadata.file_path").alias("file"), sf.col(f"_metadata.{start}").alias("start")


_READERS = {"csv": _read_csv, "json": _read_json, "parquet": _read_parquet}
