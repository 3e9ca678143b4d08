"""Events of a repair are of the kind ``repaired``; they were of the kind ``mended``."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("UPDATE contact_events SET kind = 'repaired' WHERE kind = 'mended'")
