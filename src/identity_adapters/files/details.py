"""Rows as details: parsed and validated, each with its time."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from identity_adapters.files.row import Rejected, Row
from identity_core import ContactDetails, InvalidDetails

_CACHE_SIZE = 50_000
_MAX_CACHED_LENGTH = 500
"""Characters of an email and a phone number that are cached; longer ones are invalid anyway."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(value: Any) -> datetime | None:
    """Parse the time of a row.

    Args:
        value: ISO 8601, in UTC unless it has an offset; a number of seconds since 1970, from 10¹¹ on
            of milliseconds, from 10¹⁴ on of microseconds; a duration since 1970; blank or None for no time.

    Returns:
        The time in UTC; None for no time.

    Raises:
        ValueError: the value is not a time.
        OverflowError: the time is outside the years 1 to 9999 in UTC.

    >>> parse_time("2009-04-24T13:30:00+02:00").isoformat()
    '2009-04-24T11:30:00+00:00'
    >>> parse_time("1240572600") == parse_time(1240572600000) == parse_time("2009-04-24 11:30")
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
        raise ValueError("not a time")
    if value is None or value.tzinfo is UTC:
        return value
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def parse_rows(
    file: str,
    rows: Iterable[Row | Rejected],
    make_details: Callable[[Any, Any], ContactDetails],
    reject: Callable[[Rejected], None],
) -> Iterator[ContactDetails]:
    """Parse the rows of a file.

    Args:
        file: the name of the file.
        rows: what `read_rows` yields.
        make_details: makes details of an email and a phone number; raises `InvalidDetails`.
        reject: called with each row that has no valid details.
    """
    cached: dict[tuple[str, str], ContactDetails | InvalidDetails] = {}
    for row in rows:
        if isinstance(row, Rejected):
            reject(row)
            continue
        line, email, phone_number, created_at = row
        # The same customer often has several orders close to each other.
        is_text = isinstance(email, str) and isinstance(phone_number, str)
        found = cached.get((email, phone_number)) if is_text else None
        if found is None:
            try:
                found = make_details(email, phone_number)
            except InvalidDetails as error:
                found = error
            if len(cached) == _CACHE_SIZE:
                cached.clear()
            if is_text and len(email) + len(phone_number) <= _MAX_CACHED_LENGTH:
                cached[email, phone_number] = found
        if isinstance(found, InvalidDetails):
            reject(Rejected(file, line, found.field, found.reason))
            continue
        try:
            seen_at = parse_time(created_at)
            yield found if seen_at is None else ContactDetails.from_trusted(*found.key, seen_at)
        except (ValueError, OverflowError):
            reject(Rejected(file, line, "created_at", "is neither ISO 8601 nor a number of seconds"))
