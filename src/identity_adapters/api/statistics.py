"""How much there is of everything."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

import msgspec

from identity_adapters.api import Time

Counts: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, bool, dict[str, int], list[int]]
CountAll: TypeAlias = Callable[[], Awaitable[Counts]]
"""Takes a census: the numbers of contacts, identities, merges, splits, pairs that pins hold, blocked pairs,
undone pairs, and pins; the version of the rules, and whether everything is in line with them; the pairs that
each limit holds, and the contacts of the largest identities."""


class StatisticsAnswer(msgspec.Struct, rename="camel"):
    """How much there is of everything.

    `heldPairs` are held by pins, `waitingPairs` by limits: they wait for somebody. `undonePairs` include
    inherited links. `isSettled` tells whether everything is in line with the rules in force.
    """

    counted_at: Time
    contacts: int
    identities: int
    merges: int
    splits: int
    held_pairs: int
    blocked_pairs: int
    undone_pairs: int
    waiting_pairs: int
    pins: int
    largest_identity: int
    rules_version: int
    is_settled: bool


def to_statistics_answer(counts: Counts, counted_at: datetime) -> StatisticsAnswer:
    """Convert a census to an answer."""
    contacts, identities, merges, splits, held, blocked, undone, pins, version, settled, limits, sizes = (
        counts
    )
    return StatisticsAnswer(
        counted_at=counted_at,
        contacts=contacts,
        identities=identities,
        merges=merges,
        splits=splits,
        held_pairs=held,
        blocked_pairs=blocked,
        undone_pairs=undone,
        waiting_pairs=sum(limits.values()),
        pins=pins,
        largest_identity=max(sizes, default=0),
        rules_version=version,
        is_settled=settled,
    )
