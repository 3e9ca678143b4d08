"""Webhooks, as PostgreSQL keeps them."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Database
from identity_adapters.postgres.rows import to_webhook, to_webhook_values
from identity_adapters.webhooks.webhook import PauseReason, Salts, Target, Webhook


class PostgresWebhooks:
    """A `WebhookStore` over the tables that `migrate` sets up.

    A statement whose answer is lost with the connection is sent again. That adds no second webhook and loses
    no salt, but it may count a request twice.

    Args:
        database: the database with these tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, target: Target, salts: Salts, cursor: str | None) -> Webhook:
        [(id,)] = await self._database.fetch(statements.NEW_WEBHOOK_ID, {})
        values = to_webhook_values(target, salts) | {"id": id, "cursor": cursor}
        [row] = await self._database.fetch(statements.ADD_WEBHOOK, values)
        return to_webhook(row)

    async def get(self, id: int) -> Webhook | None:
        return await self._fetch_one(statements.WEBHOOK, {"id": id})

    async def webhooks(self, after: int = 0, limit: int = 100) -> list[Webhook]:
        rows = await self._database.fetch(statements.WEBHOOKS, {"after": after, "limit": limit})
        return [*map(to_webhook, rows)]

    async def remove(self, id: int) -> bool:
        return bool(await self._database.fetch(statements.REMOVE_WEBHOOK, {"id": id}))

    async def pause(self, id: int) -> Webhook | None:
        return await self._fetch_one(statements.PAUSE_WEBHOOK, {"id": id})

    async def resume(self, id: int) -> Webhook | None:
        return await self._fetch_one(statements.RESUME_WEBHOOK, {"id": id})

    async def move(self, id: int, cursor: str | None) -> Webhook | None:
        return await self._fetch_one(statements.MOVE_WEBHOOK, {"id": id, "cursor": cursor})

    async def rotate(self, id: int, key_id: bytes, salt: bytes, keep: float) -> Webhook | None:
        values = {"id": id, "key_id": key_id, "salt": salt, "seconds": keep}
        return await self._fetch_one(statements.ROTATE_WEBHOOK, values)

    async def claim(self, key_id: bytes, limit: int, seconds: float) -> list[Webhook]:
        values = {"key_id": key_id, "limit": limit, "seconds": seconds}
        rows = await self._database.fetch(statements.CLAIM_WEBHOOKS, values)
        return sorted(map(to_webhook, rows), key=lambda webhook: webhook.id)

    async def renew(
        self, leases: Mapping[int, int], seconds: float, caught_up: Collection[int] = ()
    ) -> frozenset[int]:
        values = {"leases": _to_json(leases, caught_up), "seconds": seconds}
        return frozenset(id for (id,) in await self._database.fetch(statements.RENEW_LEASES, values))

    async def release(self, leases: Mapping[int, int]) -> None:
        await self._database.send(statements.RELEASE_LEASES, {"leases": _to_json(leases)})

    async def advance(self, id: int, lease: int, cursor: str | None, *, events: int = 0) -> bool:
        values = {"id": id, "lease": lease, "cursor": cursor}
        if events:
            return bool(await self._database.fetch(statements.DELIVER_EVENTS, values | {"events": events}))
        return bool(await self._database.fetch(statements.ADVANCE_WEBHOOK, values))

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
        values = {
            "id": id,
            "lease": lease,
            "failure": failure,
            "delay": delay,
            "give_up_after": give_up_after,
            "because": because and because.value,
        }
        return await self._fetch_one(statements.FAIL_WEBHOOK, values)

    async def _fetch_one(self, statement: str, values: dict[str, Any]) -> Webhook | None:
        rows = await self._database.fetch(statement, values)
        return to_webhook(rows[0]) if rows else None


def _to_json(leases: Mapping[int, int], caught_up: Collection[int] = ()) -> str:
    """Encode leases, in the order of ids: so two who change the same rows do not wait in a circle."""
    held = [
        {"id": id, "lease": lease, "is_caught_up": id in caught_up} for id, lease in sorted(leases.items())
    ]
    return json.dumps(held)
