"""Rename the kind of the events of repairs from ``mended`` to ``repaired``."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("UPDATE contact_events SET kind = 'repaired' WHERE kind = 'mended'")
