"""Verification of a whole database, and its repair.

Identities are the connected components of the recorded values (see `identity_core.rules.reconcile`).
Each invariant checked here follows from that, from how contacts store it, or from both.

Verification reads one transaction snapshot, holds a few rows in memory, and blocks no other transaction.
Repair runs short transactions under the same locks as everything else. Each is complete in itself,
so a repair can be interrupted and run again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, count, groupby, islice
from typing import Any

from attrs import evolve, frozen
from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.pool import NullPool

from identity_adapters.postgres import statements
from identity_adapters.postgres.blocked import to_conditions
from identity_adapters.postgres.rows import EmailForms, to_rules_in_force
from identity_adapters.postgres.statements import CREATED_AT, EMAIL, PHONE_NUMBER
from identity_adapters.postgres.statements.rules import is_blocked
from identity_core import (
    ContactDetails,
    ContactRepository,
    EventKind,
    IdentityReader,
    RulesInForce,
    WriteSet,
    repair,
)
from identity_core.model.decision import NEW_IDS

EXAMPLES = 5
"""The maximum number of ids that illustrate a violation."""

BATCH_SIZE = 32
"""The approximate number of violations that one transaction repairs."""

# Whether an id is of what was recorded before the latest rules and is not in line with them yet.
_IS_SETTLED = "(id <= %(settled_id)s OR id > %(last_id)s)"
_EMAIL_IS_BLOCKED, _NUMBER_IS_BLOCKED = is_blocked("email", "phone_number")
_NAMED_EMAIL_IS_BLOCKED, _NAMED_NUMBER_IS_BLOCKED = is_blocked("named.email", "named.phone_number")
_JUDGED = f"""
    {_EMAIL_IS_BLOCKED} AS email_is_blocked, {_NUMBER_IS_BLOCKED} AS number_is_blocked,
    {_IS_SETTLED} AS is_settled
"""
_LIVE = f"""
    SELECT live.*, {_JUDGED}
    FROM (
        SELECT c.id, nullif({EMAIL}, '') AS email, nullif({PHONE_NUMBER}, '') AS phone_number,
            c.linked_id, c.link_precedence, {CREATED_AT} AS created_at, coalesce(c.linked_id, c.id) AS root
        FROM contacts c WHERE c.deleted_at IS NULL
    ) AS live
"""
_EVIDENCE = f"SELECT evidence.*, {_JUDGED} FROM contact_evidence evidence"


def _is_end_blocked(end: str) -> str:
    """A condition: whether one of the two values of a ruling is blocked."""
    email, phone_number = is_blocked(f"ruling.{end}", f"ruling.{end}")
    return f"CASE ruling.{end}_kind WHEN 'email' THEN {email} ELSE {phone_number} END"


# The rulings in force, and of those about values that belong together or apart, the identities of the two.
_RULING = f"""
    SELECT ruling.*, {_IS_SETTLED} AS is_settled FROM contact_rulings ruling WHERE withdrawn_at IS NULL
"""
_VALUE = """
    SELECT 'email' AS kind, email AS value, root FROM live WHERE email IS NOT NULL
    UNION
    SELECT 'phone_number', phone_number, root FROM live WHERE phone_number IS NOT NULL
"""
_PINNED = f"""
    SELECT ruling.id, ruling.verdict, one.root AS one_root, other.root AS other_root,
        ruling.is_settled AND NOT {_is_end_blocked("one")} AND NOT {_is_end_blocked("other")} AS is_effective,
        CASE ruling.one_kind WHEN 'email' THEN ruling.one END AS email,
        CASE ruling.one_kind WHEN 'phone_number' THEN ruling.one END AS phone_number
    FROM ruling
    JOIN value one ON one.kind = ruling.one_kind AND one.value = ruling.one
    JOIN value other ON other.kind = ruling.other_kind AND other.value = ruling.other
    WHERE ruling.verdict IN ('same', 'different', 'inherited')
