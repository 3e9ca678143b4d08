"""Statements that read and write rules, and find what is not in line with them."""

from identity_adapters.postgres.statements.identities import EMAIL, PHONE_NUMBER

# The rules in force. Index: contact_rules_pkey.
RULES = """
    version, rules, released, settled_id, last_id, applied_at AT TIME ZONE 'UTC', applied_by, reason,
    retroactive
"""
RULES_IN_FORCE = f"SELECT {RULES} FROM contact_rules ORDER BY version DESC LIMIT 1"

PUT_RULES = """
INSERT INTO contact_rules
    (version, rules, released, retroactive, settled_id, last_id, applied_at, applied_by, reason)
SELECT
    %(version)s, CAST(%(rules)s AS jsonb),
    ARRAY(SELECT * FROM json_array_elements_text(%(released)s)), %(retroactive)s, %(settled_id)s, %(last_id)s,
    CAST(%(now)s AS timestamp), CAST(%(by)s AS text), %(reason)s
"""

# Records how far everything is in line with the rules, if they are those of the latest version.
SETTLE_RULES = """
UPDATE contact_rules SET settled_id = %(settled_id)s
WHERE version = %(version)s AND settled_id < %(settled_id)s
    AND version = (SELECT max(version) FROM contact_rules)
RETURNING version
"""


def is_blocked(email: str, phone_number: str) -> tuple[str, str]:
    """Two conditions: whether an expression is a blocked email, and whether one is a blocked phone number."""
    return (
        f"""coalesce({email} IN {_each("emails")}
            OR {email} LIKE ANY (ARRAY{_each("email_patterns")}), false)""",
        f"""coalesce({phone_number} IN {_each("numbers")}
            OR {phone_number} LIKE ANY (ARRAY{_each("number_patterns")})
            OR (%(one_digit)s AND {phone_number} ~ '^\\+?([^+])\\1*$'), false)""",
    )


def _each(parameter: str) -> str:
    """The elements of a parameter."""
    return f"(SELECT * FROM json_array_elements_text(%({parameter})s))"


_BLOCKED_EMAIL, _BLOCKED_NUMBER = is_blocked("pair.email", "pair.phone_number")
_BLOCKED_VALUE = is_blocked("pair.value", "pair.value")

# The two values of each link that may not be in line, of pairs also where :also holds.
_UNSETTLED = f"""
WITH pair AS (
    SELECT c.id, nullif({EMAIL}, '') AS email, nullif({PHONE_NUMBER}, '') AS phone_number,
        'counts' AS standing, NULL AS hold
    FROM contacts c
    WHERE c.id > %(start)s AND c.id <= %(end)s AND c.deleted_at IS NULL
        AND c.email IS NOT NULL AND c.phone_number IS NOT NULL
    UNION ALL
    SELECT id, email, phone_number, standing, hold FROM contact_evidence
    WHERE id > %(start)s AND id <= %(end)s
    UNION ALL
    SELECT c.id, nullif({EMAIL}, ''), nullif({PHONE_NUMBER}, ''), 'alone', NULL
    FROM contacts c
    WHERE c.id > %(start)s AND c.id <= %(end)s AND c.deleted_at IS NULL
        AND (c.email IS NULL OR c.phone_number IS NULL) AND (
            c.linked_id IS NOT NULL OR EXISTS (
                SELECT FROM contacts d WHERE d.linked_id = c.id AND d.deleted_at IS NULL OFFSET 0))
), judged AS (
    SELECT pair.*, {_BLOCKED_EMAIL} AS has_blocked_email, {_BLOCKED_NUMBER} AS has_blocked_number FROM pair
)
SELECT id, 'email' AS one_kind, email AS one, 'phone_number' AS other_kind, phone_number AS other
FROM judged
WHERE email IS NOT NULL AND phone_number IS NOT NULL AND (
    (has_blocked_email OR has_blocked_number) <> (standing = 'blocked')
    OR (NOT has_blocked_email AND NOT has_blocked_number AND hold IN (
        SELECT * FROM json_array_elements_text(%(released)s)))
    OR (standing = 'blocked' AND has_blocked_number AND NOT has_blocked_email AND NOT EXISTS (
        SELECT FROM contacts c WHERE {EMAIL} = judged.email AND c.deleted_at IS NULL OFFSET 0))
    OR (standing = 'blocked' AND has_blocked_email AND NOT has_blocked_number AND NOT EXISTS (
        SELECT FROM contacts c WHERE {PHONE_NUMBER} = judged.phone_number AND c.deleted_at IS NULL OFFSET 0))
    :also
)
UNION ALL
SELECT id, 'email', email, 'email', email FROM judged WHERE standing = 'alone' AND has_blocked_email
UNION ALL
SELECT id, 'phone_number', phone_number, 'phone_number', phone_number
FROM judged WHERE standing = 'alone' AND has_blocked_number
UNION ALL
SELECT id, one_kind, one, other_kind, other FROM contact_rulings
WHERE id > %(start)s AND id <= %(end)s AND withdrawn_at IS NULL
"""


