"""What every `ChangeFeed` must do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

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
