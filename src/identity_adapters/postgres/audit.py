"""Who was handed out or erased, as PostgreSQL keeps it."""

import json
from collections.abc import Sequence

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Database
from identity_adapters.postgres.rows import to_ledger_entry, to_ledger_values
from identity_core import LedgerEntry, Leftover


class PostgresAuditTrail:
    """An `AuditTrail` over the tables that `migrate` sets up.

    Args:
        database: the database with these tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_access(self, contact_ids: Sequence[int], by: str | None) -> None:
        await self._database.send(statements.RECORD_ACCESS, {"ids": json.dumps([*contact_ids]), "by": by})

    async def ledger(self, after: int = 0, limit: int = 100) -> list[LedgerEntry]:
        rows = await self._database.fetch(statements.LEDGER, {"after": after, "limit": limit})
        return [*map(to_ledger_entry, rows)]

    async def adopt_erasure(self, entry: LedgerEntry) -> None:
        await self._database.send(statements.ADOPT_ERASURE, to_ledger_values(entry))

    async def skip_ids(self, last_id: int) -> None:
        await self._database.send(statements.SKIP_IDS, {"last_id": last_id})

    async def find_left(self, entry: LedgerEntry) -> list[Leftover]:
        return [
            Leftover(*row) for row in await self._database.fetch(statements.LEFT, to_ledger_values(entry))
        ]
