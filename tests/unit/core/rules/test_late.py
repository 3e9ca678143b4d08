"""Details that would join values which a pin keeps apart."""

from contextlib import suppress
from itertools import count

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    ContactDetails,
    EventKind,
    Evidence,
    Outcome,
    Standing,
    Verdict,
    WriteSet,
    preview,
    reconcile,
    repair,
)
from identity_core.rules.late import record_pair, settle_pair
from identity_core.rules.reconcile import KeptApart
from identity_core.testing import contact_details, moments
from identity_core.testing.model import partition, resolved
from tests.unit.core.records import EPOCH, NOW, Customers, contact, day, record_of, records, ruling, write

APART = record_of(
    [contact(10, "a@x", "1"), contact(20, "b@x", "2")], rulings=[ruling(90, Verdict.DIFFERENT, "a@x", "b@x")]
)
"""Two identities that a pin keeps apart, the first of day 10, the second of day 20."""


def record(details, record=APART):
    decision = record_pair(details, record, NOW, count(200))
    return decision.writes, write(record, decision.writes)


def is_kept_apart(details, record=APART):
    with suppress(KeptApart):
        reconcile([details], record.to_snapshot(details), NOW, count(200))
        return False
    return True


def test_details_of_now_are_held_at_once():
    details = ContactDetails("a@x", "2")
    decision = reconcile([details], APART.to_snapshot(details), NOW, count(200))
    assert decision.outcomes == (Outcome.HELD,)
    assert decision.identities[0].emails == ("a@x",)
    assert decision.writes.evidence == (Evidence(200, "a@x", "2", NOW, Standing.HELD),)
    [event] = decision.writes.events
    assert (event.kind, event.primary_id, event.evidence_id) == (EventKind.HELD, 10, 200)
    assert decision.writes.created == decision.writes.altered == ()


def test_details_with_a_time_of_their_own_need_the_whole_record():
    assert is_kept_apart(ContactDetails("a@x", "2", day(500)))
    assert not is_kept_apart(ContactDetails("a@x", "1", day(500)))


def test_so_do_details_of_now_where_a_contact_is_of_a_later_time():
    late = record_of([contact(10, "a@x", "1"), contact(20, "b@x", "2", days=2_000)], rulings=APART.rulings)
    assert is_kept_apart(ContactDetails("a@x", "2"), late)


def test_one_value_in_two_identities_that_a_pin_keeps_apart_needs_the_whole_record():
    twice = record_of([contact(10, "a@x", "1"), contact(20, "b@x", "1")], rulings=APART.rulings)
    assert is_kept_apart(ContactDetails(None, "1"), twice)
    writes, after = record(ContactDetails(None, "1"), twice)
    assert [piece.standing for piece in writes.evidence] == [Standing.HELD]
    assert not is_kept_apart(ContactDetails(None, "1"), after)


@pytest.mark.parametrize("seen_at", [None, day(500), day(25)])
def test_a_pair_that_comes_after_those_that_count_is_held(seen_at):
    writes, after = record(ContactDetails("a@x", "2", seen_at))
    assert writes.evidence == (Evidence(200, "a@x", "2", seen_at or NOW, Standing.HELD),)
    assert [event.kind for event in writes.events] == [EventKind.HELD]
    assert partition(after) == partition(APART)


def test_a_pair_that_comes_before_one_that_counted_takes_its_place():
    writes, after = record(ContactDetails("a@x", "2", day(15)))
    assert {piece.pair: piece.standing for piece in writes.evidence} == {
        ("b@x", "2"): Standing.HELD,
        ("a@x", "2"): Standing.COUNTS,
    }
    assert partition(after) == {frozenset(["a@x", "1", "2"]), frozenset(["b@x"])} == resolved(after)
    assert {event.kind for event in writes.events} >= {EventKind.HELD, EventKind.CORROBORATED}


def test_a_pair_on_record_is_not_recorded_twice():
    _, after = record(ContactDetails("a@x", "2"))
    assert record(ContactDetails("a@x", "2"), after)[0] == WriteSet()
    assert settle_pair(ContactDetails("a@x", None), APART, NOW, count(200)).writes == WriteSet()


def test_a_pair_with_a_new_value_is_not_recorded_but_what_another_program_wrote_is_put_right():
    assert record(ContactDetails("c@x", "2"))[0] == WriteSet()
    twice = record_of([contact(10, "a@x", "1"), contact(20, "b@x", "1")], rulings=APART.rulings)
    details = ContactDetails("c@x", "1", day(500))
    assert is_kept_apart(details, twice)
    writes, after = record(details, twice)
    assert [piece.pair for piece in writes.evidence] == [("b@x", "1")]
    assert not is_kept_apart(details, after)


def test_details_that_match_what_another_program_wrote_across_a_pin_are_identified():
    customers = Customers(("a@x", "1"))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.repository.adopt(record_of([contact(50, "b@x", "1", days=5_000)]))
    foretold = customers.preview("c@x", "1")
    [done] = customers.identify(("c@x", "1"))
    assert done.outcome is foretold.outcome
    assert customers.parts == resolved(customers.record)


@given(records(), contact_details(4, moments(4)))
def test_a_record_with_a_late_pair_is_what_the_model_has(drawn, details):
    settled = write(drawn, repair(drawn, NOW, count(500)).writes)
    settled = evolve(settled, asked=settled.asked | {*details.identifiers})
    after = write(settled, settle_pair(details, settled, NOW, count(700)).writes)
    assert partition(after) == resolved(after)


# The preview


@given(st.sampled_from([None, EPOCH, day(15), day(25)]), st.booleans())
def test_a_preview_of_details_that_a_pin_keeps_apart_comes_true(seen_at, is_repeated):
    customers = Customers(("a@x", "1", day(10)), ("b@x", "2", day(20)))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    if is_repeated:
        customers.identify(("a@x", "2"))
    before = customers.record
    foretold = customers.preview("a@x", "2", seen_at)
    assert customers.record == before, "nothing is written"
    events = len(customers.events)
    [done] = customers.identify(("a@x", "2", seen_at))
    assert foretold.outcome is done.outcome
    assert (foretold.identity.emails, foretold.identity.phone_numbers) == (
        done.identity.emails,
        done.identity.phone_numbers,
    )
    known = {one.id for one in before.contacts}
    absorbed = [id for event in customers.events[events:] for id in event.absorbed_ids]
    assert list(foretold.absorbed_ids) == [id for id in absorbed if id in known]


def test_a_preview_tells_what_would_move_where_an_early_pair_takes_the_place_of_another():
    previewed = preview(ContactDetails("a@x", "2", day(15)), APART)
    assert previewed.outcome is Outcome.KNOWN
    assert previewed.identity.phone_numbers == ("1", "2")
    assert previewed.moved > 0
    latest = preview(ContactDetails("a@x", "2"), APART)
    assert (latest.outcome, latest.moved, latest.absorbed_ids) == (Outcome.HELD, 0, ())
