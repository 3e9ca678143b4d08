"""Statements that read evidence and events."""

from identity_adapters.postgres.statements.identities import EMAIL, PHONE_NUMBER

# Everything that the transaction reads comes from one transaction snapshot.
ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"

# The evidence with one of the :emails or of the :ids.
# Indexes: the unique one of the evidence, contact_evidence_pkey.
EVIDENCE = """
SELECT DISTINCT ON (found.id)
    found.id, found.email, found.phone_number, found.seen_at AT TIME ZONE 'UTC', found.standing, found.hold
FROM (
    SELECT by_email.*
    FROM json_array_elements_text(%(emails)s) AS input (email)
    CROSS JOIN LATERAL (
        SELECT * FROM contact_evidence evidence WHERE evidence.email = input.email OFFSET 0
    ) AS by_email
    UNION ALL
    SELECT by_id.*
    FROM json_array_elements_text(%(ids)s) AS input (id)
    CROSS JOIN LATERAL (
        SELECT * FROM contact_evidence evidence WHERE evidence.id = CAST(input.id AS bigint) OFFSET 0
    ) AS by_id
) AS found
ORDER BY found.id
"""

_EVENT = """
    event.id, event.happened_at AT TIME ZONE 'UTC', event.kind, event.primary_id, event.contact_id,
    event.evidence_id, event.absorbed_ids, event.ruling_id, event.origin_id, event.moved_ids
"""

# The events after :after whose primary is one of :ids, or of contacts that left one of :ids; at most :limit.
# Indexes: idx_contact_events_primary_id, idx_contact_events_origin_id.
EVENTS = f"""
SELECT DISTINCT ON (event.id) {_EVENT}
FROM json_array_elements_text(%(ids)s) AS input (id)
CROSS JOIN LATERAL (
    (SELECT * FROM contact_events event WHERE event.primary_id = CAST(input.id AS bigint) OFFSET 0)
    UNION ALL
    (SELECT * FROM contact_events event WHERE event.origin_id = CAST(input.id AS bigint) OFFSET 0)
) AS event
WHERE event.id > %(after)s
ORDER BY event.id
LIMIT CAST(%(limit)s AS bigint)
"""

# The event :id. Index: contact_events_pkey.
EVENT = f"SELECT {_EVENT} FROM contact_events event WHERE event.id = %(id)s"

# The latest :limit merges before the event :before, each with the pair that caused it, newest first. The pair
# is that of the evidence, which a contact may have lost. It is planned on each execution, because a plan of a
# small table would read all events and sort them.
# Indexes: idx_contact_events_merged, contact_evidence_pkey, contacts_pkey.
MERGES = f"""
SELECT {_EVENT},
    coalesce(evidence.email, contact.email), coalesce(evidence.phone_number, contact.phone_number)
FROM (
    SELECT event.*, coalesce(event.evidence_id, event.contact_id) AS cause_id
    FROM contact_events event
    WHERE event.id < coalesce(CAST(%(before)s AS bigint), {2**63 - 1}) AND event.kind = 'merged'
    ORDER BY event.id DESC LIMIT %(limit)s
) AS event
LEFT JOIN LATERAL (
    SELECT evidence.email, evidence.phone_number
    FROM contact_evidence evidence WHERE evidence.id = event.cause_id OFFSET 0
) AS evidence ON true
LEFT JOIN LATERAL (
    SELECT nullif({EMAIL}, '') AS email, nullif({PHONE_NUMBER}, '') AS phone_number
    FROM contacts c WHERE c.id = event.cause_id OFFSET 0
) AS contact ON true
ORDER BY event.id DESC
"""

# The server, whether it is a replica, the current transaction snapshot, which tells what transactions have
# ended, and the last of those that have an event. Index: idx_contact_events_transaction_id.
_MOMENT = """
    (SELECT system_identifier FROM pg_control_system()), pg_is_in_recovery(),
    CAST(pg_current_snapshot() AS text),
    (SELECT CAST(event.transaction_id AS text) FROM contact_events event
     WHERE event.transaction_id IS NOT NULL ORDER BY event.transaction_id DESC LIMIT 1)
"""
MOMENT = f"SELECT {_MOMENT}"

# The first event that happened at :at or later, and the moment at which it is. It reads the whole table.
SEEK = f"""
SELECT
    (SELECT min(event.id) FROM contact_events event WHERE event.happened_at >= CAST(%(at)s AS timestamp)),
    {_MOMENT}
"""

# The events after :after of transactions that had ended by :until, at most :limit.
# Index: contact_events_pkey.
CHANGES = f"""
SELECT {_EVENT}
FROM contact_events event
WHERE event.id > %(after)s
    AND (event.transaction_id IS NULL
        OR pg_visible_in_snapshot(event.transaction_id, CAST(%(until)s AS pg_snapshot)))
ORDER BY event.id
LIMIT %(limit)s
"""

# The same, without the events of transactions that had ended by :since, from the first of them on.
# Index: idx_contact_events_transaction_id.
CHANGES_SINCE = f"""
SELECT {_EVENT}
FROM (
    SELECT * FROM contact_events event
    WHERE event.transaction_id >= pg_snapshot_xmin(CAST(%(since)s AS pg_snapshot)) OFFSET 0
) AS event
WHERE event.id > %(after)s
    AND NOT pg_visible_in_snapshot(event.transaction_id, CAST(%(since)s AS pg_snapshot))
    AND pg_visible_in_snapshot(event.transaction_id, CAST(%(until)s AS pg_snapshot))
ORDER BY event.id
LIMIT %(limit)s
"""

# The same, among the ids after :after up to :last_id. Most often the next events are there, and are found
# without reading everything since :since again for each answer.
# Index: contact_events_pkey.
NEAR_CHANGES_SINCE = f"""
SELECT {_EVENT}
FROM contact_events event
WHERE event.id > %(after)s AND event.id <= %(last_id)s
    AND NOT pg_visible_in_snapshot(event.transaction_id, CAST(%(since)s AS pg_snapshot))
    AND pg_visible_in_snapshot(event.transaction_id, CAST(%(until)s AS pg_snapshot))
ORDER BY event.id
LIMIT %(limit)s
"""
