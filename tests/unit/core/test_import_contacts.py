"""Importing: many details, in batches, in their order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.memory import DryRunRepository, InMemoryContactRepository
from identity_core import (
    ContactDetails,
    IdentifyContacts,
    ImportReport,
    RepositoryBusy,
    RepositoryUnavailable,
    Verdict,
    import_contacts,
)
from identity_core.testing import batches, components, identifiers, moments, violations
from identity_core.testing.model import partition, resolved
from tests.unit.core.records import Customers, day

HISTORIES = batches(5, st.none() | moments(), max_size=30)


async def given_one_by_one(details):
    for one in details:
        yield one


def imported(repository, details, **options):
    return asyncio.run(import_contacts(repository, given_one_by_one(details), **options))


def load(repository, details):
    return asyncio.run(repository.load(details))


@given(HISTORIES, st.integers(1, 31))
def test_the_size_of_batches_makes_no_difference(details, batch_size):
    small, large = InMemoryContactRepository(), InMemoryContactRepository()
    report = imported(small, details, batch_size=batch_size)
    assert imported(large, details, batch_size=100) == report
    assert [(c.key, c.linked_id) for i in load(small, details).identities for c in i] == [
        (c.key, c.linked_id) for i in load(large, details).identities for c in i
    ]
    assert report.read == len(details)
    assert len(small._events) == report.created + report.linked + report.merged + report.corroborated


@given(HISTORIES, st.integers(1, 31))
def test_what_was_imported_is_known(details, batch_size):
    repository = InMemoryContactRepository()
    imported(repository, details, batch_size=batch_size)
    snapshot = load(repository, details)
    assert violations(snapshot, details) == []
    assert partition(snapshot) == components(details)
    assert imported(repository, details, batch_size=batch_size) == ImportReport(
        read=len(details), known=len(details)
    )
    assert load(repository, details) == snapshot


@given(st.lists(batches(5, moments(), max_size=12), max_size=4), batches(5, max_size=4), st.randoms())
def test_the_order_of_runs_makes_no_difference_to_partition_and_primaries(runs, live, draw):
    details = [one for run in runs for one in run]
    for _ in range(2):
        repository = InMemoryContactRepository()
        identify = IdentifyContacts(repository)
        for run in draw.sample(runs, len(runs)):
            asyncio.run(identify.many(draw.sample(live, len(live))))
            imported(repository, draw.sample(run, len(run)), batch_size=draw.randint(1, 5))
        asyncio.run(identify.many(live))
        snapshot = load(repository, [*details, *live])
        assert violations(snapshot, [*details, *live]) == []
        assert partition(snapshot) == components([*details, *live])
        for identity in snapshot.identities:
            values = {value for contact in identity for value in contact.key}
            of_identity = [one for one in details if values & {*one.key} - {None}]
            if of_identity:
                first = min(one.seen_at for one in of_identity)
                assert identity[0].created_at == first
                assert identity[0].key in {one.key for one in of_identity if one.seen_at == first}


class Crowded(InMemoryContactRepository):
    """Takes few details at a time."""

    async def load(self, batch):
        if len(batch) > 3:
            raise RepositoryBusy("too much")
        return await super().load(batch)

    async def transact_in_turn(self, batches, decide):
        if sum(map(len, batches)) > 3:
            raise RepositoryBusy("too much")
        return await super().transact_in_turn(batches, decide)


def test_what_is_too_much_at_once_is_halved():
    details = [ContactDetails(f"{number}@x", str(number % 5)) for number in range(50)]
    repository = Crowded()
    assert imported(repository, details).created == 5
    assert imported(repository, details, batch_size=25).known == 50
    assert load(InMemoryContactRepository(), details).identities == ()


def test_what_is_read_for_one_of_the_details_does_not_grow_with_what_they_share():
    class Counting(InMemoryContactRepository):
        read = 0

        def _snapshot(self, batch, rules):
            snapshot = super()._snapshot(batch, rules)
            self.read += snapshot.size
            return snapshot

    for rows in (500, 2_500):
        repository = Counting()
        details = [ContactDetails("shared@x", str(number)) for number in range(rows)]
        assert imported(repository, details, batch_size=100).linked == rows - 1
        assert repository.read <= 6 * rows


def test_what_cannot_be_done_is_told_of_and_what_was_done_stays():
    class Failing(InMemoryContactRepository):
        async def transact_in_turn(self, batches, decide):
            if self._events:
                raise RepositoryUnavailable("away")
            return await super().transact_in_turn(batches, decide)

    class Busy(InMemoryContactRepository):
        async def transact_in_turn(self, batches, decide):
            raise RepositoryBusy("locked")

    class BusyReading(InMemoryContactRepository):
        async def load(self, batch):
            raise RepositoryBusy("too much")

    details = [ContactDetails(f"{number}@x") for number in range(4)]
    repository = Failing()
    with pytest.raises(RepositoryUnavailable, match="away"):
        imported(repository, details, batch_size=2)
    assert len(load(repository, details).identities) == 2
    with pytest.raises(RepositoryBusy, match="locked"):
        imported(Busy(), details)
    with pytest.raises(RepositoryBusy, match="too much"):
        imported(BusyReading(), details[:1] * 3, batch_size=1)


def test_progress_is_told_after_each_transaction():
    told = []
    details = [ContactDetails(f"{number}@x") for number in range(5)]
    report = imported(InMemoryContactRepository(), details, batch_size=2, on_progress=told.append)
    assert [progress.read for progress in told] == [2, 4, 5]
    assert told[-1] == report


def test_known_details_take_no_transaction():
    class Reading(InMemoryContactRepository):
        transactions = 0

        async def transact_in_turn(self, batches, decide):
            self.transactions += 1
            return await super().transact_in_turn(batches, decide)

    details = [ContactDetails(f"{number}@x") for number in range(40)]
    repository = Reading()
    imported(repository, details, batch_size=4)
    repository.transactions = 0
    imported(repository, details, batch_size=4)
    assert repository.transactions == 1, "the first tells that the others are known as well"


@given(HISTORIES, HISTORIES, st.integers(1, 31))
def test_a_dry_run_reports_what_would_happen_and_writes_nothing(before, details, batch_size):
    stage = InMemoryContactRepository()
    imported(stage, before)
    snapshot, events = load(stage, [*before, *details]), [*stage._events]
    previewed = imported(DryRunRepository(stage), details, batch_size=batch_size)
    assert load(stage, [*before, *details]) == snapshot
    assert [*stage._events] == events
    assert imported(stage, details, batch_size=batch_size) == previewed


# Rulings


def to_details(keys):
    return [ContactDetails(*key) for key in keys]


def test_details_whose_pair_does_not_count_are_counted_as_held():
    customers = Customers(("a@x", "1"), ("b@x", "2"))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.undo("a@x", "1")
    keys = [("a@x", "1"), ("a@x", "2"), ("b@x", "2"), ("a@x", "3"), ("c@x", "3")]
    report = imported(customers.repository, to_details(keys))
    assert report == ImportReport(read=5, held=2, known=1, linked=2)
    again = imported(customers.repository, to_details(keys), batch_size=1)
    assert again == ImportReport(read=5, held=2, known=3)
    assert customers.parts == resolved(customers.record)


def test_an_older_row_that_arrives_late_is_decided_by_the_whole_record():
    customers = Customers(("a@x", "1", day(10)), ("b@x", "2", day(20)))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    report = imported(customers.repository, to_details([("a@x", "2", day(15)), ("b@x", "1", day(500))]))
    assert (report.read, report.held) == (2, 1)
    assert frozenset(["a@x", "1", "2"]) in customers.parts
    assert customers.parts == resolved(customers.record)


def pinned(details, pins):
    """A repository with some details, and pins between values that nothing joins."""
    customers = Customers()
    imported(customers.repository, details)
    for one, other in pins:
        customers.seen |= {one, other}
        joined = any({one.value, other.value} <= part for part in customers.parts)
        if one != other and not joined:
            customers.pin(one.value, other.value, Verdict.DIFFERENT)
    return customers


PINS = st.lists(st.tuples(identifiers(4), identifiers(4)), max_size=3)


@given(batches(4, st.none() | moments()), batches(4, st.none() | moments()), PINS, st.integers(1, 13))
def test_a_dry_run_reports_what_pins_would_hold(before, details, pins, batch_size):
    customers = pinned(before, pins)
    customers.seen |= {one for each in (*before, *details) for one in each.identifiers}
    record, events = customers.record, customers.events
    previewed = imported(DryRunRepository(customers.repository), details, batch_size=batch_size)
    assert (customers.record, customers.events) == (record, events), "nothing is written"
    assert imported(customers.repository, details, batch_size=batch_size) == previewed
    assert customers.parts == resolved(customers.record)
    assert previewed.read == sum(
        [
            previewed.created,
            previewed.linked,
            previewed.merged,
            previewed.corroborated,
            previewed.held,
            previewed.known,
        ]
    )


def test_a_dry_run_knows_when_the_evidence_was_seen_that_an_older_row_competes_with():
    customers = Customers(("a@x", "1", day(10)), ("b@x", "1", day(10)), ("b@x", "2", day(10)))
    customers.identify(("a@x", "2", day(11)), ("c@x", "3", day(20)))
    customers.undo("a@x", "1")
    customers.undo("b@x", "2")
    customers.pin("a@x", "c@x", Verdict.DIFFERENT)
    rows = to_details([("c@x", "2", day(15)), ("a@x", "2"), ("a@x", "2")])
    previewed = imported(DryRunRepository(customers.repository), rows)
    assert imported(customers.repository, rows) == previewed
    assert previewed == ImportReport(read=3, held=1, known=2)
