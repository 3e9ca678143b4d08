"""Times of any notation, and as whole microseconds since 1970, which are exact, unlike floats."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """The number of microseconds since 1970 of a time with an offset from UTC.

    >>> to_microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(number: int) -> datetime:
    """The time, in UTC.

    Raises:
        OverflowError: the time is outside the years 1 to 9999.
    """
    return _EPOCH + number * _MICROSECOND


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
    >>> parse_time("1512011512345").isoformat()  # no year 1512
    '2017-11-30T03:11:52.345000+00:00'
    """
    if isinstance(value, str):
        value = _parse_text(value.strip())
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


def _parse_text(text: str) -> datetime | float | None:
    """A date, a time or a number; None for no text. More digits than those of a date are a number."""
    if not text:
        return None
    if not (len(text) > 8 and text.isdecimal()):
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    return float(text)
