"""Statements that record when values were last seen, and that find who was not for long."""

from identity_adapters.postgres.statements.identities import CREATED_AT, EMAIL, PHONE_NUMBER

# Records from the :month on, unless it is recorded already.
BEGIN_RECORDING = """
INSERT INTO contact_last_seen_since (since)
SELECT CAST(%(month)s AS date) WHERE NOT EXISTS (SELECT FROM contact_last_seen_since)
ON CONFLICT DO NOTHING
"""
END_RECORDING = "DELETE FROM contact_last_seen_since"

# The month since which it is recorded. Two processes that begin at the turn of a month may each add theirs.
RECORDED_SINCE = "SELECT max(since) FROM contact_last_seen_since HAVING max(since) IS NOT NULL"

# Recording shares the lock of :lock, and an erasure has it alone from before it deletes what was recorded
# until its end. So it sees, and deletes, what was recorded before; and what is recorded after it sees that
# the contacts are gone. For that, the next statement of each begins when the lock is held.
SHARE_LAST_SEEN = "SELECT pg_advisory_xact_lock_shared(%(lock)s)"
LOCK_LAST_SEEN = "SELECT pg_advisory_xact_lock(%(lock)s)"

# Records the months of those values that were seen, of which no such month is recorded yet, and that a live
# contact has; of the others, and of contacts, nothing is locked or written. Rows come in the order of values,
# so that two who record do not wait for each other in a circle.
# Indexes: contact_last_seen_pkey, idx_contacts_compared_email_nfc, idx_contacts_compared_phone_number.
RECORD_SEEN = f"""
WITH new AS MATERIALIZED (
    SELECT input.kind, input.value, input.month
    FROM json_to_recordset(%(seen)s) AS input (kind text, value text, month date)
    WHERE input.month >= ({RECORDED_SINCE}) AND NOT EXISTS (
        SELECT FROM contact_last_seen seen
        WHERE seen.kind = input.kind AND seen.value = input.value AND seen.month >= input.month OFFSET 0
    )
), held AS MATERIALIZED (
    SELECT new.kind, new.value, new.month
    FROM new CROSS JOIN LATERAL (
        (SELECT FROM contacts c
         WHERE new.kind = 'email' AND {EMAIL} = new.value AND c.deleted_at IS NULL LIMIT 1)
        UNION ALL
        (SELECT FROM contacts c
         WHERE new.kind = 'phone_number' AND {PHONE_NUMBER} = new.value AND c.deleted_at IS NULL LIMIT 1)
    ) AS holder
)
INSERT INTO contact_last_seen AS seen (kind, value, month)
SELECT kind, value, month FROM held ORDER BY kind, value
ON CONFLICT (kind, value) DO UPDATE SET month = excluded.month WHERE seen.month < excluded.month
"""

# For tens of millions of contacts, this takes more than a minute.
ALLOW_MINUTES = "SET LOCAL statement_timeout = '10min'"

# The identities after :after with a live contact, at most :limit, of which nothing was seen in the month
# :before or later, each with the number of its contacts and the latest month in which it may have been seen.
# It reads whole tables.
UNSEEN = f"""
SELECT identity.* FROM (
    SELECT
        coalesce(c.linked_id, c.id) AS primary_id, count(*) AS contacts,
        max(greatest(
            since.month, CAST(date_trunc('month', {CREATED_AT}) AS date), by_email.month, by_number.month
        )) AS last_seen
    FROM contacts c
    CROSS JOIN ({RECORDED_SINCE}) AS since (month)
    LEFT JOIN contact_last_seen by_email ON by_email.kind = 'email' AND by_email.value = {EMAIL}
    LEFT JOIN contact_last_seen by_number
        ON by_number.kind = 'phone_number' AND by_number.value = {PHONE_NUMBER}
    GROUP BY 1
    HAVING bool_or(c.deleted_at IS NULL)
) AS identity
WHERE identity.last_seen < CAST(%(before)s AS date) AND identity.primary_id > %(after)s
ORDER BY identity.primary_id LIMIT %(limit)s
"""
