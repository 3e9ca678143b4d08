"""Rows as record batches of details, parsed and validated column by column.

The result is that of `details.parse_rows`. pyarrow normalises plain values, which most are; what is plain is
defined strictly. All other values go through the functions that `parse_rows` uses.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from identity_adapters.files.block import Block, Values
from identity_adapters.files.details import NO_TIME, cache_details
from identity_adapters.files.reading import read_blocks
from identity_adapters.files.row import Columns, Rejected
from identity_adapters.times import from_microseconds, parse_time, to_microseconds
from identity_core import ContactDetails, InvalidDetails
from identity_core.model.identifiers import MAX_EMAIL_LENGTH, MAX_PHONE_NUMBER_LENGTH

SCHEMA = pa.schema([("email", pa.string()), ("phone_number", pa.string()), ("moment", pa.int64())])
"""Normalised values, and the time in microseconds since 1970; null for an absent value or time."""

_ROWS = 50_000

# Functions of pyarrow take Python values, too, but to convert one at each call takes longer than the call.
_EMPTY = pa.scalar("")
_ABSENT = pa.scalar(None, pa.string())
_LONGEST_EMAIL = pa.scalar(MAX_EMAIL_LENGTH)
_LONGEST_PHONE_NUMBER = pa.scalar(MAX_PHONE_NUMBER_LENGTH)
_TOO_LARGE = 10**MAX_PHONE_NUMBER_LENGTH

_FIRST = pa.scalar(to_microseconds(datetime.min.replace(tzinfo=UTC)))
_LAST = pa.scalar(to_microseconds(datetime.max.replace(tzinfo=UTC)))

_TIMES = (pa.timestamp("us", "UTC"), pa.timestamp("us"))
"""Types of texts in ISO 8601, with an offset and without. What pyarrow can read, it reads as `parse_time`."""
_SURE_FIRST = to_microseconds(datetime(2, 1, 1, tzinfo=UTC))
_SURE_LAST = to_microseconds(datetime(9999, 1, 1, tzinfo=UTC))
"""Between these, a time is in the years 1 to 9999 with any offset, as `parse_time` demands."""

FindDetails = Callable[[Any, Any], ContactDetails | InvalidDetails]


def read_batches(
    file: str,
    columns: Columns,
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    make_details: Callable[[Any, Any], ContactDetails],
    reject: Callable[[Rejected], None],
    keeps_digits: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Read the valid rows of a file in order. `reject` is called after all rows before the first invalid one.

    Args:
        file: its name, or ``-`` for standard input.
        columns: the names of its columns.
        encoding: of CSV.
        delimiter: of CSV; None for the most frequent candidate in its first line.
        make_details: makes details of an email and a phone number; raises `InvalidDetails`. It leaves emails
            in ASCII as `ContactDetails` does, except for domains in Punycode.
        reject: called with each row that has no valid details, in order.
        keeps_digits: whether `make_details` leaves a phone number of digits alone as it is, as it does
            without a default region.

    Returns:
        Batches of the schema `SCHEMA`, none of them empty.

    Raises:
        FileUnusable: it cannot be opened, or columns are missing.
        LookupError: the encoding is unknown.
    """
    find_details = cache_details(make_details)
    for block in read_blocks(file, columns, encoding=encoding, delimiter=delimiter):
        batch, rejected = _parse_block(file, block, find_details, keeps_digits)
        if rejected:
            before = bisect_left(block.lines, rejected[0].line)
            if before:
                yield batch.slice(0, before)
            for one in rejected:
                reject(one)
            batch = batch.slice(before)
        if batch.num_rows:
            yield batch


def to_batches(details: Iterable[ContactDetails]) -> Iterator[pa.RecordBatch]:
    """Convert details into batches of the schema `SCHEMA`."""
    details = iter(details)
    while block := list(islice(details, _ROWS)):
        columns = (
            [one.email for one in block],
            [one.phone_number for one in block],
            [None if one.seen_at is None else to_microseconds(one.seen_at) for one in block],
        )
        arrays = [pa.array(values, type_) for values, type_ in zip(columns, SCHEMA.types, strict=True)]
        yield pa.record_batch(arrays, schema=SCHEMA)


def to_details(batch: pa.RecordBatch) -> Iterator[ContactDetails]:
    """Convert a batch of the schema `SCHEMA` into details."""
    for email, phone_number, moment in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        seen_at = None if moment is None else from_microseconds(moment)
        yield ContactDetails.from_trusted(email, phone_number, seen_at)


def _parse_block(
    file: str, block: Block, find_details: FindDetails, keeps_digits: bool
) -> tuple[pa.RecordBatch, Sequence[Rejected]]:
    """The valid rows, and all others by line."""
    email, phone_number, errors = _normalise(block, find_details, keeps_digits)
    moment, invalid = _to_moments(block.created_at, len(block.lines))
    reasons = dict.fromkeys(invalid, ("created_at", NO_TIME))
    reasons |= {position: (error.field, error.reason) for position, error in errors.items()}
    batch = pa.record_batch([email, phone_number, moment], schema=SCHEMA)
    if not reasons:
        return batch, block.rejected
    rejected = [
        *block.rejected,
        *(Rejected(file, block.lines[position], *reason) for position, reason in reasons.items()),
    ]
    valid = [position not in reasons for position in range(len(block.lines))]
    return batch.filter(pa.array(valid)), sorted(rejected, key=lambda one: one.line)


