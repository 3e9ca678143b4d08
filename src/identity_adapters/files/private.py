"""Files that hold what is nobody else's business."""

import os
import stat


def open_private(path: str, flags: int) -> int:
    """An opener for `open`: what it opens can be read by its owner alone."""
    descriptor = os.open(path, flags, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # one that was there may have any mode
            os.fchmod(descriptor, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