_NUMBERS, _EMAILS, _VALUES = (f"CAST(%(most_{name})s AS bigint)" for name in ("numbers", "emails", "values"))


def _is_in_more(column: str, compared: str, partner: str, most: str) -> str:
    """Whether a value of the judged pair is in more pairs that count than a limit allows."""
    return f"""
        (SELECT count(*) FROM (
            (SELECT FROM contacts c
             WHERE {compared} = judged.{column} AND c.deleted_at IS NULL AND c.{partner} IS NOT NULL
             LIMIT coalesce({most}, 0) + 1)
            UNION ALL
            (SELECT FROM contact_evidence evidence
             WHERE evidence.{column} = judged.{column} AND evidence.standing = 'counts'
             LIMIT coalesce({most}, 0) + 1)
        ) AS of_value) > {most}"""


# Whether a pair without a blocked value is held by a limit, or counts and may exceed one: a value is in more
# pairs than :most_numbers or :most_emails, or the identity has more values than :most_values, some counted
# twice. At most one row more than that is read. Of an email that may be stored in two forms none is counted.
_LIMITED = f"""
    OR (NOT has_blocked_email AND NOT has_blocked_number AND CASE standing WHEN 'counts' THEN coalesce(
        email ~ '[^ -~]|xn--'
        OR {_is_in_more("email", EMAIL, "phone_number", _NUMBERS)}
        OR {_is_in_more("phone_number", PHONE_NUMBER, "email", _EMAILS)}
        OR (
            SELECT count(member.email) + count(member.phone_number)
            FROM (
                SELECT coalesce(c.linked_id, c.id) AS id FROM contacts c
                WHERE {EMAIL} = judged.email AND c.deleted_at IS NULL LIMIT 1
            ) AS hub
            CROSS JOIN LATERAL (
                (SELECT c.email, c.phone_number FROM contacts c
                 WHERE c.id = hub.id AND c.deleted_at IS NULL OFFSET 0)
                UNION ALL
                (SELECT c.email, c.phone_number FROM contacts c
                 WHERE c.linked_id = hub.id AND c.deleted_at IS NULL LIMIT coalesce({_VALUES}, 0) + 1)
            ) AS member
        ) > {_VALUES}, false)
    ELSE hold IS NOT NULL END)
"""


# The two values of each pair and each ruling with an id after :start up to :end that may not be in line with
# the rules. Indexes: contacts_pkey, contact_evidence_pkey, contact_rulings_pkey.
UNSETTLED = f"SELECT * FROM ({_UNSETTLED.replace(':also', '')}) AS link ORDER BY id"

# The same, and all pairs that limits hold, or that count and may exceed one of the limits. Indexes: also
# those of the matched contacts, idx_contacts_linked_id, idx_contact_evidence_counting_email,
# idx_contact_evidence_counting_phone_number.
UNSETTLED_RETROACTIVELY = f"SELECT * FROM ({_UNSETTLED.replace(':also', _LIMITED)}) AS link ORDER BY id"

# The primary of the identity of each of the :values, if there is one, and whether this has at least :large
# contacts. One contact of a value is looked at, since a value is in one identity.
# Indexes: those of the matched contacts, idx_contacts_linked_id.
HOMES = f"""
WITH home AS MATERIALIZED (
    SELECT input.*, CASE kind
        WHEN 'email' THEN (
            SELECT coalesce(c.linked_id, c.id) FROM contacts c
            WHERE {EMAIL} = value AND c.deleted_at IS NULL LIMIT 1)
        ELSE (
            SELECT coalesce(c.linked_id, c.id) FROM contacts c
            WHERE {PHONE_NUMBER} = value AND c.deleted_at IS NULL LIMIT 1)
    END AS primary_id
    FROM json_to_recordset(%(values)s) AS input (kind text, value text)
), large AS MATERIALIZED (
    SELECT primary_id
    FROM (SELECT DISTINCT primary_id FROM home) AS home
    WHERE %(large)s <= 1 + (
        SELECT count(*) FROM (
            SELECT FROM contacts c
            WHERE c.linked_id = home.primary_id AND c.deleted_at IS NULL LIMIT %(large)s
        ) AS linked
    )
)
SELECT kind, value, primary_id, primary_id IN (SELECT * FROM large)
FROM home WHERE primary_id IS NOT NULL
"""

# The largest id of anything that rules may concern. Indexes: the primary keys.
LAST_ID = """
SELECT greatest(
    (SELECT max(id) FROM contacts), (SELECT max(id) FROM contact_evidence),
    (SELECT max(id) FROM contact_rulings), 0
)
"""
COUNT_IDENTITIES = "SELECT count(*) FROM contacts WHERE deleted_at IS NULL AND linked_id IS NULL"

# The pairs that count, in contacts and as evidence.
_COUNTING = f"""
    SELECT c.id, {EMAIL} AS email, {PHONE_NUMBER} AS phone_number FROM contacts c
    WHERE c.deleted_at IS NULL AND {EMAIL} <> '' AND {PHONE_NUMBER} <> ''
    UNION ALL
    SELECT id, email, phone_number FROM contact_evidence WHERE standing = 'counts'
"""

