"""The properties that rulings and rules have, as the design states them, in any order of arrival."""

import asyncio

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from identity_core import Contradiction, Limits, NotRecorded, Outcome, RuleSet, Standing, Verdict
from identity_core.model.rule_set import NO_RULES
from identity_core.testing import batches, components, identifiers, moments, rule_sets
from identity_core.testing.model import partition, resolved
from tests.unit.core.records import Customers, day

POOL = 4
LIVE = batches(POOL, max_size=10)
DATED = batches(POOL, st.none() | moments(), max_size=10)
WAYS = st.lists(
    st.tuples(
        st.sampled_from(["undo", "split", "same", "different", "restore", "unpin"]),
        identifiers(POOL),
        identifiers(POOL),
        st.integers(0, 9),
    ),
    max_size=5,
)


def rule(customers, way, one, other, number):
    """Rule in some way, unless it is refused."""
    in_force = customers.rulings
    try:
        if way in ("undo", "split"):
            getattr(customers, way)(one.value, other.value)
        elif way in ("same", "different"):
            if one != other:
                customers.pin(one.value, other.value, Verdict(way))
        elif in_force:
            getattr(customers, way)(in_force[number % len(in_force)])
    except (Contradiction, NotRecorded):
        pass


def pairs_of(details):
    return [one.pair for one in details if one.pair is not None]


def take_all_back(customers):
    while customers.rulings:
        for one in customers.rulings:
            way = customers.unpin if one.verdict in (Verdict.SAME, Verdict.DIFFERENT) else customers.restore
            if one in customers.rulings and one.verdict is not Verdict.INHERITED:
                try:
                    way(one)
                except Contradiction:
                    assert one.verdict is Verdict.UNDONE, "only what a pin would hold is refused"


@given(DATED)
def test_without_rulings_every_pair_joins(details):
    customers = Customers(*details)
    assert customers.parts == components(details)
    assert customers.record.evidence == tuple(
        piece for piece in customers.record.evidence if piece.standing is Standing.COUNTS
    )


@given(DATED, WAYS, DATED)
def test_what_is_stored_is_what_the_model_says_of_the_record(before, ways, after):
    customers = Customers(*before)
    for way in ways:
        rule(customers, *way)
        assert customers.parts == resolved(customers.record)
    customers.identify_batch(*after)
    assert customers.parts == resolved(customers.record)


@given(DATED, WAYS, DATED)
def test_rulings_other_than_same_only_ever_part_and_taking_all_back_joins_again(before, ways, after):
    customers = Customers(*before)
    for way in ways:
        if way[0] != "same":
            rule(customers, *way)
    customers.identify_batch(*after)
    whole = components([*before, *after])
    for part in customers.parts:
        assert any(part <= one for one in whole) or len(part) == 1
    take_all_back(customers)
    values = {one.value for details in (*before, *after) for one in details.identifiers}
    assert {part for part in customers.parts if part & values} == whole


@given(LIVE, st.data())
def test_undone_is_as_if_the_two_values_had_come_each_alone(details, data):
    pairs = pairs_of(details)
    assume(pairs)
    pair = data.draw(st.sampled_from(pairs))
    customers = Customers(*details)
    customers.undo(*pair)
    alone = Customers(
        *(key for one in details for key in ([one] if one.pair != pair else [(pair[0],), (None, pair[1])]))
    )
    assert customers.parts == alone.parts


def primaries_and_dates(customers):
    """The dates of each identity's primary, by the values of the identity."""
    return {
        frozenset(value for one in contacts for value in one.identifiers): contacts[0].created_at
        for contacts in customers.record.identities
    }


@given(LIVE, st.data())
def test_the_identities_of_an_undone_pair_are_as_old_as_if_its_values_had_come_each_alone(details, data):
    pairs = pairs_of(details)
    assume(pairs)
    pair = data.draw(st.sampled_from(pairs))
    dated = [(one.email, one.phone_number, day(number)) for number, one in enumerate(details)]
    customers, alone = Customers(*dated), Customers()
    customers.undo(*pair)
    for email, number, seen_at in dated:
        is_undone = (email, number) == pair
        alone.identify(
            *([(email, None, seen_at), (None, number, seen_at)] if is_undone else [(email, number, seen_at)])
        )
    assert primaries_and_dates(customers) == primaries_and_dates(alone)


