"""The folders of the embedded server, which only its user can enter."""

import hashlib
import os
import shlex
from pathlib import Path

from identity_adapters.embedded.errors import EmbeddedDatabaseUnavailable
from identity_adapters.embedded.server import PORT

MAX_SOCKET_PATH = 100
"""Bytes; the system allows 107 on Linux and 103 on macOS."""


def find_socket_folder(folder: Path) -> Path:
    """The data folder, or a short folder for it if its path is too long for a socket."""
    if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= MAX_SOCKET_PATH:
        return folder
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
    short = Path("/tmp") / f"identity-{os.geteuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.is_symlink():
        raise EmbeddedDatabaseUnavailable(f"{short} must be a folder, not a symbolic link; remove the link")
    check_private(short)
    return short


def check_private(folder: Path) -> None:
    """Check that a folder belongs to this user, and that no other user can enter it.

    Raises:
        EmbeddedDatabaseUnavailable: one of the two does not hold.
    """
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise EmbeddedDatabaseUnavailable(
            f"the folder {folder} must belong to the user that runs this command (id {os.geteuid()}),"
            f" but belongs to another (id {found.st_uid})"
        )
    if found.st_mode & 0o077:
        raise EmbeddedDatabaseUnavailable(
            f"the folder {folder} must be closed to other users; run: chmod 700 {shlex.quote(str(folder))}"
        )
