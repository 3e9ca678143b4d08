"""Statements that write contacts, evidence and events."""

# Inserts new contacts, evidence and events; evidence that is recorded gets another standing or hold.
INSERT = """
WITH created AS (
    INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at, updated_at)
    SELECT new.*, CAST(%(now)s AS timestamp)
    FROM json_to_recordset(%(created)s) AS new (
        id bigint, email text, phone_number text, linked_id bigint, link_precedence text,
        created_at timestamp
    )
), evidence AS (
    INSERT INTO contact_evidence (id, email, phone_number, seen_at, standing, hold)
    SELECT new.*
    FROM json_to_recordset(%(evidence)s) AS new (
        id bigint, email text, phone_number text, seen_at timestamp, standing text, hold text
    )
    ON CONFLICT (email, phone_number) DO UPDATE SET standing = excluded.standing, hold = excluded.hold
)
INSERT INTO contact_events
    (happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids, ruling_id, origin_id, moved_ids)
SELECT
    new.happened_at, new.kind, new.primary_id, new.contact_id, new.evidence_id, new.absorbed_ids,
    new.ruling_id, new.origin_id, coalesce(new.moved_ids, '{}')
FROM ROWS FROM (
    json_to_recordset(%(events)s) AS (
        happened_at timestamp, kind text, primary_id bigint, contact_id bigint, evidence_id bigint,
        absorbed_ids bigint[], ruling_id bigint, origin_id bigint, moved_ids bigint[]
    )
) WITH ORDINALITY AS new
ORDER BY new.ordinality
"""

# The same for very many rows, which are faster without JSON.
COPY_CONTACTS = """
COPY contacts (id, email, phone_number, linked_id, link_precedence, created_at, updated_at) FROM STDIN
"""
COPY_EVENTS = """
COPY contact_events
    (happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids, ruling_id, origin_id, moved_ids)
FROM STDIN
"""

# Changes recorded rows. It joins, so its plan must fit the current sizes of the tables.
# Indexes: contacts_pkey, and the unique one of the evidence.
UPDATE = """
WITH altered AS (
    UPDATE contacts c
    SET linked_id = new.linked_id, link_precedence = new.link_precedence, created_at = new.created_at,
        updated_at = CAST(%(now)s AS timestamp)
    FROM json_to_recordset(%(altered)s) AS new (
        id bigint, linked_id bigint, link_precedence text, created_at timestamp
    )
    WHERE c.id = new.id
), deleted AS (
    UPDATE contacts c
    SET linked_id = extra.linked_id, link_precedence = extra.link_precedence,
        deleted_at = CAST(%(now)s AS timestamp), updated_at = CAST(%(now)s AS timestamp)
    FROM json_to_recordset(%(deleted)s) AS extra (id bigint, linked_id bigint, link_precedence text)
    WHERE c.id = extra.id
)
DELETE FROM contact_evidence evidence
USING json_to_recordset(%(superseded)s) AS held (email text, phone_number text)
WHERE evidence.email = held.email AND evidence.phone_number = held.phone_number
"""
