"""Compare emails in composed form: an index of contacts, and evidence in this form.

Older databases also have the index idx_contacts_compared_email. It stays for processes of the previous
version, which would read the whole table without it.
"""

from alembic import op

from identity_adapters.postgres.schema import build_indexes

revision = "0003"
down_revision = "0002"

COMPOSE_EVIDENCE = """
WITH composed AS (
    SELECT DISTINCT ON (phone_number, becomes) id, phone_number, becomes
    FROM (
        SELECT id, phone_number, email,
            CASE WHEN octet_length(email) > length(email) THEN normalize(email, NFC) ELSE email END AS becomes
        FROM contact_evidence
    ) AS evidence
    WHERE email <> becomes
    ORDER BY phone_number, becomes, id
)
UPDATE contact_evidence evidence SET email = composed.becomes FROM composed
WHERE evidence.id = composed.id AND NOT EXISTS (
    SELECT FROM contact_evidence other
    WHERE other.email = composed.becomes AND other.phone_number = composed.phone_number
)
"""

INDEXES = {
    "idx_contacts_compared_email_nfc": """(
        (CASE WHEN octet_length(email) = length(email) THEN lower(btrim(email) COLLATE "C")
         ELSE normalize(lower(normalize(btrim(email), NFD) COLLATE "C"), NFC) END)
    )""",
}


def upgrade() -> None:
    op.execute(COMPOSE_EVIDENCE)
    build_indexes("contacts", INDEXES)
