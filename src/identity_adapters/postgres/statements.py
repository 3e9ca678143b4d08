"""Every SQL statement of the ports, in the syntax of psycopg.

Lists are JSON: an array of values, or of objects that become rows. So a statement is the same for one
and for a thousand details, and PostgreSQL can keep its plan. PostgreSQL also keeps a plan that it made
while the tables were new and empty, until they are analysed. So each row is looked up by a subquery of
its own, which OFFSET 0 keeps from being inlined: then only the index can serve it. In a join, the
planner may prefer to read a whole small table.
"""

# Other programs may have stored values as they were typed. These two expressions normalize them for
# comparison, with an index on each (see migrations); they do not change values stored by this service.
# They use the collation "C", so that they mean the same in every database. It lower-cases ASCII only,
# so accents are decomposed before and composed after. This needs UTF8; in the other encodings that
# `migrate` accepts a character is one byte, and there is nothing to compose.
EMAIL = """CASE WHEN octet_length(c.email) = length(c.email) THEN lower(btrim(c.email) COLLATE "C")
    ELSE normalize(lower(normalize(btrim(c.email), NFD) COLLATE "C"), NFC) END"""
PHONE_NUMBER = """translate(c.phone_number COLLATE "C", ' -./()[]', '')"""

# Other programs may have stored a date that Python cannot represent, such as infinity.
CREATED_AT = "least(greatest(c.created_at, '0001-01-01'), '9999-12-31 23:59:59.999999')"

_INPUT = """
input AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(details)s) AS details (email text, phone_number text)
)
"""


# The live contacts that have an email or a phone number of the input; some occur twice.
# Indexes: idx_contacts_compared_email_nfc, idx_contacts_compared_phone_number.
_MATCHED = f"""
    SELECT found.id, found.linked_id
    FROM (SELECT DISTINCT email FROM input) AS input
    CROSS JOIN LATERAL (
        SELECT c.id, c.linked_id FROM contacts c
        WHERE {EMAIL} = input.email AND c.deleted_at IS NULL OFFSET 0
    ) AS found
    UNION ALL
    SELECT found.id, found.linked_id
    FROM (SELECT DISTINCT phone_number FROM input) AS input
    CROSS JOIN LATERAL (
        SELECT c.id, c.linked_id FROM contacts c
        WHERE {PHONE_NUMBER} = input.phone_number AND c.deleted_at IS NULL OFFSET 0
    ) AS found
"""

# An identity is traversed along its links in both directions, through deleted contacts as well, which
# are therefore included. A hub is a contact that others are linked to; in a consistent identity only the
# primary is one. So every contact of the identity is linked to a hub, or is a hub without a link.
# Indexes: contacts_pkey, idx_contacts_linked_id.
_HUB = """
hub (id) AS (
    SELECT coalesce(linked_id, id) FROM matched
    UNION
    SELECT near.id
    FROM hub CROSS JOIN LATERAL (
        (SELECT c.linked_id AS id FROM contacts c WHERE c.id = hub.id OFFSET 0)
        UNION ALL
        (SELECT c.id FROM contacts c
         WHERE c.linked_id = hub.id AND EXISTS (SELECT FROM contacts d WHERE d.linked_id = c.id OFFSET 0)
         OFFSET 0)
    ) AS near
)
"""
_MEMBERS = f"""
SELECT
    c.id, nullif({EMAIL}, '') AS email, nullif({PHONE_NUMBER}, '') AS phone_number, c.linked_id,
    c.link_precedence, {CREATED_AT} AT TIME ZONE 'UTC' AS created_at, c.deleted_at IS NOT NULL AS is_deleted
FROM hub CROSS JOIN LATERAL (
    SELECT * FROM (SELECT * FROM contacts c WHERE c.id = hub.id OFFSET 0) AS c WHERE c.linked_id IS NULL
    UNION ALL
    (SELECT * FROM contacts c WHERE c.linked_id = hub.id OFFSET 0)
) AS c
"""

