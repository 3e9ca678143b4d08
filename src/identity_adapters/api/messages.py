"""Messages of webhooks, as the Standard Webhooks specification has them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import msgspec

from identity_adapters.api import Time
from identity_adapters.api.events import EventRecord

CHANGED = "identity.changed"
"""The type of a message with events."""


class MessageData(msgspec.Struct):
    """Events in the order of the feed, and the cursor after them."""

    events: list[EventRecord]
    cursor: str


class Message(msgspec.Struct):
    """Events of all identities. `timestamp` is when the last of them happened."""

    type: str
    timestamp: Time
    data: MessageData
