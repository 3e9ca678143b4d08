"""Places in the feed of changes."""

import re

from attrs import frozen

from identity_core import InvalidPlace

_SNAPSHOT = r"\d+:\d+:[\d,]*"
_WRITTEN = re.compile(rf"({_SNAPSHOT})?_({_SNAPSHOT})?_(\d{{1,18}})")


@frozen
class Place:
    """How far somebody was told of events.

    Attributes:
        since: the snapshot by which all was told of; None for nothing.
        until: the snapshot that is being told of, if it was not done at once.
        event_id: the last event of it that was told of.

    >>> str(Place("10:12:11", "15:15:", 7))
    '10:12:11_15:15:_7'
    >>> Place.parse("10:12:11__0")
    Place(since='10:12:11', until=None, event_id=0)
    """

    since: str | None = None
    until: str | None = None
    event_id: int = 0

    def __str__(self) -> str:
        return f"{self.since or ''}_{self.until or ''}_{self.event_id}"

    @classmethod
    def parse(cls, written: str) -> "Place":
        """The place that was written so.

        Raises:
            InvalidPlace: none was.
        """
        found = _WRITTEN.fullmatch(written)
        if found is None:
            raise InvalidPlace("this place was never given")
        since, until, event_id = found.groups()
        return cls(since, until, int(event_id))
