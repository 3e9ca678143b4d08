"""The rules, as PostgreSQL keeps them."""

import json
from collections.abc import AsyncIterator, Collection, Set
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from attrs import evolve

from identity_adapters.postgres import statements
from identity_adapters.postgres.blocked import to_conditions
from identity_adapters.postgres.census import CENSUS_TIMEOUT
from identity_adapters.postgres.database import Connection, Database, execute, send
from identity_adapters.postgres.loader import read_rules
from identity_adapters.postgres.locks import GLOBAL_LOCK, SETTLING_LOCK
from identity_adapters.postgres.parts import PostgresPartsLoader
from identity_adapters.postgres.reader import PostgresIdentityReader
from identity_adapters.postgres.rows import EmailForms, to_rules_json
from identity_core import (
    Hold,
    Identifier,
    IdentifierKind,
    Note,
    Record,
    RuleSet,
    RulesInForce,
    SharedValue,
    StalePlan,
)
from identity_core.model.identifiers import to_identifiers
from identity_core.model.parts import Parts
from identity_core.model.rule_set import UnsettledLink


class PostgresRuleBook:
    """A `RuleBook` over the tables that `migrate` sets up.

    Args:
        database: the database with these tables.
        emails: the forms in which another program may have stored an email.
    """

    def __init__(self, database: Database, emails: EmailForms | None = None) -> None:
        self._database = database
        self._emails = emails or EmailForms()

    async def rules(self) -> RulesInForce:
        async def attempt() -> RulesInForce:
            async with self._database.connection() as connection:
                return await read_rules(connection)

        return await self._database.retry(attempt)

    async def put(
        self, rules: RuleSet, note: Note, version: int | None = None, *, retroactive: bool = False
    ) -> RulesInForce:
        async def attempt() -> RulesInForce:
            async with self._database.connection() as connection, connection.transaction():
                # From here on nobody decides by the rules before.
                await send(connection, statements.LOCK_GLOBALLY, {"global_lock": GLOBAL_LOCK})
                in_force = await read_rules(connection)
                if version not in (None, in_force.version):
                    raise StalePlan("other rules are in force")
                [(now, [last_id])] = await execute(connection, statements.NOW_AND_IDS, {"count": 1})
                dated = evolve(note, at=note.at or now)
                in_force = in_force.replace(rules, dated, last_id, retroactive=retroactive)
                await send(connection, statements.PUT_RULES, _to_row(in_force, note, now))
                return in_force

        return await self._database.retry(attempt)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[bool]:
        """Whether nobody else settles the rules while the context is active.

        It is not needed for what is right, only to save work: the lock ends with the connection.
        """
        async with self._database.connection() as connection, connection.transaction():
            [(is_free,)] = await execute(connection, statements.TRY_LOCK, {"lock": SETTLING_LOCK})
            yield is_free

    async def settle(self, version: int, settled_id: int) -> None:
        await self._database.fetch(statements.SETTLE_RULES, {"version": version, "settled_id": settled_id})

    async def propose(self, rules: RuleSet, *, retroactive: bool = False) -> RulesInForce:
        async def attempt() -> RulesInForce:
            async with self._database.connection() as connection:
                in_force = await read_rules(connection)
                [(last_id,)] = await execute(connection, statements.LAST_ID, {})
                return in_force.replace(rules, None, last_id, retroactive=retroactive)

        return await self._database.retry(attempt)

    async def record_by(self, rules: RuleSet, identifiers: Collection[Identifier]) -> Record:
        return await PostgresIdentityReader(self._database, self._emails, rules).record(identifiers)

    async def parts_by(self, rules: RuleSet, primary_id: int, identifiers: Collection[Identifier]) -> Parts:
        return await PostgresPartsLoader(self._database, self._emails, rules).read_parts(
            primary_id, identifiers
        )

    async def record_without(self, rules: RuleSet, primary_id: int, ids: Set[int]) -> Record:
        return await PostgresPartsLoader(self._database, self._emails, rules).read_rest(primary_id, ids)

    async def count_identities(self) -> int:
        [(number,)] = await self._database.fetch(statements.COUNT_IDENTITIES, {})
        return int(number)

    async def most_shared(self, limit: int) -> list[Identifier]:
        async def attempt() -> list[Identifier]:
            async with self._reading() as connection:
                rules = (await read_rules(connection)).rules
                values = {**to_conditions(rules, self._emails), "limit": limit}
                rows = await execute(connection, statements.MOST_SHARED, values)
                return [*dict.fromkeys(self._to_identifier(*row) for row in rows)]

        return await self._database.retry(attempt, answer_timeout=CENSUS_TIMEOUT)

    async def largest(self, limit: int) -> list[Identifier]:
        async def attempt() -> list[Identifier]:
            async with self._reading() as connection:
                rules = (await read_rules(connection)).rules
                rows = await execute(connection, statements.LARGEST, {"limit": limit})
            read_email = self._emails.make_reader()
            values = (to_identifiers(email and read_email(email), number) for email, number in rows)
            usable = ([one for one in found if not rules.blocks(one)] for found in values)
            return [found[0] for found in usable if found]

        return await self._database.retry(attempt, answer_timeout=CENSUS_TIMEOUT)

    async def weigh(self, identifiers: Collection[Identifier]) -> list[SharedValue]:
        asked = sorted({*identifiers})
        values = [
            {"number": number, kind: form}
            for number, (kind, value) in enumerate(asked)
            for form in {value, *self._emails.find_ascii_forms([value])}
        ]

        async def attempt() -> list[SharedValue]:
            async with self._reading() as connection:
                rows = await execute(connection, statements.WEIGH, {"values": json.dumps(values)})
            return [SharedValue(asked[number], *weights) for number, *weights in sorted(rows)]

        return await self._database.retry(attempt, answer_timeout=CENSUS_TIMEOUT)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        """A connection on which statements may read whole tables."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(statements.READ_TABLES, prepare=False)
            yield connection

    def _to_identifier(self, kind: str, value: str) -> Identifier:
        is_email = kind == IdentifierKind.EMAIL
        return Identifier(IdentifierKind(kind), self._emails.make_reader()(value) if is_email else value)

    async def unsettled(
        self, in_force: RulesInForce, limit: int, large: int
    ) -> tuple[list[UnsettledLink], int]:
        end = min(in_force.settled_id + limit, in_force.last_id)
        parameters = {
            **to_conditions(in_force.rules, self._emails),
            "start": in_force.settled_id,
            "end": end,
            "released": json.dumps([*in_force.released, Hold.UNCHECKED]),
        }
        if in_force.retroactive:
            limits = in_force.rules.limits
            parameters |= {
                "most_numbers": limits.phone_numbers_per_email,
                "most_emails": limits.emails_per_phone_number,
                "most_values": limits.unlimited_size,
            }
            rows = await self._database.fetch(statements.UNSETTLED_RETROACTIVELY, parameters)
        else:
            rows = await self._database.fetch(statements.UNSETTLED, parameters)
        ends = [((one_kind, one), (other_kind, other)) for _, one_kind, one, other_kind, other in rows]
        primary_ids, large_ids = await self._find_homes({*chain.from_iterable(ends)}, large)
        links: list[UnsettledLink] = []
        for one_end, other_end in ends:
            of_link = primary_ids.get(one_end), primary_ids.get(other_end)
            values = self._to_identifier(*one_end), self._to_identifier(*other_end)
            links.append(UnsettledLink(values, of_link, large_ids.intersection(of_link)))
        return links, end

    async def _find_homes(
        self, values: Collection[tuple[str, str]], large: int
    ) -> tuple[dict[tuple[str, str], int], frozenset[int]]:
        """The primaries of some kinds and values; and those of them whose identities are large."""
        asked = json.dumps([{"kind": kind, "value": value} for kind, value in values])
        rows = await self._database.fetch(statements.HOMES, {"values": asked, "large": large})
        primary_ids = {(kind, value): primary_id for kind, value, primary_id, _ in rows}
        return primary_ids, frozenset(primary_id for *_, primary_id, is_large in rows if is_large)


def _to_row(in_force: RulesInForce, note: Note, now: datetime) -> dict[str, Any]:
    return {
        "version": in_force.version,
        "rules": to_rules_json(in_force.rules),
        "released": json.dumps(sorted(in_force.released)),
        "retroactive": in_force.retroactive,
        "settled_id": in_force.settled_id,
        "last_id": in_force.last_id,
        "now": (note.at or now).astimezone(UTC).replace(tzinfo=None),
        "by": note.by,
        "reason": note.reason,
    }