# The contact or the evidence that an event is about; both have ids from one supply.
_ABOUT = "coalesce(event.evidence_id, event.contact_id)"


def _rank(pairs: str, least: int) -> str:
    """The kinds and values that occur most in some pairs, at least so often."""
    return f"""(
        SELECT * FROM (
            SELECT 'email' AS kind, email AS value, count(*) AS number FROM {pairs} AS pair
            GROUP BY email HAVING count(*) >= {least}
            UNION ALL
            SELECT 'phone_number', phone_number, count(*) FROM {pairs} AS pair
            GROUP BY phone_number HAVING count(*) >= {least}
        ) AS pair
        WHERE NOT CASE kind WHEN 'email' THEN {_BLOCKED_VALUE[0]} ELSE {_BLOCKED_VALUE[1]} END
        ORDER BY number DESC, kind, value COLLATE "C" LIMIT %(limit)s
    )"""


# The :limit values that are in most pairs that count, if they are in several, and the :limit values of which
# most such pairs made one identity of several, both without blocked ones. It reads whole tables.
MOST_SHARED = f"""
WITH counting AS NOT MATERIALIZED ({_COUNTING}), merging AS MATERIALIZED (
    SELECT DISTINCT counting.email, counting.phone_number
    FROM contact_events event JOIN counting ON counting.id = {_ABOUT}
    WHERE event.kind = 'merged'
)
SELECT kind, value
FROM (
    SELECT 1 AS ranking, * FROM {_rank("counting", 2)} AS by_pairs
    UNION ALL
    SELECT 2, * FROM {_rank("merging", 1)} AS by_merges
) AS shared
ORDER BY ranking, number DESC, kind, value COLLATE "C"
"""

# The values of the primaries of the :limit largest identities with several contacts. It reads a whole table.
LARGEST = f"""
SELECT nullif({EMAIL}, ''), nullif({PHONE_NUMBER}, '')
FROM (
    SELECT linked_id AS id, count(*) AS linked FROM contacts
    WHERE linked_id IS NOT NULL AND deleted_at IS NULL
    GROUP BY linked_id ORDER BY linked DESC, linked_id LIMIT %(limit)s
) AS identity JOIN contacts c ON c.id = identity.id
ORDER BY identity.linked DESC, c.id
"""

# Of each of the :values, by its number: with how many others it is in pairs that count, how many of these
# made one identity of several, and the primary and the number of contacts of its identity. It reads the
# table of events.
# Indexes: idx_contacts_compared_email_nfc, idx_contacts_compared_phone_number, idx_contacts_linked_id,
# idx_contact_evidence_counting_email, idx_contact_evidence_counting_phone_number.
WEIGH = f"""
WITH input AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(values)s) AS value (number int, email text, phone_number text)
), held AS MATERIALIZED (
    SELECT input.number, found.*
    FROM input CROSS JOIN LATERAL (
        (SELECT c.id, nullif({PHONE_NUMBER}, '') AS other, coalesce(c.linked_id, c.id) AS primary_id
         FROM contacts c WHERE {EMAIL} = input.email AND c.deleted_at IS NULL OFFSET 0)
        UNION ALL
        (SELECT c.id, nullif({EMAIL}, ''), coalesce(c.linked_id, c.id)
         FROM contacts c WHERE {PHONE_NUMBER} = input.phone_number AND c.deleted_at IS NULL OFFSET 0)
        UNION ALL
        (SELECT id, evidence.phone_number, NULL FROM contact_evidence evidence
         WHERE evidence.email = input.email AND standing = 'counts' OFFSET 0)
        UNION ALL
        (SELECT id, evidence.email, NULL FROM contact_evidence evidence
         WHERE evidence.phone_number = input.phone_number AND standing = 'counts' OFFSET 0)
    ) AS found
), merging AS (
    SELECT held.number, count(DISTINCT held.other) AS merges
    FROM contact_events event JOIN held ON held.id = {_ABOUT}
    WHERE event.kind = 'merged'
    GROUP BY held.number
), weighed AS (
    SELECT number, count(DISTINCT other) AS partners, min(primary_id) AS primary_id
    FROM held GROUP BY number HAVING min(primary_id) IS NOT NULL
)
SELECT weighed.number, weighed.partners, coalesce(merging.merges, 0), weighed.primary_id, (
    SELECT count(*) FROM (
        SELECT FROM contacts c WHERE c.id = weighed.primary_id AND c.deleted_at IS NULL
        UNION ALL
        SELECT FROM contacts c WHERE c.linked_id = weighed.primary_id AND c.deleted_at IS NULL
    ) AS contact
)
FROM weighed LEFT JOIN merging ON merging.number = weighed.number
"""

# The pairs after :after that limits hold, at most :limit. Index: idx_contact_evidence_waiting.
WAITING = """
SELECT evidence.id, evidence.email, evidence.phone_number, evidence.seen_at AT TIME ZONE 'UTC',
    evidence.standing, evidence.hold
FROM contact_evidence evidence
WHERE evidence.id > %(after)s AND evidence.standing = 'held' AND evidence.hold IS NOT NULL
ORDER BY evidence.id LIMIT %(limit)s
"""
