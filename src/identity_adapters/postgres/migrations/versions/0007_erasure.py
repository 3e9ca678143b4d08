"""Erasure: who was handed out or erased, who is kept out, and when values were last seen."""

from alembic import op

from identity_adapters.postgres.schema import build_indexes

revision = "0007"
down_revision = "0006"

TABLES = """
CREATE TABLE IF NOT EXISTS contact_audit (
    id BIGINT PRIMARY KEY,
    happened_at TIMESTAMP NOT NULL,
    action VARCHAR(10) NOT NULL,
    done_by TEXT,
    contact_ids BIGINT[] NOT NULL,
    evidence_ids BIGINT[] NOT NULL DEFAULT '{}',
    ruling_ids BIGINT[] NOT NULL DEFAULT '{}',
    blocks JSONB NOT NULL DEFAULT '[]',
    suppressed_until TIMESTAMP
);
COMMENT ON TABLE contact_audit IS 'Who was handed out or erased, and by whom, in ids only';

CREATE TABLE IF NOT EXISTS contact_suppressions (
    hash BYTEA PRIMARY KEY,
    expires_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE contact_suppressions IS 'Keyed hashes of values that are kept out';

CREATE TABLE IF NOT EXISTS contact_last_seen (
    kind VARCHAR(12) NOT NULL,
    value VARCHAR(255) COLLATE "C" NOT NULL,
    month DATE NOT NULL,
    PRIMARY KEY (kind, value)
);
COMMENT ON TABLE contact_last_seen IS 'The month in which each value was last seen, if that is recorded';

CREATE TABLE IF NOT EXISTS contact_last_seen_since (
    since DATE PRIMARY KEY
);
COMMENT ON TABLE contact_last_seen_since IS 'The month since which it is recorded; no row if it is not';
"""


def upgrade() -> None:
    op.execute(TABLES)
    build_indexes(
        "contact_audit", {"idx_contact_audit_erased": "USING gin (contact_ids) WHERE action = 'erased'"}
    )
