"""The embedded database: a server that one process owns and others on the same folder share."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from sqlalchemy import URL

from identity_adapters.embedded.cluster import USER, create_cluster, packaged_programs
from identity_adapters.embedded.errors import EmbeddedDatabaseUnavailable
from identity_adapters.embedded.folder import check_private, find_socket_folder
from identity_adapters.embedded.log import limit_size
from identity_adapters.embedded.server import (
    PORT,
    TIMEOUT,
    is_answering,
    keep_running,
    start_server,
    wait_until_ready,
)

DATABASE = "postgres"


@contextmanager
def embedded_database(folder: Path, programs: Path | None = None) -> Iterator[URL]:
    """Run a server on the data in a folder, which is created at first use.

    Args:
        folder: the folder of the data.
        programs: the folder of the ``initdb`` and ``postgres`` to use; None for the packaged ones.

    Yields:
        The URL of the database.

    Raises:
        EmbeddedDatabaseUnavailable: the server cannot run here.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(folder)
        if (folder / "postgres").exists():
            check_private(folder / "postgres")
        socket_folder = find_socket_folder(folder)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise EmbeddedDatabaseUnavailable(
            f"the folder {error.filename} cannot be used: {error.strerror}"
        ) from None
    with lock:
        url = URL.create(
            "postgresql+psycopg",
            USER,
            database=DATABASE,
            query={"host": str(socket_folder), "port": str(PORT)},
        )
        if not _acquire_ownership(lock, url):
            yield url
            return
        programs = programs or packaged_programs()
        if not (folder / "postgres").exists():
            create_cluster(folder, programs)
        with keep_running(partial(start_server, folder, socket_folder, programs)) as server:
            log_file = folder / "postgres.log"
            wait_until_ready(url, server, log_file)
            with limit_size(log_file):
                yield url


def is_owned(folder: Path) -> bool:
    """Whether some process runs, or is about to run, the server on the data in a folder."""
    try:
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _acquire_ownership(lock: IO[str], url: URL) -> bool:
    """Whether this process runs the server; False once the server of another process answers."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if is_answering(url):
                return False
        if time.monotonic() > deadline:
            raise EmbeddedDatabaseUnavailable(
                "another process owns the embedded database, but its server does not answer"
            )
        time.sleep(0.05)
