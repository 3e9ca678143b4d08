"""Statements that read everything on record of somebody, that erase it, and that keep who did."""

from identity_adapters.postgres.statements.identities import CONTACT, DELETED_AT, EMAIL, PHONE_NUMBER
from identity_adapters.postgres.statements.rules import RULES
from identity_adapters.postgres.statements.rulings import RULING

# All evidence with one of the :emails or the :numbers.
# Indexes: the unique one of the evidence, idx_contact_evidence_counting_phone_number,
# idx_contact_evidence_ignored.
_EVIDENCE_NAMING = """
    SELECT by_email.*
    FROM json_array_elements_text(%(emails)s) AS input (email)
    CROSS JOIN LATERAL (
        SELECT * FROM contact_evidence evidence WHERE evidence.email = input.email OFFSET 0
    ) AS by_email
    UNION ALL
    SELECT by_number.*
    FROM json_array_elements_text(%(numbers)s) AS input (number)
    CROSS JOIN LATERAL (
        (SELECT * FROM contact_evidence evidence
         WHERE evidence.phone_number = input.number AND evidence.standing = 'counts' OFFSET 0)
        UNION ALL
        (SELECT * FROM contact_evidence evidence
         WHERE evidence.phone_number = input.number AND evidence.standing <> 'counts' OFFSET 0)
    ) AS by_number
"""
EVIDENCE_NAMING = f"""
SELECT DISTINCT ON (found.id)
    found.id, found.email, found.phone_number, found.seen_at AT TIME ZONE 'UTC', found.standing, found.hold
FROM ({_EVIDENCE_NAMING}) AS found
ORDER BY found.id
"""

# The deleted contacts with one of the :ids, the :emails or the :numbers.
# Indexes: contacts_pkey, idx_contacts_compared_email_nfc, idx_contacts_compared_phone_number.
DELETED_NAMING = f"""
SELECT DISTINCT ON (c.id) {CONTACT}, {DELETED_AT} AT TIME ZONE 'UTC'
FROM (
    SELECT by_id.*
    FROM json_array_elements_text(%(ids)s) AS input (id)
    CROSS JOIN LATERAL (
        SELECT * FROM contacts c WHERE c.id = CAST(input.id AS bigint) AND c.deleted_at IS NOT NULL OFFSET 0
    ) AS by_id
    UNION ALL
    SELECT by_email.*
    FROM json_array_elements_text(%(emails)s) AS input (email)
    CROSS JOIN LATERAL (
        SELECT * FROM contacts c WHERE {EMAIL} = input.email AND c.deleted_at IS NOT NULL OFFSET 0
    ) AS by_email
    UNION ALL
    SELECT by_number.*
    FROM json_array_elements_text(%(numbers)s) AS input (number)
    CROSS JOIN LATERAL (
        SELECT * FROM contacts c WHERE {PHONE_NUMBER} = input.number AND c.deleted_at IS NOT NULL OFFSET 0
    ) AS by_number
) AS c
ORDER BY c.id
"""

# The rulings about one of the :values, in force or not.
# Indexes: idx_contact_rulings_one, idx_contact_rulings_other.
_RULINGS_NAMING = """
    SELECT found.*
    FROM json_to_recordset(%(values)s) AS input (kind text, value text)
    CROSS JOIN LATERAL (
        (SELECT * FROM contact_rulings ruling
         WHERE ruling.one = input.value AND ruling.one_kind = input.kind OFFSET 0)
        UNION ALL
        (SELECT * FROM contact_rulings ruling
         WHERE ruling.other = input.value AND ruling.other_kind = input.kind OFFSET 0)
    ) AS found
"""
WITHDRAWN_NAMING = f"""
SELECT DISTINCT ON (ruling.id)
    {RULING}, ruling.withdrawn_at AT TIME ZONE 'UTC', ruling.withdrawn_by, ruling.withdrawal_reason
FROM ({_RULINGS_NAMING}) AS ruling
WHERE ruling.withdrawn_at IS NOT NULL
ORDER BY ruling.id
"""

# All rules that ever were in force.
ALL_RULES = f"SELECT {RULES} FROM contact_rules ORDER BY version"

# The months in which the :values were last seen. Index: contact_last_seen_pkey.
LAST_SEEN = """
SELECT seen.kind, seen.value, seen.month
FROM json_to_recordset(%(values)s) AS input (kind text, value text)
CROSS JOIN LATERAL (
    SELECT * FROM contact_last_seen seen
    WHERE seen.kind = input.kind AND seen.value = input.value OFFSET 0
) AS seen
"""

# What is deleted is found first, once, and then deleted by an array: so it is found by the index, whatever
# the planner thinks of the sizes of the tables.

# Deletes the contacts with the :ids. Index: contacts_pkey.
ERASE_CONTACTS = """
DELETE FROM contacts
WHERE id = ANY (ARRAY(SELECT CAST(input.id AS bigint) FROM json_array_elements_text(%(ids)s) AS input (id)))
"""

