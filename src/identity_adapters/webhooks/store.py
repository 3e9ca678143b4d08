"""The port of whoever keeps webhooks."""

from collections.abc import Collection, Mapping
from typing import Protocol

from identity_adapters.webhooks.webhook import PauseReason, Salts, Target, Webhook


class WebhookStore(Protocol):
    """Keeps webhooks, and lets one process at a time deliver each.

    A process that claims a webhook gets a lease. Whoever changes the webhook revokes it, so that the process
    that claims it next sees the change. What is recorded with a lease that is over is not persisted.
    All times are those of the store, so clocks need not agree.
    Every method raises `RepositoryUnavailable` if it cannot be done for now.
    """

    async def add(self, target: Target, salts: Salts, cursor: str | None) -> Webhook:
        """Add a webhook that starts at a cursor."""
        ...

    async def get(self, id: int) -> Webhook | None:
        """A webhook; None if there is none with this id."""
        ...

    async def webhooks(self, after: int = 0, limit: int = 100) -> list[Webhook]:
        """The webhooks with larger ids, in the order of ids, and at most so many."""
        ...

    async def remove(self, id: int) -> bool:
        """Remove a webhook. False if there is none with this id."""
        ...

    async def pause(self, id: int) -> Webhook | None:
        """Pause a webhook because somebody asks for it; None if there is none with this id.

        One that is paused stays as it is.
        """
        ...

    async def resume(self, id: int) -> Webhook | None:
        """Try a webhook at once, whether it is paused or waits; None if there is none with this id."""
        ...

    async def move(self, id: int, cursor: str | None) -> Webhook | None:
        """Set the cursor of a webhook, paused or not; None if there is none with this id."""
        ...

    async def rotate(self, id: int, key_id: bytes, salt: bytes, keep: float) -> Webhook | None:
        """Give a webhook a new secret, and keep the one before for so many seconds.

        The one before is not kept if it is made by another key. None if there is none with this id.
        """
        ...

    async def claim(self, key_id: bytes, limit: int, seconds: float) -> list[Webhook]:
        """Claim webhooks of a key that are not paused and that nobody has, for so many seconds."""
        ...

    async def renew(
        self, leases: Mapping[int, int], seconds: float, caught_up: Collection[int] = ()
    ) -> frozenset[int]:
        """Renew leases.

        Args:
            leases: the leases, by the ids of their webhooks.
            seconds: how long they go on from now.
            caught_up: the webhooks of which everything that there was was delivered just now.

        Returns:
            the ids of the webhooks whose leases go on; the others are over.
        """
        ...

    async def release(self, leases: Mapping[int, int]) -> None:
        """Give leases back."""
        ...

    async def advance(self, id: int, lease: int, cursor: str | None, *, events: int = 0) -> bool:
        """Record how far a webhook got.

        Args:
            id: that of the webhook.
            lease: the lease on it.
            cursor: where it goes on.
            events: how many events its endpoint accepted in one request; 0 if none was made.

        Returns:
            whether the lease holds; if not, nothing was recorded.
        """
        ...

    async def fail(
        self,
        id: int,
        lease: int,
        failure: str,
        *,
        delay: float,
        give_up_after: float,
        because: PauseReason | None = None,
    ) -> Webhook | None:
        """Record that a request failed.

        Args:
            id: that of the webhook.
            lease: the lease on it.
            failure: why, without any value.
            delay: seconds until it is tried again.
            give_up_after: the webhook is paused if it fails for so many seconds by now.
            because: the webhook is paused at once, because of this.

        Returns:
            the webhook as it is then; None if the lease is over, and nothing was recorded.
        """
        ...
