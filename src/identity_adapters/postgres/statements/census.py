"""Statements that count everything."""

# The numbers of contacts, identities, merges, splits, held pairs, rulings that undo, and pins; and the
# sizes of the :limit largest identities with several contacts.
# It reads whole tables.
CENSUS = """
SELECT
    (SELECT count(*) FROM contacts WHERE deleted_at IS NULL),
    (SELECT count(*) FROM contacts WHERE deleted_at IS NULL AND linked_id IS NULL),
    (SELECT count(*) FROM contact_events WHERE kind = 'merged'),
    (SELECT count(*) FROM contact_events WHERE kind = 'split'),
    (SELECT count(*) FROM contact_evidence WHERE standing = 'held'),
    (SELECT count(*) FROM contact_rulings WHERE verdict = 'undone' AND withdrawn_at IS NULL),
    (SELECT count(*) FROM contact_rulings
     WHERE verdict IN ('same', 'different') AND withdrawn_at IS NULL),
    (SELECT coalesce(array_agg(size), '{}') FROM (
        SELECT 1 + count(*) AS size FROM contacts
        WHERE linked_id IS NOT NULL AND deleted_at IS NULL
        GROUP BY linked_id ORDER BY size DESC LIMIT %(limit)s
    ) AS identity)
"""
READ_TABLES = """
SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL work_mem = '8MB';
SET LOCAL statement_timeout = '60s'
"""