# Deletes all evidence and rulings that name one of the :values, which are also the :emails and the :numbers,
# or have one of the ids, and when the values were last seen; and records that. What was seen last is deleted
# by a statement of its own, which begins after nobody can add to it any more.
# Indexes: those of what is deleted, by value and by id.
ERASE = f"""
WITH evidence AS (
    DELETE FROM contact_evidence
    WHERE id = ANY (ARRAY(
        SELECT id FROM ({_EVIDENCE_NAMING}) AS named
        UNION
        SELECT CAST(input.id AS bigint) FROM json_array_elements_text(%(evidence_ids)s) AS input (id)
    ))
    RETURNING id
), ruling AS (
    DELETE FROM contact_rulings
    WHERE id = ANY (ARRAY(
        SELECT id FROM ({_RULINGS_NAMING}) AS named
        UNION
        SELECT CAST(input.id AS bigint) FROM json_array_elements_text(%(ruling_ids)s) AS input (id)
    ))
    RETURNING id
), seen AS (
    DELETE FROM contact_last_seen
    WHERE ctid = ANY (ARRAY(
        SELECT seen.ctid
        FROM json_to_recordset(%(values)s) AS input (kind text, value text)
        CROSS JOIN LATERAL (
            SELECT seen.ctid FROM contact_last_seen seen
            WHERE seen.kind = input.kind AND seen.value = input.value OFFSET 0
        ) AS seen
    ))
)
INSERT INTO contact_audit
    (id, happened_at, action, done_by, contact_ids, evidence_ids, ruling_ids, blocks, suppressed_until)
SELECT
    %(id)s, CAST(%(now)s AS timestamp), 'erased', CAST(%(by)s AS text),
    ARRAY(SELECT CAST(input.id AS bigint) FROM json_array_elements_text(%(ids)s) AS input (id)),
    ARRAY(SELECT id FROM evidence ORDER BY id), ARRAY(SELECT id FROM ruling ORDER BY id),
    CAST(%(blocks)s AS jsonb), CAST(%(suppressed_until)s AS timestamp)
"""

# Keeps the values with the :hashes out until :expires_at, or for longer if they already are. They are locked
# in the order of the hashes. Index: contact_suppressions_pkey.
SUPPRESS = """
INSERT INTO contact_suppressions AS suppression (hash, expires_at)
SELECT decode(hash, 'hex'), CAST(%(expires_at)s AS timestamp)
FROM json_array_elements_text(%(hashes)s) AS hash ORDER BY 1
ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at
WHERE suppression.expires_at < excluded.expires_at
"""

# Lets values back in whose time is over, without waiting for whoever keeps them out anew.
PURGE_SUPPRESSIONS = """
DELETE FROM contact_suppressions WHERE hash IN (
    SELECT hash FROM contact_suppressions
    WHERE expires_at <= timezone('UTC', clock_timestamp()) FOR UPDATE SKIP LOCKED
)
"""

# Those of the :hashes that are kept out. Index: contact_suppressions_pkey.
SUPPRESSED = """
SELECT input.hash
FROM json_array_elements_text(%(hashes)s) AS input (hash)
CROSS JOIN LATERAL (
    SELECT FROM contact_suppressions suppression
    WHERE suppression.hash = decode(input.hash, 'hex')
        AND suppression.expires_at > timezone('UTC', clock_timestamp()) OFFSET 0
) AS suppression
"""

# Puts the rules in force as they were, but for what they block, which is :rules from now on.
REPLACE_RULES = """
INSERT INTO contact_rules
    (version, rules, released, retroactive, settled_id, last_id, applied_at, applied_by, reason)
SELECT
    version + 1, CAST(%(rules)s AS jsonb), released, retroactive, settled_id, last_id,
    CAST(%(now)s AS timestamp), CAST(%(by)s AS text), %(reason)s
FROM contact_rules ORDER BY version DESC LIMIT 1
"""

# The texts that people wrote about rulings and that may name somebody.
RULING_TEXTS = """
SELECT id, decided_by, reason, withdrawn_by, withdrawal_reason FROM contact_rulings
WHERE concat_ws(' ', decided_by, reason, withdrawn_by, withdrawal_reason) ~ '[@[:digit:]]'
"""

# Writes the texts of rulings, and of rules, as they are without somebody. Indexes: the primary keys.
REWRITE_RULINGS = """
UPDATE contact_rulings ruling
SET decided_by = new.decided_by, reason = new.reason,
    withdrawn_by = new.withdrawn_by, withdrawal_reason = new.withdrawal_reason
FROM json_to_recordset(%(rows)s) AS new (
    id bigint, decided_by text, reason text, withdrawn_by text, withdrawal_reason text
)
WHERE ruling.id = new.id
"""
REWRITE_RULES = """
UPDATE contact_rules rules
SET rules = new.rules, applied_by = new.applied_by, reason = new.reason
FROM json_to_recordset(%(rows)s) AS new (version bigint, rules jsonb, applied_by text, reason text)
WHERE rules.version = new.version
"""

# Whether the contact :id was erased. Index: idx_contact_audit_erased.
WAS_ERASED = """
SELECT EXISTS (
    SELECT FROM contact_audit WHERE action = 'erased' AND contact_ids @> ARRAY[CAST(%(id)s AS bigint)]
)
"""

