"""Delivery of one webhook."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol, TypeVar

import structlog
from attrs import evolve, frozen

from identity_adapters.delivery.message import Delivery, make_delivery
from identity_adapters.webhooks.client import Answer, DeliveryFailed
from identity_adapters.webhooks.retries import describe, is_accepted, is_gone, plan_delay
from identity_adapters.webhooks.signing import sign_with_all
from identity_adapters.webhooks.store import WebhookStore
from identity_adapters.webhooks.webhook import PauseReason, Target, Webhook
from identity_core import ChangeFeed, InvalidCursor, RecordedEvent, RepositoryUnavailable

BATCH = 100
"""The maximum number of events in a message."""

RETRY_INTERVAL = 1.0
"""Seconds between two tries while the database is unavailable."""

T = TypeVar("T")

_logger = structlog.get_logger(__name__)


class Client(Protocol):
    """Sends requests to one endpoint."""

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request.

        Raises:
            DeliveryFailed: there is no answer.
        """
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


@frozen
class Terms:
    """What all deliveries of a process have in common.

    Attributes:
        key: that of the secrets.
        timeout: seconds that a request takes at most.
        give_up_after: seconds after which a webhook that fails all the time is paused.
        stopping: set when no more requests are to be begun.
    """

    key: bytes
    timeout: float
    give_up_after: float
    stopping: asyncio.Event


@frozen
class Failure:
    """Why a message was not accepted, or could not be sent.

    Attributes:
        reason: in words, without any value.
        retry_after: seconds that it wants to be left alone.
        because: why the webhook is paused at once; None if it is not.
    """

    reason: str
    retry_after: float | None = None
    because: PauseReason | None = None


class DeliveryEnded(Exception):
    """This process delivers the webhook no longer."""


