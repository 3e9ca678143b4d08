"""What the answer of an endpoint means, and when a failed request is made again."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_DELAY, LAST_DELAY = 1.0, 600.0
"""Seconds until a request is made again, after the first failure, and after many."""

LONGEST_RETRY_AFTER = 86400.0
"""Seconds that an endpoint may ask to be left alone for."""

REDIRECTS = (301, 302, 303, 307, 308)
GONE = 410


def is_accepted(status: int) -> bool:
    """Whether an endpoint accepted what was sent."""
    return 200 <= status < 300


def is_gone(status: int) -> bool:
    """Whether an endpoint wants nothing any more."""
    return status == GONE


def describe(status: int) -> str:
    """Say why an answer is a failure.

    >>> describe(503), describe(302)
    ('status 503', 'redirect not followed')
    """
    return "redirect not followed" if status in REDIRECTS else f"status {status}"


def plan_delay(failures: int, retry_after: float | None, draw: float) -> float:
    """Decide in how many seconds a failed request is made again.

    The delay doubles with each failure. Between half and all of it passes, so that requests which failed
    together are not made together again.

    >>> [plan_delay(failures, None, 0.5) for failures in (1, 2, 3, 99)]
    [0.75, 1.5, 3.0, 450.0]

    Args:
        failures: how many requests failed since one was accepted, this one included.
        retry_after: how many seconds the endpoint asks for; None if it does not.
        draw: a random number from 0 up to 1, and not 1.
    """
    doublings = min(max(failures, 1) - 1, 32)  # the last delay is reached long before
    delay = min(FIRST_DELAY * 2.0**doublings, LAST_DELAY) * (1 + draw) / 2
    return max(delay, min(retry_after or 0.0, LONGEST_RETRY_AFTER))


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Parse the header Retry-After, which has seconds or a date (RFC 9110, section 10.2.3).

    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> parse_retry_after("120", now), parse_retry_after("Thu, 01 Jan 2026 00:00:30 GMT", now)
    (120.0, 30.0)

    Returns:
        the seconds from now; None if it has neither form, or lies in the past.
    """
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return min(float(value), LONGEST_RETRY_AFTER)  # infinite if it has hundreds of digits
    try:
        date = parsedate_to_datetime(value)
        # "-0000" says that the zone is not known, and gives a date without one.
        seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds if seconds >= 0 else None
