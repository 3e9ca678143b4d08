"""Statements that keep webhooks. The index of all of them is contact_webhooks_pkey.

Each is one statement and reads the clock of the server, so the clocks of other machines do not matter.
"""

_NOW = "timezone('UTC', clock_timestamp())"

_IN_SECONDS = f"{_NOW} + make_interval(secs => CAST(%(seconds)s AS float8))"

_WEBHOOK = f"""
    webhook.id, webhook.url, webhook.kinds, webhook.description, webhook.allows_http, webhook.networks,
    webhook.key_id, webhook.salt, webhook.previous_salt, webhook.previous_until AT TIME ZONE 'UTC',
    webhook.cursor, webhook.replays, webhook.created_at AT TIME ZONE 'UTC',
    webhook.paused_at AT TIME ZONE 'UTC', webhook.paused_because, webhook.caught_up_at AT TIME ZONE 'UTC',
    CAST(extract(epoch FROM {_NOW} - webhook.caught_up_at) AS float8),
    webhook.delivered_at AT TIME ZONE 'UTC', webhook.failures, webhook.failing_since AT TIME ZONE 'UTC',
    webhook.last_failure,
    CAST(greatest(0, coalesce(extract(epoch FROM webhook.next_attempt_at - {_NOW}), 0)) AS float8),
    webhook.delivered_events, webhook.delivered_requests, webhook.failed_requests, webhook.lease,
    coalesce(webhook.leased_until > {_NOW}, false)
"""

NEW_WEBHOOK_ID = "SELECT nextval(CAST(pg_get_serial_sequence('contact_webhooks', 'id') AS regclass))"

# Adds a webhook, unless it was added already: the answer to that may have been lost.
ADD_WEBHOOK = f"""
INSERT INTO contact_webhooks AS webhook
    (id, url, kinds, description, allows_http, networks, key_id, salt, previous_salt, previous_until,
     cursor, created_at, caught_up_at)
OVERRIDING SYSTEM VALUE
SELECT
    %(id)s, %(url)s, ARRAY(SELECT json_array_elements_text(%(kinds)s)), %(description)s, %(allows_http)s,
    ARRAY(SELECT CAST(network AS cidr) FROM json_array_elements_text(%(networks)s) AS network),
    %(key_id)s, %(salt)s, CAST(%(previous_salt)s AS bytea), CAST(%(previous_until)s AS timestamp),
    CAST(%(cursor)s AS text), {_NOW}, {_NOW}
ON CONFLICT (id) DO UPDATE SET url = excluded.url
RETURNING {_WEBHOOK}
"""

# The webhook :id.
WEBHOOK = f"SELECT {_WEBHOOK} FROM contact_webhooks AS webhook WHERE webhook.id = %(id)s"

# The webhooks after :after, at most :limit.
WEBHOOKS = f"""
SELECT {_WEBHOOK} FROM contact_webhooks AS webhook
WHERE webhook.id > %(after)s ORDER BY webhook.id LIMIT %(limit)s
"""

REMOVE_WEBHOOK = "DELETE FROM contact_webhooks WHERE id = %(id)s RETURNING id"

# What people change. It ends the lease, so nobody goes on with the webhook as it was.


def _change(assignments: str) -> str:
    return f"""
UPDATE contact_webhooks AS webhook SET {assignments}, lease = webhook.lease + 1, leased_until = NULL
WHERE webhook.id = %(id)s
RETURNING {_WEBHOOK}
"""


PAUSE_WEBHOOK = _change(
    f"""
    paused_at = coalesce(webhook.paused_at, {_NOW}),
    paused_because = coalesce(webhook.paused_because, 'asked')"""
)
RESUME_WEBHOOK = _change(
    """
    paused_at = NULL, paused_because = NULL, failures = 0, failing_since = NULL, next_attempt_at = NULL"""
)
MOVE_WEBHOOK = _change("cursor = CAST(%(cursor)s AS text), replays = webhook.replays + 1")

# The salt before is kept only if the key is the same. If the statement is sent again, it changes nothing.
ROTATE_WEBHOOK = _change(
    f"""
    key_id = %(key_id)s, salt = %(salt)s,
    previous_salt = CASE
        WHEN webhook.salt = %(salt)s THEN webhook.previous_salt
        WHEN webhook.key_id = %(key_id)s THEN webhook.salt
    END,
    previous_until = CASE
        WHEN webhook.salt = %(salt)s THEN webhook.previous_until
        WHEN webhook.key_id = %(key_id)s THEN {_IN_SECONDS}
    END"""
)

