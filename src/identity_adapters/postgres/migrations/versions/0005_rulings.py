"""Rulings: what people decide, which pairs count, and which contacts left an identity."""

from alembic import op

from identity_adapters.postgres.schema import build_indexes

revision = "0005"
down_revision = "0004"

# New columns with a constant default do not rewrite the rows that there are.
TABLES = """
ALTER TABLE contact_evidence ADD COLUMN IF NOT EXISTS standing VARCHAR(10) NOT NULL DEFAULT 'counts';

ALTER TABLE contact_events ADD COLUMN IF NOT EXISTS ruling_id BIGINT;
ALTER TABLE contact_events ADD COLUMN IF NOT EXISTS origin_id BIGINT;
ALTER TABLE contact_events ADD COLUMN IF NOT EXISTS moved_ids BIGINT[] NOT NULL DEFAULT '{}';

CREATE TABLE IF NOT EXISTS contact_rulings (
    id BIGINT PRIMARY KEY,
    verdict VARCHAR(10) NOT NULL,
    one_kind VARCHAR(12) NOT NULL,
    one VARCHAR(255) COLLATE "C" NOT NULL,
    other_kind VARCHAR(12) NOT NULL,
    other VARCHAR(255) COLLATE "C" NOT NULL,
    decided_at TIMESTAMP NOT NULL,
    decided_by TEXT,
    reason TEXT NOT NULL,
    split_id BIGINT,
    withdrawn_at TIMESTAMP,
    withdrawn_by TEXT,
    withdrawal_reason TEXT
);
COMMENT ON TABLE contact_rulings IS 'What people decided about two values';
CREATE INDEX IF NOT EXISTS idx_contact_rulings_one ON contact_rulings (one);
CREATE INDEX IF NOT EXISTS idx_contact_rulings_other ON contact_rulings (other);
CREATE INDEX IF NOT EXISTS idx_contact_rulings_verdict ON contact_rulings (verdict);
"""


def upgrade() -> None:
    op.execute(TABLES)
    build_indexes(
        "contact_evidence", {"idx_contact_evidence_ignored": "(phone_number) WHERE standing <> 'counts'"}
    )
    build_indexes(
        "contact_events", {"idx_contact_events_origin_id": "(origin_id) WHERE origin_id IS NOT NULL"}
    )
