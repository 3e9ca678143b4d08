"""Rows of files, the columns of their values, and rejected rows."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from attrs import frozen

MAX_COLUMNS = 1_000


class FileUnusable(Exception):
    """A file that cannot be read at all.

    Attributes:
        file: its name, as the caller wrote it.
        reason: why.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


@frozen
class Rejected:
    """A rejected row, or a rejected file from some line on.

    Attributes:
        file: the name of the file, as the caller wrote it.
        line: its line in the file, for Parquet its row; 0 for the whole file.
        field: the invalid field, or ``row`` or ``file`` for the whole row or file.
        reason: what is wrong. It quotes no value.
    """

    file: str
    line: int
    field: str
    reason: str

    @classmethod
    def rest(cls, file: str, line: int, reason: str) -> "Rejected":
        """Reject a file from a line on."""
        return cls(file, line, "file", f"the rest cannot be read: {reason}")


Row: TypeAlias = tuple[int, Any, Any, Any]
"""Line, email, phone number and time, as in the file; a time of Parquet is a duration since 1970."""


_USUAL_NAMES = {
    "email": ("email", "e-mail", "email_address", "emailaddress", "mail"),
    "phone_number": ("phone_number", "phonenumber", "phone", "telephone", "mobile", "tel"),
    "created_at": ("created_at", "createdat", "created", "date", "timestamp", "time", "seen_at"),
}


@frozen
class Columns:
    """The names of the columns.

    Attributes:
        email: the name of the column of emails; None for any of the usual names.
        phone_number: likewise.
        created_at: likewise.
    """

    email: str | None = None
    phone_number: str | None = None
    created_at: str | None = None

    def find(self, names: Sequence[str]) -> tuple[int | None, int | None, int | None]:
        """Find the columns.

        Args:
            names: the names of all columns, in order.

        Returns:
            The positions of email, phone number and time; None for a missing column.

        Raises:
            ValueError: a column is missing or occurs twice, there is neither an email nor a phone
                number, or there are too many columns.
        """
        if len(names) > MAX_COLUMNS:
            raise ValueError(f"has over {MAX_COLUMNS:,} columns")
        positions: list[int | None] = []
        normalized = [name.strip().lower().replace(" ", "_") for name in names]
        for column, usual in _USUAL_NAMES.items():
            named = getattr(self, column)
            if named is not None and named not in names:
                raise ValueError(f"has no column {named}")
            candidates = normalized if named is None else names
            name = named or next((name for name in usual if name in normalized), None)
            if name is not None and candidates.count(name) > 1:
                raise ValueError(f"has two columns called {name}")
            positions.append(None if name is None else candidates.index(name))
        if positions[0] is None and positions[1] is None:
            raise ValueError("must have a column of emails or phone numbers with a usual name; name it")
        return positions[0], positions[1], positions[2]