# What the process does that has the lease. Its number says who that is: whoever claims the webhook, or
# changes it, makes it larger.

_IS_FREE = f"coalesce(webhook.leased_until <= {_NOW}, true)"
_IS_HELD = f"webhook.leased_until > {_NOW}"

# Claims at most :limit webhooks whose secrets the key :key_id makes, for :seconds, those first that nobody
# had for longest. Who claims at the same time skips the rows that are locked here. All rows are read, which
# takes milliseconds for thousands of them; they are found once, before the first of them is changed.
CLAIM_WEBHOOKS = f"""
UPDATE contact_webhooks AS webhook
SET lease = webhook.lease + 1, leased_until = {_IN_SECONDS}
WHERE webhook.id = ANY (ARRAY(
    SELECT webhook.id FROM contact_webhooks AS webhook
    WHERE webhook.key_id = %(key_id)s AND webhook.paused_at IS NULL AND {_IS_FREE}
    ORDER BY webhook.leased_until NULLS FIRST, webhook.id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
RETURNING {_WEBHOOK}
"""

_LEASES = """
    json_to_recordset(%(leases)s) AS held (id bigint, lease bigint, is_caught_up boolean)
"""

# The ids of those leases that go on.
RENEW_LEASES = f"""
UPDATE contact_webhooks AS webhook
SET leased_until = {_IN_SECONDS},
    caught_up_at = CASE WHEN held.is_caught_up THEN {_NOW} ELSE webhook.caught_up_at END
FROM {_LEASES}
WHERE webhook.id = held.id AND webhook.lease = held.lease AND {_IS_HELD}
RETURNING webhook.id
"""

# A lease that is given back ends now; when it did tells who was not served for longest.
RELEASE_LEASES = f"""
UPDATE contact_webhooks AS webhook
SET leased_until = {_NOW}
FROM {_LEASES}
WHERE webhook.id = held.id AND webhook.lease = held.lease AND {_IS_HELD}
"""


def _advance(assignments: str = "") -> str:
    return f"""
UPDATE contact_webhooks AS webhook
SET cursor = CAST(%(cursor)s AS text){assignments}
WHERE webhook.id = %(id)s AND webhook.lease = %(lease)s AND {_IS_HELD}
RETURNING webhook.id
"""


ADVANCE_WEBHOOK = _advance()

# The same, after the endpoint accepted :events.
DELIVER_EVENTS = _advance(
    f""",
    delivered_at = {_NOW}, failures = 0, failing_since = NULL, next_attempt_at = NULL,
    delivered_events = webhook.delivered_events + %(events)s,
    delivered_requests = webhook.delivered_requests + 1"""
)

# Why a webhook that fails is paused by now: because of :because, or because it has failed for :give_up_after
# seconds.
_FAILING_SINCE = "coalesce(webhook.failing_since, clock.now)"
_VERDICT = f"""coalesce(CAST(%(because)s AS text), CASE
        WHEN {_FAILING_SINCE} + make_interval(secs => CAST(%(give_up_after)s AS float8)) <= clock.now
        THEN 'failing'
    END)"""

# The clock is read once, so all of it is decided by the same time. A webhook that is paused has no lease.
FAIL_WEBHOOK = f"""
UPDATE contact_webhooks AS webhook
SET failures = webhook.failures + 1, failed_requests = webhook.failed_requests + 1,
    failing_since = {_FAILING_SINCE}, last_failure = %(failure)s,
    next_attempt_at = clock.now + make_interval(secs => CAST(%(delay)s AS float8)),
    paused_because = {_VERDICT},
    paused_at = CASE WHEN {_VERDICT} IS NOT NULL THEN clock.now END,
    leased_until = CASE WHEN {_VERDICT} IS NULL THEN webhook.leased_until END
FROM (SELECT {_NOW} AS now OFFSET 0) AS clock
WHERE webhook.id = %(id)s AND webhook.lease = %(lease)s AND webhook.leased_until > clock.now
RETURNING {_WEBHOOK}
"""
