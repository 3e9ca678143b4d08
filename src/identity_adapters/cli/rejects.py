"""The file of rejected rows that an import writes."""

import csv
from pathlib import Path
from typing import IO

import attrs

from identity_adapters.files.private import open_private
from identity_adapters.files.row import Rejected


class ImportStopped(Exception):
    """The import cannot continue; the text says why."""


class Rejects:
    """Writes rejected rows and files to a file, which it creates with the first of them.

    Attributes:
        rows: how many rows were rejected.
        files: the files that were rejected, whole or from a line on.
        path: the file that it writes.
        is_strict: whether the first one stops the import.
    """

    def __init__(self, path: Path, is_strict: bool) -> None:
        self.rows = 0
        self.files: list[Rejected] = []
        self.path = path
        self.is_strict = is_strict
        self._file: IO[str] | None = None

    def __call__(self, rejected: Rejected) -> None:
        if rejected.field == "file":
            self.files.append(rejected)
        else:
            self.rows += 1
        if self.is_strict:
            field = "" if rejected.field == "file" else f"{rejected.field} "
            raise ImportStopped(f"{rejected.file}, line {rejected.line}: {field}{rejected.reason}")
        if self._file is None:
            self._file = open(self.path, "w", encoding="utf-8", newline="", opener=open_private)  # noqa: SIM115
            csv.writer(self._file).writerow(["file", "line", "field", "reason"])
        csv.writer(self._file).writerow(attrs.astuple(rejected))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
