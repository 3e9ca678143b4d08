"""The columns of the tables, as files and a first load have them; times are in UTC."""

import pyarrow as pa

ID = pa.int64()
TIME = pa.timestamp("us")

CONTACTS = pa.schema(
    {
        "id": ID,
        "email": pa.string(),
        "phone_number": pa.string(),
        "linked_id": ID,
        "link_precedence": pa.string(),
        "created_at": TIME,
        "updated_at": TIME,
    }
)
EVIDENCE = pa.schema({"id": ID, "email": pa.string(), "phone_number": pa.string(), "seen_at": TIME})
EVENTS = pa.schema(
    {
        "id": ID,
        "happened_at": TIME,
        "kind": pa.string(),
        "primary_id": ID,
        "contact_id": ID,
        "evidence_id": ID,
        "absorbed_ids": pa.list_(ID),
    }
)

# Where rules or rulings have a say, there is more to tell.
RULED_EVIDENCE = pa.unify_schemas([EVIDENCE, pa.schema({"standing": pa.string(), "hold": pa.string()})])
RULED_EVENTS = pa.unify_schemas(
    [EVENTS, pa.schema({"ruling_id": ID, "origin_id": ID, "moved_ids": pa.list_(ID)})]
)
