"""Reading the files of identities that were built outside a database, as the rows of its tables."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import frozen

from identity_adapters.files.built import FORMAT, MANIFEST, TABLES, VERSION
from identity_adapters.files.history import Rows

_IDS = ("id", "linked_id", "primary_id", "contact_id", "evidence_id")
_TABLES = {"contacts": "contacts", "evidence": "contact_evidence", "events": "contact_events"}
_BLOCK = 50_000


class FolderUnusable(Exception):
    """A folder that holds no complete identities; the text says why."""


@frozen
class BuiltIdentities:
    """A folder of identities that were built outside a database.

    Attributes:
        folder: where they are.
        last_id: no id in the files is larger.
        counts: how many rows there are, by table and by what became of the details.
    """

    folder: Path
    last_id: int
    counts: dict[str, int]

    @classmethod
    def open(cls, folder: Path) -> "BuiltIdentities":
        """Open a folder.

        Raises:
            FolderUnusable: it is incomplete, or of another format.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            is_known = manifest["format"] == FORMAT and manifest["version"] == VERSION
            counts = {name: int(number) for name, number in manifest["counts"].items()}
            built = cls(folder, int(manifest["last_id"]), counts)
            is_known = is_known and counts.keys() >= TABLES.keys()
        except FileNotFoundError:
            raise FolderUnusable(f"has no {MANIFEST}, so it is incomplete or something else") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise FolderUnusable(f"its {MANIFEST} cannot be read") from None
        if not is_known:
            raise FolderUnusable("is of another format, or of another version of it")
        return built

    def make_rows(
        self,
        now: datetime,  # noqa: ARG002
        first_id: int,
        first_event_id: int,
    ) -> Iterator[Rows]:
        """Make the rows of the tables, with ids from a first one on, and those of events from another one on.

        Their times stay those of the files.

        Raises:
            FolderUnusable: a file is damaged or missing, or does not have the columns.
        """
        for name, schema in TABLES.items():
            before_id = (first_event_id if name == "events" else first_id) - 1
            yield _TABLES[name], schema, self._read(name, schema, before_id, first_id - 1)

    def _read(self, name: str, schema: pa.Schema, before_id: int, before: int) -> Iterator[pa.RecordBatch]:
        rows = 0
        for path in sorted((self.folder / name).glob("*.parquet")):
            try:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(_BLOCK, columns=schema.names):
                        table = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
                        if (pc.max(table["id"]).as_py() or 0) > self.last_id:
                            raise FolderUnusable(f"has larger ids than its {MANIFEST} says")
                        rows += len(table)
                        yield from _add_to_ids(table, before_id, before).to_batches()
            except (OSError, pa.ArrowException, KeyError):
                raise FolderUnusable(f"its file {name}/{path.name} is damaged, or lacks columns") from None
        if rows != self.counts[name]:
            raise FolderUnusable(f"has {rows:,} {name} instead of {self.counts[name]:,}; a file is missing")


def _add_to_ids(table: pa.Table, before_id: int, before: int) -> pa.Table:
    """Move the ids in some rows."""
    for position, field in enumerate(table.schema):
        column: Any = table.column(position)
        if field.name in _IDS:
            column = pc.add(column, before_id if field.name == "id" else before)
        elif pa.types.is_list(field.type):
            whole = column.combine_chunks()
            column = pa.ListArray.from_arrays(whole.offsets, pc.add(whole.values, before))
        table = table.set_column(position, field, column)
    return table
