"""Indexes of events by primary, for the history, and by transaction, for the feed."""

from alembic import op

from identity_adapters.postgres.schema import build_indexes

revision = "0002"
down_revision = "0001"

INDEXES = {
    "idx_contact_events_primary_id": "(primary_id)",
    "idx_contact_events_transaction_id": "(transaction_id)",
}


def upgrade() -> None:
    # Earlier events have none; they are older than all events that have one.
    op.execute(
        "ALTER TABLE contact_events ADD COLUMN IF NOT EXISTS transaction_id xid8;"
        "ALTER TABLE contact_events ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id()"
    )
    build_indexes("contact_events", INDEXES)