# The erasures after :after, at most :limit. Index: contact_audit_pkey.
LEDGER = """
SELECT id, happened_at AT TIME ZONE 'UTC', done_by, contact_ids, evidence_ids, ruling_ids, blocks,
    suppressed_until AT TIME ZONE 'UTC'
FROM contact_audit WHERE action = 'erased' AND id > %(after)s ORDER BY id LIMIT %(limit)s
"""

_NEXT_ID = "nextval(CAST(pg_get_serial_sequence('contacts', 'id') AS regclass))"

# Records that somebody got everything on record of the contacts with the :ids.
RECORD_ACCESS = f"""
INSERT INTO contact_audit (id, happened_at, action, done_by, contact_ids)
SELECT
    {_NEXT_ID}, timezone('UTC', clock_timestamp()), 'accessed', CAST(%(by)s AS text),
    ARRAY(SELECT CAST(input.id AS bigint) FROM json_array_elements_text(%(ids)s) AS input (id))
"""

# Records an erasure that is on record elsewhere, unless it is here as well.
ADOPT_ERASURE = f"""
WITH entry AS (
    SELECT
        CAST(%(erased_at)s AS timestamp) AS happened_at, CAST(%(by)s AS text) AS done_by,
        ARRAY(SELECT CAST(input.id AS bigint) FROM json_array_elements_text(%(ids)s) AS input (id))
            AS contact_ids,
        ARRAY(SELECT CAST(input.id AS bigint) FROM json_array_elements_text(%(evidence_ids)s) AS input (id))
            AS evidence_ids,
        ARRAY(SELECT CAST(input.id AS bigint) FROM json_array_elements_text(%(ruling_ids)s) AS input (id))
            AS ruling_ids,
        CAST(%(blocks)s AS jsonb) AS blocks, CAST(%(suppressed_until)s AS timestamp) AS suppressed_until
), missing AS MATERIALIZED (
    SELECT * FROM entry
    WHERE NOT EXISTS (
        SELECT FROM contact_audit audit
        WHERE audit.action = 'erased' AND audit.happened_at = entry.happened_at
            AND audit.contact_ids = entry.contact_ids
    )
)
INSERT INTO contact_audit
    (id, happened_at, action, done_by, contact_ids, evidence_ids, ruling_ids, blocks, suppressed_until)
SELECT
    CASE WHEN EXISTS (SELECT FROM contact_audit WHERE id = %(id)s) THEN {_NEXT_ID} ELSE %(id)s END,
    happened_at, 'erased', done_by, contact_ids, evidence_ids, ruling_ids, blocks, suppressed_until
FROM missing
"""

# Lets no new id be one up to :last_id.
SKIP_IDS = f"""
SELECT setval(CAST(pg_get_serial_sequence('contacts', 'id') AS regclass), %(last_id)s)
WHERE {_NEXT_ID} <= %(last_id)s
"""

# What is left of an erasure: the table, the id, and whether it was written after :erased_at, but not by
# another erasure, which settles what it leaves. What came after
# that only has an id that was free again. Rules are left until the erasure is on record.
# Indexes: the primary keys.
LEFT = """
SELECT found.*
FROM json_array_elements_text(%(ids)s) AS input (id)
CROSS JOIN LATERAL (
    SELECT 'contacts', c.id,
        c.updated_at > CAST(%(erased_at)s AS timestamp) AND NOT EXISTS (
            SELECT FROM contact_audit audit
            WHERE audit.action = 'erased' AND audit.happened_at = c.updated_at
        )
    FROM contacts c
    WHERE c.id = CAST(input.id AS bigint) AND c.created_at <= CAST(%(erased_at)s AS timestamp) OFFSET 0
) AS found
UNION ALL
SELECT found.*
FROM json_array_elements_text(%(evidence_ids)s) AS input (id)
CROSS JOIN LATERAL (
    SELECT 'contact_evidence', evidence.id, false FROM contact_evidence evidence
    WHERE evidence.id = CAST(input.id AS bigint) AND evidence.seen_at <= CAST(%(erased_at)s AS timestamp)
    OFFSET 0
) AS found
UNION ALL
SELECT found.*
FROM json_array_elements_text(%(ruling_ids)s) AS input (id)
CROSS JOIN LATERAL (
    SELECT 'contact_rulings', ruling.id, false FROM contact_rulings ruling
    WHERE ruling.id = CAST(input.id AS bigint) AND ruling.decided_at <= CAST(%(erased_at)s AS timestamp)
    OFFSET 0
) AS found
UNION ALL
SELECT 'contact_rules', rules.version, false
FROM (
    SELECT DISTINCT version FROM jsonb_to_recordset(CAST(%(blocks)s AS jsonb)) AS mark (version bigint)
) AS mark JOIN contact_rules rules ON rules.version = mark.version
WHERE NOT EXISTS (
        SELECT FROM contact_audit audit
        WHERE audit.action = 'erased' AND audit.happened_at = CAST(%(erased_at)s AS timestamp)
            AND audit.id >= %(id)s
    )
ORDER BY 1, 2
"""
