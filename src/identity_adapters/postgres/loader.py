"""Loading what is known of a batch, with locks or without."""

from collections.abc import Sequence

from attrs import frozen

from identity_adapters.offload import offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, Database, execute
from identity_adapters.postgres.failures import TOO_MANY_CONTACTS
from identity_adapters.postgres.rows import EmailForms, ReadEmail, to_snapshot
from identity_core import ContactDetails, Snapshot

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
        details, limit = self.details, self.limit
        rows = await execute(connection, statements.LOAD, {"details": details, "limit": limit})
        if limit is not None and len(rows) >= limit:
            [(others,)] = await execute(connection, statements.COUNT_OTHERS, {"details": details})
            if others >= limit:
                raise TOO_MANY_CONTACTS.to_error()
            rows = await execute(connection, statements.LOAD, {"details": details, "limit": None})
        return await offload(len(rows), to_snapshot, self.read_email, rows)


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

    def _prepare(self, batch: Sequence[ContactDetails]) -> SnapshotQuery:
        emails = self._emails
        return SnapshotQuery(emails.to_json(batch), _find_limit(batch), emails.make_reader(batch))


def _find_limit(batch: Sequence[ContactDetails]) -> int | None:
    """How many contacts a batch may match; None for any number."""
    if len(batch) <= 1:
        return None
    return MAX_CONTACTS if len(batch) <= 1_000 else MAX_CONTACTS_IN_BULK