# The contacts of every identity that the :details match, and the pairs of the details that are recorded
# as evidence: rows without an id. At most :limit rows; NULL for all.
# Indexes: all of the above, and the unique one of the evidence.
LOAD = f"""
WITH RECURSIVE {_INPUT}, matched AS ({_MATCHED}), {_HUB}
{_MEMBERS}
UNION ALL
SELECT NULL, found.email, found.phone_number, NULL, NULL, NULL, NULL
FROM input CROSS JOIN LATERAL (
    SELECT evidence.email, evidence.phone_number FROM contact_evidence evidence
    WHERE evidence.email = input.email AND evidence.phone_number = input.phone_number OFFSET 0
) AS found
LIMIT CAST(%(limit)s AS bigint)
"""

# The number of contacts in the identities that the :details match, without the largest identity.
# Indexes: as above.
COUNT_OTHERS = f"""
WITH RECURSIVE {_INPUT}, matched AS ({_MATCHED}), {_HUB}
SELECT coalesce(sum(linked.number) - max(linked.number), 0)
FROM hub CROSS JOIN LATERAL (SELECT count(*) AS number FROM contacts c WHERE c.linked_id = hub.id) AS linked
"""

# The contacts of the identity of the contact :id, which may be deleted.
_CONTACT = "SELECT c.id, c.linked_id FROM contacts c WHERE c.id = %(id)s"
FIND = f"""
WITH RECURSIVE matched AS ({_CONTACT}), {_HUB}
{_MEMBERS}
"""

# The hubs of the identities that the :details match, or of the identity of the contact :id, each with the
# contact that it is linked to itself. Indexes: as above.
_HUBS = f"""
{_HUB}
SELECT hub.id, c.linked_id
FROM hub LEFT JOIN LATERAL (SELECT c.linked_id FROM contacts c WHERE c.id = hub.id OFFSET 0) AS c ON true
WHERE hub.id IS NOT NULL
"""
HUBS = f"WITH RECURSIVE {_INPUT}, matched AS ({_MATCHED}), {_HUBS}"
HUBS_OF_CONTACT = f"WITH RECURSIVE matched AS ({_CONTACT}), {_HUBS}"

# For each of the :identities, which are lists of hubs, oldest first: the primary, the totals, and a row
# for each of at most :limit contacts after (:created_at, :id), oldest first, or one row without a contact.
# Identities without live contacts are omitted.
# Indexes: contacts_pkey, idx_contacts_linked_id.
PAGES = f"""
SELECT page.*
FROM json_array_elements(%(identities)s) AS identity (hubs)
CROSS JOIN LATERAL (
    WITH hub AS MATERIALIZED (
        SELECT CAST(id AS bigint) AS id FROM json_array_elements_text(identity.hubs) AS id
    ), member AS MATERIALIZED (
        SELECT * FROM ({_MEMBERS}) AS member WHERE NOT is_deleted
    )
    SELECT
        first.created_at AS since, first.id AS primary_id, total.*,
        c.id, c.email, c.phone_number, c.linked_id, c.link_precedence, c.created_at
    FROM (SELECT id, created_at FROM member ORDER BY created_at, id LIMIT 1) AS first
    CROSS JOIN (
        SELECT count(*) AS contacts, count(DISTINCT email) AS emails, count(DISTINCT phone_number) AS numbers
        FROM member
    ) AS total
    LEFT JOIN (
        SELECT * FROM member
        WHERE (created_at, id) > (CAST(%(created_at)s AS timestamptz), CAST(%(id)s AS bigint))
        ORDER BY created_at, id LIMIT %(limit)s
    ) AS c ON true
) AS page
ORDER BY since, primary_id, created_at, id
"""

# Everything that the transaction reads comes from one transaction snapshot.
ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"

# The evidence with one of the :emails. Index: the unique one of the evidence.
EVIDENCE = """
SELECT found.id, found.email, found.phone_number, found.seen_at AT TIME ZONE 'UTC'
FROM json_array_elements_text(%(emails)s) AS input (email)
CROSS JOIN LATERAL (
    SELECT * FROM contact_evidence evidence WHERE evidence.email = input.email OFFSET 0
) AS found
ORDER BY found.id
"""

