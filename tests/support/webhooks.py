"""Webhooks in memory, for whoever manages them."""

from datetime import UTC, datetime, timedelta

from attrs import evolve

from identity_adapters.webhooks.webhook import PauseReason, Salts, Webhook


class InMemoryWebhooks:
    """What a `WebhookStore` does for people; nobody delivers."""

    def __init__(self):
        self.kept = {}

    async def add(self, target, salts, cursor):
        now = datetime.now(UTC)
        webhook = Webhook(
            id=len(self.kept) + 1, target=target, salts=salts, cursor=cursor, replays=0, created_at=now,
            paused_at=None, paused_because=None, caught_up_at=now, lag=0, delivered_at=None, failures=0,
            failing_since=None, last_failure=None, wait=0, delivered_events=0, delivered_requests=0,
            failed_requests=0, lease=0, is_leased=False,
        )  # fmt: skip
        self.kept[webhook.id] = webhook
        return webhook

    async def get(self, id):
        return self.kept.get(id)

    async def webhooks(self, after=0, limit=100):
        return [one for id, one in sorted(self.kept.items()) if id > after][:limit]

    async def remove(self, id):
        return self.kept.pop(id, None) is not None

    async def pause(self, id):
        return self.change(id, paused_at=datetime.now(UTC), paused_because=PauseReason.ASKED)

    async def resume(self, id):
        return self.change(id, paused_at=None, paused_because=None, failures=0, wait=0)

    async def move(self, id, cursor):
        return self.change(id, cursor=cursor)

    async def rotate(self, id, key_id, salt, keep):
        if id not in self.kept:
            return None
        before = self.kept[id].salts
        until = datetime.now(UTC) + timedelta(seconds=keep)
        kept = (before.current, until) if before.key_id == key_id else (None, None)
        return self.change(id, salts=Salts(key_id, salt, *kept))

    def change(self, id, **values):
        if id in self.kept:
            self.kept[id] = evolve(self.kept[id], **values)
        return self.kept.get(id)
