"""Create or adopt the table of contacts, and create those of evidence and events."""

from alembic import op
from sqlalchemy import text

from identity_adapters.postgres.schema import SchemaUnusable, build_indexes

revision = "0001"
down_revision = None

COLUMNS = {
    "id",
    "phone_number",
    "email",
    "linked_id",
    "link_precedence",
    "created_at",
    "updated_at",
    "deleted_at",
}

TABLES = """
CREATE TABLE IF NOT EXISTS contacts (
    id BIGSERIAL PRIMARY KEY,
    phone_number VARCHAR(20),
    email VARCHAR(255),
    linked_id BIGINT REFERENCES contacts (id),
    link_precedence VARCHAR(10) NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP NOT NULL DEFAULT NOW(),
    deleted_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS contact_evidence (
    id BIGINT PRIMARY KEY,
    email VARCHAR(255) COLLATE "C" NOT NULL,
    phone_number VARCHAR(20) COLLATE "C" NOT NULL,
    seen_at TIMESTAMP NOT NULL,
    UNIQUE (email, phone_number)
);
COMMENT ON TABLE contact_evidence IS 'Pairs seen together that no contact holds';

CREATE TABLE IF NOT EXISTS contact_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at TIMESTAMP NOT NULL,
    kind VARCHAR(20) NOT NULL,
    primary_id BIGINT NOT NULL,
    contact_id BIGINT,
    evidence_id BIGINT,
    absorbed_ids BIGINT[] NOT NULL
);
COMMENT ON TABLE contact_events IS 'What each decision did to the identities, in ids only';
"""

INDEXES = {
    "idx_contacts_compared_phone_number": """(translate(phone_number COLLATE "C", ' -./()[]', ''))""",
    "idx_contacts_linked_id": "(linked_id)",
}


def upgrade() -> None:
    connection = op.get_bind()
    columns = connection.scalars(
        text(
            "SELECT attname FROM pg_attribute"
            " WHERE attrelid = to_regclass('contacts') AND attnum > 0 AND NOT attisdropped"
        )
    ).all()
    if columns and (missing := COLUMNS - set(columns)):
        raise SchemaUnusable(f"the table contacts must have the columns {', '.join(sorted(missing))}")
    op.execute(TABLES)
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence('contacts', 'id')"))
    if sequence is None:
        raise SchemaUnusable("the column contacts.id must own a sequence")
    # Rows that were inserted with explicit ids do not advance the sequence.
    op.execute(
        f"SELECT setval('{sequence}', max(id)) FROM contacts"
        f" HAVING max(id) > (SELECT last_value FROM {sequence})"
    )

    build_indexes("contacts", INDEXES)
