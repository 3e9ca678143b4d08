"""Processes that must not outlive the process that started them."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def signal_on_parent_exit(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends, however it ends.

    This works on Linux only; elsewhere it does nothing. If the parent has already ended, this process
    ends at once. The kernel acts on the parent's thread that started this process, so this thread must
    live as long as the parent.

    Args:
        parent: the process id of the parent.
        number: the signal.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)