@given(DATED, WAYS, st.data())
def test_undo_and_restore_change_nothing(details, ways, data):
    pairs = pairs_of(details)
    assume(pairs)
    customers = Customers(*details)
    for way in ways:
        rule(customers, *way)
    pair = data.draw(st.sampled_from(pairs))
    before = customers.record
    held = {piece.pair for piece in before.evidence if piece.standing is not Standing.COUNTS}
    assume(pair not in held)
    try:
        done = customers.undo(*pair)
    except Contradiction:
        return
    [made] = done.writes.rulings
    customers.restore(made)
    assert partition(customers.record) == partition(before)
    assert customers.record.rulings == before.rulings
    if not done.writes.deleted:  # nothing is repeated that was not before
        assert customers.record.identities == before.identities
        assert customers.record.evidence == before.evidence


@given(LIVE, WAYS, st.data())
def test_the_same_details_again_change_nothing_after_undo(details, ways, data):
    pairs = pairs_of(details)
    assume(pairs)
    customers = Customers(*details)
    for way in ways:
        rule(customers, *way)
    rule(customers, "undo", *next(one for one in details if one.pair).identifiers, 0)
    before, events = customers.record, customers.events
    for one, identified in zip(details, customers.identify_batch(*details), strict=True):
        assert identified.outcome in (Outcome.KNOWN, Outcome.HELD)
        ignored = before.undone_pairs | {p.pair for p in before.evidence if p.standing is not Standing.COUNTS}
        assert (identified.outcome is Outcome.HELD) == (one.pair in ignored)
    assert (customers.record, customers.events) == (before, events)


@given(DATED, st.data())
def test_undoing_every_pair_in_any_order_leaves_each_value_alone(details, data):
    customers = Customers(*details)
    for pair in data.draw(st.permutations([*dict.fromkeys(pairs_of(details))])):
        done = customers.undo(*pair)
        assert done.undone
    values = {one.value for each in details for one in each.identifiers}
    assert customers.parts == {frozenset([value]) for value in values}
    for one in customers.rulings:
        customers.restore(one)
    assert customers.parts == components(details)


@given(DATED, st.lists(st.tuples(identifiers(POOL), identifiers(POOL)), min_size=1, max_size=3), st.data())
def test_what_is_pinned_apart_is_never_joined_in_any_order_of_arrival(details, pins, data):
    customers = Customers()
    for one, other in pins:
        if one != other:
            customers.pin(one.value, other.value, Verdict.DIFFERENT)
    arrival = data.draw(st.permutations(details))
    size = data.draw(st.integers(1, 4))
    for start in range(0, len(arrival), size):
        customers.identify_batch(*arrival[start : start + size])
        for pin in customers.rulings:
            assert not any({end.value for end in pin.values} <= part for part in customers.parts)
    assert customers.parts == resolved(customers.record)


@given(
    st.lists(st.tuples(identifiers(3), identifiers(3)), max_size=3),
    batches(3, moments(), max_size=8),
    st.data(),
)
def test_the_order_of_arrival_makes_no_difference_where_every_pair_has_its_own_time(pins, details, data):
    dated = {one.pair: one for one in details if one.pair is not None}
    history = [(*pair, day(number)) for number, pair in enumerate(dated)]
    parts = []
    for arrival in (history, data.draw(st.permutations(history))):
        customers = Customers()
        for one, other in pins:
            if one != other:
                customers.pin(one.value, other.value, Verdict.DIFFERENT)
        customers.identify(*arrival)
        parts.append(customers.parts)
    assert parts[0] == parts[1]


@given(LIVE, WAYS)
def test_rulings_made_in_another_database_have_the_same_effect_when_they_are_adopted(details, ways):
    customers, copy = Customers(*details), Customers(*details)
    for way in ways:
        rule(customers, *way)
    for one in customers.rulings:
        copy.seen |= one.values
        asyncio.run(copy.rule.adopt(one))
    # A value that only a pin named, which is removed by now, is known where the pin was made.
    known = {one.value for one in copy.seen}
    assert copy.parts == {part & known for part in customers.parts} - {frozenset()}


# Rules, with rulings or without


