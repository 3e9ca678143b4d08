"""An index of the merges, for the list of the latest ones."""

from identity_adapters.postgres.schema import build_indexes

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    build_indexes("contact_events", {"idx_contact_events_merged": "(id) WHERE kind = 'merged'"})
