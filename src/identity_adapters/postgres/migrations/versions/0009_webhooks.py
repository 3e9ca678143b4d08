"""Webhooks, and the server whose transactions the events are of."""

from alembic import op

revision = "0009"
down_revision = "0008"

# Updates of webhooks touch no index, and the free room of each page lets them stay on it.
TABLES = """
CREATE TABLE IF NOT EXISTS contact_webhooks (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url TEXT NOT NULL,
    kinds VARCHAR(20)[] NOT NULL,
    description TEXT NOT NULL,
    allows_http BOOLEAN NOT NULL,
    networks CIDR[] NOT NULL,
    key_id BYTEA NOT NULL,
    salt BYTEA NOT NULL,
    previous_salt BYTEA,
    previous_until TIMESTAMP,
    cursor TEXT,
    replays BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL,
    paused_at TIMESTAMP,
    paused_because VARCHAR(10),
    caught_up_at TIMESTAMP NOT NULL,
    delivered_at TIMESTAMP,
    failures BIGINT NOT NULL DEFAULT 0,
    failing_since TIMESTAMP,
    last_failure TEXT,
    next_attempt_at TIMESTAMP,
    delivered_events BIGINT NOT NULL DEFAULT 0,
    delivered_requests BIGINT NOT NULL DEFAULT 0,
    failed_requests BIGINT NOT NULL DEFAULT 0,
    lease BIGINT NOT NULL DEFAULT 0,
    leased_until TIMESTAMP
) WITH (fillfactor = 50);
COMMENT ON TABLE contact_webhooks IS 'Where events are sent, and how far that got';

CREATE TABLE IF NOT EXISTS contact_server (
    system_identifier BIGINT PRIMARY KEY
);
COMMENT ON TABLE contact_server IS 'The server that numbered the transactions of the events';
"""


def upgrade() -> None:
    op.execute(TABLES)
