"""The export of everything that is recorded: one transaction snapshot, a few rows in memory at a time."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import URL, Connection, text

from identity_adapters.postgres.statements import CREATED_AT, EMAIL, PHONE_NUMBER
from identity_adapters.postgres.verify import LINK_KINDS, find_violations, open_snapshot
from identity_core import Contact, Identity, LinkPrecedence

_LIVE = f"""
    SELECT coalesce(c.linked_id, c.id) AS primary_id, c.id, nullif({EMAIL}, '') AS email,
        nullif({PHONE_NUMBER}, '') AS phone_number, {CREATED_AT} AT TIME ZONE 'UTC' AS created_at
    FROM contacts c WHERE c.deleted_at IS NULL
"""
_IDENTITIES = text(f"SELECT * FROM ({_LIVE}) AS live ORDER BY primary_id, created_at, id")
_CONTACTS = text(f"SELECT id, email, phone_number, created_at, primary_id FROM ({_LIVE}) AS live ORDER BY id")

# Evidence that counts joins only known values, so it is dated after the contacts that hold its two values. A
# blocked value may have no contact.
_EVIDENCE = text(f"""
    WITH live AS NOT MATERIALIZED ({_LIVE})
    SELECT
        NULL, evidence.email, evidence.phone_number,
        greatest(evidence.seen_at AT TIME ZONE 'UTC', min(one.created_at), min(other.created_at)),
        coalesce(min(one.primary_id), min(other.primary_id))
    FROM contact_evidence evidence
    LEFT JOIN live one ON one.email = evidence.email
    LEFT JOIN live other ON other.phone_number = evidence.phone_number
    WHERE evidence.standing = 'counts' OR :all_pairs
    GROUP BY evidence.id ORDER BY evidence.id
""")


class Record(NamedTuple):
    """A contact; or, without an id, a pair that no contact holds (evidence).

    The primary is that of the email, else of the phone number; None if no contact has either.
    """

    contact_id: int | None
    email: str | None
    phone_number: str | None
    created_at: datetime
    primary_contact_id: int | None


class NeedsRepair(Exception):
    """Some contacts do not point straight at a live primary, so identities cannot be read one by one."""


def read_identities(url: URL) -> Iterator[Identity]:
    """Read every identity, in the order of the ids of their primaries.

    Raises:
        NeedsRepair: the database has to be repaired first.
        sqlalchemy.exc.SQLAlchemyError: it cannot be read.
    """
    with open_snapshot(url) as connection:
        _check(connection)
        for _, rows in groupby(connection.execute(_IDENTITIES), key=lambda row: row.primary_id):
            yield Identity.of(
                [
                    Contact(id, email, phone_number, None, LinkPrecedence.PRIMARY, created_at)
                    for _, id, email, phone_number, created_at in rows
                ]
            )


def read_records(url: URL, *, all_pairs: bool = False) -> Iterator[Record]:
    """Read every contact in the order of ids, then every piece of evidence.

    Imported in the order of their times, they make the same identities.

    Args:
        url: of a migrated database.
        all_pairs: whether pairs that do not count are read, too; then the identities are the same once the
            rules and the rulings are those of this database as well.

    Raises:
        NeedsRepair: the database has to be repaired first.
        sqlalchemy.exc.SQLAlchemyError: it cannot be read.
    """
    with open_snapshot(url) as connection:
        _check(connection)
        for query in (_CONTACTS, _EVIDENCE):
            for row in connection.execute(query, {"all_pairs": all_pairs} if query is _EVIDENCE else {}):
                yield Record(*row)


def _check(connection: Connection) -> None:
    if any(next(find_violations(connection, kind), None) for kind in LINK_KINDS):
        raise NeedsRepair(
            "some contacts do not point straight at a live primary contact; run 'identity verify --repair'"
        )
