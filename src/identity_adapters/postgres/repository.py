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
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence, Set
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

import psycopg
from attrs import frozen

from identity_adapters.offload import offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, execute
from identity_adapters.postgres.loader import (
    RulesChanged,
    read_rules,
    to_details,
)
from identity_adapters.postgres.locks import (
    GLOBAL_LOCK,
    MAX_IDENTIFIER_LOCKS,
    collect_identifiers,
    to_lock_keys,
)
from identity_adapters.postgres.parts import PostgresPartsLoader
from identity_adapters.postgres.writes import write
from identity_core import (
    Contact,
    ContactDetails,
    Decide,
    Decision,
    Identifier,
    Record,
    Revise,
    Snapshot,
)
from identity_core.model.parts import Parts
from identity_core.ports import R, ReviseParts

MAX_RESTARTS = 3
"""How often a transaction starts again before it takes the global lock."""

REVISED_IDS = 16
IDS_GROWTH = 16
"""How many ids are drawn for a decision about a record, and how many times as many if it needs more."""


S = TypeVar("S", Snapshot, Record, Parts)


class PostgresContactRepository(PostgresPartsLoader):
    """A `ContactRepository` over the tables that `migrate` sets up; its arguments are those of its base."""

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Decision:
        dated = sum(details.seen_at is not None for details in batch)

        def prepare() -> "_Work[Snapshot]":
            query, rules = self._prepare(batch), self._in_force.rules
            # Nothing depends on who else has a blocked value, and very many may have it at once.
            identifiers = collect_identifiers(batch) - rules.pick_blocked(batch)
            ids = len(batch) + dated if rules.is_off else 2 * len(batch) + dated
            return _Work(identifiers, query.details, query.load_to_decide, ids)

        return await self._run(prepare, len(batch), decide)

    async def revise(self, identifiers: Collection[Identifier], decide: Revise[R]) -> R:
        load = partial(self._load_record, identifiers=identifiers)

        def prepare() -> "_Work[Record]":
            details = self._emails.to_json(map(to_details, identifiers), self._in_force.rules)
            return _Work({*identifiers}, details, load, REVISED_IDS)

        return await self._run(prepare, 0, decide)

    async def revise_parts(
        self,
        primary_id: int,
        identifiers: Collection[Identifier],
        decide: ReviseParts[R],
        hubs: Collection[Identifier] = (),
    ) -> R:
        load = partial(self._load_parts, primary_id=primary_id, identifiers=identifiers, hubs=hubs)

        def prepare() -> "_Work[Parts]":
            details = self._emails.to_json(map(to_details, identifiers), self._in_force.rules)
            return _Work({*identifiers, *hubs}, details, load, REVISED_IDS, frozenset([primary_id]))

        return await self._run(prepare, 0, decide)

    async def _run(
        self,
        prepare: Callable[[], "_Work[S]"],
        size: int,
        decide: Callable[[S, datetime, Iterator[int]], R],
    ) -> R:
        """Decide under locks and write the decision, as often as it takes."""
        work: _Work[S] = prepare()
        is_global = len(work.identifiers) > MAX_IDENTIFIER_LOCKS
        keys = "" if is_global else json.dumps(to_lock_keys(work.identifiers))
        others: set[int] = {*work.primary_ids}
        restarts = 0
        needed = work.ids

        async def attempt() -> R | None:
            nonlocal work, keys, restarts, is_global, needed
            async with self._database.connection() as connection, connection.transaction() as transaction:
                if is_global:
                    await execute(connection, statements.LOCK_GLOBALLY, {"global_lock": GLOBAL_LOCK})
                    [(now, ids)] = await execute(connection, statements.NOW_AND_IDS, {"count": needed})
                    locked = []
                else:
                    locks = {"global_lock": GLOBAL_LOCK, "keys": keys}
                    await execute(connection, statements.LOCK_IDENTIFIERS, locks)
                    [(locked, now, ids)] = await execute(
                        connection,
                        statements.LOCK_PRIMARIES,
                        {"details": work.details, "others": json.dumps([*others]), "count": needed},
                    )
                try:
                    known = await work.load(connection)
                except RulesChanged:
                    self._in_force = await read_rules(connection)
                    work = prepare()
                    keys = "" if is_global else json.dumps(to_lock_keys(work.identifiers))
                    raise psycopg.Rollback(transaction) from None
                if not is_global and (not_locked := _find_primary_ids(known.identities) - set(locked)):
                    others.update(not_locked)
                    restarts += 1
                    is_global = restarts > MAX_RESTARTS
                    raise psycopg.Rollback(transaction)
                try:
                    decision = await offload(max(known.size, size), decide, known, now, _supply(ids or ()))
                except _OutOfIds:
                    needed *= IDS_GROWTH
                    raise psycopg.Rollback(transaction) from None
                await write(connection, decision.writes, now)
                return decision
            return None

        while True:
            if (decision := await self._database.retry(attempt)) is not None:
                return decision


@frozen
class _Work(Generic[S]):
    """What a transaction locks and reads.

    Attributes:
        identifiers: the values that it locks.
        details: the rows of these values, as the statements take them.
        load: reads what is known of them.
        ids: how many new ids a decision draws at most, as far as can be told.
        primary_ids: the primaries that it locks besides those of the details.
    """

    identifiers: Set[Identifier]
    details: str
    load: Callable[[Connection], Coroutine[Any, Any, S]]
    ids: int
    primary_ids: Set[int] = frozenset()


class _OutOfIds(Exception):
    """A decision needs more ids than were drawn for it."""


def _supply(ids: Iterable[int]) -> Iterator[int]:
    yield from ids
    raise _OutOfIds


def _find_primary_ids(identities: Iterable[Sequence[Contact]]) -> set[int]:
    """The ids of the contacts by which identities are locked."""
    return {contacts[0].id for contacts in identities}
