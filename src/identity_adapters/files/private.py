"""Files that only their owner can read."""

import os
import stat


def open_private(path: str, flags: int) -> int:
    """An opener for `open` that makes the file readable by its owner only."""
    descriptor = os.open(path, flags, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # an existing file may have any mode
            os.fchmod(descriptor, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
