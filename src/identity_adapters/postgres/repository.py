"""The repository over PostgreSQL: right for any number of processes, at READ COMMITTED.

The invariant: from when a decision is made until it is committed, nobody else changes the
identities that its details touch, and nobody else attaches their identifiers anywhere. A
transaction keeps it thus:

1. Advisory locks on its identifiers, in ascending order of their keys. The server's lock table
   is small: a transaction with very many identifiers takes one lock over everything instead,
   which all others share. It is alone then, and needs no other lock.
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
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import chain, groupby
from random import uniform
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar, cast

import psycopg
from attrs import evolve
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from identity_adapters.postgres import statements
from identity_adapters.postgres.faults import NO_ANSWER, TOO_MUCH, fault
from identity_adapters.postgres.place import Place
from identity_core import (
    Changes,
    Contact,
    ContactDetails,
    Decide,
    Event,
    EventKind,
    Evidence,
    Happening,
    LinkPrecedence,
    Page,
    Reconciliation,
    Snapshot,
)
from identity_core.snapshot import joined
from identity_core.turns import LARGE, in_turns

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

MAX_IDENTIFIER_LOCKS = 256
"""How many identifiers a transaction locks one by one."""

MAX_FRESH_STARTS = 3
"""How often others may be faster before a transaction takes the lock over everything."""

MAX_CONTACTS = 25_000
MAX_CONTACTS_IN_BULK = 100_000
"""How many contacts several details, or thousands of them, touch at most beside those of one identity.