_EVENT = """
    event.id, event.happened_at AT TIME ZONE 'UTC', event.kind, event.primary_id, event.contact_id,
    event.evidence_id, event.absorbed_ids
"""

# The events after :after whose primary is one of :ids, at most :limit.
# Index: idx_contact_events_primary_id.
EVENTS = f"""
SELECT {_EVENT}
FROM json_array_elements_text(%(ids)s) AS input (id)
CROSS JOIN LATERAL (
    SELECT * FROM contact_events event WHERE event.primary_id = CAST(input.id AS bigint) OFFSET 0
) AS event
WHERE event.id > %(after)s
ORDER BY event.id
LIMIT CAST(%(limit)s AS bigint)
"""

# The current transaction snapshot: which transactions have ended.
CURRENT_SNAPSHOT = "SELECT CAST(pg_current_snapshot() AS text)"

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

# The same, without the events of transactions that had ended by :since.
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

# Takes an advisory lock for each of :keys, in their order, and shares that of :global_lock.
LOCK_IDENTIFIERS = """
SELECT pg_advisory_xact_lock_shared(%(global_lock)s)
UNION ALL
SELECT pg_advisory_xact_lock(CAST(key AS bigint)) FROM json_array_elements_text(%(keys)s) AS key
"""

# Takes the lock of :global_lock exclusively, which waits for all others and blocks them.
LOCK_GLOBALLY = "SELECT pg_advisory_xact_lock(%(global_lock)s)"

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
WITH {_INPUT}, {_SEQUENCE}
SELECT coalesce(array_agg(locked.id), '{{}}'), {_TIME_AND_IDS}
FROM (
    SELECT coalesce(matched.linked_id, matched.id) AS id
    FROM ({_MATCHED}) AS matched
    UNION
    SELECT CAST(other AS bigint) FROM json_array_elements_text(%(others)s) AS other
    ORDER BY id
) AS target
CROSS JOIN LATERAL (
    SELECT c.id FROM contacts c WHERE c.id = target.id FOR NO KEY UPDATE
) AS locked
"""

# Returns nothing; fails if the tables do not exist.
CHECK = "SELECT FROM contacts, contact_evidence, contact_events LIMIT 0"

# Inserts new contacts, evidence and events.
INSERT = """
WITH created AS (
    INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at, updated_at)
    SELECT new.*, CAST(%(now)s AS timestamp)
    FROM json_to_recordset(%(created)s) AS new (
        id bigint, email text, phone_number text, linked_id bigint, link_precedence text,
        created_at timestamp
    )
), evidence AS (
    INSERT INTO contact_evidence (id, email, phone_number, seen_at)
    SELECT new.*
    FROM json_to_recordset(%(evidence)s) AS new (
        id bigint, email text, phone_number text, seen_at timestamp
    )
)
INSERT INTO contact_events (happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids)
SELECT new.happened_at, new.kind, new.primary_id, new.contact_id, new.evidence_id, new.absorbed_ids
FROM ROWS FROM (
    json_to_recordset(%(events)s) AS (
        happened_at timestamp, kind text, primary_id bigint, contact_id bigint, evidence_id bigint,
        absorbed_ids bigint[]
    )
) WITH ORDINALITY AS new
ORDER BY new.ordinality
"""

# The same for very many rows, which are faster without JSON.
COPY_CONTACTS = """
COPY contacts (id, email, phone_number, linked_id, link_precedence, created_at, updated_at) FROM STDIN
"""
COPY_EVENTS = """
COPY contact_events (happened_at, kind, primary_id, contact_id, evidence_id, absorbed_ids) FROM STDIN
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

# The numbers of contacts, identities and merges, and the sizes of the :limit largest identities with
# several contacts.
# It reads whole tables.
CENSUS = """
SELECT
    (SELECT count(*) FROM contacts WHERE deleted_at IS NULL),
    (SELECT count(*) FROM contacts WHERE deleted_at IS NULL AND linked_id IS NULL),
    (SELECT count(*) FROM contact_events WHERE kind = 'merged'),
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

REPLANNED = frozenset([UPDATE, CENSUS])
"""The statements that are planned on each execution."""