@given(DATED, rule_sets(POOL), WAYS, DATED, rule_sets(POOL))
def test_whatever_the_rules_and_the_rulings_are_what_is_stored_is_what_the_model_says(
    before, first, ways, after, second
):
    customers = Customers(*before)
    customers.put_rules(first)
    assert customers.parts == resolved(customers.record)
    for way in ways:
        rule(customers, *way)
    customers.identify_batch(*after)
    assert customers.parts == resolved(customers.record)
    customers.put_rules(second)
    assert customers.parts == resolved(customers.record)
    for pin in customers.rulings:
        if pin.verdict is Verdict.DIFFERENT:
            assert not any({end.value for end in pin.values} <= one for one in customers.parts)


@given(DATED, rule_sets(POOL), DATED, rule_sets(POOL))
def test_rules_only_ever_part(before, first, after, second):
    customers = Customers(*before)
    customers.put_rules(first)
    customers.identify_batch(*after)
    customers.put_rules(second)
    whole = components([*before, *after])
    assert all(any(part <= one for one in whole) for part in customers.parts)


@given(DATED, rule_sets(POOL), st.booleans())
def test_to_accept_all_that_is_held_is_to_have_no_limits(details, rules, at_once):
    customers = Customers()
    customers.put_rules(RuleSet(limits=rules.limits))
    (customers.identify_batch if at_once else customers.identify)(*details)
    for piece in customers.held:
        customers.pin(*piece.pair, Verdict.SAME)
    assert customers.held == []
    assert customers.parts == components(details)


@given(DATED, rule_sets(POOL), DATED)
def test_to_remove_the_limits_is_to_have_had_none(details, rules, later):
    customers = Customers(*details)
    customers.put_rules(RuleSet(limits=rules.limits))
    customers.identify_batch(*later)
    customers.put_rules(NO_RULES)
    assert customers.parts == components([*details, *later])
    assert {piece.standing for piece in customers.record.evidence} <= {Standing.COUNTS}


@given(DATED, rule_sets(POOL), rule_sets(POOL), WAYS)
def test_to_block_and_unblock_is_nothing(details, rules, blocks, ways):
    here = RuleSet(limits=rules.limits)
    customers = Customers()
    customers.put_rules(here)
    customers.identify(*details)
    for way in ways:
        rule(customers, *way)
    before, held = customers.record, customers.held
    dates = primaries_and_dates(customers)
    customers.put_rules(evolve(blocks, limits=here.limits))
    customers.put_rules(here)
    assert primaries_and_dates(customers) == dates
    assert (customers.held, customers.record.rulings) == (held, before.rulings)


@given(LIVE, rule_sets(POOL), LIVE)
def test_what_came_during_a_block_counts_afterwards_as_if_there_had_been_none(before, blocks, during):
    customers = Customers(*before)
    blocks = evolve(blocks, limits=Limits())
    customers.put_rules(blocks)
    customers.identify(*during)
    customers.put_rules(NO_RULES)
    came = [one for one in during if len(blocks.find_blocked(one)) < len(one.identifiers)]
    assert customers.parts == components([*before, *came])


@given(LIVE, rule_sets(POOL), st.integers(1, 5))
def test_customers_one_by_one_and_a_sorted_import_come_to_the_same(details, rules, size):
    history = [evolve(one, seen_at=day(number)) for number, one in enumerate(details)]
    live, batch, parts = Customers(), Customers(), Customers()
    for customers in (live, batch, parts):
        customers.put_rules(rules)
    live.identify(*history)
    batch.identify_batch(*history)
    for start in range(0, len(history), size):
        parts.identify_batch(*history[start : start + size])
    for customers in (batch, parts):
        assert primaries_and_dates(customers) == primaries_and_dates(live)
        assert {(p.pair, p.standing, p.hold, p.seen_at) for p in customers.record.evidence} == {
            (p.pair, p.standing, p.hold, p.seen_at) for p in live.record.evidence
        }
    assert live.parts == resolved(live.record)


@given(LIVE, rule_sets(POOL))
def test_the_same_details_again_change_nothing_by_rules(details, rules):
    customers = Customers()
    customers.put_rules(rules)
    first = customers.identify(*details)
    before, events = customers.record, customers.events
    again = customers.identify_batch(*details)
    assert (customers.record, customers.events) == (before, events)
    assert [one.ignored for one in again] == [one.ignored for one in first]
    assert {one.outcome for one in again} <= {Outcome.KNOWN, Outcome.HELD, Outcome.BLOCKED}
