"""Rows as details: parsed and validated, each with its time."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from identity_adapters.files.row import Rejected, Row
from identity_adapters.times import parse_time
from identity_core import ContactDetails, InvalidDetails

_CACHE_SIZE = 50_000
_MAX_CACHED_LENGTH = 500
"""Characters of an email and a phone number that are cached; longer ones are invalid anyway."""

NO_TIME = "is neither ISO 8601 nor a number of seconds"
"""Why a time is rejected."""


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
    find_details = cache_details(make_details)
    for row in rows:
        if isinstance(row, Rejected):
            reject(row)
            continue
        line, email, phone_number, created_at = row
        found = find_details(email, phone_number)
        if isinstance(found, InvalidDetails):
            reject(Rejected(file, line, found.field, found.reason))
            continue
        try:
            seen_at = parse_time(created_at)
            yield found if seen_at is None else ContactDetails.from_trusted(*found.key, seen_at)
        except (ValueError, OverflowError):
            reject(Rejected(file, line, "created_at", NO_TIME))


def cache_details(
    make_details: Callable[[Any, Any], ContactDetails],
) -> Callable[[Any, Any], ContactDetails | InvalidDetails]:
    """Extend a function that makes details: results are kept for a while, and errors returned.

    The same customer often has several orders close to each other.
    """
    cached: dict[tuple[str, str], ContactDetails | InvalidDetails] = {}

    def find_details(email: Any, phone_number: Any) -> ContactDetails | InvalidDetails:
        is_text = isinstance(email, str) and isinstance(phone_number, str)
        found = cached.get((email, phone_number)) if is_text else None
        if found is None:
            try:
                found = make_details(email, phone_number)
            except InvalidDetails as error:
                found = error.with_traceback(None)  # which would keep the values until they are collected
            if len(cached) == _CACHE_SIZE:
                cached.clear()
            if is_text and len(email) + len(phone_number) <= _MAX_CACHED_LENGTH:
                cached[email, phone_number] = found
        return found

    return find_details
