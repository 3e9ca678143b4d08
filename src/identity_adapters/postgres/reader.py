"""Reading identities, their evidence and their events from PostgreSQL."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from identity_adapters.offload import offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Database, execute
from identity_adapters.postgres.rows import (
    EmailForms,
    read_snapshot,
    to_pages,
    to_recorded_event,
    to_snapshot,
)
from identity_core import Contact, ContactDetails, Evidence, Page, RecordedEvent, Snapshot
from identity_core.model.snapshot import group_linked


class PostgresIdentityReader:
    """An `IdentityReader` over the tables that `migrate` sets up.

    Args:
        database: the database with these tables.
        emails: the forms in which another program may have stored an email.
    """

    def __init__(self, database: Database, emails: EmailForms | None = None) -> None:
        self._database = database
        self._emails = emails or EmailForms()

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        return await read_snapshot(self._database, batch, self._emails)

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        rows = await self._database.fetch(statements.FIND, {"id": contact_id})
        if not rows:
            return None
        # What links join is one identity, even if the contacts that join it were deleted.
        found = await offload(len(rows), to_snapshot, self._emails.make_reader(), rows)
        return tuple(chain.from_iterable(found.identities))

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        batch = [] if isinstance(of, int) else [of]
        parameters: dict[str, Any] = (
            {"id": of} if isinstance(of, int) else {"details": self._emails.to_json(batch)}
        )
        hubs = statements.HUBS_OF_CONTACT if isinstance(of, int) else statements.HUBS
        created_at, id = ("-infinity", 0) if after is None else (after[0].isoformat(), after[1])
        cut = {
            "created_at": created_at,
            "id": id,
            "limit": limit + 1,
        }  # one more, to see if there are

        async def attempt() -> list[Page]:
            async with self._database.connection() as connection, connection.transaction():
                await execute(connection, statements.ONE_SNAPSHOT, {})
                links = dict(await execute(connection, hubs, parameters))
                identities = {"identities": json.dumps(group_linked(links))}
                rows = await execute(connection, statements.PAGES, identities | cut)
                return to_pages(rows, limit, self._emails.make_reader(batch))

        return await self._database.retry(attempt)

    async def evidence(self, contacts: Sequence[Contact]) -> list[Evidence]:
        emails = {contact.email for contact in contacts if contact.email is not None}
        values = json.dumps([*(emails | self._emails.find_ascii_forms(emails))])
        rows = await self._database.fetch(statements.EVIDENCE, {"emails": values})
        read_email = self._emails.make_reader(contacts)

        def read() -> list[Evidence]:
            return [Evidence(id, read_email(email), number, seen_at) for id, email, number, seen_at in rows]

        return await offload(len(rows), read)

    async def events(
        self, contacts: Sequence[Contact], after: int = 0, limit: int | None = None
    ) -> list[RecordedEvent]:
        ids = json.dumps([contact.id for contact in contacts])
        rows = await self._database.fetch(statements.EVENTS, {"ids": ids, "after": after, "limit": limit})
        return await offload(len(rows), lambda: [*map(to_recorded_event, rows)])