Where they touch more, fewer of them are decided on at a time. One large identity is no reason to:
it would be read again for each of its details instead of once for all of them.
"""

MANY = 500
"""From how many new contacts on they are copied instead of inserted."""

RETRY_FOR = 3.0
"""For how many seconds a fault that passes is retried."""

CHECK_WITHIN = 2.0
"""Seconds in which the database has to say that it is there."""

CENSUS_WITHIN = 60.0
"""Seconds within which everything has to be counted."""

LARGEST = 10
"""How many of the largest identities a census tells of."""

EVERYTHING = 0x6964_656E_7469_7479
"""The key of the lock over everything."""

_LINK_PRECEDENCES = {precedence.value: precedence for precedence in LinkPrecedence}

Connection: TypeAlias = psycopg.AsyncConnection[Any]
T = TypeVar("T")


class Census(NamedTuple):
    """How much is on record: contacts, identities, merges, and the contacts of the largest identities."""

    contacts: int
    identities: int
    merges: int
    largest: list[int]


class PostgresContactRepository:
    """A `ContactRepository` over the tables that `migrate` sets up.

    Args:
        engine: as `create_engine` makes it.
        answer_within: seconds after which a database that does not answer is given up.
        on_retry: told why, each time that an attempt is made again.
        ascii_form: of an email that is not all ASCII, the other form in which others may have
            stored it, or None. Contacts with it are found, too.
        unicode_form: the email of such a form, as details have it.
    """

    def __init__(
        self,
        engine: "AsyncEngine",
        answer_within: float = 15.0,
        on_retry: Callable[[str], None] = lambda _: None,
        ascii_form: Callable[[str], str | None] = lambda _: None,
        unicode_form: Callable[[str], str] = str,
    ) -> None:
        self._engine = engine
        self._answer_within = answer_within
        self._on_retry = on_retry
        self._ascii_form = ascii_form
        self._unicode_form = unicode_form

    async def check(self) -> None:
        """Nothing, if the database is there and migrated.

        Raises:
            RepositoryUnavailable: it is not.
        """
        await self._rows(statements.CHECK, {}, answer_within=CHECK_WITHIN, retry_for=0)

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        details, most = self._as_json(batch), _most(batch)
        read_email = self._reader(details.email for details in batch)

        async def attempt() -> Snapshot:
            async with self._connection() as connection:
                return await _load(connection, details, most, read_email)

        return await self._retried(attempt)

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        rows = await self._rows(statements.FIND, {"id": contact_id})
        if not rows:
            return None
        # What links join is one identity, also where those that join it were deleted.
        found = await in_turns(len(rows), _snapshot, self._reader(()), rows)
        return tuple(chain.from_iterable(found.identities))

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        sought: dict[str, Any] = {"id": of} if isinstance(of, int) else {"details": self._as_json([of])}
        hubs = statements.HUBS_OF_CONTACT if isinstance(of, int) else statements.HUBS
        created_at, id = ("-infinity", 0) if after is None else (after[0].isoformat(), after[1])
        most = limit + 1  # one more tells whether there is another page
        read_email = self._reader(() if isinstance(of, int) else (of.email,))

        async def attempt() -> list[Page]:
            async with self._connection() as connection, connection.transaction():
                await _execute(connection, statements.ONE_SNAPSHOT, {})
                links = dict(await _execute(connection, hubs, sought))
                identities = json.dumps(joined(links))
                asked = {"identities": identities, "created_at": created_at, "id": id, "most": most}
                return _pages(await _execute(connection, statements.PAGES, asked), limit, read_email)

        return await self._retried(attempt)

    async def evidence(self, contacts: Sequence[Contact]) -> list[Evidence]:
        emails = {contact.email for contact in contacts if contact.email is not None}
        asked = emails | self._ascii_forms(emails)
        rows = await self._rows(statements.EVIDENCE, {"emails": json.dumps([*asked])})
        read_email = self._reader(emails)

        def read() -> list[Evidence]:
            return [Evidence(id, read_email(email), number, seen_at) for id, email, number, seen_at in rows]

        return await in_turns(len(rows), read)

    async def happenings(
        self, contacts: Sequence[Contact], after: int = 0, limit: int | None = None
    ) -> list[Happening]:
        ids = json.dumps([contact.id for contact in contacts])
        asked = {"ids": ids, "after": after, "most": limit}
        rows = await self._rows(statements.HAPPENINGS, asked)
        return await in_turns(len(rows), lambda: [*map(_happening, rows)])

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[Happening], str]:
        # Ids alone do not tell what is new: a transaction that is slow commits smaller ones later. So
        # a place is a snapshot: all that was over by then was told of. What became over since then,
        # by the next snapshot, comes in the order of ids, which are drawn under the locks: of two
        # events of one identity the one that the other builds upon has the smaller id, and was over.
        place = Place() if after is None else Place.parse(after)

        async def attempt() -> tuple[list[Happening], str]:
            async with self._connection() as connection:
                until = place.until
                if until is None:
                    [(until,)] = await _execute(connection, statements.NOW, {})
                statement = statements.CHANGES if place.since is None else statements.CHANGES_SINCE
                asked = {"since": place.since, "until": until, "after": place.event_id, "most": limit}
                found = [*map(_happening, await _execute(connection, statement, asked))]
            if len(found) < limit:
                return found, str(Place(since=until))
            return found, str(Place(place.since, until, found[-1].id))

        return await self._retried(attempt)

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Reconciliation:
        identifiers = _identifiers(batch)
        is_alone = len(identifiers) > MAX_IDENTIFIER_LOCKS
        keys = "" if is_alone else json.dumps(_lock_keys(identifiers))
        details, most = self._as_json(batch), _most(batch)
        read_email = self._reader(details.email for details in batch)
        others: set[int] = set()
        fresh_starts = 0

        async def attempt() -> Reconciliation | None:
            nonlocal fresh_starts, is_alone
            async with self._connection() as connection, connection.transaction() as transaction:
                if is_alone:
                    await _execute(connection, statements.LOCK_EVERYTHING, {"everything": EVERYTHING})
                    [(now, ids)] = await _execute(connection, statements.SUPPLY, {"count": len(batch)})
                    locked = []
                else:
                    locks = {"everything": EVERYTHING, "keys": keys}
                    await _execute(connection, statements.LOCK_IDENTIFIERS, locks)
                    [(locked, now, ids)] = await _execute(
                        connection,
                        statements.LOCK_PRIMARIES,
                        {"details": details, "others": json.dumps([*others]), "count": len(batch)},
                    )
                snapshot = await _load(connection, details, most, read_email)
                if not is_alone and (not_locked := _primaries(snapshot) - set(locked)):
                    others.update(not_locked)
                    fresh_starts += 1
                    is_alone = fresh_starts > MAX_FRESH_STARTS
                    raise psycopg.Rollback(transaction)
                decided = await in_turns(
                    max(snapshot.size, len(batch)), decide, snapshot, now, iter(ids or ())
                )
                await _write(connection, decided.changes, now)
                return decided
            return None

        while True:
            if (decided := await self._retried(attempt)) is not None:
                return decided

    async def census(self) -> Census:
        """How much is on record. It reads whole tables: seconds, for millions of contacts.

        Raises:
            RepositoryUnavailable: ask again later.
        """

        async def attempt() -> Census:
            async with self._connection() as connection, connection.transaction():
                await connection.execute(statements.READ_TABLES, prepare=False)
                [row] = await _execute(connection, statements.CENSUS, {"most": LARGEST})
            contacts, identities, merges, largest = row
            lone = min(LARGEST, identities) - len(largest)
            return Census(contacts, identities, merges, largest + lone * [1])

        return await self._retried(attempt, answer_within=CENSUS_WITHIN, retry_for=0)

    def _as_json(self, batch: Iterable[ContactDetails]) -> str:
        """A row for each of the details, in each form that others may have stored."""
        keys = {details.key for details in batch}
        keys |= {(form, number) for email, number in keys for form in self._ascii_forms([email])}
        return json.dumps([{"email": email, "phone_number": phone_number} for email, phone_number in keys])

    def _ascii_forms(self, emails: Iterable[str | None]) -> set[str]:
        forms = (self._ascii_form(email) for email in emails if email is not None and not email.isascii())
        return {form for form in forms if form is not None}

    def _reader(self, given: Iterable[str | None]) -> Callable[[str], str]:
        """Reads an email on record in the form that details have; one that was given is in it."""
        as_given = {email for email in given if email is not None}
        return lambda email: self._unicode_form(email) if "xn--" in email and email not in as_given else email

    async def _rows(self, statement: str, values: dict[str, Any], **patience: float) -> list[tuple[Any, ...]]:
        """The rows of a statement that is all there is to do; patience is what `_retried` has."""

        async def attempt() -> list[tuple[Any, ...]]:
            async with self._connection() as connection:
                return await _execute(connection, statement, values)

        return await self._retried(attempt, **patience)

    async def _retried(
        self,
        attempt: Callable[[], Coroutine[Any, Any, T]],
        *,
        answer_within: float | None = None,
        retry_for: float = RETRY_FOR,
    ) -> T:
        """What an attempt returns, made again while it ends in faults that pass."""
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + retry_for
        delay = 0.01
        while True:
            try:
                return await _within(
                    self._answer_within if answer_within is None else answer_within, attempt()
                )
            except (psycopg.Error, DBAPIError, PoolTimeoutError) as error:
                what = fault(error)
                if what is None:
                    raise
                if not what.passes or clock() + delay > give_up_at:
                    raise what.error() from None
            self._on_retry(what.reason)
            await asyncio.sleep(uniform(delay / 2, delay))
            delay = min(2 * delay, 0.5)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool's, as the driver has it; by SQLAlchemy a statement takes twice as long."""
        async with self._engine.connect() as pooled:
            connection = cast(Connection, (await pooled.get_raw_connection()).driver_connection)
            try:
                yield connection
            finally:
                if connection.info.transaction_status != TransactionStatus.IDLE:
                    await pooled.invalidate()


