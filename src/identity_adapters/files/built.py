"""The files of identities that were built outside a database.

A folder holds a folder of Parquet files for each table, and a manifest::

    contacts/part-00000-….parquet, …
    evidence/part-00000-….parquet, …
    events/part-00000-….parquet, …
    manifest.json

Columns are called as those of the tables in PostgreSQL; columns of a table that a file does not have are at
their default. All ids are the numbers of distinct details in the order of their times, from 1, with gaps
where details added nothing.

Everything of one identity is in the files with one part number, and no row refers to another part: parts can
be loaded in any order. In a file, the rows of an identity are together, in the order of their ids, so that a
primary comes before its secondaries. A table has no file for a part in which it has no rows, and one
without rows has an empty file.

The manifest is written last. A folder without one is incomplete.
"""

from identity_adapters.files.tables import CONTACTS, EVENTS, EVIDENCE

FORMAT = "identity-tables"
VERSION = 1
MANIFEST = "manifest.json"
"""JSON: `format`, `version`, `now` (when it was built, ISO 8601), `last_id` (no id is larger), and `counts`:
the rows by what became of them, as an import reports them, and the rows of each table."""

TABLES = {
    "contacts": CONTACTS,
    "evidence": EVIDENCE,
    "events": EVENTS,
}
"""The schema of the files in each folder: of the tables `contacts`, `contact_evidence` (all pairs count) and
`contact_events`. `created` and `linked` have a contact, `merged` and `corroborated` evidence."""
