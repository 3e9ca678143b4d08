"""Settling: what was recorded before rules changed is brought in line with them in the background."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog

from identity_core import RepositoryUnavailable

PERIOD = 5.0
"""Seconds after which a process looks for rules that others put in force."""

_logger = structlog.get_logger(__name__)


class Settler:
    """Brings what is recorded in line with the rules in force, whenever others are.

    If that fails, it is tried again; it goes on where it stopped.

    Args:
        settle: does it; returns at once if there is nothing to do, as `ChangeRules.settle`.
        period: seconds between two calls, unless it is woken.
    """

    def __init__(self, settle: Callable[[], Awaitable[Any]], *, period: float = PERIOD) -> None:
        self._settle = settle
        self._period = period
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Let it look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Settle until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self._settle()
            except RepositoryUnavailable as error:
                _logger.warning("the rules could not be settled", reason=error.reason)
            except Exception:  # whatever it is, the next try may succeed
                _logger.exception("the rules could not be settled")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period):
                    await self._woken.wait()
