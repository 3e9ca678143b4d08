"""Statements that read contacts."""

# Other programs may have stored values as they were typed. These two expressions normalize them for
# comparison, with an index on each (see migrations); they do not change values stored by this service.
# They use the collation "C", so that they mean the same in every database. It lower-cases ASCII only,
# so accents are decomposed before and composed after. This needs UTF8; in the other encodings that
# `migrate` accepts a character is one byte, and there is nothing to compose.
EMAIL = """CASE WHEN octet_length(c.email) = length(c.email) THEN lower(btrim(c.email) COLLATE "C")
    ELSE normalize(lower(normalize(btrim(c.email), NFD) COLLATE "C"), NFC) END"""
PHONE_NUMBER = """translate(c.phone_number COLLATE "C", ' -./()[]', '')"""

# The same phone number. Most need no translation, which takes three times as long as finding this out.
_READ_PHONE_NUMBER = f"""CASE WHEN c.phone_number COLLATE "C" ~ '[] ./()[-]' THEN {PHONE_NUMBER}
    ELSE c.phone_number END"""

# Other programs may have stored a date that Python cannot represent, such as infinity.
CREATED_AT = "least(greatest(c.created_at, '0001-01-01'), '9999-12-31 23:59:59.999999')"
DELETED_AT = CREATED_AT.replace("created_at", "deleted_at")

# A blocked value of details matches no contact; it is there to find their pair.
INPUT = """
input AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(details)s) AS details (
        email text, phone_number text, blocked_email text, blocked_phone_number text
    )
)
"""


def _match(bound: str) -> str:
    return f"""
    SELECT found.id, found.linked_id
    FROM (SELECT DISTINCT email FROM input) AS input
    CROSS JOIN LATERAL (
        SELECT c.id, c.linked_id FROM contacts c
        WHERE {EMAIL} = input.email AND c.deleted_at IS NULL {bound}
    ) AS found
    UNION ALL
    SELECT found.id, found.linked_id
    FROM (SELECT DISTINCT phone_number FROM input) AS input
    CROSS JOIN LATERAL (
        SELECT c.id, c.linked_id FROM contacts c
        WHERE {PHONE_NUMBER} = input.phone_number AND c.deleted_at IS NULL {bound}
    ) AS found
"""


# The live contacts that have an email or a phone number of the input; some occur twice.
# Indexes: idx_contacts_compared_email_nfc, idx_contacts_compared_phone_number.
MATCHED = _match("OFFSET 0")

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
CONTACT = f"""
    c.id, nullif({EMAIL}, '') AS email, nullif({_READ_PHONE_NUMBER}, '') AS phone_number, c.linked_id,
    c.link_precedence, {CREATED_AT} AT TIME ZONE 'UTC' AS created_at, c.deleted_at IS NOT NULL AS is_deleted
"""
_OF_HUB = """
    SELECT * FROM (SELECT * FROM contacts c WHERE c.id = hub.id OFFSET 0) AS c WHERE c.linked_id IS NULL
    UNION ALL
    (SELECT * FROM contacts c WHERE c.linked_id = hub.id OFFSET 0)
"""
_MEMBERS = f"SELECT {CONTACT} FROM hub CROSS JOIN LATERAL ({_OF_HUB}) AS c"

# The pairs of the input that are on record, and a row without values if there are rules after :version.
_PAIRS_AND_RULES = """
SELECT NULL, found.email, found.phone_number, NULL, found.standing, NULL, NULL
FROM input CROSS JOIN LATERAL (
    SELECT evidence.email, evidence.phone_number, evidence.standing FROM contact_evidence evidence
    WHERE evidence.email = coalesce(input.email, input.blocked_email)
        AND evidence.phone_number = coalesce(input.phone_number, input.blocked_phone_number) OFFSET 0
) AS found
UNION ALL
SELECT NULL, NULL, NULL, NULL, 'rules', NULL, NULL
WHERE EXISTS (SELECT FROM contact_rules WHERE version > %(version)s)
"""
_FOUND = f"{_HUB} {_MEMBERS} UNION ALL {_PAIRS_AND_RULES}"
_LOAD = f"WITH RECURSIVE {INPUT}, matched AS ({MATCHED}), {_FOUND}"
_LIMIT = "LIMIT CAST(%(limit)s AS bigint)"

# The contacts of every identity that the :details match, the pairs of the details that are recorded
# as evidence, each with its standing: rows without an id, and a row without values if there are rules after
# :version. At most :limit rows; NULL for all.
# Indexes: all of the above, the unique one of the evidence, and contact_rules_pkey.
LOAD = f"{_LOAD}{_LIMIT}"

# How many contacts are linked to hubs, without the hub that has most.
_OTHERS = """
SELECT coalesce(sum(linked.number) - max(linked.number), 0)
FROM hub CROSS JOIN LATERAL (SELECT count(*) AS number FROM contacts c WHERE c.linked_id = hub.id) AS linked
"""

