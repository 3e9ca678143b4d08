"""What every `ChangeFeed` must do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from identity_core import ChangeFeed, ContactRepository, InvalidCursor, RecordedEvent
from identity_core.testing.conformance.contacts import A, B, identify


class ChangeFeedConformance:
    """Subclass it under a name that pytest collects, and define `empty_feed`."""

    def empty_feed(self) -> AbstractAsyncContextManager[tuple[ContactRepository, ChangeFeed]]:
        """A repository without any contact, and the feed of its events; entered once for each example."""
        raise NotImplementedError

    def check(self, body: Callable[[ContactRepository, ChangeFeed], Awaitable[None]]) -> None:
        """Run the body on an empty repository."""

        async def on_empty_repository() -> None:
            async with self.empty_feed() as (repository, feed):
                await body(repository, feed)

        asyncio.run(on_empty_repository())

    def test_polling_delivers_every_event_once(self) -> None:
        async def body(repository: ContactRepository, feed: ChangeFeed) -> None:
            delivered: list[RecordedEvent] = []
            cursor: str | None = None
            for number in range(7):
                await identify(repository, (A, str(number)), (B, str(100 + number)))
                for _ in range(3):
                    events, cursor = await feed.changes(cursor, limit=1)
                    delivered += events
            assert (await feed.changes(cursor))[0] == []
            everything, _ = await feed.changes()
            assert delivered == everything
            assert len(delivered) == 14
            with pytest.raises(InvalidCursor):
                await feed.changes("nowhere")

        self.check(body)

    def test_what_comes_before_an_end_is_returned_again_as_it_was(self) -> None:
        async def body(repository: ContactRepository, feed: ChangeFeed) -> None:
            await identify(repository, *((A, str(number)) for number in range(6)))
            for start in (None, (await feed.changes(limit=2))[1], (await feed.changes())[1]):
                before, _ = await feed.changes(start)
                bounded = await feed.bound(start)
                answers = [await feed.changes(bounded, limit) for limit in (1, 3, 100)]
                await identify(repository, (B, str(100 + len(before))))
                assert await feed.bound(bounded) == bounded
                assert [await feed.changes(bounded, limit) for limit in (1, 3, 100)] == answers
                for limit in (1, 2, 100):
                    assert (await _read(feed, bounded, limit))[0] == before
            with pytest.raises(InvalidCursor):
                await feed.bound("nowhere")

        self.check(body)

    def test_polling_goes_on_beyond_ends(self) -> None:
        async def body(repository: ContactRepository, feed: ChangeFeed) -> None:
            delivered: list[RecordedEvent] = []
            cursor: str | None = None
            for number in range(6):
                await identify(repository, (A, str(number)))
                cursor = await feed.bound(cursor)
                await identify(repository, (B, str(100 + number)))
                events, cursor = await feed.changes(cursor, limit=2)
                delivered += events
            for _ in range(2):  # up to an end, and beyond it
                events, cursor = await _read(feed, cursor, limit=2)
                delivered += events
            assert delivered == (await feed.changes())[0]

        self.check(body)

    def test_events_are_found_by_their_time(self) -> None:
        async def body(repository: ContactRepository, feed: ChangeFeed) -> None:
            await identify(repository, *((A, str(number)) for number in range(4)))
            everything, end = await feed.changes()
            times = [recorded.event.happened_at for recorded in everything]
            moment = timedelta(microseconds=1)
            cursors = {at: await feed.seek(at) for at in (*times, times[0] - moment, times[-1] + moment)}
            after_all = await feed.seek(None)
            await identify(repository, (B, "100"))
            later, _ = await feed.changes(end)
            assert (await feed.changes(after_all))[0] == later
            for at, cursor in cursors.items():
                first = next((n for n, time in enumerate(times) if time >= at), len(times))
                found, cursor = await _read(feed, cursor, limit=2)
                rest, _ = await feed.changes(cursor)
                assert found + rest == [*everything[first:], *later]

        self.check(body)


async def _read(feed: ChangeFeed, cursor: str | None, limit: int) -> tuple[list[RecordedEvent], str]:
    """All events after a cursor up to its end, or to that of the feed, and the cursor after them."""
    found, cursor = await feed.changes(cursor, limit)
    events = [*found]
    while len(found) == limit:
        found, cursor = await feed.changes(cursor, limit)
        events += found
    return events, cursor
