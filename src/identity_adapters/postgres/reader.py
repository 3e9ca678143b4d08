"""Reading identities, their evidence and their events from PostgreSQL."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from attrs import evolve

from identity_adapters.offload import offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, execute, send
from identity_adapters.postgres.loader import PostgresSnapshotLoader
from identity_adapters.postgres.rows import (
    to_deleted_contact,
    to_details,
    to_evidence,
    to_last_seen,
    to_lineage,
    to_pages,
    to_recorded_event,
    to_rules_in_force,
    to_ruling,
    to_snapshot,
    to_values,
    to_withdrawn,
)
from identity_core import (
    Contact,
    ContactDetails,
    Dossier,
    Erased,
    Event,
    Evidence,
    Identifier,
    Lineage,
    Page,
    Record,
    RecordedEvent,
    Ruling,
)
from identity_core.model.snapshot import group_linked


class PostgresIdentityReader(PostgresSnapshotLoader):
    """An `IdentityReader` over the tables that `migrate` sets up; its arguments are those of its base."""

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        rows = await self._database.fetch(statements.FIND, {"id": contact_id})
        if not rows:
            await self._check_not_erased(contact_id)
            return None
        # What links join is one identity, even if the contacts that join it were deleted.
        found = await offload(len(rows), to_snapshot, self._emails.make_reader(), rows)
        return tuple(chain.from_iterable(found.identities))

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        if isinstance(of, int):
            start: dict[str, Any] = {"id": of}
            hubs = statements.HUBS_OF_CONTACT
            read_email = self._emails.make_reader()
        else:
            start = {"details": self._emails.to_json([of])}
            hubs = statements.HUBS
            read_email = self._emails.make_reader([of])
        created_at, id = ("-infinity", 0) if after is None else (after[0].isoformat(), after[1])
        # One contact more than the page has shows whether there is another page.
        cut = {"created_at": created_at, "id": id, "limit": limit + 1}

        async def attempt() -> list[Page]:
            async with self._database.connection() as connection, connection.transaction():
                await send(connection, statements.ONE_SNAPSHOT, {})
                links = dict(await execute(connection, hubs, start))
                identities = {"identities": json.dumps(group_linked(links))}
                rows = await execute(connection, statements.PAGES, identities | cut)
                return to_pages(rows, limit, read_email)

        return await self._database.retry(attempt)

    async def evidence(self, contacts: Sequence[Contact]) -> list[Evidence]:
        emails = {contact.email for contact in contacts if contact.email is not None}
        values = json.dumps([*(emails | self._emails.find_ascii_forms(emails))])
        ids = json.dumps([contact.id for contact in contacts])
        rows = await self._database.fetch(statements.EVIDENCE, {"emails": values, "ids": ids})
        read_email = self._emails.make_reader(contacts)
        return await offload(len(rows), lambda: [to_evidence(row, read_email) for row in rows])

    async def record(self, identifiers: Collection[Identifier]) -> Record:
        async def attempt() -> Record:
            async with self._database.connection() as connection, connection.transaction():
                await send(connection, statements.ONE_SNAPSHOT, {})
                return await self._by_rules(connection, lambda: self._load_record(connection, identifiers))

        return await self._database.retry(attempt)

    async def dossier(self, identifiers: Collection[Identifier]) -> Dossier:
        async def attempt() -> Dossier:
            async with self._database.connection() as connection, connection.transaction():
                await send(connection, statements.ONE_SNAPSHOT, {})
                load = partial(self._load_record, connection, identifiers, with_pairs=False)
                return await self._complete(connection, await self._by_rules(connection, load))

        return await self._database.retry(attempt)

    async def _complete(self, connection: Connection, record: Record) -> Dossier:
        """Add to a record what does not count."""
        read_email = self._emails.make_reader(record.contacts)
        values = to_values(record.known, self._emails)
        ids = {"ids": json.dumps([id for id, _ in record.deleted])}
        evidence = await execute(connection, statements.EVIDENCE_NAMING, values)
        deleted = await execute(connection, statements.DELETED_NAMING, values | ids)
        withdrawn = await execute(connection, statements.WITHDRAWN_NAMING, values)
        rules = await execute(connection, statements.ALL_RULES, {})
        seen = await execute(connection, statements.LAST_SEEN, values)
        return Dossier(
            evolve(record, evidence=tuple(to_evidence(row, read_email) for row in evidence)),
            tuple(to_deleted_contact(row, read_email) for row in deleted),
            tuple(map(to_withdrawn, withdrawn)),
            tuple(map(to_rules_in_force, rules)),
            to_last_seen(seen, read_email),
        )

    async def _check_not_erased(self, contact_id: int) -> None:
        """Check that a contact that does not exist never did.

        Raises:
            Erased: it did.
        """
        [(was_erased,)] = await self._database.fetch(statements.WAS_ERASED, {"id": contact_id})
        if was_erased:
            raise Erased

    async def suppressed(self, identifiers: Collection[Identifier]) -> frozenset[Identifier]:
        async def attempt() -> frozenset[Identifier]:
            async with self._database.connection() as connection:
                return await self._load_suppressed(connection, identifiers)

        return frozenset() if self._suppression_key is None else await self._database.retry(attempt)

    async def pair(self, id: int) -> tuple[str, str] | None:
        read_email = self._emails.make_reader()
        for email, phone_number in await self._database.fetch(statements.PAIR, {"id": id}):
            if email is not None and phone_number is not None:
                return read_email(email), phone_number
        return None

    async def event(self, event_id: int) -> Event | None:
        rows = await self._database.fetch(statements.EVENT, {"id": event_id})
        return to_recorded_event(rows[0]).event if rows else None

    async def rulings(self, after: int = 0, limit: int = 100) -> list[Ruling]:
        rows = await self._database.fetch(statements.RULINGS, {"after": after, "limit": limit})
        return [*map(to_ruling, rows)]

    async def held(self, after: int = 0, limit: int = 100) -> list[Evidence]:
        rows = await self._database.fetch(statements.WAITING, {"after": after, "limit": limit})
        read_email = self._emails.make_reader()
        return [to_evidence(row, read_email) for row in rows]

    async def lineage(self, contact_id: int) -> Lineage | None:
        async def attempt() -> Lineage | None:
            async with self._database.connection() as connection, connection.transaction():
                await send(connection, statements.ONE_SNAPSHOT, {})
                rows = await execute(connection, statements.LINEAGE, {"id": contact_id})
                if not rows:
                    return None
                ids = {"ids": json.dumps([row[-1] for row in rows]), "after": 0, "limit": None}
                events = await execute(connection, statements.EVENTS, ids)
            return await offload(len(rows), to_lineage, self._emails.make_reader(), rows, events)

        lineage = await self._database.retry(attempt)
        if lineage is None:
            await self._check_not_erased(contact_id)
        return lineage

    async def events(
        self, contacts: Sequence[Contact], after: int = 0, limit: int | None = None
    ) -> list[RecordedEvent]:
        ids = json.dumps([contact.id for contact in contacts])
        rows = await self._database.fetch(statements.EVENTS, {"ids": ids, "after": after, "limit": limit})
        return await offload(len(rows), lambda: [*map(to_recorded_event, rows)])

    async def merges(
        self, before: int | None = None, limit: int = 100
    ) -> list[tuple[RecordedEvent, ContactDetails | None]]:
        rows = await self._database.fetch(statements.MERGES, {"before": before, "limit": limit})
        read_email = self._emails.make_reader()
        return [(to_recorded_event(row[:-2]), to_details(row[-2:], read_email)) for row in rows]
