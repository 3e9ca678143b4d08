"""Every SQL statement of the repository.

Lists come as arrays, so that a statement is the same for one of the details and for a
thousand, and PostgreSQL can keep its plan. It keeps the plan that it makes when the tables
are new and empty, too, for as long as they were not analysed. So each row is looked up by a
subquery of its own, which OFFSET 0 keeps apart: then nothing but the index serves it, whereas
of a join the planner may think that reading all of a small table is as good.
"""

from sqlalchemy import text

# Others may have stored an email as it was typed. These two are what is compared, with an
# index on each (see migrations); for values stored by this service they change nothing. They
# are of collation "C", so that they mean the same in every database.
EMAIL = """lower(btrim(c.email) COLLATE "C")"""
PHONE_NUMBER = """translate(c.phone_number COLLATE "C", ' -./()[]', '')"""

# Others may have stored a date that Python has none for, such as infinity.
CREATED_AT = "least(greatest(c.created_at, '0001-01-01'), '9999-12-31 23:59:59.999999')"

_CONTACT = f"""
    c.id, c.linked_id, c.link_precedence, nullif({EMAIL}, '') AS email,
    nullif({PHONE_NUMBER}, '') AS phone_number, {CREATED_AT} AS created_at, c.deleted_at
"""

# The live contacts that have one of :emails or :phone_numbers.
# Indexes: idx_contacts_compared_email, idx_contacts_compared_phone_number.
_TOUCHED = f"""
    SELECT found.*
    FROM unnest(CAST(:emails AS text[])) AS given (email)
    CROSS JOIN LATERAL (
        SELECT {_CONTACT} FROM contacts c
        WHERE {EMAIL} = given.email AND c.deleted_at IS NULL OFFSET 0
    ) AS found
    UNION
    SELECT found.*
    FROM unnest(CAST(:phone_numbers AS text[])) AS given (phone_number)
    CROSS JOIN LATERAL (
        SELECT {_CONTACT} FROM contacts c
        WHERE {PHONE_NUMBER} = given.phone_number AND c.deleted_at IS NULL OFFSET 0
    ) AS found
"""

# The contacts of every identity touched, and those of :pair_emails with :pair_phone_numbers
# that are on record as evidence: rows without an id. An identity is followed along its links
# both ways, through deleted contacts as well, which therefore come too.
# Indexes: as above, contacts_pkey, idx_contacts_linked_id, and the unique one of the evidence.
LOAD = text(f"""
WITH RECURSIVE member AS (
    {_TOUCHED}
    UNION
    SELECT near.*
    FROM member CROSS JOIN LATERAL (
        (SELECT {_CONTACT} FROM contacts c WHERE c.linked_id = member.id OFFSET 0)
        UNION ALL
        (SELECT {_CONTACT} FROM contacts c WHERE c.id = member.linked_id OFFSET 0)
    ) AS near
)
SELECT id, email, phone_number, linked_id, link_precedence, created_at, deleted_at IS NOT NULL
FROM member
UNION ALL
SELECT NULL, found.email, found.phone_number, NULL, NULL, NULL, NULL
FROM unnest(CAST(:pair_emails AS text[]), CAST(:pair_phone_numbers AS text[])) AS given (email, phone_number)
CROSS JOIN LATERAL (
    SELECT evidence.email, evidence.phone_number FROM contact_evidence evidence
    WHERE evidence.email = given.email AND evidence.phone_number = given.phone_number OFFSET 0
) AS found
""")

# Takes an advisory lock for each of :keys, in their order, and shares the one over everything.
LOCK_IDENTIFIERS = text("""
SELECT pg_advisory_xact_lock_shared(:everything)
UNION ALL
SELECT pg_advisory_xact_lock(given.key) FROM unnest(CAST(:keys AS bigint[])) AS given (key)
""")

# Takes the one over everything, which waits for all others and keeps them waiting.
LOCK_EVERYTHING = text("SELECT pg_advisory_xact_lock(:everything)")

