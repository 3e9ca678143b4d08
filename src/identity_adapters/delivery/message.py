"""Requests with events."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec
from attrs import frozen

from identity_adapters.api.events import to_event_record
from identity_adapters.api.messages import CHANGED, Message, MessageData
from identity_adapters.webhooks.webhook import Webhook
from identity_core import RecordedEvent


@frozen
class Delivery:
    """A message that is sent until it is accepted.

    Attributes:
        id: the same whenever the same events are sent to the same webhook, unless it is replayed.
        body: the JSON of the message.
        events: how many events it has.
        after: the cursor after them.
    """

    id: str
    body: bytes
    events: int
    after: str


def make_delivery(webhook: Webhook, start: str, events: Sequence[RecordedEvent], after: str) -> Delivery:
    """Make a message of the events between two cursors, of which the first is bounded."""
    source = f"{webhook.id} {webhook.replays} {start}"
    data = MessageData([*map(to_event_record, events)], after)
    body = msgspec.json.encode(Message(CHANGED, events[-1].event.happened_at, data))
    return Delivery(f"msg_{sha256(source.encode()).hexdigest()[:32]}", body, len(events), after)
