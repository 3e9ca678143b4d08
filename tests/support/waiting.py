"""Waiting for what has to happen, however slow the machine is."""

import time

PATIENCE = 120.0
"""Seconds that whatever has to happen may take on a slow machine. Nothing waits for them to pass."""


def wait_until(condition):
    """Wait for a condition, however long that takes on a slow machine; what it came to."""
    give_up_at = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < give_up_at, "it did not come to that"
        time.sleep(0.01)
    return found