class Sender:
    """Sends the events of the feed to the endpoint of a webhook, one message after the other.

    A message is what the feed has between two cursors. Before it is sent, the first of them is *bounded*, so
    that nothing can come to be before the second, and stored. So whoever sends it again, after whatever kill,
    sends the same events under the same id, and an endpoint that remembers ids processes none twice.

    Args:
        webhook: the webhook, as it was claimed.
        valid_until: when the lease is over, on the monotonic clock of the process; it may be put off.
        store: keeps the webhook.
        feed: the events.
        connect: returns a client for a target.
        terms: what it has in common with others.

    Attributes:
        valid_until: as above.
        is_caught_up: whether nothing is left to send.
        keeps_up: whether it has sent, since this was set to False, all that there was when it looked. If
            something happens all the time, there is always something left.
    """

    def __init__(
        self,
        webhook: Webhook,
        valid_until: float,
        *,
        store: WebhookStore,
        feed: ChangeFeed,
        connect: Callable[[Target], Client],
        terms: Terms,
    ) -> None:
        self.valid_until = valid_until
        self.is_caught_up = False
        self.keeps_up = False
        self._webhook = webhook
        self._store = store
        self._feed = feed
        self._connect = connect
        self._terms = terms

    async def run(self, get_news: Callable[[], asyncio.Event]) -> None:
        """Send until the lease is over, the webhook is paused, or it is to stop.

        Args:
            get_news: returns what is set when the feed has more than before it was called.
        """
        try:
            async with aclosing(self._connect(self._webhook.target)) as client:
                await self._rest(self._webhook.wait)
                await self._follow(client, get_news)
        except DeliveryEnded:
            pass
        except Exception:  # whatever it is, the next try, once the lease is over, may succeed
            _logger.exception("a webhook could not be delivered", webhook=self._webhook.id)

    async def _follow(self, client: Client, get_news: Callable[[], asyncio.Event]) -> None:
        """Send what comes after the cursor of the webhook."""
        cursor = self._webhook.cursor
        while not self._terms.stopping.is_set():
            news = get_news()
            bounded, events, after = await self._read(cursor)
            self.is_caught_up = not events
            failed = self._webhook.failed_requests
            if not events:
                await news.wait()
            elif wanted := [one for one in events if self._webhook.target.wants(one.event.kind)]:
                if bounded != cursor:
                    await self._advance(bounded)
                await self._deliver(client, make_delivery(self._webhook, bounded, wanted, after))
            else:
                await self._advance(after)
            if len(events) < BATCH and self._webhook.failed_requests == failed:  # so it looked just now
                self.keeps_up = True
            cursor = after

    async def _read(self, cursor: str | None) -> tuple[str, Sequence[RecordedEvent], str]:
        """A cursor, bounded; some events after it; and the cursor after them."""
        try:
            bounded = await self._call(lambda: self._feed.bound(cursor))
            events, after = await self._call(lambda: self._feed.changes(bounded, BATCH))
        except InvalidCursor:
            await self._record(Failure("cursor of another server", because=PauseReason.RESTORED))
            raise DeliveryEnded from None
        return bounded, events, after

    async def _deliver(self, client: Client, delivery: Delivery) -> None:
        """Send a message until it is accepted."""
        while True:
            await self._await_lease()
            failure = await self._post(client, delivery)
            if failure is None:
                if self._webhook.failures:
                    _logger.info("an endpoint accepts messages again", webhook=self._webhook.id)
                self._webhook = evolve(self._webhook, failures=0)
                await self._advance(delivery.after, delivery.events)
                return
            await self._record(failure)
            await self._rest(self._webhook.wait)

    async def _await_lease(self) -> None:
        """Wait until the lease lasts longer than a request may take."""
        while self.valid_until < monotonic() + self._terms.timeout:
            self._check()
            await self._rest(RETRY_INTERVAL)
        self._check()

    def _check(self) -> None:
        """Check that it may go on."""
        if self._terms.stopping.is_set() or self.valid_until < monotonic():
            raise DeliveryEnded

    async def _post(self, client: Client, delivery: Delivery) -> Failure | None:
        """Send a message once; None if it was accepted."""
        headers = sign_with_all(
            self._terms.key, self._webhook.salts, delivery.id, datetime.now(UTC), delivery.body
        )
        try:
            answer = await client.post(headers, delivery.body)
        except DeliveryFailed as error:
            return Failure(error.reason)
        except Exception:  # a mistake of ours; the next try may succeed, and people see that there is one
            _logger.exception("a message could not be sent", webhook=self._webhook.id)
            return Failure("internal error")
        if is_accepted(answer.status):
            return None
        because = PauseReason.GONE if is_gone(answer.status) else None
        return Failure(describe(answer.status), answer.retry_after, because)

    async def _record(self, failure: Failure) -> None:
        delay = plan_delay(self._webhook.failures + 1, failure.retry_after, random.random())
        webhook = await self._call(
            lambda: self._store.fail(
                self._webhook.id,
                self._webhook.lease,
                failure.reason,
                delay=delay,
                give_up_after=self._terms.give_up_after,
                because=failure.because,
            )
        )
        if webhook is None:
            raise DeliveryEnded
        self._webhook = webhook
        _logger.warning(
            "a message was not accepted",
            webhook=webhook.id,
            reason=failure.reason,
            failures=webhook.failures,
            retry_in=round(webhook.wait),
        )
        if webhook.paused_because is not None:
            _logger.error("a webhook is paused", webhook=webhook.id, because=webhook.paused_because.value)
            raise DeliveryEnded

    async def _advance(self, cursor: str, events: int = 0) -> None:
        id, lease = self._webhook.id, self._webhook.lease
        if not await self._call(lambda: self._store.advance(id, lease, cursor, events=events)):
            raise DeliveryEnded

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the database, and try again while it is unavailable and the lease lasts."""
        while True:
            try:
                return await call()
            except RepositoryUnavailable as error:
                _logger.warning(
                    "a webhook waits for the database", webhook=self._webhook.id, reason=error.reason
                )
            await self._rest(RETRY_INTERVAL)
            self._check()

    async def _rest(self, seconds: float) -> None:
        """Wait, unless it is to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._terms.stopping.wait()
