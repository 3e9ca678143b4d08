"""The use case that rules: dry runs, plans, and what a ruling is found by."""

import asyncio

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    Contradiction,
    EventKind,
    IdentityError,
    Limits,
    NotRecorded,
    Outcome,
    RuleOnIdentities,
    RuleSet,
    StalePlan,
    Verdict,
    WriteSet,
)
from identity_core.testing import batches
from identity_core.testing.rulings import check_foretold
from tests.unit.core.records import Customers, ruling, value

TWO = ("a@x", "1"), ("b@x", "1")


def find(customers, way, *about, **named):
    """What the use case finds by one of its ways."""
    return asyncio.run(getattr(customers.rule, way)(*about, **named))


def rule_twice(customers, way, *about):
    """Rule as a dry run, then with its plan; what was foretold has to come true."""
    before, events = customers.record, customers.events
    foretold = way(*about, dry_run=True)
    assert (customers.record, customers.events) == (before, events), "nothing is written"
    done = way(*about, plan=foretold.plan)
    check_foretold(foretold, done)
    for contacts in done.identities:
        assert asyncio.run(customers.queries.find(contacts[0].id)) == contacts
    return done


# Dry run, then real


@given(batches(4, max_size=10), st.data())
def test_a_ruling_does_what_its_dry_run_foretold(batch, data):
    customers = Customers(*batch)
    values = sorted(customers.seen) or [value("a@x")]
    for _ in range(data.draw(st.integers(1, 4))):
        one, other = (data.draw(st.sampled_from(values)).value for _ in range(2))
        pairs = [details.pair for details in batch if details.pair is not None]
        ways = [("split", one, other), *(("undo", *pair) for pair in pairs)]
        ways += [
            ("pin", one, other, verdict)
            for verdict in Verdict
            if one != other and verdict in ("same", "different")
        ]
        ways += [(way, taken) for taken in customers.rulings for way in ("restore", "unpin")]
        way, *about = data.draw(st.sampled_from(ways))
        before = customers.record
        try:
            rule_twice(customers, getattr(customers, way), *about)
        except (Contradiction, NotRecorded) as error:
            refused = error
        else:
            continue
        with pytest.raises(type(refused)) as really:
            getattr(customers, way)(*about)
        assert vars(really.value) == vars(refused)
        assert customers.record == before


def test_a_contact_that_would_be_new_has_the_id_0_in_a_dry_run():
    customers = Customers(("a@x", "1"), ("b@x", "2"))
    customers.undo("a@x", "1")
    foretold = customers.pin("b@x", "c@x", Verdict.SAME, dry_run=True)
    assert [[(one.id, one.linked_id) for one in contacts] for contacts in foretold.identities] == [
        [(2, None), (0, 2)]
    ]
    alone = Customers(("a@x", "1"), ("a@x", "2")).undo("a@x", "2", dry_run=True)
    assert [one[0].id for one in alone.identities] == [1, 0]


def test_what_is_linked_to_a_contact_that_would_be_new_is_linked_to_the_id_0():
    customers = Customers(*TWO)
    foretold = customers.undo("a@x", "1", dry_run=True)
    assert [[(one.id, one.linked_id) for one in contacts] for contacts in foretold.identities] == [
        [(1, None)],
        [(0, None), (2, 0)],
    ]


def test_a_plan_is_refused_once_the_record_has_changed():
    customers = Customers(*TWO)
    plan = customers.undo("b@x", "1", dry_run=True).plan
    customers.identify(("c@x", "1"))
    before = customers.record
    for dry_run in (True, False):
        with pytest.raises(StalePlan, match="changed since the plan was made"):
            customers.undo("b@x", "1", plan=plan, dry_run=dry_run)
    assert customers.record == before
    customers.undo("b@x", "1", plan=customers.undo("b@x", "1", dry_run=True).plan)


def test_what_others_do_elsewhere_does_not_change_a_plan():
    customers = Customers(*TWO)
    plan = customers.undo("b@x", "1", dry_run=True).plan
    customers.identify(("z@x", "9"))
    assert customers.undo("b@x", "1", plan=plan).plan == plan


def test_a_dry_run_is_offloaded_by_the_size_of_the_record():
    sizes = []

    async def offload(size, function, *values):
        sizes.append(size)
        return function(*values)

    customers = Customers(*TWO, ("a@x", "2"))
    customers.rule = RuleOnIdentities(customers.repository, customers.repository, offload=offload)
    customers.undo("b@x", "1", dry_run=True)
    customers.undo("b@x", "1")
    assert sizes == [3]


# What the worked example of the documentation does


def test_a_typo_joins_two_customers_until_it_is_undone_and_stays_undone():
    customers = Customers(("a@x", "1"), ("b@x", "2"), ("a@x", "2"))
    assert len(customers.parts) == 1
    customers.undo("a@x", "2")
    parts = {frozenset(["a@x", "1"]), frozenset(["b@x", "2"])}
    assert customers.parts == parts
    before = customers.record
    [again] = customers.identify(("a@x", "2"))
    assert (again.outcome, again.identity.emails) == (Outcome.HELD, ("a@x",))
    assert customers.record == before
    customers.restore(find(customers, "find_undone", ("a@x", "2")))
    assert len(customers.parts) == 1