async def _execute(connection: Connection, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    is_prepared = statement not in statements.PLANNED_ANEW
    cursor = await connection.execute(statement, values, prepare=is_prepared, binary=True)
    if cursor.description is None:
        return []
    rows = await cursor.fetchmany(LARGE)
    while len(rows) < cursor.rowcount:
        await asyncio.sleep(0)
        rows += await cursor.fetchmany(LARGE)
    return rows


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


def _identifiers(batch: Iterable[ContactDetails]) -> set[tuple[bytes, str]]:
    emails = {(b"email", details.email) for details in batch if details.email is not None}
    return emails | {(b"phone_number", d.phone_number) for d in batch if d.phone_number is not None}


def _lock_keys(identifiers: Iterable[tuple[bytes, str]]) -> list[int]:
    """The keys of the locks on identifiers, ascending: 64 bits, spread by a hash."""
    return sorted(
        {
            int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8, person=kind).digest(), signed=True)
            for kind, value in identifiers
        }
    )


def _most(batch: Sequence[ContactDetails]) -> int | None:
    """How many contacts a batch may touch; None for any number."""
    if len(batch) <= 1:
        return None
    return MAX_CONTACTS if len(batch) <= 1_000 else MAX_CONTACTS_IN_BULK


async def _load(
    connection: Connection, details: str, most: int | None, read_email: Callable[[str], str]
) -> Snapshot:
    rows = await _execute(connection, statements.LOAD, {"details": details, "most": most})
    if most is not None and len(rows) >= most:
        [(others,)] = await _execute(connection, statements.OTHERS, {"details": details})
        if others >= most:
            raise TOO_MUCH.error()
        rows = await _execute(connection, statements.LOAD, {"details": details, "most": None})
    return await in_turns(len(rows), _snapshot, read_email, rows)


