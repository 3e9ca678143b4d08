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

The statements of a small batch are sent in a pipeline, which changes no order: the server executes
one after the other, and at this isolation level each takes its snapshot when its execution begins.

This is enough, because an identifier is only ever attached to an identity under (1), and an
identity only ever changes under (2). There is no deadlock, because each kind of lock is taken in
one order, and a transaction that waits in (1) holds nothing of (2).
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence, Set
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, Generic, Self, TypeVar

import psycopg
from attrs import evolve, frozen

from identity_adapters.offload import LARGE, offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import (
    Connection,
    execute,
    pipelined_transaction,
    receive,
    send,
)
from identity_adapters.postgres.erasing import erase
from identity_adapters.postgres.loader import (
    RulesChanged,
    SnapshotQuery,
    read_rules,
)
from identity_adapters.postgres.locks import (
    GLOBAL_LOCK,
    MAX_IDENTIFIER_LOCKS,
    collect_identifiers,
    to_lock_keys,
)
from identity_adapters.postgres.parts import PostgresPartsLoader
from identity_adapters.postgres.suppression import SuppressedQuery
from identity_adapters.postgres.writes import COPY_FROM, write
from identity_core import (
    Contact,
    ContactDetails,
    Decide,
    Decision,
    Identifier,
    IdentityError,
    Record,
    Revise,
    Snapshot,
)
from identity_core.model.parts import Parts
from identity_core.ports import DecideInTurn, R, ReviseParts

MAX_RESTARTS = 3
"""How often a transaction starts again before it takes the global lock."""

MAX_PIPELINED = COPY_FROM // 2
"""The size of a batch up to which its transaction is a pipeline: it creates two contacts for each of the
details at most, too few for COPY, which does not work in a pipeline."""

REVISED_IDS = 16
IDS_GROWTH = 16
"""How many ids are drawn for a decision about a record, and how many times as many if it needs more."""


S = TypeVar("S", Snapshot, Record, Parts)
T = TypeVar("T")


