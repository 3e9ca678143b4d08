"""Adding, changing and removing webhooks.

The store keeps salts alone. A secret is made of a salt with a key that the store does not have, so whoever
reads the store learns no secret, and a secret can be shown only while it is made.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from secrets import token_hex
from time import perf_counter
from typing import TypeAlias

import msgspec
from attrs import frozen

from identity_adapters.times import parse_time
from identity_adapters.webhooks.client import Answer, DeliveryFailed
from identity_adapters.webhooks.retries import describe, is_accepted
from identity_adapters.webhooks.signing import (
    derive_secret,
    format_secret,
    identify_key,
    new_salts,
    sign_with_all,
)
from identity_adapters.webhooks.store import WebhookStore
from identity_adapters.webhooks.webhook import Target, Webhook
from identity_core import ChangeFeed, InvalidCursor

BEGINNING = "beginning"
END = "end"

COUNTED = 1_000
"""How many of the next events of a webhook are looked at to count those that it sends."""

Send: TypeAlias = Callable[[Target, Mapping[str, str], bytes], Awaitable[Answer]]
"""Sends headers and a body to an endpoint; raises `DeliveryFailed`."""


class UnknownWebhook(Exception):
    """No webhook has the id."""

    def __init__(self) -> None:
        super().__init__("no webhook has this id")


class NoWebhookKey(Exception):
    """There is no key to make secrets with."""

    def __init__(self) -> None:
        super().__init__(
            "secrets of webhooks need the setting IDENTITY_WEBHOOK_KEY, the same for every process; make one"
            ' with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )


class WrongWebhookKey(Exception):
    """The secret of a webhook is made with another key than the one at hand."""

    def __init__(self) -> None:
        super().__init__(
            "its secret was made with another IDENTITY_WEBHOOK_KEY; bring that key back, or rotate the secret"
        )


@frozen
class Pending:
    """What is left to deliver.

    Attributes:
        events: how many of the next `COUNTED` events are sent.
        is_more: whether there are events after these.
    """

    events: int
    is_more: bool


@frozen
class EndpointTest:
    """What came of a test message.

    Attributes:
        status: that of the answer; None if there was none.
        failure: why the endpoint did not accept the message, without any value; None if it did.
        seconds: how long it took.
    """

    status: int | None
    failure: str | None
    seconds: float


class ManageWebhooks:
    """The use case of whoever manages webhooks.

    Every method raises `RepositoryUnavailable` if it cannot be done for now, and those that take an id raise
    `UnknownWebhook` if no webhook has it.

    Args:
        store: keeps the webhooks.
        feed: the feed that they deliver.
        key: what secrets are made with; None for no key.
        send: sends a message to an endpoint.
    """

    def __init__(self, store: WebhookStore, feed: ChangeFeed, key: bytes | None, send: Send) -> None:
        self._store = store
        self._feed = feed
        self._key = key
        self._send = send

    async def add(self, target: Target, start: str = END) -> tuple[Webhook, str]:
        """Add a webhook.

        Args:
            target: where and what it sends.
            start: where it starts: ``beginning``, ``end``, a time in ISO 8601, or a cursor of the feed.

        Returns:
            the webhook and its secret, which cannot be read again.

        Raises:
            InvalidCursor: there is no such start.
            NoWebhookKey: there is no key.
        """
        key = self._find_key()
        salts = new_salts(key)
        webhook = await self._store.add(target, salts, await self._find_cursor(start))
        return webhook, format_secret(derive_secret(key, salts.current))

    async def get(self, id: int) -> Webhook:
        """A webhook."""
        return _known(await self._store.get(id))

    async def webhooks(self, after: int = 0, limit: int = 100) -> list[Webhook]:
        """The webhooks with larger ids, in the order of ids, and at most so many."""
        return await self._store.webhooks(after, limit)

    async def pause(self, id: int) -> Webhook:
        """Deliver nothing until it is resumed. Nothing is lost meanwhile."""
        return _known(await self._store.pause(id))

    async def resume(self, id: int) -> Webhook:
        """Deliver again, at once, from where it stopped."""
        return _known(await self._store.resume(id))

    async def replay(self, id: int, to: str) -> Webhook:
        """Set the cursor back or forth, to what a start may be.

        Raises:
            InvalidCursor: there is no such start.
        """
        return _known(await self._store.move(id, await self._find_cursor(to)))

    async def remove(self, id: int) -> None:
        """Remove a webhook."""
        if not await self._store.remove(id):
            raise UnknownWebhook

    async def rotate(self, id: int, keep: float) -> tuple[Webhook, str]:
        """Give a webhook a new secret.

        Args:
            id: that of the webhook.
            keep: for how many seconds messages are signed with the previous secret as well. They are not if
                that one is made with another key.

        Returns:
            the webhook and its new secret, which cannot be read again.

        Raises:
            NoWebhookKey: there is no key.
        """
        key = self._find_key()
        salts = new_salts(key)
        webhook = _known(await self._store.rotate(id, salts.key_id, salts.current, keep))
        return webhook, format_secret(derive_secret(key, salts.current))

    async def test(self, id: int) -> EndpointTest:
        """Send a message without events, paused or not, and record nothing.

        Raises:
            NoWebhookKey: there is no key.
            WrongWebhookKey: the secret of the webhook is made with another key.
        """
        webhook = await self.get(id)
        key = self._find_key()
        if not self.knows_key(webhook):
            raise WrongWebhookKey
        now = datetime.now(UTC)
        body = msgspec.json.encode({"type": "identity.test", "timestamp": now, "data": {}})
        headers = sign_with_all(key, webhook.salts, f"test_{token_hex(16)}", now, body)
        started = perf_counter()
        try:
            answer = await self._send(webhook.target, headers, body)
        except DeliveryFailed as error:
            return EndpointTest(None, str(error), perf_counter() - started)
        failure = None if is_accepted(answer.status) else describe(answer.status)
        return EndpointTest(answer.status, failure, perf_counter() - started)

    async def count_pending(self, webhook: Webhook) -> Pending | None:
        """Count what is left to deliver; None if the cursor is of another server."""
        try:
            events, _ = await self._feed.changes(webhook.cursor, COUNTED + 1)
        except InvalidCursor:
            return None
        sent = sum(webhook.target.wants(recorded.event.kind) for recorded in events[:COUNTED])
        return Pending(sent, len(events) > COUNTED)

    def knows_key(self, webhook: Webhook) -> bool:
        """Whether the secret of a webhook is made with the key at hand."""
        return self._key is not None and webhook.salts.key_id == identify_key(self._key)

    def _find_key(self) -> bytes:
        if self._key is None:
            raise NoWebhookKey
        return self._key

    async def _find_cursor(self, start: str) -> str | None:
        if start == BEGINNING:
            return None
        if start == END:
            return await self._feed.seek(None)
        try:
            moment = parse_time(datetime.fromisoformat(start))
        except ValueError:
            # No time is a cursor: these have underscores.
            await self._feed.changes(start, 1)
            return start
        except OverflowError:
            raise InvalidCursor("the time is out of range") from None
        return await self._feed.seek(moment)


def _known(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise UnknownWebhook
    return webhook
