"""Webhooks for people, without their secrets, and what is done with them."""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from identity_adapters.api import Time
from identity_adapters.webhooks.manage import EndpointTest, ManageWebhooks
from identity_adapters.webhooks.webhook import PauseReason, Webhook
from identity_core import EventKind, InvalidDetails

MAX_DESCRIPTION_LENGTH = 200
MAX_KEEP_HOURS = 8760
"""For how many hours a previous secret can be kept: a year."""


class WebhookState(StrEnum):
    """Whether a webhook delivers."""

    ACTIVE = "active"
    FAILING = "failing"
    PAUSED = "paused"


class WebhookRecord(msgspec.Struct, rename="camel"):
    """A webhook, and how far it is.

    - `kinds` are the kinds of events that are sent; all if it is empty.
    - `allowsHttp` and `allowedNetworks`, which are not public, are set by the command line alone.
    - `state` is `failing` while the last request failed. `pausedBecause` is `asked`, `failing` (for too
      long), `gone` (the endpoint answered 410) or `restored` (the database moved to another server).
    - `cursor` is where it goes on; null for the beginning.
    - `pendingEvents` are those that are left to send among the next 1,000 of the feed, and `pendingIsMore`
      whether there are events after these. `pendingEvents` is null if the cursor is of another server.
    - `lagSeconds` is how long ago nothing was left, 0 if nothing is.
    - `failures` counts the requests that failed since one was accepted. `lastFailure` says why the last did.
    - `isDelivering` is whether a process has it in hand.
    - `previousSecretUntil` is until when messages are signed with the previous secret too; null if not.
    - `keyIsKnown` is whether its secret is made with the key of this process. If not, it does not deliver.
    """

    id: int
    url: str
    kinds: list[EventKind]
    description: str
    allows_http: bool
    allowed_networks: list[str]
    created_at: Time
    state: WebhookState
    paused_at: Time | None
    paused_because: PauseReason | None
    cursor: str | None
    pending_events: int | None
    pending_is_more: bool
    caught_up_at: Time
    lag_seconds: float
    delivered_at: Time | None
    delivered_events: int
    delivered_requests: int
    failed_requests: int
    failures: int
    failing_since: Time | None
    last_failure: str | None
    next_attempt_in_seconds: float | None
    is_delivering: bool
    previous_secret_until: Time | None
    key_is_known: bool


class WebhooksAnswer(msgspec.Struct):
    """Webhooks, by id. `next` is the `after` of the next page; null on the last page."""

    webhooks: list[WebhookRecord]
    next: int | None


class WebhookSecretAnswer(msgspec.Struct):
    """A webhook with its new secret, which no other answer has."""

    webhook: WebhookRecord
    secret: str


class WebhookTestAnswer(msgspec.Struct, rename="camel"):
    """What came of a test message: the status of the answer, or else why there was none."""

    is_accepted: bool
    status: int | None
    failure: str | None
    seconds: float


async def to_webhook_record(manage: ManageWebhooks, webhook: Webhook) -> WebhookRecord:
    """Convert a webhook to an answer, with what is left to deliver."""
    pending = await manage.count_pending(webhook)
    now = datetime.now(UTC)
    is_caught_up = pending is not None and not pending.events and not pending.is_more
    salts, target = webhook.salts, webhook.target
    return WebhookRecord(
        id=webhook.id,
        url=target.url,
        kinds=sorted(target.kinds, key=[*EventKind].index),
        description=target.description,
        allows_http=target.allows_http,
        allowed_networks=[*map(str, target.networks)],
        created_at=webhook.created_at,
        state=_find_state(webhook),
        paused_at=webhook.paused_at,
        paused_because=webhook.paused_because,
        cursor=webhook.cursor,
        pending_events=None if pending is None else pending.events,
        pending_is_more=pending is not None and pending.is_more,
        caught_up_at=webhook.caught_up_at,
        lag_seconds=0 if is_caught_up else round(webhook.lag, 3),
        delivered_at=webhook.delivered_at,
        delivered_events=webhook.delivered_events,
        delivered_requests=webhook.delivered_requests,
        failed_requests=webhook.failed_requests,
        failures=webhook.failures,
        failing_since=webhook.failing_since,
        last_failure=webhook.last_failure,
        next_attempt_in_seconds=(
            round(webhook.wait, 3) if _find_state(webhook) is WebhookState.FAILING else None
        ),
        is_delivering=webhook.is_leased,
        previous_secret_until=salts.previous_until if len(salts.list_in_use(now)) > 1 else None,
        key_is_known=manage.knows_key(webhook),
    )


async def to_webhooks_answer(
    manage: ManageWebhooks, webhooks: Sequence[Webhook], limit: int
) -> WebhooksAnswer:
    """Convert the first `limit` of some webhooks to an answer."""
    records = [await to_webhook_record(manage, webhook) for webhook in webhooks[:limit]]
    return WebhooksAnswer(records, records[-1].id if len(webhooks) > limit else None)


def to_webhook_test_answer(result: EndpointTest) -> WebhookTestAnswer:
    """Convert what came of a test message to an answer."""
    return WebhookTestAnswer(result.failure is None, result.status, result.failure, round(result.seconds, 3))


def describe_pending(record: WebhookRecord) -> str:
    """How many events a webhook has left, in words.

    Of the next events of the feed, only so many are looked at; so there may be more.
    """
    if record.pending_events is None:
        return "unknown"
    return f"{record.pending_events:,}{' or more' if record.pending_is_more else ''}"


def parse_description(text: str) -> str:
    """Parse the description of a webhook.

    >>> parse_description(" the data warehouse ")
    'the data warehouse'

    Raises:
        InvalidDetails: it is too long, or has control characters.
    """
    text = text.strip()
    if len(text) > MAX_DESCRIPTION_LENGTH:
        raise InvalidDetails("description", f"must have at most {MAX_DESCRIPTION_LENGTH} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InvalidDetails("description", "must not have control characters or lone surrogates")
    return text


def _find_state(webhook: Webhook) -> WebhookState:
    if webhook.paused_at is not None:
        return WebhookState.PAUSED
    return WebhookState.FAILING if webhook.failures else WebhookState.ACTIVE
