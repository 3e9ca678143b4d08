"""Loading what is known of a batch, with locks or without."""

import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar

from attrs import evolve, frozen

from identity_adapters.offload import offload
from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, Database, execute
from identity_adapters.postgres.failures import TOO_MANY_CONTACTS
from identity_adapters.postgres.rows import (
    EmailForms,
    ReadEmail,
    add_limited,
    to_columns,
    to_deleted,
    to_evidence,
    to_rules_in_force,
    to_ruling,
    to_snapshot,
    to_values,
)
from identity_adapters.postgres.suppression import SuppressedQuery
from identity_core import (
    Contact,
    ContactDetails,
    Evidence,
    Identifier,
    IdentifierKind,
    Limits,
    Record,
    RuleSet,
    RulesInForce,
    Ruling,
    Snapshot,
)
from identity_core.model.record import find_leads

T = TypeVar("T")

MAX_CONTACTS = 25_000
MAX_CONTACTS_IN_BULK = 100_000
"""How many contacts a batch, or a batch of thousands, may match besides those of one identity.

If it matches more, it is decided in smaller batches. One large identity alone does not split a batch,
because it would then be read once per batch.
"""

MAX_CONTACTS_IN_COLUMNS = 100_000
"""The same for a batch that is read as columns, which take a fraction of the memory."""

FEW_CONTACTS = 20
FEW_DETAILS = 5
"""Columns take a second statement. A batch is worth it from so many contacts for each of its details, and so
many details more.
"""

NO_LATER_VERSION = 2**62

MAX_IGNORED = 1_000
"""How many pairs that rules keep from counting are read of each value, at most."""


class RulesChanged(Exception):
    """Other rules are in force than those by which values were locked and read."""


@frozen
class SnapshotQuery:
    """The query of what is known of a batch, prepared once for all attempts.

    Attributes:
        details: the rows of the batch, as the statements take them.
        limit: how many contacts the batch may match; None for any number.
        few: from how many contacts on the batch is worth being read as columns.
        read_email: reads stored emails.
        in_force: the rules.
    """

    details: str
    limit: int | None
    few: int
    read_email: ReadEmail
    in_force: RulesInForce

    async def load(self, connection: Connection) -> Snapshot:
        """Read everything known of the batch, in one statement.

        Raises:
            RepositoryBusy: the batch matches too many contacts.
            RulesChanged: other rules are in force.
        """
        rows = await self._read(connection, statements.LOAD)
        return await self._convert(rows)

    async def load_columns(self, connection: Connection) -> Snapshot:
        """Read the same; if these are many contacts, as columns, in a second statement.

        Identities with links that are not as they should be are read as contacts.

        Raises:
            RepositoryBusy: the batch matches too many contacts.
            RulesChanged: other rules are in force.
        """
        rows = await execute(connection, statements.LOAD, {**self._values, "limit": self.few})
        if len(rows) < self.few:
            check_rules(rows)
            return await self._convert(rows)
        values = {**self._values, "limit": MAX_CONTACTS_IN_COLUMNS}
        rows = await execute(connection, statements.LOAD_COLUMNS, values)
        check_rules(rows)
        if _LINKED in rows:
            return await self.load(connection)
        if _TOO_MANY in rows:
            raise TOO_MANY_CONTACTS.to_error()
        size = sum(row[3] or 0 for row in rows)
        return await offload(size, to_columns, self.read_email, rows, self.in_force.rules)

    async def load_to_decide(self, connection: Connection) -> Snapshot:
        """Read the same, and what pins and limits have to say about a decision.

        Raises:
            RepositoryBusy: the batch matches too many contacts.
            RulesChanged: other rules are in force.
        """
        rules = self.in_force.rules
        if rules.is_limited:
            rows = await self._read(connection, statements.LOAD_WITH_LIMITS, paired=_find_most(rules.limits))
            snapshot = add_limited(await self._convert(rows), self.read_email, rows)
        else:
            rows = await self._read(connection, statements.LOAD_TO_DECIDE)
            snapshot = await self._convert(rows)
        if len(snapshot.identities) < 2 or _PINS not in rows:
            return snapshot
        values = {value for contacts in snapshot.identities for contact in contacts for value in contact.key}
        found = await execute(connection, statements.PINS_APART, {"values": json.dumps([*(values - {None})])})
        apart = [
            (Identifier(IdentifierKind(one_kind), one), Identifier(IdentifierKind(other_kind), other))
            for one_kind, one, other_kind, other in found
            if other in values
        ]
        return evolve(snapshot, apart=tuple(apart))

    async def _convert(self, rows: list[tuple[Any, ...]]) -> Snapshot:
        return await offload(len(rows), to_snapshot, self.read_email, rows, self.in_force.rules)

    async def _read(self, connection: Connection, statement: str, **more: int) -> list[tuple[Any, ...]]:
        limit = self.limit
        values = {**self._values, "limit": limit, **more}
        rows = await execute(connection, statement, values)
        if limit is not None and len(rows) >= limit:
            [(others,)] = await execute(connection, statements.COUNT_OTHERS, {"details": self.details})
            if others >= limit:
                raise TOO_MANY_CONTACTS.to_error()
            rows = await execute(connection, statement, {**values, "limit": None})
        check_rules(rows)
        return rows

    @property
    def _values(self) -> dict[str, Any]:
        return {"details": self.details, "version": self.in_force.version}


