"""The log of the embedded server, whose size is limited."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAX_SIZE = 4 * 2**20
"""Bytes that the log can grow to; then they move to a second file, and the log starts empty."""

CHECK_INTERVAL = 1.0
"""Seconds between two checks of the size."""


@contextmanager
def limit_size(log: Path) -> Iterator[None]:
    """Rotate a log whenever it is large, in a thread."""
    is_over = threading.Event()

    def check_size() -> None:
        while not is_over.wait(CHECK_INTERVAL):
            with suppress(OSError):
                rotate(log)

    thread = threading.Thread(target=check_size, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def rotate(log: Path) -> None:
    """Move the end of a log to a second file, and empty the log, if it is large.

    PostgreSQL's own log collector limits the age of its files, or the size of each, but not their
    total size: https://www.postgresql.org/docs/current/runtime-config-logging.html
    """
    with log.open("rb+") as current:
        size = current.seek(0, os.SEEK_END)
        if size <= MAX_SIZE:
            return
        current.seek(size - MAX_SIZE)
        end = current.read(MAX_SIZE)
        current.truncate(0)  # first, so that the end fits on a full disk
    before = log.with_name(f"{log.name}.1")
    before.touch(mode=0o600)
    before.write_bytes(end)
