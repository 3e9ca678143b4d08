"""A webhook: where events are sent, how far that got, and what keeps it."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from attrs import field, frozen

from identity_core import EventKind

Network: TypeAlias = IPv4Network | IPv6Network


class PauseReason(StrEnum):
    """Why a webhook is paused."""

    ASKED = "asked"
    """Somebody asked for it."""
    FAILING = "failing"
    """Its endpoint failed for too long."""
    GONE = "gone"
    """Its endpoint answered 410."""
    RESTORED = "restored"
    """The database was restored on another server, to which its cursor says nothing."""


@frozen
class Target:
    """Where and what a webhook sends.

    Attributes:
        url: of the endpoint; valid, as `check_url` says.
        kinds: the kinds of events that are sent; empty for all.
        description: what people call it; empty if they do not.
        allows_http: whether the endpoint may have no TLS.
        networks: the networks that are not public, and that the endpoint may be in.
    """

    url: str = field(repr=False)
    kinds: frozenset[EventKind] = frozenset()
    description: str = ""
    allows_http: bool = False
    networks: tuple[Network, ...] = ()

    def wants(self, kind: EventKind) -> bool:
        """Whether events of a kind are sent."""
        return not self.kinds or kind in self.kinds


@frozen
class Salts:
    """What the secrets of a webhook are made of, with a key that the database does not have.

    Attributes:
        key_id: tells by which key the secrets are made, and nothing else about it.
        current: that of the secret.
        previous: that of the secret before, while messages are signed with both.
        previous_until: until when they are.
    """

    key_id: bytes
    current: bytes
    previous: bytes | None = None
    previous_until: datetime | None = None

    def list_in_use(self, now: datetime) -> Sequence[bytes]:
        """The salts of the secrets that messages are signed with, that of the current one first."""
        if self.previous is None or self.previous_until is None or self.previous_until <= now:
            return (self.current,)
        return self.current, self.previous


@frozen
class Webhook:
    """A webhook as it is stored. All times are those of the database.

    Attributes:
        id: its id.
        target: where and what it sends.
        salts: what its secrets are made of.
        cursor: everything before it was delivered; None for the beginning of the feed.
        replays: how often its cursor was set to somewhere else.
        created_at: when it was added.
        paused_at: since when it is paused; None if it is not.
        paused_because: why.
        caught_up_at: when everything that there was by then was delivered, last.
        lag: how many seconds ago that was.
        delivered_at: when its endpoint accepted something, last; None for never.
        failures: how many requests failed since then.
        failing_since: when the first of these failed.
        last_failure: why a request failed, last, without any value; None if none ever did.
        wait: seconds until it is tried again.
        delivered_events: how many events were delivered.
        delivered_requests: how many requests were accepted.
        failed_requests: how many requests failed.
        lease: grows whenever the lease changes hands, or is revoked.
        is_leased: whether some process delivers it.
    """

    id: int
    target: Target
    salts: Salts
    cursor: str | None
    replays: int
    created_at: datetime
    paused_at: datetime | None
    paused_because: PauseReason | None
    caught_up_at: datetime
    lag: float
    delivered_at: datetime | None
    failures: int
    failing_since: datetime | None
    last_failure: str | None
    wait: float
    delivered_events: int
    delivered_requests: int
    failed_requests: int
    lease: int
    is_leased: bool
