"""What history and feed need of the events: found by primary, and by transaction."""

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"

INDEXES = {
    "idx_contact_events_primary_id": "(primary_id)",
    "idx_contact_events_transaction_id": "(transaction_id)",
}


def upgrade() -> None:
    # Events from before have none: they are older than all that have one.
    op.execute(
        "ALTER TABLE contact_events ADD COLUMN IF NOT EXISTS transaction_id xid8;"
        "ALTER TABLE contact_events ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id()"
    )
    connection = op.get_bind()
    with op.get_context().autocommit_block():
        for name, indexed in INDEXES.items():
            is_valid = connection.scalar(
                text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": name}
            )
            if is_valid is False:
                op.execute(f"DROP INDEX CONCURRENTLY {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON contact_events {indexed}")