# Locks the primaries of the identities touched, and those of :others, in the order of their
# ids. Then, with all of them held: their ids, the time in UTC, and :count new ids.
# The aggregate is evaluated, and with it the other columns, when the last lock is held.
# Indexes: as in the first, and contacts_pkey.
LOCK_PRIMARIES = text(f"""
WITH supply AS MATERIALIZED (
    SELECT CAST(pg_get_serial_sequence('contacts', 'id') AS regclass) AS ids
)
SELECT
    coalesce(array_agg(locked.id), '{{}}'),
    clock_timestamp() AT TIME ZONE 'UTC',
    (SELECT array_agg(nextval(supply.ids)) FROM supply, generate_series(1, CAST(:count AS integer)))
FROM (
    SELECT coalesce(touched.linked_id, touched.id) AS id FROM ({_TOUCHED}) AS touched
    UNION
    SELECT unnest(CAST(:others AS bigint[]))
    ORDER BY id
) AS wanted
CROSS JOIN LATERAL (
    SELECT c.id FROM contacts c WHERE c.id = wanted.id FOR NO KEY UPDATE
) AS locked
""")

# Nothing; fails if the tables are not there.
CHECK = text("SELECT FROM contacts, contact_evidence, contact_events LIMIT 0")

INSERT_CONTACTS = text("""
INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at, updated_at)
SELECT new.*, CAST(:now AS timestamp)
FROM unnest(
    CAST(:ids AS bigint[]), CAST(:emails AS text[]), CAST(:phone_numbers AS text[]),
    CAST(:linked_ids AS bigint[]), CAST(:link_precedences AS text[]), CAST(:created_at AS timestamp[])
) AS new
""")

# Index: contacts_pkey.
UPDATE_CONTACTS = text("""
UPDATE contacts c
SET linked_id = new.linked_id, link_precedence = new.link_precedence, created_at = new.created_at,
    updated_at = CAST(:now AS timestamp)
FROM unnest(
    CAST(:ids AS bigint[]), CAST(:linked_ids AS bigint[]), CAST(:link_precedences AS text[]),
    CAST(:created_at AS timestamp[])
) AS new (id, linked_id, link_precedence, created_at)
WHERE c.id = new.id
""")

# Index: contacts_pkey.
DELETE_CONTACTS = text("""
UPDATE contacts c SET deleted_at = CAST(:now AS timestamp), updated_at = CAST(:now AS timestamp)
FROM unnest(CAST(:ids AS bigint[])) AS extra (id)
WHERE c.id = extra.id
""")

INSERT_EVIDENCE = text("""
INSERT INTO contact_evidence (id, email, phone_number, seen_at)
SELECT * FROM unnest(
    CAST(:ids AS bigint[]), CAST(:emails AS text[]), CAST(:phone_numbers AS text[]),
    CAST(:seen_at AS timestamp[])
)
""")

# Index: the unique one of the evidence.
DELETE_EVIDENCE = text("""
DELETE FROM contact_evidence evidence
USING unnest(CAST(:emails AS text[]), CAST(:phone_numbers AS text[])) AS held (email, phone_number)
WHERE evidence.email = held.email AND evidence.phone_number = held.phone_number
""")

# An array of arrays has to be rectangular, so :absorbed_ids are one array literal an event.
INSERT_EVENTS = text("""
INSERT INTO contact_events (happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids)
SELECT happened_at, kind, primary_id, contact_id, evidence_id, CAST(absorbed_ids AS bigint[])
FROM unnest(
    CAST(:happened_at AS timestamp[]), CAST(:kinds AS text[]), CAST(:primary_ids AS bigint[]),
    CAST(:contact_ids AS bigint[]), CAST(:evidence_ids AS bigint[]), CAST(:absorbed_ids AS text[])
) WITH ORDINALITY AS new (happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids, position)
ORDER BY position
""")
