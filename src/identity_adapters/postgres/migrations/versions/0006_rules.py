"""Rules: which values are blocked, how much is limited, and which pairs limits hold."""

from alembic import op

from identity_adapters.postgres.schema import build_indexes

revision = "0006"
down_revision = "0005"

# A new column without a default does not rewrite the rows that there are.
TABLES = """
ALTER TABLE contact_evidence ADD COLUMN IF NOT EXISTS hold VARCHAR(30);

CREATE TABLE IF NOT EXISTS contact_rules (
    version BIGINT PRIMARY KEY,
    rules JSONB NOT NULL,
    released VARCHAR(30)[] NOT NULL,
    retroactive BOOLEAN NOT NULL DEFAULT false,
    settled_id BIGINT NOT NULL,
    last_id BIGINT NOT NULL,
    applied_at TIMESTAMP NOT NULL,
    applied_by TEXT,
    reason TEXT NOT NULL
);
COMMENT ON TABLE contact_rules IS 'Blocked values and limits; those of the latest version are in force';
"""

# Of a value that is blocked, or at its limit, there may be millions of pairs that do not count. Without these
# indexes, all of them would be read to find the others. No value is NULL; that the conditions say so keeps
# the planner from reading the index of emails whole where phone numbers are looked up, and vice versa.
INDEXES = {
    "idx_contact_evidence_counting_email": "(email) WHERE standing = 'counts' AND email IS NOT NULL",
    "idx_contact_evidence_counting_phone_number": (
        "(phone_number) WHERE standing = 'counts' AND phone_number IS NOT NULL"
    ),
    "idx_contact_evidence_ruled_email": (
        "(email) WHERE standing IN ('undone', 'held') AND hold IS NULL AND email IS NOT NULL"
    ),
    "idx_contact_evidence_ruled_phone_number": (
        "(phone_number) WHERE standing IN ('undone', 'held') AND hold IS NULL AND phone_number IS NOT NULL"
    ),
    "idx_contact_evidence_waiting": "(id) WHERE standing = 'held' AND hold IS NOT NULL",
}


def upgrade() -> None:
    op.execute(TABLES)
    build_indexes("contact_evidence", INDEXES)
