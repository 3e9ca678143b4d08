"""Who was not seen for long: identities none of whose values was identified by, month by month."""

from datetime import date, datetime

from attrs import frozen


@frozen
class Unseen:
    """An identity none of whose values was seen for long.

    Attributes:
        primary_id: its primary contact.
        contacts: how many contacts it has, deleted ones included.
        last_seen: the first day of the latest month in which it may have been seen.
    """

    primary_id: int
    contacts: int
    last_seen: date


def to_month(moment: datetime | date) -> date:
    """The first day of a month.

    >>> to_month(datetime(2024, 2, 29, 23, 59))
    datetime.date(2024, 2, 1)
    """
    return date(moment.year, moment.month, 1)


def add_months(month: date, number: int) -> date:
    """The first day of the month that is so many months later; earlier if the number is negative.

    Raises:
        ValueError: there is no such month.

    >>> add_months(date(2024, 2, 1), -2)
    datetime.date(2023, 12, 1)
    """
    year, index = divmod(month.year * 12 + month.month - 1 + number, 12)
    return date(year, index + 1, 1)
