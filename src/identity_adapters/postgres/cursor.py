"""Cursors of the change feed."""

import re

from attrs import frozen

from identity_core import InvalidCursor

_CURSOR = re.compile(r"([0-9:,]*)_([0-9:,]*)_([0-9]{1,19})")
_SNAPSHOT = re.compile(r"([0-9]{1,20}):([0-9]{1,20}):((?:[0-9]{1,20},)*[0-9]{1,20})?")


@frozen
class Cursor:
    """A position in the change feed.

    Attributes:
        since: the transaction snapshot up to which everything was delivered; None for nothing.
        until: the transaction snapshot that is being delivered, if it needs several answers.
        event_id: the last delivered event of `until`.

    >>> str(Cursor("10:12:11", "15:15:", 7))
    '10:12:11_15:15:_7'
    >>> Cursor.parse("10:12:11__0")
    Cursor(since='10:12:11', until=None, event_id=0)
    """

    since: str | None = None
    until: str | None = None
    event_id: int = 0

    def __str__(self) -> str:
        return f"{self.since or ''}_{self.until or ''}_{self.event_id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse the text of a cursor.

        Raises:
            InvalidCursor: the text is not a cursor.
        """
        if found := _CURSOR.fullmatch(text):
            since, until, event_id = found[1] or None, found[2] or None, int(found[3])
            if event_id < 2**63 and all(part is None or _is_snapshot(part) for part in (since, until)):
                return cls(since, until, event_id)
        raise InvalidCursor("unknown cursor")


def _is_snapshot(text: str) -> bool:
    """Whether PostgreSQL accepts a text as a ``pg_snapshot``.

    It is checked here, because PostgreSQL quotes rejected values in its log.
    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS
    """
    found = _SNAPSHOT.fullmatch(text)
    if found is None:
        return False
    xmin, xmax = int(found[1]), int(found[2])
    in_progress = [int(id) for id in (found[3] or "").split(",") if id]
    return (
        xmin <= xmax < 2**64
        and all(bound % 2**32 for bound in (xmin, xmax))  # the lower half of a transaction id is never 0
        and in_progress == sorted(set(in_progress))
        and all(xmin <= id < xmax for id in in_progress)
    )
