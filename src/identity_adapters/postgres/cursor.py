"""Cursors of the change feed, and the moments of a server that they are made at."""

import re

from attrs import frozen

from identity_core import InvalidCursor, RepositoryUnavailable

_CURSOR = re.compile(r"([0-9:,]*)_([0-9:,]*)_([0-9]{1,19})(?:_(-?[0-9]{1,19}))?")
_SNAPSHOT = re.compile(r"([0-9]{1,20}):([0-9]{1,20}):((?:[0-9]{1,20},)*[0-9]{1,20})?")

FIRST_ID = 3
"""The smallest lower half of a transaction id; PostgreSQL keeps the others for itself."""


@frozen
class Cursor:
    """A position in the change feed.

    Attributes:
        since: the transaction snapshot up to which everything was delivered; None for nothing.
        until: the transaction snapshot that is being delivered, if it needs several answers.
        event_id: the last delivered event of `until`.
        server: the system identifier of the server that numbers the transactions; None in a cursor of an
            earlier version.

    >>> str(Cursor("10:12:11", "15:15:", 7, 42))
    '10:12:11_15:15:_7_42'
    >>> Cursor.parse("10:12:11__0_42")
    Cursor(since='10:12:11', until=None, event_id=0, server=42)
    """

    since: str | None = None
    until: str | None = None
    event_id: int = 0
    server: int | None = None

    def __str__(self) -> str:
        place = f"{self.since or ''}_{self.until or ''}_{self.event_id}"
        return place if self.server is None else f"{place}_{self.server}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse the text of a cursor.

        Raises:
            InvalidCursor: the text is not a cursor.
        """
        if found := _CURSOR.fullmatch(text):
            since, until, event_id = found[1] or None, found[2] or None, int(found[3])
            server = None if found[4] is None else int(found[4])
            if event_id < 2**63 and all(part is None or _is_snapshot(part) for part in (since, until)):
                return cls(since, until, event_id, server)
        raise InvalidCursor("unknown cursor")


@frozen
class Moment:
    """A moment of a server, as cursors tell it.

    A transaction that ended without an event may leave no trace on the disk. After a crash another one gets
    its id, and a cursor that takes the id for ended would hide the events of that. But an event that can be
    seen is on the disk, and with it the ids up to that of its transaction. So whatever is later than the last
    event is taken for not begun yet. That makes no other difference, because it has no events.

    A replica does not tell which transactions are in progress, only that all before `xmin` have ended.

    Attributes:
        server: the system identifier of the server.
        is_replica: whether it follows another server, and may be behind.
        end: no transaction with this id, or a larger one, has ended.
        snapshot: the transaction snapshot, up to the last event.

    >>> Moment.of(42, False, "10:20:11,15", last=13)
    Moment(server=42, is_replica=False, end=20, snapshot='10:14:11')
    >>> Moment.of(42, False, "10:20:11,15", last=None).snapshot
    '3:3:'
    >>> Moment.of(42, True, "10:20:", last=13)
    Moment(server=42, is_replica=True, end=10, snapshot='10:10:')
    """

    server: int
    is_replica: bool
    end: int
    snapshot: str

    @classmethod
    def of(cls, server: int, is_replica: bool, snapshot: str, last: int | None) -> "Moment":
        """Make a moment.

        Args:
            server: the system identifier of the server.
            is_replica: whether it follows another server.
            snapshot: its transaction snapshot.
            last: the largest id of a transaction with an event; None if there is none.
        """
        xmin, xmax, in_progress = _split(snapshot)
        end = xmin if is_replica else xmax
        following = FIRST_ID if last is None else last + 1
        if following % 2**32 == 0:
            following += FIRST_ID
        clamped = min(end, following)
        running = ",".join(str(id) for id in in_progress if id < clamped)
        return cls(server, is_replica, end, f"{min(xmin, clamped)}:{clamped}:{running}")

    def check(self, cursor: Cursor) -> None:
        """Check that a cursor was made on this server, at this moment or before.

        Raises:
            InvalidCursor: it was not.
            RepositoryUnavailable: this is a replica, and it may have been made on the server that it follows.
        """
        if cursor.server not in (None, self.server):
            raise InvalidCursor("the cursor of another server")
        if any(part is not None and _split(part)[1] > self.end for part in (cursor.since, cursor.until)):
            if self.is_replica:
                raise RepositoryUnavailable("the replica of the database is behind the cursor")
            raise InvalidCursor("unknown cursor")


def _split(snapshot: str) -> tuple[int, int, list[int]]:
    """The parts of a transaction snapshot.

    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS
    """
    xmin, xmax, in_progress = snapshot.split(":")
    return int(xmin), int(xmax), [int(id) for id in in_progress.split(",") if id]


def _is_snapshot(text: str) -> bool:
    """Whether PostgreSQL accepts a text as a ``pg_snapshot``.

    It is checked here, because PostgreSQL quotes rejected values in its log.
    """
    if _SNAPSHOT.fullmatch(text) is None:
        return False
    xmin, xmax, in_progress = _split(text)
    return (
        xmin <= xmax < 2**64
        and all(bound % 2**32 for bound in (xmin, xmax))  # the lower half of a transaction id is never 0
        and in_progress == sorted(set(in_progress))
        and all(xmin <= id < xmax for id in in_progress)
    )
