"""Loading parts of very large identities, which a value that very many share holds together.

Once such a value is blocked, its identity comes apart into very many small ones. Each of these parts is found
by its values alone: what else the identity has need not be read, however much it is. What is read of an
identity besides are its parts and its primary.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from itertools import chain

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, execute
from identity_adapters.postgres.loader import PostgresSnapshotLoader, check_rules, to_details
from identity_adapters.postgres.rows import to_ruling, to_snapshot
from identity_core import Contact, Evidence, Identifier, Record, RuleSet, Ruling, Snapshot, Verdict
from identity_core.model.record import TooLarge
from identity_core.rules.partition import Partition

WHOLE = 2_000
"""Up to how many contacts an identity is read whole."""

MAX_PART = 2_000
"""How many contacts are read of parts, at most; how many of one value, and how many pairs of one."""


class PostgresPartsLoader(PostgresSnapshotLoader):
    """Loads parts of identities; its arguments are those of its base."""

    async def _load_parts(
        self, connection: Connection, identifiers: Collection[Identifier], stubs: Collection[Identifier]
    ) -> Record:
        """Read the parts of identities that some values belong to, or the identities whole if they are small.

        Args:
            connection: to read from.
            identifiers: the values.
            stubs: those of them of which one contact is enough where their part is too large.

        Raises:
            RulesChanged: other rules are in force.
            TooLarge: the parts of other values are too large.
        """
        rules = self._in_force.rules
        blocked = {value for value in identifiers if rules.blocks(value)}
        to_read = {*identifiers} - blocked
        parts = _Parts()
        if blocked:
            rows = await execute(connection, statements.CONTACTS_WITH_BLOCKED, self._to_values(blocked))
            found = to_snapshot(self._emails.make_reader(map(to_details, blocked)), rows).identities
            parts.contacts = {contact.id: contact for contact in chain.from_iterable(found)}
        sizes = await self._read_sizes(connection, to_read, parts.contacts.values())
        if all(size <= WHOLE for size in sizes.values()):
            return await self._load_record(connection, identifiers)
        while to_read and len(parts.contacts) <= MAX_PART:
            near = await self._read_near(connection, to_read, identifiers, parts)
            parts.read |= to_read
            to_read = {value for value in near if not rules.blocks(value)} - parts.read
        parts.large |= to_read
        open_values = parts.find_open(identifiers)
        if too_large := open_values - {*stubs}:
            raise TooLarge(too_large)
        contacts = parts.keep(open_values)
        primaries = await self._read_contacts_by_id(
            connection, {contact.linked_id or contact.id for contact in contacts} - {c.id for c in contacts}
        )
        identities = Snapshot.of([*contacts, *primaries]).identities
        primary_of = {contact.id: group[0] for group in identities for contact in group}
        return Record(
            identities,
            tuple(sorted(parts.evidence.values(), key=lambda piece: piece.id)),
            tuple(sorted(parts.rulings.values(), key=lambda ruling: ruling.id)),
            frozenset(identifiers),
            rules=rules,
            assumed=tuple(
                (value, _find_anchor(primary_of[contact.id], rules))
                for contact in contacts
                for value in contact.identifiers
                if value in open_values
            ),
            incomplete=frozenset(
                group[0].id for group in identities if sizes.get(group[0].id, WHOLE) >= len(group)
            ),
        )

    async def _read_sizes(
        self, connection: Connection, values: Collection[Identifier], contacts: Iterable[Contact]
    ) -> dict[int, int]:
        """The primaries of values and of contacts, with how many are linked to each as far as it matters."""
        of = {
            "details": self._emails.to_json(map(to_details, values)),
            "ids": json.dumps([contact.linked_id or contact.id for contact in contacts]),
            "limit": WHOLE + 1,
        }
        return dict(await execute(connection, statements.SIZES, of))

    async def _read_near(
        self,
        connection: Connection,
        values: Collection[Identifier],
        asked: Collection[Identifier],
        parts: "_Parts",
    ) -> set[Identifier]:
        """Read the contacts, evidence and rulings with some values; the values that these lead to."""
        batch = [to_details(value) for value in values]
        details = {
            "details": self._emails.to_json(batch),
            "limit": MAX_PART,
            "version": self._in_force.version,
        }
        rows = await execute(connection, statements.CONTACTS_WITH, details)
        check_rules(rows)
        found = chain.from_iterable(to_snapshot(self._emails.make_reader(batch), rows).identities)
        contacts = {contact.id: contact for contact in found}
        about = {"values": json.dumps([value for _, value in values])}
        rulings = [*map(to_ruling, await execute(connection, statements.RULINGS_ABOUT, about))]
        evidence = await self._load_evidence(connection, values, asked, [*contacts.values()], MAX_PART)
        parts.contacts |= contacts
        parts.evidence |= {piece.id: piece for piece in evidence}
        parts.rulings |= {ruling.id: ruling for ruling in rulings}
        number = Counter(value for contact in contacts.values() for value in contact.identifiers)
        number.update(value for piece in evidence for value in piece.identifiers)
        parts.large |= {value for value in values if number[value] >= MAX_PART}
        rules = self._in_force.rules
        links = [contact.identifiers for contact in contacts.values()]
        links += [p.identifiers for p in evidence if p.leads_on and not rules.blocks_pair(p.pair)]
        links += [
            (r.one, r.other)
            for r in rulings
            if r.verdict in (Verdict.SAME, Verdict.INHERITED) and not rules.block_any(r.values)
        ]
        parts.join([[value for value in link if not rules.blocks(value)] for link in links])
        return {*chain.from_iterable(links)}

    async def _read_contacts_by_id(self, connection: Connection, ids: Collection[int]) -> Iterable[Contact]:
        rows = await execute(connection, statements.CONTACTS_BY_ID, {"ids": json.dumps([*ids])})
        return chain.from_iterable(to_snapshot(self._emails.make_reader(), rows).identities)


def _find_anchor(contact: Contact, rules: RuleSet) -> Identifier:
    """A value that a contact will have whatever the rules take from it."""
    identifiers = contact.identifiers
    return next((one for one in identifiers if not rules.blocks(one)), identifiers[0])


class _Parts:
    """What was read, and which values belong together by it."""

    def __init__(self) -> None:
        self.contacts: dict[int, Contact] = {}
        self.evidence: dict[int, Evidence] = {}
        self.rulings: dict[int, Ruling] = {}
        self.read: set[Identifier] = set()
        self.large: set[Identifier] = set()
        self._partition = Partition()

    def join(self, links: Iterable[Collection[Identifier]]) -> None:
        """Let the values of each link belong together."""
        for link in links:
            numbers = [self._partition.number(value) for value in link]
            for number in numbers[1:]:
                self._partition.join(numbers[0], number)

    def find_open(self, values: Iterable[Identifier]) -> set[Identifier]:
        """The values whose part was not read to its end."""
        find, number = self._partition.find, self._partition.number
        open_parts = {find(number(value)) for value in self.large}
        return {value for value in values if find(number(value)) in open_parts}

    def keep(self, stubs: Collection[Identifier]) -> list[Contact]:
        """The contacts of the parts that were read to their end, and one with each of some values."""
        open_values = self.find_open(chain.from_iterable(c.identifiers for c in self.contacts.values()))
        kept: list[Contact] = []
        missing = {*stubs}
        for contact in self.contacts.values():
            if open_values.isdisjoint(contact.identifiers):
                kept.append(contact)
            elif found := missing.intersection(contact.identifiers):
                missing -= found
                kept.append(contact)
        return kept
