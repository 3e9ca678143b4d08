"""Statements that read rulings and what they are about, and that write them."""

from identity_adapters.postgres.statements.identities import EMAIL, PHONE_NUMBER

RULING = """
    ruling.id, ruling.verdict, ruling.one_kind, ruling.one, ruling.other_kind, ruling.other,
    ruling.decided_at AT TIME ZONE 'UTC', ruling.decided_by, ruling.reason, ruling.split_id
"""

# The rulings in force after :after, at most :limit. Index: contact_rulings_pkey.
RULINGS = f"""
SELECT {RULING} FROM contact_rulings ruling
WHERE ruling.id > %(after)s AND ruling.withdrawn_at IS NULL
ORDER BY ruling.id LIMIT %(limit)s
"""

# The rulings in force about any of the :values.
# Indexes: idx_contact_rulings_one, idx_contact_rulings_other.
RULINGS_ABOUT = f"""
SELECT DISTINCT ON (ruling.id) {RULING}
FROM json_array_elements_text(%(values)s) AS input (value)
CROSS JOIN LATERAL (
    (SELECT * FROM contact_rulings ruling WHERE ruling.one = input.value OFFSET 0)
    UNION ALL
    (SELECT * FROM contact_rulings ruling WHERE ruling.other = input.value OFFSET 0)
) AS ruling
WHERE ruling.withdrawn_at IS NULL
ORDER BY ruling.id
"""

# The pins in force that keep one of the :values apart from another. Index: idx_contact_rulings_one.
PINS_APART = """
SELECT pin.one_kind, pin.one, pin.other_kind, pin.other
FROM json_array_elements_text(%(values)s) AS input (value)
CROSS JOIN LATERAL (
    SELECT * FROM contact_rulings ruling
    WHERE ruling.one = input.value AND ruling.verdict = 'different' AND ruling.withdrawn_at IS NULL OFFSET 0
) AS pin
"""

# The evidence with one of the :emails or :numbers that counts, at most :most of each, or that rulings keep
# from counting; some of that which rules keep from counting, at most :limit of each; and all with one of
# the :asked_emails and one of the :asked_numbers.
# Indexes: the unique one of the evidence, idx_contact_evidence_counting_email,
# idx_contact_evidence_counting_phone_number, idx_contact_evidence_ruled_email,
# idx_contact_evidence_ruled_phone_number, idx_contact_evidence_ignored.
#
# Where emails are looked up, coalesce keeps the index idx_contact_evidence_ignored from being read whole.
EVIDENCE_ABOUT = """
SELECT DISTINCT ON (found.id)
    found.id, found.email, found.phone_number, found.seen_at AT TIME ZONE 'UTC', found.standing, found.hold
FROM (
    SELECT by_email.*
    FROM json_array_elements_text(%(emails)s) AS input (email)
    CROSS JOIN LATERAL (
        (SELECT * FROM contact_evidence evidence
         WHERE evidence.email = input.email AND evidence.standing = 'counts'
         LIMIT CAST(%(most)s AS bigint))
        UNION ALL
        (SELECT * FROM contact_evidence evidence
         WHERE evidence.email = input.email
            AND evidence.standing IN ('undone', 'held') AND evidence.hold IS NULL OFFSET 0)
        UNION ALL
        (SELECT * FROM contact_evidence evidence
         WHERE evidence.email = input.email AND coalesce(evidence.standing, 'counts') <> 'counts'
            AND (evidence.hold IS NOT NULL OR evidence.standing = 'blocked')
         LIMIT %(limit)s)
    ) AS by_email
    UNION ALL
    SELECT by_number.*
    FROM json_array_elements_text(%(numbers)s) AS input (number)
    CROSS JOIN LATERAL (
        (SELECT * FROM contact_evidence evidence
         WHERE evidence.phone_number = input.number AND evidence.standing = 'counts'
         LIMIT CAST(%(most)s AS bigint))
        UNION ALL
        (SELECT * FROM contact_evidence evidence
         WHERE evidence.phone_number = input.number
            AND evidence.standing IN ('undone', 'held') AND evidence.hold IS NULL OFFSET 0)
        UNION ALL
        (SELECT * FROM contact_evidence evidence
         WHERE evidence.phone_number = input.number AND evidence.standing <> 'counts'
            AND (evidence.hold IS NOT NULL OR evidence.standing = 'blocked')
         LIMIT %(limit)s)
    ) AS by_number
    UNION ALL
    SELECT asked.*
    FROM json_array_elements_text(%(asked_emails)s) AS one (email)
    CROSS JOIN json_array_elements_text(%(asked_numbers)s) AS other (number)
    CROSS JOIN LATERAL (
        SELECT * FROM contact_evidence evidence
        WHERE evidence.email = one.email AND evidence.phone_number = other.number OFFSET 0
    ) AS asked
) AS found
ORDER BY found.id
"""

# The pair of the evidence or the contact :id. Indexes: contact_evidence_pkey, contacts_pkey.
PAIR = f"""
SELECT evidence.email, evidence.phone_number FROM contact_evidence evidence WHERE evidence.id = %(id)s
UNION ALL
SELECT nullif({EMAIL}, ''), nullif({PHONE_NUMBER}, '') FROM contacts c WHERE c.id = %(id)s
"""

# Takes values from contacts or gives them back, adds rulings and withdraws others. The values that contacts
# keep stay as they are stored. Indexes: contacts_pkey, contact_rulings_pkey.
RULE = """
WITH rewritten AS (
    UPDATE contacts c
    SET email = CASE WHEN new.email IS NULL OR c.email IS NULL THEN new.email ELSE c.email END,
        phone_number = CASE
            WHEN new.phone_number IS NULL OR c.phone_number IS NULL THEN new.phone_number
            ELSE c.phone_number
        END,
        linked_id = new.linked_id, link_precedence = new.link_precedence,
        updated_at = CAST(%(now)s AS timestamp)
    FROM json_to_recordset(%(rewritten)s) AS new (
        id bigint, email text, phone_number text, linked_id bigint, link_precedence text
    )
    WHERE c.id = new.id
), added AS (
    INSERT INTO contact_rulings
        (id, verdict, one_kind, one, other_kind, other, decided_at, decided_by, reason, split_id)
    SELECT new.*
    FROM json_to_recordset(%(rulings)s) AS new (
        id bigint, verdict text, one_kind text, one text, other_kind text, other text,
        decided_at timestamp, decided_by text, reason text, split_id bigint
    )
)
UPDATE contact_rulings ruling
SET withdrawn_at = ended.withdrawn_at, withdrawn_by = ended.withdrawn_by, withdrawal_reason = ended.reason
FROM json_to_recordset(%(withdrawals)s) AS ended (
    ruling_id bigint, withdrawn_at timestamp, withdrawn_by text, reason text
)
WHERE ruling.id = ended.ruling_id
"""