def _snapshot(read_email: Callable[[str], str], rows: Iterable[tuple[Any, ...]]) -> Snapshot:
    contacts: list[Contact] = []
    evidence: list[tuple[str, str]] = []
    links_of_deleted: dict[int, int | None] = {}
    for id, email, phone_number, linked_id, link_precedence, created_at, is_deleted in rows:
        if email is not None:
            email = read_email(email)
        if id is None:
            evidence.append((email, phone_number))
        elif is_deleted:
            links_of_deleted[id] = linked_id
        else:
            precedence = _LINK_PRECEDENCES.get(link_precedence)
            contacts.append(Contact(id, email, phone_number, linked_id, precedence, created_at))
    return Snapshot.of(contacts, evidence, links_of_deleted)


def _pages(rows: Iterable[tuple[Any, ...]], limit: int, read_email: Callable[[str], str]) -> list[Page]:
    pages: list[Page] = []
    for (primary_id, total, emails, numbers), of_identity in groupby(rows, key=lambda row: row[1:5]):
        contacts = [
            Contact(
                id,
                email and read_email(email),
                phone_number,
                linked_id,
                _LINK_PRECEDENCES.get(precedence),
                created_at,
            )
            for *_, id, email, phone_number, linked_id, precedence, created_at in of_identity
            if id is not None
        ]
        last = contacts[limit - 1].age if len(contacts) > limit else None
        pages.append(Page(primary_id, total, emails, numbers, tuple(contacts[:limit]), last))
    return pages


def _happening(row: tuple[Any, ...]) -> Happening:
    id, happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids = row
    return Happening(
        id,
        Event(happened_at, EventKind(kind), primary_id, contact_id, evidence_id, tuple(absorbed_ids)),
    )


async def _write(connection: Connection, changes: Changes, now: datetime) -> None:
    if len(changes.created) > MANY:
        await _copy(connection, changes, now)
        changes = evolve(changes, created=(), events=())
    if changes.created or changes.evidence or changes.events:
        new = {
            "created": [
                {**_link(contact), "email": contact.email, "phone_number": contact.phone_number}
                for contact in changes.created
            ],
            "evidence": [
                {
                    "id": evidence.id,
                    "email": evidence.email,
                    "phone_number": evidence.phone_number,
                    "seen_at": _naive(evidence.seen_at),
                }
                for evidence in changes.evidence
            ],
            "events": [
                {
                    "happened_at": _naive(event.happened_at),
                    "kind": event.kind,
                    "primary_id": event.primary_id,
                    "contact_id": event.contact_id,
                    "evidence_id": event.evidence_id,
                    "absorbed_ids": event.absorbed_ids,
                }
                for event in changes.events
            ],
        }
        await _execute(connection, statements.INSERT, _as_rows(now, new))
    if changes.altered or changes.deleted or changes.superseded:
        altered = await in_turns(len(changes.altered), lambda: [*map(_link, changes.altered)])
        changed = {
            "altered": altered,
            "deleted": [_link(contact) for contact in changes.deleted],
            "superseded": [{"email": email, "phone_number": number} for email, number in changes.superseded],
        }
        await _execute(connection, statements.UPDATE, _as_rows(now, changed))


async def _copy(connection: Connection, changes: Changes, now: datetime) -> None:
    """Write new contacts, and all events."""
    written_at = _naive(now)
    contacts = "".join(
        f"{c.id}\t{_copied(c.email)}\t{_copied(c.phone_number)}\t{_copied(c.linked_id)}"
        f"\t{_copied(c.link_precedence)}\t{_naive(c.created_at)}\t{written_at}\n"
        for c in changes.created
    )
    events = "".join(
        f"{_naive(e.happened_at)}\t{e.kind}\t{e.primary_id}\t{_copied(e.contact_id)}"
        f"\t{_copied(e.evidence_id)}\t{{{','.join(map(str, e.absorbed_ids))}}}\n"
        for e in changes.events
    )
    cursor = connection.cursor()
    for statement, rows in ((statements.COPY_CONTACTS, contacts), (statements.COPY_EVENTS, events)):
        async with cursor.copy(statement) as copy:
            await copy.write(rows)


def _copied(value: object) -> object:
    """A value as the text format of COPY has it; what else would have to be escaped is refused before."""
    if value is None:
        return "\\N"
    return value.replace("\\", "\\\\") if isinstance(value, str) else value


def _as_rows(now: datetime, by_name: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {"now": _naive(now)} | {name: json.dumps(rows) for name, rows in by_name.items()}


def _link(contact: Contact) -> dict[str, Any]:
    return {
        "id": contact.id,
        "linked_id": contact.linked_id,
        "link_precedence": contact.link_precedence,
        "created_at": _naive(contact.created_at),
    }


def _naive(moment: datetime) -> str:
    """As the columns of the table hold it: in UTC, without saying so."""
    return moment.astimezone(UTC).isoformat()[: -len("+00:00")]