_OTHER_RULES = (None, None, None, None, "rules", None, None)
_PINS = (None, None, None, None, "pins", None, None)
_LINKED = (None, None, None, None, "linked", None, None)
_TOO_MANY = (None, None, None, None, "too many", None, None)
"""Rows without values."""


def check_rules(rows: Iterable[tuple[Any, ...]]) -> None:
    """Check that what was read was read by the rules in force.

    Raises:
        RulesChanged: it was not.
    """
    if _OTHER_RULES in rows:
        raise RulesChanged


class PostgresSnapshotLoader:
    """A `SnapshotLoader` over the tables that `migrate` sets up.

    Args:
        database: the database with these tables.
        emails: the forms in which another program may have stored an email.
        rules: rules by which to read, whatever is in force; None for those in force.
        suppression_key: the key of the hashes of values that are kept out; None if nobody is.
    """

    def __init__(
        self,
        database: Database,
        emails: EmailForms | None = None,
        rules: RuleSet | None = None,
        *,
        suppression_key: bytes | None = None,
    ) -> None:
        self._database = database
        self._emails = emails or EmailForms()
        self._suppression_key = suppression_key
        self._in_force = RulesInForce() if rules is None else RulesInForce(rules, version=NO_LATER_VERSION)

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        return await self._load(batch, SnapshotQuery.load)

    async def load_columns(self, batch: Sequence[ContactDetails]) -> Snapshot:
        return await self._load(batch, SnapshotQuery.load_columns)

    async def _load(
        self,
        batch: Sequence[ContactDetails],
        load: Callable[[SnapshotQuery, Connection], Coroutine[Any, Any, Snapshot]],
    ) -> Snapshot:
        async def attempt() -> Snapshot:
            async with self._database.connection() as connection:
                return await self._by_rules(connection, lambda: load(self._prepare(batch), connection))

        return await self._database.retry(attempt)

    async def _by_rules(self, connection: Connection, read: Callable[[], Awaitable[T]]) -> T:
        """Read by the rules in force; whatever is read says whether they changed."""
        while True:
            try:
                return await read()
            except RulesChanged:
                self._in_force = await read_rules(connection)

    async def _load_record(
        self, connection: Connection, identifiers: Collection[Identifier], *, with_pairs: bool = True
    ) -> Record:
        """Read everything that may join some values, in three statements unless pairs lead further.

        With a key, another one reads which of the values are kept out.

        Args:
            connection: in a transaction.
            identifiers: the values.
            with_pairs: whether every pair of two of the values is looked for, however many other pairs do not
                count. It takes a look for each email and each phone number, so the values must be few.

        Raises:
            RulesChanged: other rules are in force.
        """
        rules = self._in_force.rules
        asked = {*identifiers}
        while True:
            rows = await self._read_identities(connection, asked)
            read_email = self._emails.make_reader(map(ContactDetails.of, asked))
            snapshot = await offload(len(rows), to_snapshot, read_email, rows, rules)
            contacts = [*chain.from_iterable(snapshot.identities)]
            known = asked.union(*(contact.identifiers for contact in contacts))
            rulings = await self._load_rulings(connection, known)
            evidence = await self._load_evidence(connection, known, asked if with_pairs else (), contacts)
            record = Record(
                snapshot.identities,
                tuple(evidence),
                tuple(rulings),
                frozenset(asked),
                to_deleted(rows, {contact.id for contact in contacts}),
                rules,
            )
            if record.is_complete:
                return evolve(record, suppressed=await self._load_suppressed(connection, asked))
            asked |= find_leads(evidence, rulings, rules)

    async def _load_suppressed(
        self, connection: Connection, identifiers: Collection[Identifier]
    ) -> frozenset[Identifier]:
        if self._suppression_key is None or not identifiers:
            return frozenset()
        query = SuppressedQuery(identifiers, self._suppression_key)
        return await query.receive(await query.send(connection))

    async def _load_rulings(self, connection: Connection, values: Iterable[Identifier]) -> list[Ruling]:
        about = {"values": json.dumps([identifier.value for identifier in values])}
        return [*map(to_ruling, await execute(connection, statements.RULINGS_ABOUT, about))]

    async def _read_identities(
        self, connection: Connection, asked: Collection[Identifier]
    ) -> list[tuple[Any, ...]]:
        """The rows of the identities of some values, and of contacts that have nothing but blocked ones."""
        rules = self._in_force.rules
        details = self._emails.to_json(map(ContactDetails.of, asked), rules)
        values = {"details": details, "limit": None, "version": self._in_force.version}
        if blocked := [identifier for identifier in asked if rules.blocks(identifier)]:
            rows = await execute(
                connection,
                statements.LOAD_WITH_BLOCKED,
                {**values, **self._to_values(blocked)},
            )
        else:
            rows = await execute(connection, statements.LOAD, values)
        check_rules(rows)
        return rows

    def _to_values(self, identifiers: Iterable[Identifier]) -> dict[str, str]:
        """Emails, in each form that may be stored, and phone numbers, as the statements take them."""
        return to_values(identifiers, self._emails)

    async def _load_evidence(
        self,
        connection: Connection,
        known: Collection[Identifier],
        asked: Collection[Identifier],
        contacts: Sequence[Contact],
        most: int | None = None,
    ) -> list[Evidence]:
        """Read the evidence with some known values; at most so many pieces that count of each."""
        rules = self._in_force.rules
        by_asked = self._to_values(asked)
        values = {
            **self._to_values(identifier for identifier in known if not rules.blocks(identifier)),
            "asked_emails": by_asked["emails"],
            "asked_numbers": by_asked["numbers"],
            "limit": MAX_IGNORED,
            "most": most,
        }
        rows = await execute(connection, statements.EVIDENCE_ABOUT, values)
        read_email = self._emails.make_reader(contacts)
        return await offload(len(rows), lambda: [to_evidence(row, read_email) for row in rows])

    def _prepare(self, batch: Sequence[ContactDetails]) -> SnapshotQuery:
        emails, in_force = self._emails, self._in_force
        return SnapshotQuery(
            emails.to_json(batch, in_force.rules),
            _find_limit(batch),
            FEW_CONTACTS * (FEW_DETAILS + len(batch)),
            emails.make_reader(batch),
            in_force,
        )


async def read_rules(connection: Connection) -> RulesInForce:
    """Read the rules in force."""
    rows = await execute(connection, statements.RULES_IN_FORCE, {})
    return to_rules_in_force(rows[0]) if rows else RulesInForce()


def _find_most(limits: Limits) -> int:
    """Up to which number it matters in how many pairs a value is."""
    return max(limits.phone_numbers_per_email or 0, limits.emails_per_phone_number or 0)


def _find_limit(batch: Sequence[ContactDetails]) -> int | None:
    """How many contacts a batch may match; None for any number."""
    if len(batch) <= 1:
        return None
    return MAX_CONTACTS if len(batch) <= 1_000 else MAX_CONTACTS_IN_BULK
