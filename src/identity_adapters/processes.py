"""Processes that are not to outlive the one that started them."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def signal_on_parent_exit(parent: int, by: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends, however it ends.

    Linux alone can do that; elsewhere nothing happens. The process ends at once if its parent
    is gone already. (The parent's thread that started the process must live as long.)
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        os._exit(1)
