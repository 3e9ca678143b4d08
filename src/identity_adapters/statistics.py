"""Statistics: a census that requests share."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf

from identity_adapters.api.statistics import CountAll, StatisticsAnswer, to_statistics_answer

KEEP = 100
"""For how many times as long as it took a census is answered, so that it costs a hundredth of the time."""

MIN_SECONDS = 1.0
"""Seconds for which a census is answered at least."""

MAX_SECONDS = 600.0
"""Seconds for which a census is answered at most: one may take long because it waited for a lock."""


class Statistics:
    """Statistics that are counted when somebody asks, one census at a time.

    A census reads whole tables. So a recent one is answered as it is, and those who ask while one is taken
    wait for it.

    Args:
        count_all: takes a census.
        clock: seconds that never go back.
    """

    def __init__(self, count_all: CountAll, clock: Callable[[], float] = time.monotonic) -> None:
        self._count_all = count_all
        self._clock = clock
        self._latest: StatisticsAnswer | None = None
        self._expires_at = -inf
        self._counting: asyncio.Task[StatisticsAnswer] | None = None

    async def __call__(self) -> StatisticsAnswer:
        """The latest statistics.

        Raises:
            RepositoryUnavailable: they cannot be counted for now.
        """
        if self._latest is not None and self._clock() < self._expires_at:
            return self._latest
        if self._counting is None:
            self._counting = asyncio.create_task(self._count())
        counting = self._counting
        await asyncio.wait([counting])  # who stops waiting does not stop the census of the others
        return counting.result()

    async def _count(self) -> StatisticsAnswer:
        counted_at, began_at = datetime.now(UTC), self._clock()
        try:
            self._latest = to_statistics_answer(await self._count_all(), counted_at)
            ended_at = self._clock()
            kept = max(MIN_SECONDS, KEEP * (ended_at - began_at))
            self._expires_at = ended_at + min(kept, MAX_SECONDS)
            return self._latest
        finally:
            self._counting = None
