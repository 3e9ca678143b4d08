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
from functools import partial
from itertools import chain, count, groupby, islice

from attrs import evolve, frozen
from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.pool import NullPool

from identity_adapters.postgres.statements import CREATED_AT, EMAIL, PHONE_NUMBER
from identity_core import ContactDetails, ContactRepository, WriteSet, repair

EXAMPLES = 5
"""The maximum number of ids that illustrate a violation."""

BATCH_SIZE = 32
"""The approximate number of violations that one transaction repairs."""

_LIVE = f"""
    SELECT c.id, nullif({EMAIL}, '') AS email, nullif({PHONE_NUMBER}, '') AS phone_number,
        c.linked_id, c.link_precedence, {CREATED_AT} AS created_at, coalesce(c.linked_id, c.id) AS root
    FROM contacts c WHERE c.deleted_at IS NULL
"""

# Each query returns a row for each violation: the id that illustrates it, the email and the phone number
# that match the contacts to repair, and a key of violations that are repaired together. The identity of a
# contact is assumed to be that of the contact it is linked to; if that is wrong, another kind reports it.
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
    "email in several identities": """
        SELECT min(id) AS id, email, NULL AS phone_number, min(id) AS repair_key FROM live
        WHERE email IS NOT NULL GROUP BY email HAVING min(root) <> max(root)""",
    "phone number in several identities": """
        SELECT min(id) AS id, NULL AS email, phone_number, min(id) AS repair_key FROM live
        WHERE phone_number IS NOT NULL GROUP BY phone_number HAVING min(root) <> max(root)""",
    "details held by several contacts": """
        SELECT min(id) AS id, email, phone_number, min(id) AS repair_key FROM live
        WHERE email IS NOT NULL OR phone_number IS NOT NULL
        GROUP BY email, phone_number HAVING count(*) > 1""",
    "evidence joins several identities": """
        SELECT DISTINCT evidence.id, evidence.email, evidence.phone_number, evidence.id AS repair_key
        FROM contact_evidence evidence
        JOIN live one ON one.email = evidence.email
        JOIN live other ON other.phone_number = evidence.phone_number AND other.root <> one.root""",
    "pair recorded twice": """
        SELECT evidence.id, email, phone_number, evidence.id AS repair_key
        FROM contact_evidence evidence JOIN live USING (email, phone_number)""",
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
        evidence: pieces of evidence removed, because a contact holds the pair.
    """

    identities: int = 0
    linked: int = 0
    deleted: int = 0
    evidence: int = 0

    def add(self, writes: WriteSet) -> "RepairReport":
        return evolve(
            self,
            identities=self.identities + len(writes.events),
            linked=self.linked + len(writes.altered),
            deleted=self.deleted + len(writes.deleted),
            evidence=self.evidence + len(writes.superseded),
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


async def repair_database(url: URL, repository: ContactRepository, *, dry_run: bool = False) -> RepairReport:
    """Repair a database, so that every invariant holds.

    Args:
        url: as for `verify`.
        repository: on the same database.
        dry_run: whether only to count what would be repaired; what depends on another repair is then
            counted more than once.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the violations cannot be read.
        RepositoryUnavailable: they cannot be repaired for now. What was repaired stays repaired.
    """
    report = RepairReport()
    with open_snapshot(url) as connection:
        for batch in chain.from_iterable(_batches(connection, kind) for kind in KINDS):
            if dry_run:
                decision = repair(batch, await repository.load(batch), datetime.now(UTC), count())
            else:
                decision = await repository.transact(batch, partial(repair, batch))
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
    query = text(f"""
        WITH live AS NOT MATERIALIZED ({_LIVE})
        SELECT * FROM ({KINDS[kind]}) AS found ORDER BY repair_key, id
    """)
    with connection.execute(query) as rows:
        yield from (tuple(row) for row in rows)


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
