"""Statements that count everything."""

# The numbers of contacts, identities, merges, splits, pairs that pins hold, pairs that are blocked, rulings
# that undo, and pins; the version of the rules, and whether everything is in line with them; by limit, how
# many pairs it holds; and the sizes of the :limit largest identities with several contacts.
# It reads whole tables.
CENSUS = """
SELECT
    (SELECT count(*) FROM contacts WHERE deleted_at IS NULL),
    (SELECT count(*) FROM contacts WHERE deleted_at IS NULL AND linked_id IS NULL),
    (SELECT count(*) FROM contact_events WHERE kind = 'merged'),
    (SELECT count(*) FROM contact_events WHERE kind = 'split'),
    (SELECT count(*) FROM contact_evidence WHERE standing = 'held' AND hold IS NULL),
    (SELECT count(*) FROM contact_evidence WHERE standing = 'blocked'),
    (SELECT count(*) FROM contact_rulings WHERE verdict = 'undone' AND withdrawn_at IS NULL),
    (SELECT count(*) FROM contact_rulings
     WHERE verdict IN ('same', 'different') AND withdrawn_at IS NULL),
    (SELECT coalesce(max(version), 0) FROM contact_rules),
    (SELECT coalesce((SELECT settled_id >= last_id FROM contact_rules ORDER BY version DESC LIMIT 1), true)),
    (SELECT coalesce(jsonb_object_agg(hold, number), '{}') FROM (
        SELECT hold, count(*) AS number FROM contact_evidence
        WHERE standing = 'held' AND hold IS NOT NULL GROUP BY hold
    ) AS held),
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
