"""The ledger of erasures as a file: a line of JSON for each, in ids alone.

A backup brings back whom it still knows. The ledger tells who that is, so it is kept apart from the database
and its backups. The database has all erasures, too; whatever the file lacks is added to it.
"""

import fcntl
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from identity_adapters.api.erasures import LedgerRecord, to_ledger_entry, to_ledger_record
from identity_adapters.files.private import open_private
from identity_core import AuditTrail, LedgerEntry

PAGE = 1_000
"""How many erasures are read at once."""

CHUNK = 65_536
"""How many bytes of the end of a ledger are looked at, at once, for the end of a line."""


class InvalidLedger(Exception):
    """A file that is not a ledger; the text names the line."""


def read_ledger(path: Path) -> Iterator[LedgerEntry]:
    """Read a ledger.

    A last line without an end was cut off while it was written, and is left out; the database has it.

    Raises:
        InvalidLedger: a line is not an erasure.
        OSError: the file cannot be read.
    """
    decoder = msgspec.json.Decoder(LedgerRecord)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                yield to_ledger_entry(decoder.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise InvalidLedger(f"line {number} of the ledger is not an erasure") from None


def encode_entry(entry: LedgerEntry) -> bytes:
    """Encode an erasure as a line."""
    return msgspec.json.encode(to_ledger_record(entry)) + b"\n"


def append_to_ledger(path: Path, entries: Iterable[LedgerEntry]) -> None:
    """Append erasures durably; several processes may do so at once.

    Raises:
        OSError: it cannot be written.
    """
    with _open_locked(path) as file:
        _cut_off(file)
        file.writelines(map(encode_entry, entries))
        file.flush()
        os.fsync(file.fileno())


def check_ledger(path: Path) -> None:
    """Check that a file is a ledger that can be written; it is made if it does not exist.

    Raises:
        InvalidLedger: the file is not a ledger.
        OSError: it cannot be written.
    """
    append_to_ledger(path, ())
    for _ in read_ledger(path):
        pass


async def complete_ledger(path: Path, trail: AuditTrail) -> None:
    """Append what the ledger lacks of the erasures in the database; it is made if it does not exist.

    Raises:
        InvalidLedger: the file is not a ledger.
        OSError: it cannot be written.
        RepositoryUnavailable: the erasures cannot be read for now.
    """
    append_to_ledger(path, ())
    known = {(entry.id, entry.erased_at) for entry in read_ledger(path)}
    missing = [entry async for entry in read_trail(trail) if (entry.id, entry.erased_at) not in known]
    append_to_ledger(path, missing)


async def read_trail(trail: AuditTrail) -> AsyncIterator[LedgerEntry]:
    """Read all erasures, in the order of ids."""
    after = 0
    while page := await trail.ledger(after, PAGE):
        for entry in page:
            yield entry
        after = page[-1].id


@contextmanager
def _open_locked(path: Path) -> Iterator[IO[bytes]]:
    with open(path, "ab+", opener=open_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _cut_off(file: IO[bytes]) -> None:
    """Remove what was written of a last line before somebody was interrupted."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - CHUNK)
        file.seek(start)
        last = file.read(end - start).rfind(b"\n")
        if last >= 0:
            end = start + last + 1
            break
        end = start
    file.truncate(end)