def _normalise(
    block: Block, find_details: FindDetails, keeps_digits: bool
) -> tuple[pa.Array, pa.Array, dict[int, InvalidDetails]]:
    """Normalise emails and phone numbers; of the rows of others, the positions and what is wrong."""
    rows = len(block.lines)
    emails = _to_texts(block.email, rows)
    phone_numbers = _to_texts(_to_digits(block.phone_number), rows)
    if emails is None or phone_numbers is None:
        emails = phone_numbers = pa.repeat("", rows)  # so that none is plain
    no_email, no_phone_number = pc.equal(emails, _EMPTY), pc.equal(phone_numbers, _EMPTY)
    is_plain = pc.and_(
        pc.or_(no_email, _is_plain_email(emails)),
        pc.or_(no_phone_number, _is_digits(phone_numbers)) if keeps_digits else no_phone_number,
    )
    is_odd = pc.invert(pc.and_not(is_plain, pc.and_(no_email, no_phone_number)))
    emails = pc.if_else(no_email, _ABSENT, pc.ascii_lower(emails))
    phone_numbers = pc.if_else(no_phone_number, _ABSENT, phone_numbers)
    odd = pc.indices_nonzero(is_odd)
    if not odd:
        return emails, phone_numbers, {}
    pairs = zip(_take(block.email, odd), _take(block.phone_number, odd), strict=True)
    found = [find_details(*pair) for pair in pairs]
    errors = {
        position: one
        for position, one in zip(odd.to_pylist(), found, strict=True)
        if isinstance(one, InvalidDetails)
    }
    keys = [(None, None) if isinstance(one, InvalidDetails) else one.key for one in found]
    normalised = (pa.array(values, pa.string()) for values in zip(*keys, strict=True))
    emails, phone_numbers = (
        pc.replace_with_mask(values, is_odd, others)
        for values, others in zip((emails, phone_numbers), normalised, strict=True)
    )
    return emails, phone_numbers, errors


def _is_plain_email(texts: pa.Array) -> pa.Array:
    """Which emails are ASCII without space, have one @ between two parts, and no domain in Punycode."""
    return pc.and_not(
        pc.and_(
            pc.match_substring_regex(texts, "^[!-?A-~]+@[!-?A-~]+$"),
            pc.less_equal(pc.binary_length(texts), _LONGEST_EMAIL),
        ),
        pc.match_substring(texts, "xn--", ignore_case=True),
    )


def _is_digits(texts: pa.Array) -> pa.Array:
    """Which phone numbers are digits, after a plus sign or not."""
    return pc.and_(
        pc.match_substring_regex(texts, r"^\+?[0-9]+$"),
        pc.less_equal(pc.binary_length(texts), _LONGEST_PHONE_NUMBER),
    )


def _to_digits(values: Values) -> Values:
    """Phone numbers, with whole numbers as texts."""
    if values is None:
        return None
    if not isinstance(values, pa.Array):
        return [str(one) if type(one) is int and 0 <= one < _TOO_LARGE else one for one in values]
    if pa.types.is_integer(values.type) and (pc.min(values).as_py() or 0) >= 0:
        return values.cast(pa.string())
    return values


def _to_texts(values: Values, rows: int) -> pa.Array | None:
    """The values as texts, absent ones empty; None if others are among them."""
    if values is None:
        return pa.repeat("", rows)
    try:
        texts = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
    except (pa.ArrowException, UnicodeError):
        return None
    return pc.fill_null(texts, "") if pa.types.is_string(texts.type) else None


def _take(values: Values, positions: pa.Array) -> Sequence[Any]:
    if values is None:
        return [None] * len(positions)
    if isinstance(values, pa.Array):
        return values.take(positions).to_pylist()  # type: ignore[no-any-return]
    return [values[position] for position in positions.to_pylist()]


def _to_moments(values: Values, rows: int) -> tuple[pa.Array, Sequence[int]]:
    """The times in microseconds since 1970, and the positions of those that are invalid."""
    if values is None:
        return pa.nulls(rows, pa.int64()), ()
    if isinstance(values, pa.Array) and pa.types.is_duration(values.type):
        moments = values.cast(pa.int64())
        is_invalid = pc.or_(pc.less(moments, _FIRST), pc.greater(moments, _LAST))
        return moments, pc.indices_nonzero(is_invalid).to_pylist()
    texts = _to_texts(values, rows)
    if texts is None:
        return _parse_times(values.to_pylist() if isinstance(values, pa.Array) else values)
    for type_ in _TIMES:
        try:
            moments = pc.if_else(pc.equal(texts, _EMPTY), _ABSENT, texts).cast(type_).cast(pa.int64())
        except pa.ArrowException:
            continue
        span = pc.min_max(moments).as_py()
        if span["min"] is None or (span["min"] >= _SURE_FIRST and span["max"] < _SURE_LAST):
            return moments, ()
    distinct = texts.dictionary_encode()
    moments, invalid = _parse_times(distinct.dictionary.to_pylist())
    is_invalid = pc.is_in(distinct.indices, pa.array(invalid, distinct.indices.type))
    return moments.take(distinct.indices), pc.indices_nonzero(is_invalid).to_pylist()


def _parse_times(values: Sequence[Any]) -> tuple[pa.Array, Sequence[int]]:
    moments: list[int | None] = []
    invalid = []
    for position, value in enumerate(values):
        try:
            seen_at = parse_time(value)
            moments.append(None if seen_at is None else to_microseconds(seen_at))
        except (ValueError, OverflowError):
            moments.append(None)
            invalid.append(position)
    return pa.array(moments, pa.int64()), invalid
