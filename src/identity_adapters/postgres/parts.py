"""Loading parts of very large identities, which values that very many share hold together.

Once such a value is blocked, the identity comes apart. Each part is found by its own values, step by step;
what else the identity has is not read, however much it is.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence, Set
from itertools import chain
from typing import Any

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, execute, send
from identity_adapters.postgres.loader import PostgresSnapshotLoader, check_rules
from identity_adapters.postgres.rows import to_deleted, to_snapshot
from identity_core import Contact, ContactDetails, Evidence, Identifier, Record, RuleSet, Ruling, Standing
from identity_core.model.parts import Parts
from identity_core.model.record import find_leads

MAX_READ = 2_000
"""How many contacts may have been read when another step begins."""

MAX_OF_VALUE = 1_000
"""How many contacts, and how many pairs, are read of one value."""


class PostgresPartsLoader(PostgresSnapshotLoader):
    """Loads parts of identities; its arguments are those of its base."""

    async def read_parts(self, primary_id: int, identifiers: Collection[Identifier]) -> Parts:
        """Read what belongs to some values and to a primary, without locks."""

        async def attempt() -> Parts:
            async with self._database.connection() as connection, connection.transaction():
                await send(connection, statements.ONE_SNAPSHOT, {})
                return await self._by_rules(
                    connection, lambda: self._load_parts(connection, primary_id, identifiers, ())
                )

        return await self._database.retry(attempt)

    async def read_rest(self, primary_id: int, ids: Set[int]) -> Record:
        """Read the record of an identity without some of its contacts, which are passed over one by one."""

        async def attempt() -> Record:
            async with self._database.connection() as connection, connection.transaction():
                await send(connection, statements.ONE_SNAPSHOT, {})
                async with connection.cursor("identity") as cursor:
                    await cursor.execute(statements.FIND, {"id": primary_id})
                    rows = [row async for row in cursor if row[0] not in ids]
                snapshot = to_snapshot(self._emails.make_reader(), rows)
                contacts = [*chain.from_iterable(snapshot.identities)]
                known = {value for contact in contacts for value in contact.identifiers}
                return Record(
                    snapshot.identities,
                    tuple(await self._load_evidence(connection, known, (), contacts)),
                    tuple(await self._load_rulings(connection, known)),
                    deleted=to_deleted(rows, {contact.id for contact in contacts}),
                    rules=self._in_force.rules,
                )

        return await self._database.retry(attempt)

    async def _load_parts(
        self,
        connection: Connection,
        primary_id: int,
        identifiers: Collection[Identifier],
        hubs: Collection[Identifier],
    ) -> Parts:
        """Read what belongs to some values and to a primary, in three statements for each step.

        Raises:
            RulesChanged: other rules are in force.
        """
        found = _Found(self._in_force.rules, hubs)
        await self._follow(connection, primary_id, identifiers, found)
        primary = found.contacts.get(primary_id)
        if primary is not None:
            # Of what belongs to the primary some may be missing: what is found is enough.
            await self._follow(connection, primary_id, primary.identifiers, found)
        if hubs:
            await self._read_contacts_of(connection, found)
        found.contacts.pop(primary_id, None)
        return Parts(
            primary,
            tuple(found.contacts.values()),
            tuple(sorted(found.evidence.values(), key=lambda piece: piece.id)),
            tuple(sorted(found.rulings.values(), key=lambda ruling: ruling.id)),
            to_deleted(found.rows, found.contacts.keys()),
            frozenset(identifiers),
            self._in_force.rules,
            frozenset((found.near - found.read) | found.large),
            await self._find_hubs(connection, primary_id, hubs),
        )

    async def _read_contacts_of(self, connection: Connection, found: "_Found") -> None:
        """Read the contacts that the evidence had been the pairs of."""
        ids = json.dumps([*(found.evidence.keys() - found.contacts.keys())])
        rows = await execute(connection, statements.CONTACTS_WITH_IDS, {"ids": ids})
        for contact in chain.from_iterable(to_snapshot(self._emails.make_reader(), rows).identities):
            found.contacts[contact.id] = contact
            found.approach(contact.identifiers)

    async def _find_hubs(
        self, connection: Connection, primary_id: int, hubs: Collection[Identifier]
    ) -> frozenset[Identifier]:
        """Those of some values that belong to the identity of a primary."""
        if not hubs:
            return frozenset()
        forms = {
            (hub.kind, form): hub
            for hub in hubs
            for form in {hub.value, *self._emails.find_ascii_forms([hub.value])}
        }
        values = json.dumps([{"kind": kind, "value": form} for kind, form in forms])
        homes = await execute(connection, statements.HOMES, {"values": values, "large": 1})
        return frozenset(forms[kind, form] for kind, form, home, _ in homes if home == primary_id)

    async def _follow(
        self, connection: Connection, primary_id: int, values: Iterable[Identifier], found: "_Found"
    ) -> None:
        """Read what belongs to some values, step by step, until it is all or too much."""
        number = len(found.contacts)
        found.approach(values)
        while (ahead := found.near - found.read) and len(found.contacts) < number + MAX_READ:
            await self._read_next(connection, primary_id, ahead, found)

    async def _read_next(
        self, connection: Connection, primary_id: int, values: Collection[Identifier], found: "_Found"
    ) -> None:
        """Read the contacts, the evidence and the rulings with some values."""
        details = [ContactDetails.of(value) for value in values]
        asked = {
            "details": self._emails.to_json(details),
            "primary_id": primary_id,
            "most": MAX_OF_VALUE,
            "version": self._in_force.version,
        }
        rows = await execute(connection, statements.PARTS, asked)
        check_rules(rows)
        snapshot = to_snapshot(self._emails.make_reader(details), rows)
        contacts = [*chain.from_iterable(snapshot.identities)]
        rulings = await self._load_rulings(connection, values)
        evidence = await self._load_evidence(connection, values, values, contacts, MAX_OF_VALUE)
        found.add(values, rows, contacts, evidence, rulings)


class _Found:
    """What was read so far.

    Args:
        rules: those in force.
        hubs: values at which the parts end.

    Attributes:
        contacts: by id.
        rows: those of the contacts.
        evidence: by id.
        rulings: by id.
        read: values of which everything was read.
        near: these, and the values that they lead to.
        large: values that too many have, so that not everything was read.
    """

    def __init__(self, rules: RuleSet, hubs: Collection[Identifier]) -> None:
        self._rules = rules
        self._hubs = {*hubs}
        self.contacts: dict[int, Contact] = {}
        self.rows: list[tuple[Any, ...]] = []
        self.evidence: dict[int, Evidence] = {}
        self.rulings: dict[int, Ruling] = {}
        self.read: set[Identifier] = set()
        self.near: set[Identifier] = set()
        self.large: set[Identifier] = set()

    def approach(self, values: Iterable[Identifier]) -> None:
        """Let values be read that identify somebody and are no hubs."""
        self.near.update(
            value for value in values if value not in self._hubs and not self._rules.blocks(value)
        )

    def add(
        self,
        values: Collection[Identifier],
        rows: Sequence[tuple[Any, ...]],
        contacts: Sequence[Contact],
        evidence: Sequence[Evidence],
        rulings: Sequence[Ruling],
    ) -> None:
        """Add what was read of some values."""
        self.read.update(values)
        self.rows += rows
        self.contacts |= {contact.id: contact for contact in contacts}
        self.evidence |= {piece.id: piece for piece in evidence}
        self.rulings |= {ruling.id: ruling for ruling in rulings}
        self.approach(find_leads(evidence, rulings, self._rules))
        self.approach(value for contact in contacts for value in contact.identifiers)
        for of_values in (contacts, [piece for piece in evidence if piece.standing is Standing.COUNTS]):
            number = Counter(value for one in of_values for value in one.identifiers)
            self.large |= {value for value in values if number[value] >= MAX_OF_VALUE}
        linked = Counter(contact.linked_id for contact in contacts)
        self.large |= {
            value
            for contact in contacts
            if linked[contact.id] >= MAX_OF_VALUE
            for value in contact.identifiers
        }
