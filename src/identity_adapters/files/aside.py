"""The details of a history whose identities rules touch.

They are set aside, to be decided one after the other. Which identities are touched is found as if pairs
joined without limits, but not by blocked values. Rules only ever keep apart, so what they say of one of
these identities reaches no other.
"""

from array import array
from collections.abc import Collection, Iterator

import duckdb
import pyarrow as pa

from identity_core import ContactDetails, Identifier, IdentifierKind, Limits, RuleSet
from identity_core.rules.forest import find_primary, grow

_BLOCK = 50_000

# Values that rules touch, and whether they are blocked.
_CREATE = """
CREATE TABLE touched_emails (email VARCHAR, is_blocked BOOLEAN);
CREATE TABLE touched_numbers (phone_number VARCHAR, is_blocked BOOLEAN);
"""

_ADD_EMAILS_OVER_LIMIT = """
INSERT INTO touched_emails
SELECT email, false FROM ordered WHERE email IS NOT NULL
GROUP BY email HAVING count(phone_number) > $limit
"""
_ADD_NUMBERS_OVER_LIMIT = """
INSERT INTO touched_numbers
SELECT phone_number, false FROM ordered WHERE phone_number IS NOT NULL
GROUP BY phone_number HAVING count(email) > $limit
"""

# The first occurrences of the values that are not blocked, and whether the details have a touched value.
_MASK = """
CREATE TABLE masked AS
SELECT
    number,
    CASE WHEN email IN (SELECT email FROM touched_emails WHERE is_blocked)
        THEN 0 ELSE first.email END AS email,
    CASE WHEN phone_number IN (SELECT phone_number FROM touched_numbers WHERE is_blocked)
        THEN 0 ELSE first.phone_number END AS phone_number,
    coalesce(email IN (SELECT email FROM touched_emails), false)
        OR coalesce(phone_number IN (SELECT phone_number FROM touched_numbers), false) AS is_touched
FROM (SELECT number, {'email': email, 'phone_number': phone_number} AS first FROM first_occurrences)
JOIN ordered USING (number)
ORDER BY number
"""

_SET_ASIDE = """
CREATE TABLE aside AS SELECT * FROM ordered WHERE number IN (SELECT number FROM numbers) ORDER BY number;
DELETE FROM ordered WHERE number IN (SELECT number FROM numbers);
DELETE FROM first_occurrences WHERE number IN (SELECT number FROM numbers);
"""


def set_aside(database: duckdb.DuckDBPyConnection, size: int, rules: RuleSet) -> int:
    """Move the details that rules touch, in the order of their numbers, to a table ``aside``.

    Args:
        database: of a `History`.
        size: how many details it has.
        rules: the rules in force.

    Returns:
        How many there are.
    """
    database.execute(_CREATE)
    if rules.blocks_any:
        for details in _read_details(database):
            _add_blocked(database, rules.pick_blocked(details))
    _add_values_over_limit(database, rules.limits)
    database.execute(_MASK)
    numbers = pa.table({"number": pa.array(_find_touched(database, size, rules.limits), pa.int64())})
    database.register("numbers", numbers)
    database.execute(_SET_ASIDE)
    database.unregister("numbers")
    return len(numbers)


def _add_blocked(database: duckdb.DuckDBPyConnection, values: Collection[Identifier]) -> None:
    for kind, table, column in (
        (IdentifierKind.EMAIL, "touched_emails", "email"),
        (IdentifierKind.PHONE_NUMBER, "touched_numbers", "phone_number"),
    ):
        if of_kind := [one.value for one in values if one.kind is kind]:
            blocked = pa.table({column: of_kind, "is_blocked": [True] * len(of_kind)})
            database.from_arrow(blocked).insert_into(table)


def _add_values_over_limit(database: duckdb.DuckDBPyConnection, limits: Limits) -> None:
    if limits.phone_numbers_per_email is not None:
        database.execute(_ADD_EMAILS_OVER_LIMIT, {"limit": limits.phone_numbers_per_email})
    if limits.emails_per_phone_number is not None:
        database.execute(_ADD_NUMBERS_OVER_LIMIT, {"limit": limits.emails_per_phone_number})


def _find_touched(database: duckdb.DuckDBPyConnection, size: int, limits: Limits) -> "array[int]":
    """The numbers of the details in identities that are touched, or have too many values."""
    parents = array("q", bytes(8 * (size + 1)))
    for _ in grow((row[:3] for row in _read_masked(database)), parents):
        pass
    values = array("q", bytes(8 * (size + 1)))
    touched = bytearray(size + 1)
    for number, email, phone_number, is_touched in _read_masked(database):
        if known := email or phone_number:
            primary = find_primary(known, parents)
            values[primary] += (email == number) + (phone_number == number)
            touched[primary] |= is_touched
    found = array("q")
    for number, email, phone_number, is_touched in _read_masked(database):
        known = email or phone_number
        primary = find_primary(known, parents) if known else 0
        is_large = limits.unlimited_size is not None and values[primary] > limits.unlimited_size
        if is_touched or touched[primary] or is_large:
            found.append(number)
    return found


def _read_masked(database: duckdb.DuckDBPyConnection) -> Iterator[tuple[int, int, int, bool]]:
    rows = database.cursor().execute("SELECT * FROM masked ORDER BY number")
    while block := rows.fetchmany(_BLOCK):
        yield from block


def _read_details(database: duckdb.DuckDBPyConnection) -> Iterator[list[ContactDetails]]:
    rows = database.cursor().execute("SELECT email, phone_number FROM ordered")
    while block := rows.fetchmany(_BLOCK):
        yield [ContactDetails.from_trusted(*row) for row in block]
