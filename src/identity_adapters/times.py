"""Times as whole microseconds since 1970, which are exact, unlike floats."""

from datetime import UTC, datetime, timedelta

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
