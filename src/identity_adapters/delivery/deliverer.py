"""Which webhooks a process delivers: those that it has leases on."""

import asyncio
import random
from collections.abc import Callable
from time import monotonic

import structlog
from attrs import frozen

from identity_adapters.delivery.sender import Client, Sender, Terms
from identity_adapters.webhooks.signing import identify_key
from identity_adapters.webhooks.store import WebhookStore
from identity_adapters.webhooks.webhook import Target, Webhook
from identity_core import ChangeFeed, InvalidCursor, RepositoryUnavailable

LEASE_MARGIN = 8.0
"""Seconds that a lease lasts longer than a request may take."""

TICK = 2.0
"""Seconds between two renewals of the leases, and two looks for webhooks that nobody delivers."""

FIRST_CLAIM = 4
"""How many webhooks a process claims at once, until it has more: so that several processes share them."""

STOP_TIMEOUT = 5.0
"""Seconds that a process which stops waits for endpoints; what they have not answered by then comes again."""

RELEASE_TIMEOUT = 2.0
"""Seconds that a process which stops waits for the database to take its leases back."""

MAX_LOOKED_AT = 10_000
"""How many webhooks are looked at for secrets of other keys."""

POLL_INTERVAL = 0.25
"""Seconds between two looks into the feed while some endpoint has got everything."""

_logger = structlog.get_logger(__name__)


@frozen
class _Delivery:
    """A webhook that this process delivers."""

    lease: int
    sender: Sender
    task: "asyncio.Task[None]"


class Deliverer:
    """Delivers webhooks, as many as it gets leases on.

    A process that ends without giving its leases back, however it ends, is followed by another one when they
    are over. A request is begun only while the lease lasts longer than the request may take.

    Args:
        store: keeps the webhooks.
        feed: the events.
        key: that of the secrets; webhooks of other keys are left alone.
        connect: returns a client for a target; called for each lease.
        timeout: seconds that a request of a client takes at most.
        give_up_after: seconds after which a webhook that fails all the time is paused.
    """

    def __init__(
        self,
        store: WebhookStore,
        feed: ChangeFeed,
        *,
        key: bytes,
        connect: Callable[[Target], Client],
        timeout: float,
        give_up_after: float,
    ) -> None:
        self._store = store
        self._feed = feed
        self._key_id = identify_key(key)
        self._connect = connect
        self._lease = timeout + LEASE_MARGIN
        self._stopping = asyncio.Event()
        self._terms = Terms(key, timeout, give_up_after, self._stopping)
        self._deliveries: dict[int, _Delivery] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Deliver until `stop` is called; then await, for a while, what was begun, and return the leases."""
        working = [asyncio.create_task(self._keep_leases()), asyncio.create_task(self._watch())]
        try:
            await self._stopping.wait()
            for task in working:
                task.cancel()
            await self._finish()
        finally:
            for task in (*working, *(delivery.task for delivery in self._deliveries.values())):
                task.cancel()

    def stop(self) -> None:
        """Let `run` end."""
        self._stopping.set()
        self._tell_news()

    async def _keep_leases(self) -> None:
        """Renew leases and claim further ones, again and again."""
        has_warned = False
        while True:
            try:
                has_warned = has_warned or await self._warn_of_other_keys()
                await self._renew()
                await self._claim()
            except RepositoryUnavailable as error:
                _logger.warning("webhooks cannot be leased", reason=error.reason)
            except Exception:  # whatever it is, the next try may succeed
                _logger.exception("webhooks cannot be leased")
            await asyncio.sleep(TICK * random.uniform(0.5, 1))

    async def _warn_of_other_keys(self) -> bool:
        """Say how many webhooks are left alone because of their key; true, because that is once enough."""
        webhooks = await self._store.webhooks(limit=MAX_LOOKED_AT)
        if others := sum(webhook.salts.key_id != self._key_id for webhook in webhooks):
            _logger.warning(
                "webhooks whose secrets are made with another key are not delivered", webhooks=others
            )
        return True

    async def _renew(self) -> None:
        """Renew the leases of all that goes on, and end what has lost its own."""
        self._deliveries = {id: one for id, one in self._deliveries.items() if not one.task.done()}
        if not self._deliveries:
            return
        valid_until = monotonic() + self._lease
        caught_up = [
            id for id, one in self._deliveries.items() if one.sender.is_caught_up or one.sender.keeps_up
        ]
        for one in self._deliveries.values():
            one.sender.keeps_up = False
        renewed = await self._store.renew(
            {id: one.lease for id, one in self._deliveries.items()}, self._lease, caught_up
        )
        for id, delivery in self._deliveries.items():
            if id in renewed:
                delivery.sender.valid_until = valid_until
            else:
                delivery.task.cancel()

    async def _claim(self) -> None:
        """Claim webhooks that nobody delivers, and begin to."""
        valid_until = monotonic() + self._lease
        limit = max(FIRST_CLAIM, len(self._deliveries))
        for webhook in await self._store.claim(self._key_id, limit, self._lease):
            if (before := self._deliveries.get(webhook.id)) is not None:
                before.task.cancel()  # its lease was revoked
            self._deliveries[webhook.id] = self._begin(webhook, valid_until)

    def _begin(self, webhook: Webhook, valid_until: float) -> _Delivery:
        sender = Sender(
            webhook,
            valid_until,
            store=self._store,
            feed=self._feed,
            connect=self._connect,
            terms=self._terms,
        )
        return _Delivery(webhook.lease, sender, asyncio.create_task(sender.run(lambda: self._news)))

    async def _finish(self) -> None:
        """Await the requests that were begun, for a while, and give the leases back."""
        if not self._deliveries:
            return
        _, unfinished = await asyncio.wait(
            [delivery.task for delivery in self._deliveries.values()], timeout=STOP_TIMEOUT
        )
        for task in unfinished:
            task.cancel()
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT):
                await self._store.release({id: one.lease for id, one in self._deliveries.items()})
        except (RepositoryUnavailable, TimeoutError):
            _logger.warning("leases on webhooks are not returned, but run out")

    async def _watch(self) -> None:
        """Tell those who have sent everything when there is more."""
        cursor: str | None = None
        while True:
            if any(delivery.sender.is_caught_up for delivery in self._deliveries.values()):
                try:
                    cursor = await self._look(cursor)
                except InvalidCursor:  # the database was restored
                    cursor = None
                except RepositoryUnavailable as error:
                    _logger.warning("the feed cannot be read", reason=error.reason)
                except Exception:  # whatever it is, the next look may succeed
                    _logger.exception("the feed cannot be read")
            await asyncio.sleep(POLL_INTERVAL)

    async def _look(self, cursor: str | None) -> str | None:
        """Look for events after a cursor; the cursor to look from next, None for the end of the feed."""
        if cursor is None:
            cursor = await self._feed.seek(None)
            self._tell_news()  # somebody may have read the feed before something came
        events, cursor = await self._feed.changes(cursor, 1)
        if events:
            self._tell_news()
            return None  # the others are no further news, however many they are
        return cursor

    def _tell_news(self) -> None:
        told, self._news = self._news, asyncio.Event()
        told.set()