# The same as LOAD, with one row for the live contacts of each hub: lists of their emails, phone numbers and
# ids, oldest first, their number, and the time of the oldest. Or, in place of these rows, one without values
# if some hub is linked itself, so that several belong to one identity, or if :limit contacts are linked to
# hubs besides that which has most. Indexes: as above.
LOAD_COLUMNS = f"""
WITH RECURSIVE {INPUT}, matched AS ({MATCHED}), {_HUB}, obstacle AS MATERIALIZED (
    SELECT 'linked' AS mark
    FROM hub CROSS JOIN LATERAL (SELECT c.linked_id FROM contacts c WHERE c.id = hub.id OFFSET 0) AS c
    WHERE c.linked_id IS NOT NULL
    UNION
    SELECT 'too many' WHERE ({_OTHERS}) >= CAST(%(limit)s AS bigint)
)
SELECT
    hub.id, member.emails, member.phone_numbers, member.number, NULL AS mark, member.created_at, member.ids
FROM hub CROSS JOIN LATERAL (
    SELECT
        CAST(json_agg(member.email ORDER BY member.created_at, member.id) AS text) AS emails,
        CAST(json_agg(member.phone_number ORDER BY member.created_at, member.id) AS text) AS phone_numbers,
        CAST(json_agg(member.id ORDER BY member.created_at, member.id) AS text) AS ids,
        count(*) AS number,
        min(member.created_at) AS created_at
    FROM (SELECT {CONTACT} FROM ({_OF_HUB}) AS c) AS member
    WHERE NOT member.is_deleted
) AS member
WHERE member.number > 0 AND NOT EXISTS (SELECT FROM obstacle)
UNION ALL
SELECT NULL, NULL, NULL, NULL, mark, NULL, NULL FROM obstacle
UNION ALL
{_PAIRS_AND_RULES}
"""

# The same as LOAD, and the contacts that have none but blocked values, of the :emails and the :numbers.
_BLOCKED = f"""
    SELECT found.id, found.linked_id
    FROM json_array_elements_text(%(emails)s) AS one (email)
    CROSS JOIN LATERAL (
        SELECT c.id, c.linked_id FROM contacts c
        WHERE {EMAIL} = one.email AND c.deleted_at IS NULL AND (
            c.phone_number IS NULL
            OR {PHONE_NUMBER} IN (SELECT * FROM json_array_elements_text(%(numbers)s))
        ) OFFSET 0
    ) AS found
    UNION ALL
    SELECT found.id, found.linked_id
    FROM json_array_elements_text(%(numbers)s) AS other (number)
    CROSS JOIN LATERAL (
        SELECT c.id, c.linked_id FROM contacts c
        WHERE {PHONE_NUMBER} = other.number AND c.deleted_at IS NULL AND c.email IS NULL OFFSET 0
    ) AS found
"""
LOAD_WITH_BLOCKED = f"WITH RECURSIVE {INPUT}, matched AS ({MATCHED} UNION ALL {_BLOCKED}), {_FOUND}"

# Whether any pin keeps values apart. Index: idx_contact_rulings_verdict.
_PINS_EXIST = "EXISTS (SELECT FROM contact_rulings WHERE verdict = 'different' AND withdrawn_at IS NULL)"
HAS_PINS = f"SELECT {_PINS_EXIST}"

# What LOAD returns, and a row without values if there are pins.
_LOAD_TO_DECIDE = f"""{_LOAD}
UNION ALL
SELECT NULL, NULL, NULL, NULL, 'pins', NULL, NULL WHERE {_PINS_EXIST}
"""
LOAD_TO_DECIDE = f"{_LOAD_TO_DECIDE}{_LIMIT}"

# The same, in how many pieces of evidence that count each value of the :details is, at most :paired and only
# if in any, and which of their pairs pins keep together. Some rows occur twice.
# Indexes: idx_contact_evidence_counting_email, idx_contact_evidence_counting_phone_number,
# idx_contact_rulings_one.
LOAD_WITH_LIMITS = f"""{_LOAD_TO_DECIDE}
UNION ALL
SELECT NULL, limited.email, limited.phone_number, limited.number, limited.mark, NULL, NULL
FROM input CROSS JOIN LATERAL (
    SELECT input.email, NULL AS phone_number, count(*) AS number, 'paired' AS mark
    FROM (
        SELECT FROM contact_evidence evidence
        WHERE evidence.email = input.email AND evidence.standing = 'counts' LIMIT %(paired)s
    ) AS pair
    UNION ALL
    SELECT NULL, input.phone_number, count(*), 'paired'
    FROM (
        SELECT FROM contact_evidence evidence
        WHERE evidence.phone_number = input.phone_number AND evidence.standing = 'counts' LIMIT %(paired)s
    ) AS pair
    UNION ALL
    (SELECT input.email, input.phone_number, 1, 'accepted'
    FROM contact_rulings ruling
    WHERE ruling.one = input.email AND ruling.other = input.phone_number
        AND ruling.one_kind = 'email' AND ruling.other_kind = 'phone_number'
        AND ruling.verdict = 'same' AND ruling.withdrawn_at IS NULL OFFSET 0)
) AS limited
WHERE limited.number > 0
{_LIMIT}
"""