"""
_IS_ACCEPTED = """EXISTS (
    SELECT FROM ruling
    WHERE ruling.verdict = 'same' AND ruling.one_kind = 'email' AND ruling.other_kind = 'phone_number'
        AND ruling.one = evidence.email AND ruling.other = evidence.phone_number
)"""

# Each query returns a row for each violation: the id that illustrates it, the email and the phone number
# that match the contacts to repair, and a key of violations that are repaired together. The identity of a
# contact is assumed to be that of the contact it is linked to; if that is wrong, another kind reports it.
# Whether a value exceeds a limit is no invariant: a pair that is restored counts whatever came meanwhile.
_LINKS = """
    SELECT live.id, live.email, live.phone_number, live.linked_id AS repair_key
    FROM live {} JOIN contacts c ON c.id = live.linked_id
"""
KINDS = {
    "precedence": """
        SELECT id, email, phone_number, id AS repair_key FROM live
        WHERE link_precedence <> CASE WHEN linked_id IS NULL THEN 'primary' ELSE 'secondary' END""",
    "linked to a missing contact": _LINKS.format("LEFT")
    + "WHERE live.linked_id IS NOT NULL AND c.id IS NULL",
    "linked to a deleted contact": _LINKS.format("") + "WHERE c.deleted_at IS NOT NULL",
    "linked to a secondary contact": _LINKS.format("")
    + "WHERE c.deleted_at IS NULL AND c.linked_id IS NOT NULL",
    "older than its primary": _LINKS.format("")
    + f"WHERE c.deleted_at IS NULL AND (live.created_at, live.id) < ({CREATED_AT}, c.id)",
    "email in several identities": f"""
        SELECT min(id) AS id, email, NULL AS phone_number, min(id) AS repair_key FROM live
        WHERE email IS NOT NULL GROUP BY email
        HAVING min(root) <> max(root) AND NOT {_EMAIL_IS_BLOCKED}""",
    "phone number in several identities": f"""
        SELECT min(id) AS id, NULL AS email, phone_number, min(id) AS repair_key FROM live
        WHERE phone_number IS NOT NULL GROUP BY phone_number
        HAVING min(root) <> max(root) AND NOT {_NUMBER_IS_BLOCKED}""",
    "details held by several contacts": """
        SELECT min(id) AS id, email, phone_number, min(id) AS repair_key FROM live
        WHERE email IS NOT NULL OR phone_number IS NOT NULL
        GROUP BY email, phone_number HAVING count(*) > 1""",
    "evidence joins several identities": """
        SELECT DISTINCT evidence.id, evidence.email, evidence.phone_number, evidence.id AS repair_key
        FROM evidence
        JOIN live one ON one.email = evidence.email
        JOIN live other ON other.phone_number = evidence.phone_number AND other.root <> one.root
        WHERE evidence.standing = 'counts'
            AND NOT evidence.email_is_blocked AND NOT evidence.number_is_blocked""",
    "pair recorded twice": """
        SELECT evidence.id, email, phone_number, evidence.id AS repair_key
        FROM evidence JOIN live USING (email, phone_number)""",
    "undone pair counts": """
        SELECT min(counting.id) AS id, counting.email, counting.phone_number, ruling.id AS repair_key
        FROM ruling
        JOIN (
            SELECT id, email, phone_number FROM live
            UNION ALL
            SELECT id, email, phone_number FROM evidence WHERE standing IN ('counts', 'held')
        ) AS counting ON counting.email = ruling.one AND counting.phone_number = ruling.other
        WHERE ruling.verdict = 'undone' AND ruling.one_kind = 'email' AND ruling.other_kind = 'phone_number'
        GROUP BY ruling.id, counting.email, counting.phone_number""",
    "pair is undone without a ruling": """
        SELECT evidence.id, evidence.email, evidence.phone_number, evidence.id AS repair_key
        FROM evidence
        WHERE evidence.standing = 'undone' AND NOT EXISTS (
            SELECT FROM ruling
            WHERE ruling.verdict = 'undone' AND ruling.one_kind = 'email'
                AND ruling.one = evidence.email AND ruling.other = evidence.phone_number)""",
    "pair is held without a pin": """
        SELECT DISTINCT evidence.id, evidence.email, evidence.phone_number, evidence.id AS repair_key
        FROM evidence
        JOIN live one ON one.email = evidence.email
        JOIN live other ON other.phone_number = evidence.phone_number
        WHERE evidence.standing = 'held' AND evidence.hold IS NULL AND NOT EXISTS (
            SELECT FROM pinned
            WHERE verdict = 'different'
                AND (one_root, other_root) IN ((one.root, other.root), (other.root, one.root)))""",
    "pinned apart but joined": """
        SELECT DISTINCT id, email, phone_number, id AS repair_key
        FROM pinned WHERE verdict = 'different' AND one_root = other_root""",
    "pinned together but apart": """
        SELECT DISTINCT id, email, phone_number, id AS repair_key
        FROM pinned WHERE verdict IN ('same', 'inherited') AND one_root <> other_root AND is_effective""",
    "pair is held by a limit though a pin accepts it": f"""
        SELECT evidence.id, evidence.email, evidence.phone_number, evidence.id AS repair_key
        FROM evidence
        WHERE evidence.standing = 'held' AND evidence.hold IS NOT NULL AND {_IS_ACCEPTED}""",
    "pair beyond a limit counts without a pin": f"""
        SELECT evidence.id, evidence.email, evidence.phone_number, evidence.id AS repair_key
        FROM evidence
        WHERE evidence.standing = 'counts' AND evidence.hold IS NOT NULL AND NOT {_IS_ACCEPTED}""",
    # Very many pairs may have one blocked value; it is left out if the other one is not blocked.
    "pair is not blocked though a value is": """
        SELECT id, CASE WHEN NOT email_is_blocked OR number_is_blocked THEN email END AS email,
            CASE WHEN NOT number_is_blocked OR email_is_blocked THEN phone_number END AS phone_number,
            id AS repair_key
        FROM (
            SELECT id, email, phone_number, email_is_blocked, number_is_blocked, is_settled
            FROM live WHERE email IS NOT NULL AND phone_number IS NOT NULL
            UNION ALL
            SELECT id, email, phone_number, email_is_blocked, number_is_blocked, is_settled
            FROM evidence WHERE standing <> 'blocked'
        ) AS pair
        WHERE is_settled AND (email_is_blocked OR number_is_blocked)""",
    "pair is blocked though no value is": """
        SELECT id, email, phone_number, id AS repair_key FROM evidence
        WHERE standing = 'blocked' AND is_settled AND NOT email_is_blocked AND NOT number_is_blocked""",
    "value of a ruling or of evidence is unknown": f"""
        SELECT named.id, named.email, named.phone_number, named.id AS repair_key
        FROM (
            SELECT id, email, NULL AS phone_number FROM evidence WHERE standing <> 'counts' AND is_settled
            UNION ALL
            SELECT id, NULL, phone_number FROM evidence WHERE standing <> 'counts' AND is_settled
            UNION ALL
            SELECT id, CASE one_kind WHEN 'email' THEN one END, CASE one_kind WHEN 'phone_number' THEN one END
            FROM ruling WHERE verdict IN ('same', 'different') AND is_settled
            UNION ALL
            SELECT id, CASE other_kind WHEN 'email' THEN other END,
                CASE other_kind WHEN 'phone_number' THEN other END
            FROM ruling WHERE verdict IN ('same', 'different') AND is_settled
        ) AS named
        LEFT JOIN live by_email ON by_email.email = named.email
        LEFT JOIN live by_number ON by_number.phone_number = named.phone_number
        WHERE by_email.id IS NULL AND by_number.id IS NULL
            AND (named.email IS NULL OR octet_length(named.email) = length(named.email))
            AND NOT {_NAMED_EMAIL_IS_BLOCKED} AND NOT {_NAMED_NUMBER_IS_BLOCKED}""",
}


LINK_KINDS = [kind for kind in KINDS if kind.startswith("linked to")]
"""The kinds of contacts that do not point straight at a live primary."""


@frozen
class Violation:
    """How often an invariant is violated.

    Attributes:
        kind: one of `KINDS`.
        count: how often.
        examples: ids of some contacts, or of evidence if the kind is about evidence.
    """

    kind: str
    count: int
    examples: tuple[int, ...]


@frozen
class RepairReport:
    """What was repaired.

    Attributes:
        identities: how many identities.
        linked: contacts that got another link, link precedence or both.
        deleted: contacts with the same details as another contact.
        evidence: pieces of evidence removed, because a contact holds the pair, or that stand otherwise.
    """

    identities: int = 0
    linked: int = 0
    deleted: int = 0
    evidence: int = 0

    def add(self, writes: WriteSet) -> "RepairReport":
        return evolve(
            self,
            identities=self.identities + sum(event.kind is EventKind.REPAIRED for event in writes.events),
            linked=self.linked + len(writes.altered) + len(writes.rewritten),
            deleted=self.deleted + len(writes.deleted),
            evidence=self.evidence + len(writes.superseded) + len(writes.evidence),
        )


def verify(url: URL) -> list[Violation]:
    """Find the invariants that are violated, and how often.

    Args:
        url: of the form ``postgresql+psycopg://…``, of a migrated database of any size.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: it cannot be checked.
    """
    found = []
    with open_snapshot(url) as connection:
        for kind in KINDS:
            ids = (row_id for row_id, *_ in find_violations(connection, kind))
            examples = tuple(islice(ids, EXAMPLES))
            if examples:
                found.append(Violation(kind, len(examples) + sum(1 for _ in ids), examples))
    return found


async def repair_database(
    url: URL, repository: ContactRepository, reader: IdentityReader, *, dry_run: bool = False
) -> RepairReport:
    """Repair a database, so that every invariant holds.

    Args:
        url: as for `verify`.
        repository: on the same database.
        reader: likewise.
        dry_run: whether only to count what would be repaired; what depends on another repair is then
            counted more than once.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the violations cannot be read.
        RepositoryUnavailable: they cannot be repaired for now. What was repaired stays repaired.
    """
    report = RepairReport()
    with open_snapshot(url) as connection:
        for batch in chain.from_iterable(_batches(connection, kind) for kind in KINDS):
            identifiers = {identifier for details in batch for identifier in details.identifiers}
            if dry_run:
                decision = repair(await reader.record(identifiers), datetime.now(UTC), count(NEW_IDS))
            else:
                decision = await repository.revise(identifiers, repair)
            report = report.add(decision.writes)
    return report


@contextmanager
def open_snapshot(url: URL) -> Iterator[Connection]:
    """A connection that reads one transaction snapshot, a few rows at a time."""
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        # Everything is read once, and joined by hashing or sorting, which spills to disk. The planner
        # assumes that tables without statistics are small, and would use nested loops.
        connection.execute(text("SET LOCAL enable_nestloop = off"))
        yield connection.execution_options(stream_results=True, max_row_buffer=1000)


def find_violations(connection: Connection, kind: str) -> Iterator[tuple[int, str | None, str | None, int]]:
    """Read the violations of a kind: id, email, phone number and repair key of each."""
    query = f"""
        WITH live AS NOT MATERIALIZED ({_LIVE}), evidence AS NOT MATERIALIZED ({_EVIDENCE}),
            ruling AS NOT MATERIALIZED ({_RULING}), value AS NOT MATERIALIZED ({_VALUE}),
            pinned AS NOT MATERIALIZED ({_PINNED})
        SELECT * FROM ({KINDS[kind]}) AS found ORDER BY repair_key, id
    """
    with connection.exec_driver_sql(query, _read_parameters(connection)) as rows:
        yield from (tuple(row) for row in rows)


def _read_parameters(connection: Connection) -> dict[str, Any]:
    """What the rules in force block, and which ids are not in line with them yet."""
    row = connection.exec_driver_sql(statements.RULES_IN_FORCE).one_or_none()
    in_force = RulesInForce() if row is None else to_rules_in_force(tuple(row))
    return {
        **to_conditions(in_force.rules, EmailForms()),
        "settled_id": in_force.settled_id,
        "last_id": in_force.last_id,
    }


def _batches(connection: Connection, kind: str) -> Iterator[Sequence[ContactDetails]]:
    """Batches of details that match the violations of a kind; equal repair keys stay in one batch."""
    batch: list[ContactDetails] = []
    for _, rows in groupby(find_violations(connection, kind), key=lambda row: row[3]):
        batch += [
            ContactDetails.from_trusted(email, phone_number)
            for _, email, phone_number, _ in rows
            if email is not None or phone_number is not None
        ]
        if len(batch) >= BATCH_SIZE:
            yield batch
            batch = []
    if batch:
        yield batch
