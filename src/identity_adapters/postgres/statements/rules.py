"""Statements that read and write rules, and find what is not in line with them."""

from identity_adapters.postgres.statements.identities import EMAIL, PHONE_NUMBER

# The rules in force. Index: contact_rules_pkey.
RULES_IN_FORCE = """
SELECT version, rules, released, settled_id, last_id, applied_at AT TIME ZONE 'UTC', applied_by, reason
FROM contact_rules ORDER BY version DESC LIMIT 1
"""

PUT_RULES = """
INSERT INTO contact_rules (version, rules, released, settled_id, last_id, applied_at, applied_by, reason)
SELECT
    %(version)s, CAST(%(rules)s AS jsonb),
    ARRAY(SELECT * FROM json_array_elements_text(%(released)s)), %(settled_id)s, %(last_id)s,
    CAST(%(now)s AS timestamp), CAST(%(by)s AS text), %(reason)s
"""

# Records how far everything is in line with the rules, if they are those of the latest version.
SETTLE_RULES = """
UPDATE contact_rules SET settled_id = %(settled_id)s
WHERE version = %(version)s AND settled_id < %(settled_id)s
    AND version = (SELECT max(version) FROM contact_rules)
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


def _find_primary(kind: str, value: str) -> str:
    """The primary of a contact with a value; one is enough, since a value is in one identity."""
    return f"""
    CASE {kind}
        WHEN 'email' THEN (
            SELECT coalesce(c.linked_id, c.id) FROM contacts c
            WHERE {EMAIL} = {value} AND c.deleted_at IS NULL LIMIT 1)
        ELSE (
            SELECT coalesce(c.linked_id, c.id) FROM contacts c
            WHERE {PHONE_NUMBER} = {value} AND c.deleted_at IS NULL LIMIT 1)
    END"""


# The two values of each pair and each ruling with an id after :start up to :end that may not be in line with
# the rules, and the primaries of the identities of these values. Indexes: contacts_pkey,
# contact_evidence_pkey, contact_rulings_pkey, and those of the matched contacts.
UNSETTLED = f"""
SELECT link.*, {_find_primary("link.one_kind", "link.one")}, {_find_primary("link.other_kind", "link.other")}
FROM ({_UNSETTLED}) AS link
ORDER BY link.id
"""

# The largest id of anything that rules may concern. Indexes: the primary keys.
LAST_ID = """
SELECT greatest(
    (SELECT max(id) FROM contacts), (SELECT max(id) FROM contact_evidence),
    (SELECT max(id) FROM contact_rulings), 0
)
"""
COUNT_IDENTITIES = "SELECT count(*) FROM contacts WHERE deleted_at IS NULL AND linked_id IS NULL"

# The pairs after :after that limits hold, at most :limit. Index: idx_contact_evidence_waiting.
WAITING = """
SELECT evidence.id, evidence.email, evidence.phone_number, evidence.seen_at AT TIME ZONE 'UTC',
    evidence.standing, evidence.hold
FROM contact_evidence evidence
WHERE evidence.id > %(after)s AND evidence.standing = 'held' AND evidence.hold IS NOT NULL
ORDER BY evidence.id LIMIT %(limit)s
"""
