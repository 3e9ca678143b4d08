"""Details that would join values which a pin keeps apart."""

from collections.abc import Iterator
from datetime import datetime

from attrs import evolve

from identity_core.model.decision import Decision
from identity_core.model.details import ContactDetails
from identity_core.model.evidence import Evidence
from identity_core.model.record import Record
from identity_core.rules.resolve import find_inherited_links
from identity_core.rules.settle import Settlement, settle


def record_pair(details: ContactDetails, record: Record, now: datetime, ids: Iterator[int]) -> Decision:
    """Decide on details that would join values which a pin keeps apart: record their pair.

    Then `reconcile` can decide.
    """
    return Decision(settle_pair(details, record, now, ids).writes, ())


def settle_pair(details: ContactDetails, record: Record, now: datetime, ids: Iterator[int]) -> Settlement:
    """Record a pair that would join values which a pin keeps apart, and resolve the record again.

    The pair is held, unless it is so early that pairs which counted are held in its place. It is not recorded
    if one of its values is new: then the other one is in two identities, which another program wrote.
    """
    known = {identifier for contact in record.contacts for identifier in contact.identifiers}
    evidence: list[Evidence] = []
    if details.pair is not None and known.issuperset(details.identifiers) and not record.holds(details.pair):
        evidence.append(Evidence(next(ids), *details.pair, details.seen_at or now))
    after = evolve(record, evidence=(*record.evidence, *evidence))
    return settle(record, after, find_inherited_links(record), now, ids)
