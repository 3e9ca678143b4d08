"""Loading what is known of a batch, with locks or without."""

import json
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

from attrs import evolve, frozen

from identity_adapters.offload import offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, Database, execute
from identity_adapters.postgres.failures import TOO_MANY_CONTACTS
from identity_adapters.postgres.rows import (
    EmailForms,
    ReadEmail,
    to_deleted,
    to_evidence,
    to_ruling,
    to_snapshot,
)
from identity_core import (
    Contact,
    ContactDetails,
    Evidence,
    Identifier,
    IdentifierKind,
    Record,
    Snapshot,
    Standing,
    Verdict,
)

MAX_CONTACTS = 25_000
MAX_CONTACTS_IN_BULK = 100_000
"""How many contacts a batch, or a batch of thousands, may match besides those of one identity.

If it matches more, it is decided in smaller batches. One large identity alone does not split a batch,
because it would then be read once per batch.
"""


@frozen
class SnapshotQuery:
    """The query of what is known of a batch, prepared once for all attempts.

    Attributes:
        details: the rows of the batch, as the statements take them.
        limit: how many contacts the batch may match; None for any number.
        read_email: reads stored emails.
    """

    details: str
    limit: int | None
    read_email: ReadEmail

    async def load(self, connection: Connection) -> Snapshot:
        """Read everything known of the batch, in one statement.

        Raises:
            RepositoryBusy: the batch matches too many contacts.
        """
        rows = await self._read(connection, statements.LOAD)
        return await offload(len(rows), to_snapshot, self.read_email, rows)

    async def load_to_decide(self, connection: Connection) -> Snapshot:
        """Read the same, and where a decision may join identities the values that pins keep apart.

        Raises:
            RepositoryBusy: the batch matches too many contacts.
        """
        rows = await self._read(connection, statements.LOAD_TO_DECIDE)
        snapshot = await offload(len(rows), to_snapshot, self.read_email, rows)
        has_pins = any(row[0] is None and row[1] is None for row in rows)
        if not has_pins or len(snapshot.identities) < 2:
            return snapshot
        values = {value for contacts in snapshot.identities for contact in contacts for value in contact.key}
        found = await execute(connection, statements.PINS_APART, {"values": json.dumps([*(values - {None})])})
        apart = [
            (Identifier(IdentifierKind(one_kind), one), Identifier(IdentifierKind(other_kind), other))
            for one_kind, one, other_kind, other in found
            if other in values
        ]
        return evolve(snapshot, apart=tuple(apart))

    async def _read(self, connection: Connection, statement: str) -> list[tuple[Any, ...]]:
        details, limit = self.details, self.limit
        rows = await execute(connection, statement, {"details": details, "limit": limit})
        if limit is not None and len(rows) >= limit:
            [(others,)] = await execute(connection, statements.COUNT_OTHERS, {"details": details})
            if others >= limit:
                raise TOO_MANY_CONTACTS.to_error()
            rows = await execute(connection, statement, {"details": details, "limit": None})
        return rows


class PostgresSnapshotLoader:
    """A `SnapshotLoader` over the tables that `migrate` sets up.

    Args:
        database: the database with these tables.
        emails: the forms in which another program may have stored an email.
    """

    def __init__(self, database: Database, emails: EmailForms | None = None) -> None:
        self._database = database
        self._emails = emails or EmailForms()

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        query = self._prepare(batch)

        async def attempt() -> Snapshot:
            async with self._database.connection() as connection:
                return await query.load(connection)

        return await self._database.retry(attempt)

    async def _load_record(self, connection: Connection, identifiers: Collection[Identifier]) -> Record:
        """Read everything that may join some values, in three statements unless pairs lead further."""
        wanted = {*identifiers}
        while True:
            batch = [to_details(identifier) for identifier in wanted]
            details = {"details": self._emails.to_json(batch), "limit": None}
            rows = await execute(connection, statements.LOAD, details)
            snapshot = await offload(len(rows), to_snapshot, self._emails.make_reader(batch), rows)
            contacts = [*chain.from_iterable(snapshot.identities)]
            known = wanted.union(*(contact.identifiers for contact in contacts))
            values = {"values": json.dumps([identifier.value for identifier in known])}
            rulings = [*map(to_ruling, await execute(connection, statements.RULINGS_ABOUT, values))]
            evidence = await self._load_evidence(connection, known, contacts)
            leading = [piece.identifiers for piece in evidence if piece.standing is not Standing.UNDONE]
            leading += [(r.one, r.other) for r in rulings if r.verdict in (Verdict.SAME, Verdict.INHERITED)]
            if known.issuperset(chain.from_iterable(leading)):
                return Record(
                    snapshot.identities,
                    tuple(evidence),
                    tuple(rulings),
                    frozenset(wanted),
                    to_deleted(rows, {contact.id for contact in contacts}),
                )
            wanted.update(chain.from_iterable(leading))

    async def _load_evidence(
        self, connection: Connection, identifiers: Collection[Identifier], contacts: Sequence[Contact]
    ) -> list[Evidence]:
        emails = {value for kind, value in identifiers if kind is IdentifierKind.EMAIL}
        numbers = {value for kind, value in identifiers if kind is IdentifierKind.PHONE_NUMBER}
        values = {
            "emails": json.dumps([*(emails | self._emails.find_ascii_forms(emails))]),
            "numbers": json.dumps([*numbers]),
        }
        rows = await execute(connection, statements.EVIDENCE_ABOUT, values)
        read_email = self._emails.make_reader(contacts)
        return await offload(len(rows), lambda: [to_evidence(row, read_email) for row in rows])

    def _prepare(self, batch: Sequence[ContactDetails]) -> SnapshotQuery:
        emails = self._emails
        return SnapshotQuery(emails.to_json(batch), _find_limit(batch), emails.make_reader(batch))


def _find_limit(batch: Sequence[ContactDetails]) -> int | None:
    """How many contacts a batch may match; None for any number."""
    if len(batch) <= 1:
        return None
    return MAX_CONTACTS if len(batch) <= 1_000 else MAX_CONTACTS_IN_BULK


def to_details(identifier: Identifier) -> ContactDetails:
    """A value as details that hold nothing else."""
    kind, value = identifier
    is_email = kind is IdentifierKind.EMAIL
    return ContactDetails.from_trusted(value if is_email else None, None if is_email else value)
