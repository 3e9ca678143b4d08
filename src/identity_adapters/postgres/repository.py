"""The repository over PostgreSQL, consistent under any number of processes, at READ COMMITTED.

The invariant: from when a decision is made until it is committed, no other transaction changes
the identities that its details match, and none attaches their identifiers anywhere. A transaction
keeps it in three steps:

1. Advisory locks on its identifiers, in ascending order of their keys. The server's lock table
   is small: a transaction with very many identifiers takes the global lock instead, which all
   others share. It then runs alone and needs no other lock.
2. Row locks on the primaries of the matched identities, in ascending order of their ids.
3. Only then the time and the snapshot, which therefore show everything that was committed by
   those who held these locks before. If an identity in the snapshot has a primary that is not
   locked, it changed in between: the transaction rolls back and starts again.

This is enough, because an identifier is only ever attached to an identity under (1), and an
identity only ever changes under (2). There is no deadlock, because each kind of lock is taken in
one order, and a transaction that waits in (1) holds nothing of (2).
"""

import json
from collections.abc import Sequence

import psycopg

from identity_adapters.offload import offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import execute
from identity_adapters.postgres.loader import PostgresSnapshotLoader
from identity_adapters.postgres.locks import (
    GLOBAL_LOCK,
    MAX_IDENTIFIER_LOCKS,
    collect_identifiers,
    to_lock_keys,
)
from identity_adapters.postgres.writes import write
from identity_core import ContactDetails, Decide, Decision, Snapshot

MAX_RESTARTS = 3
"""How often a transaction starts again before it takes the global lock."""


class PostgresContactRepository(PostgresSnapshotLoader):
    """A `ContactRepository` over the tables that `migrate` sets up; its arguments are those of its base."""

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Decision:
        identifiers = collect_identifiers(batch)
        is_global = len(identifiers) > MAX_IDENTIFIER_LOCKS
        keys = "" if is_global else json.dumps(to_lock_keys(identifiers))
        query = self._prepare(batch)
        others: set[int] = set()
        restarts = 0

        async def attempt() -> Decision | None:
            nonlocal restarts, is_global
            async with self._database.connection() as connection, connection.transaction() as transaction:
                if is_global:
                    await execute(connection, statements.LOCK_GLOBALLY, {"global_lock": GLOBAL_LOCK})
                    [(now, ids)] = await execute(connection, statements.NOW_AND_IDS, {"count": len(batch)})
                    locked = []
                else:
                    locks = {"global_lock": GLOBAL_LOCK, "keys": keys}
                    await execute(connection, statements.LOCK_IDENTIFIERS, locks)
                    [(locked, now, ids)] = await execute(
                        connection,
                        statements.LOCK_PRIMARIES,
                        {"details": query.details, "others": json.dumps([*others]), "count": len(batch)},
                    )
                snapshot = await query.load(connection)
                if not is_global and (not_locked := _find_primary_ids(snapshot) - set(locked)):
                    others.update(not_locked)
                    restarts += 1
                    is_global = restarts > MAX_RESTARTS
                    raise psycopg.Rollback(transaction)
                decision = await offload(
                    max(snapshot.size, len(batch)), decide, snapshot, now, iter(ids or ())
                )
                await write(connection, decision.writes, now)
                return decision
            return None

        while True:
            if (decision := await self._database.retry(attempt)) is not None:
                return decision


def _find_primary_ids(snapshot: Snapshot) -> set[int]:
    """The ids of the contacts by which the identities of a snapshot are locked."""
    return {contacts[0].id for contacts in snapshot.identities}
