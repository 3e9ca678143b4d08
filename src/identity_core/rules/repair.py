"""The repair of identities that other programs wrote.

`reconcile` answers imperfect records as they should be, and writes right what it writes. But it
leaves alone what no details match.
"""

from collections.abc import Iterator
from datetime import datetime

from identity_core.model.decision import Decision
from identity_core.model.events import EventKind
from identity_core.model.record import Record
from identity_core.rules.apply import settle_by_rules


def repair(record: Record, now: datetime, ids: Iterator[int]) -> Decision:
    """Restore what a record should be, which other programs may have left otherwise.

    - Values that pairs or pins join are one identity, and every contact points straight at the oldest.
    - Of contacts that hold the same details the oldest stays; the others are deleted.
    - Evidence is removed where a contact holds the pair, and stands as the rulings and the rules say.

    It is idempotent: where all of this holds already, nothing changes.
    """
    return Decision(settle_by_rules(record, now, ids, joined=EventKind.REPAIRED).writes, ())
