"""Statements that lock, and return the time and new ids."""

from identity_adapters.postgres.statements.identities import INPUT, MATCHED

# The locks make this level sufficient; a stricter one would reject transactions that they order.
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
COMMIT = "COMMIT"

# Takes an advisory lock for each of :keys, in their order, and shares that of :global_lock.
LOCK_IDENTIFIERS = """
SELECT pg_advisory_xact_lock_shared(%(global_lock)s)
UNION ALL
SELECT pg_advisory_xact_lock(CAST(key AS bigint)) FROM json_array_elements_text(%(keys)s) AS key
"""

# Takes the lock of :global_lock exclusively, which waits for all others and blocks them.
LOCK_GLOBALLY = "SELECT pg_advisory_xact_lock(%(global_lock)s)"

# Takes the lock of :lock, if nobody has it; whether it did.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(%(lock)s)"

_SEQUENCE = """
sequence AS MATERIALIZED (
    SELECT CAST(pg_get_serial_sequence('contacts', 'id') AS regclass) AS ids
)
"""
_TIME_AND_IDS = """
    clock_timestamp(),
    (SELECT array_agg(nextval(sequence.ids)) FROM sequence, generate_series(1, %(count)s))
"""

# The time, and :count new ids.
NOW_AND_IDS = f"WITH {_SEQUENCE} SELECT {_TIME_AND_IDS}"

# Locks the primaries of the identities that the :details match, and those of :others, in the
# order of their ids. Then, with all of them held: their ids, the time, and :count new ids.
# The aggregate is evaluated, and with it the other columns, when the last lock is held.
# Indexes: those of the matched contacts, and contacts_pkey.
LOCK_PRIMARIES = f"""
WITH {INPUT}, {_SEQUENCE}
SELECT coalesce(array_agg(locked.id), '{{}}'), {_TIME_AND_IDS}
FROM (
    SELECT coalesce(matched.linked_id, matched.id) AS id
    FROM ({MATCHED}) AS matched
    UNION
    SELECT CAST(other AS bigint) FROM json_array_elements_text(%(others)s) AS other
    ORDER BY id
) AS target
CROSS JOIN LATERAL (
    SELECT c.id FROM contacts c WHERE c.id = target.id FOR NO KEY UPDATE
) AS locked
"""
