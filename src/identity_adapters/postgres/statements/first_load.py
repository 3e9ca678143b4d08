"""Statements of a first load: tables, and the indexes and constraints that are made afterwards."""

TABLES = ("contacts", "contact_evidence", "contact_events")
"""What a first load fills."""

# Locks these tables against everybody, in this order.
LOCK_TABLES = f"LOCK TABLE {', '.join(TABLES)} IN ACCESS EXCLUSIVE MODE"

# Whether one of these tables has a row, there are rulings, or values are kept out.
HAS_ROWS = f"""
SELECT {" OR ".join(f"EXISTS (SELECT FROM {table})" for table in (*TABLES, "contact_rulings"))} OR EXISTS (
    SELECT FROM contact_suppressions WHERE expires_at > timezone('UTC', clock_timestamp())
)
"""

# Whether these tables belong to this user, and may be emptied: no other table refers to them.
IS_OWN = f"""
WITH loaded AS (
    SELECT oid, relowner FROM pg_class WHERE oid IN ({", ".join(f"'{table}'::regclass" for table in TABLES)})
)
SELECT
    (SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM loaded),
    NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE contype = 'f'
            AND confrelid IN (SELECT oid FROM loaded) AND conrelid NOT IN (SELECT oid FROM loaded)
    )
"""

EMPTY_TABLES = f"TRUNCATE {', '.join(TABLES)}"

# Without statistics the first minutes of a service would have plans that take half as long again.
ANALYZE = f"ANALYZE {', '.join(TABLES)}"

# What can be dropped and made again as it was, with the statements that do so: foreign keys first,
# unique constraints that no foreign key needs, and indexes of no constraint.
DROPPABLE = f"""
WITH loaded AS (
    SELECT CAST(name AS regclass) AS id, CAST(CAST(name AS regclass) AS text) AS name
    FROM unnest(ARRAY[{", ".join(f"'{table}'" for table in TABLES)}]) AS name
), plain_index AS (
    SELECT indexed.*
    FROM pg_index indexed JOIN pg_class relation ON relation.oid = indexed.indexrelid
    WHERE indexed.indisvalid AND NOT indexed.indisclustered AND NOT indexed.indisreplident
        AND NOT indexed.indisprimary AND relation.reltablespace = 0
        AND NOT EXISTS (SELECT FROM pg_description WHERE objoid = relation.oid)
)
SELECT
    format('ALTER TABLE %s DROP CONSTRAINT %I', loaded.name, c.conname),
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', loaded.name, c.conname, pg_get_constraintdef(c.oid)),
    c.contype = 'f'
FROM pg_constraint c JOIN loaded ON loaded.id = c.conrelid
WHERE c.contype = 'f' AND c.convalidated
    OR c.contype = 'u' AND c.conindid IN (SELECT indexrelid FROM plain_index)
        AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = c.conindid)
UNION ALL
SELECT
    format('DROP INDEX %s', CAST(i.indexrelid AS regclass)), pg_get_indexdef(i.indexrelid), false
FROM plain_index i JOIN loaded ON loaded.id = i.indrelid
WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
ORDER BY 3 DESC
"""

# The type of each column of :table.
COLUMN_TYPES = """
SELECT attname, CAST(atttypid AS regtype)::text FROM pg_attribute
WHERE attrelid = CAST(%(table)s AS regclass) AND attnum > 0 AND NOT attisdropped
"""

# The time, and the first of :count new ids of contacts and of events, all of which are taken.
NOW_AND_FIRST_IDS = """
WITH next AS MATERIALIZED (
    SELECT sequence, nextval(sequence) AS id
    FROM unnest(ARRAY['contacts', 'contact_events']) WITH ORDINALITY AS numbered (name, position)
    CROSS JOIN LATERAL CAST(pg_get_serial_sequence(name, 'id') AS regclass) AS sequence
    ORDER BY position
), last AS MATERIALIZED (
    SELECT id, setval(sequence, id + %(count)s - 1) FROM next
)
SELECT clock_timestamp(), array_agg(id) FROM last
"""

# Has recording when values were last seen begin anew, if it is recorded: nobody knows when those of a history
# were seen, but that it was not after the load.
RESTART_RECORDING = """
UPDATE contact_last_seen_since SET since = CAST(date_trunc('month', clock_timestamp()) AS date)
WHERE since = (SELECT max(since) FROM contact_last_seen_since)
    AND since < CAST(date_trunc('month', clock_timestamp()) AS date)
"""

# What may take as long as it does; only the locks do not.
SET_UP = """
SELECT
    set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
    set_config('lock_timeout', %(lock_timeout)s, true), set_config('timezone', 'UTC', true)
"""
