"""What is read of files: rows, where their values stand, and what is left out."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from attrs import frozen

MAX_COLUMNS = 1_000


class FileUnusable(Exception):
    """A file of which nothing can be read.

    Attributes:
        file: its name, as it was given.
        reason: why.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


@frozen
class Rejected:
    """A row that is left out.

    Attributes:
        file: the name of the file, as it was given.
        line: its line in the file, for Parquet its row; 0 where the file is left out as a whole.
        field: the field that is wrong, or ``row`` or ``file`` where it is as a whole.
        reason: why. It quotes no value.
    """

    file: str
    line: int
    field: str
    reason: str

    @classmethod
    def rest(cls, file: str, line: int, reason: str) -> "Rejected":
        """What ends a file before its end: this line, and all behind it."""
        return cls(file, line, "file", f"the rest cannot be read: {reason}")


Row: TypeAlias = tuple[int, Any, Any, Any]
"""Line, email, phone number and time, as they stand in the file; a time in Parquet is one since 1970."""


_USUAL = {
    "email": ("email", "e-mail", "email_address", "emailaddress", "mail"),
    "phone_number": ("phone_number", "phonenumber", "phone", "telephone", "mobile", "tel"),
    "created_at": ("created_at", "createdat", "created", "date", "timestamp", "time", "seen_at"),
}


@frozen
class Columns:
    """What the columns of the files are called.

    Attributes:
        email: the name of that of emails; any of the usual names where it is None.
        phone_number: likewise.
        created_at: likewise.
    """

    email: str | None = None
    phone_number: str | None = None
    created_at: str | None = None

    def find(self, names: Sequence[str]) -> tuple[int | None, int | None, int | None]:
        """Where they are among some names.

        Raises:
            ValueError: one that was named is not there, neither email nor phone number is, one is
                there twice, or there are too many.
        """
        if len(names) > MAX_COLUMNS:
            raise ValueError(f"has over {MAX_COLUMNS:,} columns")
        positions: list[int | None] = []
        plain = [name.strip().lower().replace(" ", "_") for name in names]
        for column, usual in _USUAL.items():
            named = getattr(self, column)
            if named is not None and named not in names:
                raise ValueError(f"has no column {named}")
            among = plain if named is None else names
            name = named or next((name for name in usual if name in plain), None)
            if name is not None and among.count(name) > 1:
                raise ValueError(f"has two columns called {name}")
            positions.append(None if name is None else among.index(name))
        if positions[0] is None and positions[1] is None:
            raise ValueError("has no column of emails or phone numbers that is called as usual; name them")
        return positions[0], positions[1], positions[2]