def test_a_split_is_restored_even_if_what_it_undid_was_parted_from_its_pin_meanwhile():
    customers = Customers(("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("c@x", "2"))
    customers.split("a@x", "c@x")
    pin = next(one for one in customers.rulings if one.verdict is Verdict.DIFFERENT)
    [undone] = [one for one in customers.rulings if one.split_id == pin.id]
    between = {("a@x", "1"), ("b@x", "1"), ("b@x", "2")} - {(undone.one.value, undone.other.value)}
    for pair in sorted(between):
        customers.undo(*pair)
    customers.restore(pin)
    assert pin not in customers.rulings
    assert undone not in customers.rulings


def test_a_pin_is_removed_and_what_it_held_counts():
    customers = Customers(("a@x", "1"), ("b@x", "2"))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.identify(("a@x", "2"))
    rule_twice(customers, customers.unpin, *customers.rulings)
    assert customers.parts == {frozenset(["a@x", "b@x", "1", "2"])}
    assert customers.rulings == []


def test_adopting_a_ruling_from_another_database_puts_it_in_force_once():
    customers = Customers(*TWO)
    foreign = ruling(7, Verdict.UNDONE, "b@x", "1")
    find(customers, "adopt", foreign)
    assert find(customers, "adopt", foreign).writes == WriteSet()
    [made] = customers.rulings
    assert made == evolve(foreign, id=made.id)
    assert customers.parts == {frozenset(["a@x", "1"]), frozenset(["b@x"])}


# Finding


def test_a_pair_is_found_by_a_contact_or_evidence_or_the_event_that_it_caused():
    customers = Customers(*TWO, ("a@x", "2"), ("b@x", "2"))
    kinds = [event.kind for event in customers.events]
    assert kinds == [EventKind.CREATED, EventKind.LINKED, EventKind.LINKED, EventKind.CORROBORATED]
    pairs = [*TWO, ("a@x", "2"), ("b@x", "2")]
    for number, pair in enumerate(pairs, start=1):
        assert find(customers, "find_pair", id=number) == pair
        assert find(customers, "find_pair", event_id=number) == pair
    customers.undo("b@x", "1")
    assert find(customers, "find_pair", id=2) == ("b@x", "1"), "although its contact has the email alone now"
    assert find(customers, "find_pair", event_id=5) == ("b@x", "1")


def test_what_a_limit_holds_is_found_by_its_id():
    customers = Customers(TWO[0])
    customers.put_rules(RuleSet(limits=Limits(emails_per_phone_number=1)))
    customers.identify(TWO[1])
    [held] = customers.held
    assert held.pair == TWO[1]
    assert find(customers, "find_held", held.id) == held
    for id in (held.id - 1, held.id + 1):
        with pytest.raises(NotRecorded, match="pair is not held by a limit"):
            find(customers, "find_held", id)


def test_what_has_no_pair_is_not_on_record():
    customers = Customers(("a@x", None), ("b@x", None))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    for about in ({"id": 1}, {"id": 99}, {"event_id": 1}, {"event_id": 3}):
        with pytest.raises(NotRecorded, match="pair is not on record"):
            find(customers, "find_pair", **about)
    for event_id in (0, 99):
        with pytest.raises(NotRecorded, match="eventId does not exist"):
            find(customers, "find_pair", event_id=event_id)


def test_a_ruling_is_found_by_its_id_while_it_is_in_force():
    customers = Customers(*TWO, ("a@x", "2"))
    customers.undo("b@x", "1")
    customers.undo("a@x", "2")
    first, second = customers.rulings
    assert [find(customers, "find_ruling", one.id) for one in (first, second)] == [first, second]
    customers.restore(first)
    for unknown in (first.id, second.id + 1, 0):
        with pytest.raises(NotRecorded, match="ruling is not in force"):
            find(customers, "find_ruling", unknown)


def test_rulings_are_listed_in_the_order_of_ids_a_page_at_a_time():
    customers = Customers(*[("a@x", str(number)) for number in range(5)])
    for number in range(5):
        customers.undo("a@x", str(number))
    everything = customers.rulings
    assert everything == sorted(everything, key=lambda one: one.id)
    assert find(customers, "rulings", after=everything[1].id, limit=2) == everything[2:4]


def test_a_ruling_is_found_by_the_event_that_it_caused_or_that_its_pair_caused():
    customers = Customers(*TWO)
    customers.undo("b@x", "1")
    [made] = customers.rulings
    for number, event in enumerate(customers.events, start=1):
        if event.kind is not EventKind.CREATED:
            assert find(customers, "find_ruling_of_event", number) == made
    customers.restore(made)
    for number, event in enumerate(customers.events, start=1):
        field = "ruling is not in force" if event.ruling_id else "pair is not undone"
        with pytest.raises(NotRecorded, match=field):
            find(customers, "find_ruling_of_event", number)
    with pytest.raises(NotRecorded, match="eventId does not exist"):
        find(customers, "find_ruling_of_event", 99)


def test_the_ruling_that_undid_a_pair_is_found_by_the_pair():
    customers = Customers(*TWO)
    customers.undo("b@x", "1")
    assert find(customers, "find_undone", ("b@x", "1")) == customers.rulings[0]
    for pair in [("a@x", "1"), ("z@x", "9")]:
        with pytest.raises(NotRecorded, match="pair is not undone"):
            find(customers, "find_undone", pair)


def test_every_refusal_is_an_error_of_the_library_that_names_no_value():
    customers = Customers(*TWO)
    refusals = []
    for way, *about in [
        (customers.undo, "a@x", "9"),
        (customers.split, "a@x", "z@x"),
        (customers.pin, "a@x", "b@x", Verdict.DIFFERENT),
        (customers.restore, ruling(9, Verdict.UNDONE, "a@x", "1")),
        (customers.unpin, ruling(9, Verdict.SAME, "a@x", "1")),
    ]:
        with pytest.raises(IdentityError) as refused:
            way(*about)
        refusals.append(str(refused.value))
    assert not any("@x" in text for text in refusals)
    assert customers.rulings == []
