"""When values were last seen, recorded by the month beside everything else.

Whoever identifies notes what was seen, which is a look-up in a set. What is new in the month waits in
memory until the background writes it, in batches. So the read path stays a read, and no failure of a
write ever fails a request. A process that is killed loses what waited, at most some seconds of it.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from math import inf

import structlog

from identity_core import ContactDetails, Identifier, IdentifierKind, RepositoryUnavailable, Sightings
from identity_core.model.unseen import add_months, to_month

PERIOD = 1.0
"""Seconds after which what waits is written."""

BATCH = 500
"""How many values one statement writes, at most."""

EARLY = 5_000
"""How many values wait until they are written at once."""

MAX_WAITING = 200_000
"""How many values wait, at most; more are left out while the database cannot be reached."""

MAX_REMEMBERED = 400_000
"""How many values are remembered as written; then all are forgotten, and looked up again."""

REMEMBERED_FOR = 3600.0
"""Seconds after which they are forgotten in any case, because others may have erased some."""

END_TIMEOUT = 5.0
"""Seconds that writing may take when the service stops."""

_EMAIL, _PHONE_NUMBER = IdentifierKind

_logger = structlog.get_logger(__name__)


class SightingRecorder:
    """Notes what was seen, and writes it later.

    Args:
        sightings: where it is written.
        clock: returns the time, in seconds since 1970.
        on_written: called with the number of values that were written.
        period: seconds after which what waits is written.
    """

    def __init__(
        self,
        sightings: Sightings,
        *,
        clock: Callable[[], float] = time.time,
        on_written: Callable[[int], None] = lambda _: None,
        period: float = PERIOD,
    ) -> None:
        self._sightings = sightings
        self._clock = clock
        self._on_written = on_written
        self._period = period
        self._waiting: dict[Identifier, date] = {}
        self._left_out = 0
        self._month = date.min
        self._month_ends = -inf
        # The hashes of the values that are written in this month. They have 64 bits, so that two of a million
        # values have the same in one of millions of processes. An email has an @, a phone number does not.
        self._remembered: set[int] = set()
        self._remembered_from = -inf
        self._woken = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many values wait to be written."""
        return len(self._waiting)

    def note(self, details: ContactDetails, blocked: IdentifierKind | None = None) -> None:
        """Note that somebody was identified by details, at their time.

        Args:
            details: the details.
            blocked: which of the two values did not count, because it is blocked.
        """
        # This runs for every request; hashing an `Identifier` or making a date takes longer than all of it.
        if details.seen_at is None:
            month = self._month if self._clock() < self._month_ends else self._turn_month()
            remembered, email, number = self._remembered, details.email, details.phone_number
            if email is not None and hash(email) not in remembered and blocked is not _EMAIL:
                self._add(Identifier(_EMAIL, email), month)
            if number is not None and hash(number) not in remembered and blocked is not _PHONE_NUMBER:
                self._add(Identifier(_PHONE_NUMBER, number), month)
        else:
            for identifier in details.identifiers:
                if identifier.kind is not blocked:
                    self._add(identifier, to_month(details.seen_at))

    def _turn_month(self) -> date:
        """Begin the current month; its first day."""
        self._month = to_month(datetime.fromtimestamp(self._clock(), UTC))
        end = add_months(self._month, 1)
        self._month_ends = datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp()
        self._remembered.clear()
        return self._month

    def _add(self, identifier: Identifier, month: date) -> None:
        before = self._waiting.get(identifier)
        if before is None and len(self._waiting) >= MAX_WAITING:
            self._left_out += 1
        elif before is None or before < month:
            self._waiting[identifier] = month
            if len(self._waiting) >= EARLY:
                self._woken.set()

    async def flush(self) -> None:
        """Write what waits, in the order of values. What cannot be written goes on waiting.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        await self._begin()
        waiting, self._waiting = sorted(self._waiting.items()), {}
        written = 0
        try:
            while batch := waiting[written : written + BATCH]:
                self._on_written(await self._sightings.record_seen(dict(batch)))
                written += len(batch)
                self._remembered.update(hash(value) for (_, value), month in batch if month == self._month)
        finally:
            for identifier, month in waiting[written:]:
                self._add(identifier, month)

    async def _begin(self) -> None:
        """Forget what was written, now and then, and see to it that it is recorded at all."""
        now = self._clock()
        is_old = now >= self._remembered_from + REMEMBERED_FOR
        if is_old or len(self._remembered) > MAX_REMEMBERED:
            await self._sightings.begin_recording(to_month(datetime.fromtimestamp(now, UTC)))
            self._remembered.clear()
            self._remembered_from = now

    async def run(self) -> None:
        """Write every few seconds until cancelled."""
        while True:
            self._woken.clear()
            await self._try_to_flush()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period):
                    await self._woken.wait()

    async def close(self) -> None:
        """Write what waits, a last time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_TIMEOUT):
                await self._try_to_flush()
        if self._waiting:
            _logger.warning("it was not recorded when some values were last seen", values=len(self._waiting))

    async def _try_to_flush(self) -> None:
        try:
            await self.flush()
        except RepositoryUnavailable as error:
            _logger.warning("it could not be recorded when values were last seen", reason=error.reason)
        except Exception:  # whatever it is, the next try may succeed
            _logger.exception("it could not be recorded when values were last seen")
        if self._left_out:
            _logger.warning("it was not recorded when some values were last seen", values=self._left_out)
            self._left_out = 0


async def end_recording(sightings: Sightings, *, period: float = PERIOD) -> None:
    """End recording, and try again until that succeeds: what comes from now on is not recorded."""
    while True:
        try:
            await sightings.end_recording()
        except RepositoryUnavailable as error:
            _logger.warning("recording when values were last seen could not be ended", reason=error.reason)
            await asyncio.sleep(period)
        else:
            return