class PostgresContactRepository(PostgresPartsLoader):
    """A `ContactRepository` over the tables that `migrate` sets up; its arguments are those of its base."""

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Decision:
        def prepare() -> "_Work[Snapshot]":
            query = self._prepare(batch)
            identifiers = self._collect_identifiers(batch)
            load = self._prepare_decision(batch, query)
            return _Work(identifiers, query.details, load, self._count_ids(batch))

        return await self._run(prepare, len(batch), decide)

    def _prepare_decision(
        self, batch: Sequence[ContactDetails], query: SnapshotQuery
    ) -> Callable[[Connection], Coroutine[Any, Any, Snapshot]]:
        """What reads all that a decision depends on: with a key, also which values are kept out."""
        if self._suppression_key is None:
            return query.load_to_decide
        suppressed = SuppressedQuery(collect_identifiers(batch), self._suppression_key)

        async def load(connection: Connection) -> Snapshot:
            # In a pipeline it is sent along with the other one.
            sent = await suppressed.send(connection)
            snapshot = await query.load_to_decide(connection)
            found = await suppressed.receive(sent)
            return evolve(snapshot, suppressed=found) if found else snapshot

        return load

    def _collect_identifiers(self, batch: Sequence[ContactDetails]) -> Set[Identifier]:
        """The values on which a decision depends: not on who else has a blocked one; very many may."""
        return collect_identifiers(batch) - self._in_force.rules.pick_blocked(batch)

    def _count_ids(self, batch: Sequence[ContactDetails]) -> int:
        """How many new ids a decision draws at most."""
        dated = sum(details.seen_at is not None for details in batch)
        return (1 if self._in_force.rules.is_off else 2) * len(batch) + dated

    async def transact_in_turn(
        self,
        batches: Sequence[Sequence[ContactDetails]],
        decide: DecideInTurn,
    ) -> list[Decision]:
        """Decide on all batches in one transaction, which holds the global lock.

        Another connection reads the next batch while one is written. Nobody else can write meanwhile, so it
        does not matter when it reads; what is written here, it cannot see.
        """
        growth = 1

        async def attempt() -> list[Decision] | None:
            nonlocal growth
            async with (
                self._database.connection() as connection,
                self._database.further_connection(connection) as reading,
                connection.transaction(),
            ):
                await send(connection, statements.LOCK_GLOBALLY, {"global_lock": GLOBAL_LOCK})
                count = growth * sum(map(self._count_ids, batches))
                [(now, ids)] = await execute(connection, statements.NOW_AND_IDS, {"count": count})
                [(has_pins,)] = await execute(connection, statements.HAS_PINS, {})
                reads_at_once = has_pins or self._in_force.rules.is_limited or reading is connection
                snapshots = self._read_at_once if reads_at_once else self._read_each
                try:
                    return await _write_in_turn(
                        connection, snapshots(reading, batches), decide, now, _supply(ids or ())
                    )
                except RulesChanged:
                    self._in_force = await read_rules(connection)
                    raise psycopg.Rollback from None
                except _OutOfIds:
                    growth *= IDS_GROWTH
                    raise psycopg.Rollback from None
            return None

        while True:
            if (decisions := await self._database.retry(attempt)) is not None:
                return decisions

    def _read_each(
        self, connection: Connection, batches: Sequence[Sequence[ContactDetails]]
    ) -> Iterator[Coroutine[Any, Any, Snapshot]]:
        """What reads a snapshot of each batch."""
        for batch in batches:
            yield self._prepare_decision(batch, self._prepare(batch))(connection)

    def _read_at_once(
        self, connection: Connection, batches: Sequence[Sequence[ContactDetails]]
    ) -> Iterator[Coroutine[Any, Any, Snapshot]]:
        """What reads a snapshot of all batches, and then nothing, because pins and limits may join them."""
        everything = [*chain.from_iterable(batches)]
        yield self._prepare_decision(everything, self._prepare(everything))(connection)

        async def read_nothing() -> Snapshot:
            return Snapshot(rules=self._in_force.rules)

        for _ in batches[1:]:
            yield read_nothing()

    async def revise(
        self, identifiers: Collection[Identifier], decide: Revise[R], *, alone: bool = False
    ) -> R:
        load = partial(self._load_record, identifiers=identifiers)

        def prepare() -> "_Work[Record]":
            details = self._emails.to_json(map(ContactDetails.of, identifiers), self._in_force.rules)
            return _Work({*identifiers}, details, load, REVISED_IDS)

        return await self._run(prepare, 0, decide, alone=alone)

    async def revise_parts(
        self,
        primary_id: int,
        identifiers: Collection[Identifier],
        decide: ReviseParts[R],
        hubs: Collection[Identifier] = (),
    ) -> R:
        load = partial(self._load_parts, primary_id=primary_id, identifiers=identifiers, hubs=hubs)

        def prepare() -> "_Work[Parts]":
            details = self._emails.to_json(map(ContactDetails.of, identifiers), self._in_force.rules)
            return _Work({*identifiers, *hubs}, details, load, REVISED_IDS, frozenset([primary_id]))

        return await self._run(prepare, 0, decide)

    async def _run(
        self,
        prepare: Callable[[], "_Work[S]"],
        size: int,
        decide: Callable[[S, datetime, Iterator[int]], R],
        *,
        alone: bool = False,
    ) -> R:
        """Decide under locks and write the decision, as often as it takes."""
        work: _Work[S] = prepare()
        is_global = alone or len(work.identifiers) > MAX_IDENTIFIER_LOCKS
        keys = "" if is_global else json.dumps(to_lock_keys(work.identifiers))
        others: set[int] = {*work.primary_ids}
        restarts = 0
        needed = work.ids

        async def attempt() -> R | None:
            nonlocal work, keys, restarts, is_global, needed
            async with self._database.connection() as connection, _begin(connection, size):
                if is_global:
                    await send(connection, statements.LOCK_GLOBALLY, {"global_lock": GLOBAL_LOCK})
                    drawn = await send(connection, statements.NOW_AND_IDS, {"count": needed})
                else:
                    locks = {"global_lock": GLOBAL_LOCK, "keys": keys}
                    await send(connection, statements.LOCK_IDENTIFIERS, locks)
                    drawn = await send(
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
                    raise psycopg.Rollback from None
                [(*locked, now, ids)] = await receive(drawn)
                if not is_global and (not_locked := _find_primary_ids(known.identities) - set(*locked)):
                    others.update(not_locked)
                    restarts += 1
                    is_global = restarts > MAX_RESTARTS
                    raise psycopg.Rollback
                try:
                    decision = await offload(max(known.size, size), decide, known, now, _supply(ids or ()))
                except _OutOfIds:
                    needed *= IDS_GROWTH
                    raise psycopg.Rollback from None
                await write(connection, decision.writes, now)
                if decision.writes.erasure is not None:
                    await erase(connection, decision.writes.erasure, now, self._emails, self._suppression_key)
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


async def _write_in_turn(
    connection: Connection,
    reads: Iterator[Coroutine[Any, Any, Snapshot]],
    decide: DecideInTurn,
    now: datetime,
    ids: Iterator[int],
) -> list[Decision]:
    """Write decisions, each while the next snapshot is read and the next decision made."""
    written: list[Decision] = []
    known: deque[Snapshot] = deque()
    decisions = decide(iter(known.popleft, None), now, ids)
    async with _Background[Snapshot]() as reading, _Background[None]() as writing:
        reading.begin(next(reads, None))
        while (snapshot := await reading.finish()) is not None:
            known.append(snapshot)
            reading.begin(next(reads, None))
            try:
                decision = await offload(LARGE, next, decisions, None)
            except IdentityError:
                if not written:
                    raise
                break
            if decision is None:
                break
            await writing.finish()
            writing.begin(write(connection, decision.writes, now))
            written.append(decision)
        await writing.finish()
    return written


class _Background(Generic[T]):
    """Does one thing at a time while something else is done, and gives it up if that fails."""

    def __init__(self) -> None:
        self._task: asyncio.Task[T] | None = None

    def begin(self, coroutine: Coroutine[Any, Any, T] | None) -> None:
        """Begin to do something, after what was begun before is finished; None for nothing."""
        self._task = None if coroutine is None else asyncio.create_task(coroutine)

    async def finish(self) -> T | None:
        """Wait until it is done; the result, or None if nothing was begun."""
        task, self._task = self._task, None
        return None if task is None else await task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


def _begin(connection: Connection, size: int) -> AbstractAsyncContextManager[object]:
    """A transaction about a batch of a size; 0 for any other."""
    if 0 < size <= MAX_PIPELINED:
        return pipelined_transaction(connection)
    return connection.transaction()


class _OutOfIds(Exception):
    """A decision needs more ids than were drawn for it."""


def _supply(ids: Iterable[int]) -> Iterator[int]:
    yield from ids
    raise _OutOfIds


def _find_primary_ids(identities: Iterable[Sequence[Contact]]) -> set[int]:
    """The ids of the contacts by which identities are locked."""
    return {contacts[0].id for contacts in identities}
