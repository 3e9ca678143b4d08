"""Metrics for Prometheus, of one process or several.

Several processes of one service share a folder, which ``PROMETHEUS_MULTIPROC_DIR`` names, as
prometheus_client requires. The variable must be set before this module is imported.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable
from functools import cache, cached_property
from math import inf
from pathlib import Path

import psutil
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from identity_adapters.api.statistics import CountAll
from identity_core import RepositoryUnavailable

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = tuple(2**power for power in range(13))
COUNT_TIMEOUT = 2.0
"""Seconds that a request for the metrics waits for a census."""

_logger = structlog.get_logger(__name__)


TOTALS = {
    "contacts": "Recorded contacts.",
    "identities": "Recorded identities.",
    "merges": "Recorded merges.",
    "splits": "Recorded splits.",
    "held_pairs": "Pairs that do not count, because a pin keeps their values apart.",
    "blocked_pairs": "Pairs that do not count, because one of their values is blocked.",
    "undone_pairs": "Pairs and inherited links that are undone.",
    "pins": "Pins in force.",
    "rules_version": "Changes of the rules, so far.",
    "rules_settled": "Whether everything is in line with the rules in force.",
}
"""What a census counts first, in its order, with the documentation of its gauge."""


class Metrics:
    """All metrics of a process.

    Args:
        count_every: seconds after which a request for the metrics takes a new census; 0 for never.
    """

    def __init__(self, count_every: float) -> None:
        self._count_every = count_every
        self._counted_at = -inf
        self._counting: asyncio.Task[None] | None = None
        registry = CollectorRegistry()
        self._registry = registry
        self._requests = Histogram(
            "identity_request_duration_seconds",
            "Durations of requests by operation and outcome.",
            ["operation", "outcome"],
            buckets=SECONDS,
            registry=registry,
        )
        # Cached, because the library takes a lock to find the observer of a request.
        self._observer = cache(lambda *labels: self._requests.labels(*labels).observe)
        self._batches = Histogram(
            "identity_batch_size",
            "Requests in a batch, by phase.",
            ["phase"],
            buckets=SIZES,
            registry=registry,
        )
        self._retries = Counter(
            "identity_retries", "Retries of database transactions, by cause.", ["cause"], registry=registry
        )
        self._rulings = Counter(
            "identity_rulings", "Rulings that changed something, by kind.", ["kind"], registry=registry
        )
        self._erasures = Counter("identity_erasures", "Persons that were erased.", registry=registry)
        self._blocked = Counter(
            "identity_blocked_values",
            "Values to identify by that did not count, because they are blocked, by field.",
            ["field"],
            registry=registry,
        )
        self._last_seen = Counter(
            "identity_last_seen_written",
            "Values of which it was written in which month they were last seen.",
            registry=registry,
        )
        self._waiting = _create_live_gauge(
            "identity_waiting_requests", "Requests that wait for a batch.", registry
        )
        self._connections = _create_live_gauge(
            "identity_pool_connections", "Database connections in use.", registry
        )
        self._max_connections = _create_live_gauge(
            "identity_pool_connections_max", "Maximum number of database connections.", registry
        )

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        """Record a finished request."""
        self._observer(operation, outcome)(seconds)

    def observe_batch(self, phase: str, size: int) -> None:
        """Record a finished batch."""
        self._batches.labels(phase).observe(size)

    def observe_retry(self, cause: str) -> None:
        """Record a retry."""
        self._retries.labels(cause).inc()

    def observe_ruling(self, kind: str) -> None:
        """Record a ruling."""
        self._rulings.labels(kind).inc()

    def observe_erasure(self) -> None:
        """Record an erasure."""
        self._erasures.inc()

    def observe_blocked(self, field: str) -> None:
        """Record a value that did not count, because it is blocked."""
        self._blocked.labels(field).inc()

    def observe_last_seen(self, values: int) -> None:
        """Record that it was written of values when they were last seen."""
        self._last_seen.inc(values)

    async def watch(self, waiting: Callable[[], int], pool: Callable[[], tuple[int, int]]) -> None:
        """Update the gauges every second until cancelled.

        Args:
            waiting: returns the number of waiting requests.
            pool: returns the numbers of connections in use and at most.
        """
        while True:
            self._waiting.set(waiting())
            in_use, limit = pool()
            self._connections.set(in_use)
            self._max_connections.set(limit)
            await asyncio.sleep(1)

    async def render(self, count_all: CountAll) -> bytes:
        """Render the metrics of all processes of the service in the text format of Prometheus."""
        if self._count_every and time.monotonic() >= self._counted_at + self._count_every:
            if self._counting is None:
                self._counting = asyncio.create_task(self._count(count_all))
            # A census of millions takes longer than Prometheus waits; the next request gets its result.
            await asyncio.wait([self._counting], timeout=COUNT_TIMEOUT)
        registry = self._registry
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    async def _count(self, count_all: CountAll) -> None:
        try:
            *totals, held_by_limit, largest = await count_all()
        except RepositoryUnavailable as error:
            _logger.warning("the census failed", reason=error.reason)
        else:
            for gauge, total in zip(self._totals, totals, strict=True):
                gauge.set(total)
            for limit, number in held_by_limit.items():
                self._held.labels(limit).set(number)
            for rank, size in enumerate(largest, start=1):
                self._largest.labels(rank).set(size)
        finally:
            self._counted_at = time.monotonic()
            self._counting = None

    # These gauges are created by the first census, so that no zero is exported before it.

    @cached_property
    def _totals(self) -> list[Gauge]:
        return [
            _create_census_gauge(f"identity_{what}", documentation, self._registry)
            for what, documentation in TOTALS.items()
        ]

    @cached_property
    def _held(self) -> Gauge:
        documentation = "Pairs that a limit holds and that wait for somebody, by limit."
        return _create_census_gauge("identity_pairs_held_by_limit", documentation, self._registry, "limit")

    @cached_property
    def _largest(self) -> Gauge:
        documentation = "Contacts of the largest identities, by rank."
        return _create_census_gauge(
            "identity_largest_identity_contacts", documentation, self._registry, "rank"
        )


def remove_dead_processes() -> None:
    """Remove the gauges of processes that have ended."""
    if (folder := os.environ.get(FOLDER)) is not None:
        for path in Path(folder).glob("gauge_live*.db"):
            pid = int(re.sub(r"\D", "", path.name))
            if not psutil.pid_exists(pid):
                mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _create_live_gauge(name: str, documentation: str, registry: CollectorRegistry) -> Gauge:
    """Create a gauge that is summed over all running processes."""
    return Gauge(name, documentation, multiprocess_mode="livesum", registry=registry)


def _create_census_gauge(name: str, documentation: str, registry: CollectorRegistry, *labels: str) -> Gauge:
    """Create a gauge that all processes share; the latest value counts."""
    return Gauge(name, documentation, labels, multiprocess_mode="mostrecent", registry=registry)
