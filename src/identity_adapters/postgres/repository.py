"""The repository over PostgreSQL: right for any number of processes, at READ COMMITTED.

The invariant: from when a decision is made until it is committed, nobody else changes the
identities that its details touch, and nobody else attaches their identifiers anywhere. A
transaction keeps it thus:

1. Advisory locks on its identifiers, in ascending order of their keys. The server's lock table
   is small: a transaction with very many identifiers takes one lock over everything instead,
   which all others share.
2. Row locks on the primaries of the identities touched, in ascending order of their ids.
3. Only then the time and the snapshot, which therefore show all that was committed by whoever
   held these locks before. If an identity in it has a primary that is not locked, it changed
   in between: everything is given back and begun again.

It is enough, because an identifier is only ever attached to an identity under (1), and an
identity only ever changes under (2). Nobody waits in a circle, because each kind is taken in
one order, and a transaction that waits in (1) holds nothing of (2).

A decision is pure, and doing it twice is doing it once. So after a deadlock with somebody
else's transaction, a serialization failure or a lost connection it is made again, even where
the connection was lost while committing and nobody knows what became of it.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from random import uniform
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from identity_adapters.postgres import statements
from identity_adapters.postgres.faults import NO_ANSWER, fault
from identity_core import (
    Changes,
    Contact,
    ContactDetails,
    Decide,
    LinkPrecedence,
    Reconciliation,
    Snapshot,
)

MAX_IDENTIFIER_LOCKS = 256
"""How many identifiers a transaction locks one by one."""

MAX_FRESH_STARTS = 3
"""How often others may be faster before a transaction takes the lock over everything."""

RETRY_FOR = 3.0
"""For how many seconds a fault that passes is retried."""

CHECK_WITHIN = 2.0
"""Seconds in which the database has to say that it is there."""

EVERYTHING = 0x6964_656E_7469_7479
"""The key of the lock over everything."""

_LINK_PRECEDENCES = {precedence.value: precedence for precedence in LinkPrecedence}

T = TypeVar("T")


class PostgresContactRepository:
    """A `ContactRepository` over the tables that `migrate` sets up.

    Args:
        engine: as `create_engine` makes it.
        answer_within: seconds after which a database that does not answer is given up.
    """

    def __init__(self, engine: AsyncEngine, answer_within: float = 15.0) -> None:
        self._engine = engine
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._answer_within = answer_within

    async def check(self) -> None:
        """Nothing, if the database is there and migrated.

        Raises:
            RepositoryUnavailable: it is not.
        """

        async def attempt() -> None:
            async with self._reader.connect() as connection:
                await connection.execute(statements.CHECK)

        await _retried(attempt, answer_within=CHECK_WITHIN, retry_for=0)

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        async def attempt() -> Snapshot:
            async with self._reader.connect() as connection:
                return await _load(connection, batch)

        return await _retried(attempt, self._answer_within, RETRY_FOR)

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Reconciliation:
        keys = _lock_keys(batch)
        others: set[int] = set()
        fresh_starts = 0

        async def attempt() -> Reconciliation | None:
            nonlocal fresh_starts
            async with self._engine.begin() as connection:
                if len(keys) > MAX_IDENTIFIER_LOCKS or fresh_starts > MAX_FRESH_STARTS:
                    await connection.execute(statements.LOCK_EVERYTHING, {"everything": EVERYTHING})
                else:
                    locks = {"everything": EVERYTHING, "keys": keys}
                    await connection.execute(statements.LOCK_IDENTIFIERS, locks)
                locked, now, ids = (
                    await connection.execute(
                        statements.LOCK_PRIMARIES,
                        {**_identifiers(batch), "others": list(others), "count": len(batch)},
                    )
                ).one()
                snapshot = await _load(connection, batch)
                if not_locked := _primaries(snapshot) - set(locked):
                    others.update(not_locked)
                    fresh_starts += 1
                    await connection.rollback()
                    return None
                decided = decide(snapshot, now.replace(tzinfo=UTC), iter(ids or ()))
                await _write(connection, decided.changes, now)
                return decided

        while True:
            if (decided := await _retried(attempt, self._answer_within, RETRY_FOR)) is not None:
                return decided


async def _retried(
    attempt: Callable[[], Coroutine[Any, Any, T]], answer_within: float, retry_for: float
) -> T:
    """What an attempt returns, made again while it ends in faults that pass."""
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + retry_for
    delay = 0.01
    while True:
        try:
            return await _within(answer_within, attempt())
        except (DBAPIError, PoolTimeoutError) as error:
            what = fault(error)
            if what is None:
                raise
            if not what.passes or clock() + delay > give_up_at:
                raise what.error() from None
        await asyncio.sleep(uniform(delay / 2, delay))
        delay = min(2 * delay, 0.5)


async def _within(seconds: float, attempt: Coroutine[Any, Any, T]) -> T:
    """What an attempt returns, if it does so in time.

    Giving up takes a connection that does not answer several seconds. Nobody waits for that.
    """
    task = asyncio.create_task(attempt)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
        raise NO_ANSWER.error()
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(lambda given_up: given_up.cancelled() or given_up.exception())


def _primaries(snapshot: Snapshot) -> set[int]:
    """The ids of the contacts by which the identities of a snapshot are locked."""
    return {contacts[0].id for contacts in snapshot.identities}


def _lock_keys(batch: Iterable[ContactDetails]) -> list[int]:
    """The keys of the locks on all identifiers, ascending: 64 bits, spread by a hash."""
    identifiers = {
        (kind, value)
        for details in batch
        for kind, value in ((b"email", details.email), (b"phone_number", details.phone_number))
        if value is not None
    }
    return sorted(
        {
            int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8, person=kind).digest(), signed=True)
            for kind, value in identifiers
        }
    )


def _identifiers(batch: Iterable[ContactDetails]) -> dict[str, Any]:
    return {
        "emails": list({details.email for details in batch if details.email is not None}),
        "phone_numbers": list({d.phone_number for d in batch if d.phone_number is not None}),
    }


async def _load(connection: AsyncConnection, batch: Sequence[ContactDetails]) -> Snapshot:
    pairs = {details.pair for details in batch if details.pair is not None}
    rows = await connection.execute(
        statements.LOAD,
        {
            **_identifiers(batch),
            "pair_emails": [email for email, _ in pairs],
            "pair_phone_numbers": [phone_number for _, phone_number in pairs],
        },
    )
    contacts: list[Contact] = []
    evidence: list[tuple[str, str]] = []
    links_of_deleted: dict[int, int | None] = {}
    for id, email, phone_number, linked_id, link_precedence, created_at, is_deleted in rows:
        if id is None:
            evidence.append((email, phone_number))
        elif is_deleted:
            links_of_deleted[id] = linked_id
        else:
            contacts.append(
                Contact(
                    id,
                    email,
                    phone_number,
                    linked_id,
                    _LINK_PRECEDENCES.get(link_precedence),
                    created_at.replace(tzinfo=UTC),
                )
            )
    return Snapshot.of(contacts, evidence, links_of_deleted)


async def _write(connection: AsyncConnection, changes: Changes, now: datetime) -> None:
    if changes.created:
        await connection.execute(
            statements.INSERT_CONTACTS,
            {
                **_columns_of_links(changes.created),
                "emails": [contact.email for contact in changes.created],
                "phone_numbers": [contact.phone_number for contact in changes.created],
                "now": now,
            },
        )
    if changes.altered:
        await connection.execute(
            statements.UPDATE_CONTACTS, {**_columns_of_links(changes.altered), "now": now}
        )
    if changes.deleted:
        await connection.execute(statements.DELETE_CONTACTS, {"ids": list(changes.deleted), "now": now})
    if changes.superseded:
        await connection.execute(
            statements.DELETE_EVIDENCE,
            {
                "emails": [email for email, _ in changes.superseded],
                "phone_numbers": [phone_number for _, phone_number in changes.superseded],
            },
        )
    if changes.evidence:
        await connection.execute(
            statements.INSERT_EVIDENCE,
            {
                "ids": [evidence.id for evidence in changes.evidence],
                "emails": [evidence.email for evidence in changes.evidence],
                "phone_numbers": [evidence.phone_number for evidence in changes.evidence],
                "seen_at": [_naive(evidence.seen_at) for evidence in changes.evidence],
            },
        )
    if changes.events:
        await connection.execute(
            statements.INSERT_EVENTS,
            {
                "happened_at": [_naive(event.happened_at) for event in changes.events],
                "kinds": [event.kind.value for event in changes.events],
                "primary_ids": [event.primary_id for event in changes.events],
                "contact_ids": [event.contact_id for event in changes.events],
                "evidence_ids": [event.evidence_id for event in changes.events],
                "absorbed_ids": [f"{{{','.join(map(str, event.absorbed_ids))}}}" for event in changes.events],
            },
        )


def _columns_of_links(contacts: Sequence[Contact]) -> dict[str, Any]:
    return {
        "ids": [contact.id for contact in contacts],
        "linked_ids": [contact.linked_id for contact in contacts],
        "link_precedences": [contact.link_precedence for contact in contacts],
        "created_at": [_naive(contact.created_at) for contact in contacts],
    }


def _naive(moment: datetime) -> datetime:
    """As the columns of the table hold it: in UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)