# The contact :primary_id, the contacts with one of the values of the :details, and those that links join to
# them without that contact; at most :most of each value, and as many linked to each contact. And a row
# without values if there are rules after :version.
# Indexes: those of the matched contacts, contacts_pkey, idx_contacts_linked_id, contact_rules_pkey.
PARTS = f"""
WITH RECURSIVE {INPUT}, linked (id) AS (
    SELECT matched.id FROM ({_match("LIMIT %(most)s")}) AS matched
    UNION
    SELECT near.id
    FROM linked CROSS JOIN LATERAL (
        (SELECT c.linked_id AS id FROM contacts c WHERE c.id = linked.id AND c.linked_id IS NOT NULL OFFSET 0)
        UNION ALL
        (SELECT c.id FROM contacts c WHERE c.linked_id = linked.id LIMIT %(most)s)
    ) AS near
    WHERE linked.id <> %(primary_id)s
)
SELECT {CONTACT}
FROM (SELECT id FROM linked UNION SELECT %(primary_id)s) AS part
CROSS JOIN LATERAL (SELECT * FROM contacts c WHERE c.id = part.id OFFSET 0) AS c
UNION ALL
SELECT NULL, NULL, NULL, NULL, 'rules', NULL, NULL
WHERE EXISTS (SELECT FROM contact_rules WHERE version > %(version)s)
"""

# The live contacts with the :ids. Index: contacts_pkey.
CONTACTS_WITH_IDS = f"""
SELECT {CONTACT}
FROM json_array_elements_text(%(ids)s) AS input (id)
CROSS JOIN LATERAL (
    SELECT * FROM contacts c WHERE c.id = CAST(input.id AS bigint) AND c.deleted_at IS NULL OFFSET 0
) AS c
"""

# The number of contacts in the identities that the :details match, without the largest identity.
# Indexes: as above.
COUNT_OTHERS = f"""
WITH RECURSIVE {INPUT}, matched AS ({MATCHED}), {_HUB}
{_OTHERS}
"""

# The contacts of the identity of the contact :id, which may be deleted.
_CONTACT_WITH_ID = "SELECT c.id, c.linked_id FROM contacts c WHERE c.id = %(id)s"
FIND = f"""
WITH RECURSIVE matched AS ({_CONTACT_WITH_ID}), {_HUB}
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
HUBS = f"WITH RECURSIVE {INPUT}, matched AS ({MATCHED}), {_HUBS}"
HUBS_OF_CONTACT = f"WITH RECURSIVE matched AS ({_CONTACT_WITH_ID}), {_HUBS}"

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

# The contacts, deleted ones included, of all identities that the contact :id was in one identity with, or
# that splits parted from one another, in any number of steps; of contacts that were erased, the id alone.
# Indexes: contacts_pkey, idx_contacts_linked_id, idx_contact_events_primary_id, idx_contact_events_origin_id.
LINEAGE = f"""
WITH RECURSIVE related (id) AS (
    SELECT c.id FROM contacts c WHERE c.id = %(id)s
    UNION
    SELECT near.id
    FROM related CROSS JOIN LATERAL (
        (SELECT c.linked_id AS id FROM contacts c
         WHERE c.id = related.id AND c.linked_id IS NOT NULL OFFSET 0)
        UNION ALL
        (SELECT c.id FROM contacts c WHERE c.linked_id = related.id OFFSET 0)
        UNION ALL
        (SELECT event.origin_id
         FROM (SELECT * FROM contact_events event WHERE event.primary_id = related.id OFFSET 0) AS event
         WHERE event.origin_id IS NOT NULL)
        UNION ALL
        (SELECT event.primary_id FROM contact_events event WHERE event.origin_id = related.id OFFSET 0)
        UNION ALL
        (SELECT erased.id
         FROM (SELECT * FROM contact_events event WHERE event.primary_id = related.id OFFSET 0) AS event
         CROSS JOIN LATERAL unnest(event.moved_ids) AS erased (id)
         WHERE event.kind = 'erased')
    ) AS near
)
SELECT {CONTACT}, {DELETED_AT} AT TIME ZONE 'UTC', related.id
FROM related LEFT JOIN LATERAL (SELECT * FROM contacts c WHERE c.id = related.id OFFSET 0) AS c ON true
"""
