"""The use case that changes the rules, and what becomes of customers by it."""

import asyncio

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    ChangeRules,
    ContactDetails,
    EventKind,
    Hold,
    IdentifierKind,
    Limits,
    Outcome,
    Record,
    RuleSet,
    StalePlan,
    Standing,
    Verdict,
    import_contacts,
)
from identity_core.errors import Blocked
from identity_core.model.rule_set import NO_RULES
from identity_core.testing import batches, moments, rule_sets
from identity_core.testing.model import resolved
from tests.unit.core.records import NOTE, Customers, day

SHOP = RuleSet(phone_numbers=["1"])
ONE_EMAIL = RuleSet(limits=Limits(emails_per_phone_number=1))
POOL = 4


def customers_of_a_shop():
    return Customers(("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("c@x", "3"))


def part(*values):
    return frozenset(values)


# Blocks


def test_who_is_held_together_by_a_blocked_value_comes_apart_and_back():
    customers = customers_of_a_shop()
    before = customers.record
    in_force = customers.put_rules(SHOP)
    assert (in_force.is_settled, in_force.version, in_force.rules) == (True, 1, SHOP)
    assert customers.parts == {part("a@x"), part("b@x", "2"), part("c@x", "3")}
    customers.put_rules(NO_RULES)
    assert customers.record == before


def test_details_with_nothing_left_are_refused_by_name_and_their_neighbours_are_identified():
    customers = Customers()
    customers.put_rules(SHOP)
    batch = [ContactDetails("a@x"), ContactDetails(None, "1")]
    with pytest.raises(Blocked, match="phone_number is blocked and identifies nobody") as caught:
        asyncio.run(customers.identify_contacts.many(batch))
    assert (caught.value.field, caught.value.reason) == ("phone_number", "is blocked and identifies nobody")
    assert [one.outcome for one in customers.identify(("a@x",))] == [Outcome.KNOWN]


def test_what_came_while_it_was_blocked_counts_afterwards():
    customers = customers_of_a_shop()
    customers.put_rules(SHOP)
    [identified] = customers.identify(("c@x", "1"))
    assert (identified.outcome, identified.ignored) == (Outcome.KNOWN, IdentifierKind.PHONE_NUMBER)
    customers.put_rules(NO_RULES)
    assert customers.parts == {part("a@x", "b@x", "c@x", "1", "2", "3")}


def test_of_what_came_while_it_was_blocked_limits_hold_what_exceeds_them():
    customers = customers_of_a_shop()
    customers.put_rules(SHOP)
    customers.identify(("c@x", "1"), ("d@x", "1"))
    customers.put_rules(RuleSet(limits=Limits(emails_per_phone_number=3)))
    assert customers.standings == {
        ("c@x", "1"): (Standing.COUNTS, None),
        ("d@x", "1"): (Standing.HELD, Hold.EMAILS_PER_PHONE_NUMBER),
    }


def test_a_pin_waits_for_the_end_of_a_block():
    customers = Customers(("a@x", "2"))
    customers.put_rules(SHOP)
    customers.pin("a@x", "1", Verdict.SAME)
    assert customers.parts == {part("a@x", "2"), part("1")}
    customers.put_rules(NO_RULES)
    assert customers.parts == {part("a@x", "1", "2")}


# Limits


def test_what_a_limit_holds_is_accepted_by_a_pin_and_rejected_by_undoing_it():
    customers = Customers(("a@x", "1"))
    customers.put_rules(ONE_EMAIL)
    answers = customers.identify(("b@x", "1"), ("c@x", "1"))
    assert [(one.outcome, one.identity.emails) for one in answers] == [
        (Outcome.HELD, ("b@x",)),
        (Outcome.HELD, ("c@x",)),
    ]
    accepted, rejected = customers.held
    customers.pin(*accepted.pair, Verdict.SAME)
    customers.undo(*rejected.pair)
    assert customers.held == []
    assert customers.parts == {part("a@x", "b@x", "1"), part("c@x")}
    customers.put_rules(NO_RULES)
    assert customers.parts == {part("a@x", "b@x", "1"), part("c@x")}


def test_accepting_and_thinking_better_of_it_leaves_the_pair_held():
    customers = Customers(("a@x", "1"))
    customers.put_rules(ONE_EMAIL)
    customers.identify(("b@x", "1"))
    before = customers.parts, customers.held
    customers.pin("b@x", "1", Verdict.SAME)
    customers.unpin(customers.rulings[0])
    assert (customers.parts, customers.held) == before


def test_a_pair_that_was_accepted_before_it_came_is_held_by_no_limit():
    customers = Customers(("a@x", "1"))
    customers.put_rules(ONE_EMAIL)
    customers.pin("b@x", "1", Verdict.SAME)
    [identified] = customers.identify(("b@x", "1"))
    assert (identified.outcome, identified.identity.emails) == (Outcome.KNOWN, ("a@x", "b@x"))


def test_raising_a_limit_releases_in_the_order_in_which_pairs_came():
    customers = Customers(("a@x", "1"))
    customers.put_rules(ONE_EMAIL)
    customers.identify(("c@x", "1"), ("b@x", "1", day(5)), ("d@x", "1"))
    customers.put_rules(RuleSet(limits=Limits(emails_per_phone_number=3)))
    assert [piece.pair for piece in customers.held] == [("d@x", "1")]
    kinds = [event.kind for event in customers.events]
    assert kinds.count(EventKind.RELEASED) == 2
    customers.put_rules(NO_RULES)
    assert customers.parts == {part("a@x", "b@x", "c@x", "d@x", "1")}


def test_lowering_a_limit_concerns_only_what_comes_later():
    customers = customers_of_a_shop()
    before = customers.record.identities
    customers.put_rules(ONE_EMAIL)
    assert customers.record.identities == before
    assert customers.identify(("d@x", "1"))[0].outcome is Outcome.HELD


def test_a_limit_that_is_removed_while_a_value_is_blocked_holds_nothing_afterwards():
    customers = Customers(("a@x", "1"))
    customers.put_rules(ONE_EMAIL)
    customers.identify(("b@x", "1"))
    customers.put_rules(RuleSet(emails=["b@x"], limits=ONE_EMAIL.limits))
    customers.put_rules(RuleSet(emails=["b@x"]))
    customers.put_rules(NO_RULES)
    assert customers.parts == {part("a@x", "b@x", "1")}


# Retroactive limits


def test_retroactive_limits_hold_what_they_would_have_held():
    customers = customers_of_a_shop()
    before = customers.record
    customers.put_rules(ONE_EMAIL, retroactive=True)
    assert customers.standings == {("b@x", "1"): (Standing.HELD, Hold.EMAILS_PER_PHONE_NUMBER)}
    assert customers.parts == {part("a@x", "1"), part("b@x", "2"), part("c@x", "3")}
    assert customers.identify(("b@x", "1"))[0].outcome is Outcome.HELD
    customers.put_rules(NO_RULES)
    assert customers.record == before, "each contact has its pair again"


def test_a_pair_that_retroactive_limits_hold_is_accepted_and_held_again():
    customers = customers_of_a_shop()
    customers.put_rules(ONE_EMAIL, retroactive=True)
    before = customers.parts
    customers.pin("b@x", "1", Verdict.SAME)
    assert customers.parts == {part("a@x", "b@x", "1", "2"), part("c@x", "3")}
    customers.put_rules(ONE_EMAIL, retroactive=True)
    assert customers.parts == {part("a@x", "b@x", "1", "2"), part("c@x", "3")}
    customers.unpin(customers.rulings[0])
    assert customers.parts == before


def test_retroactive_limits_consider_pairs_in_the_order_of_their_times():
    customers = Customers(("a@x", "1", day(2)))
    customers.put_rules(ONE_EMAIL)
    customers.identify(("b@x", "1", day(1)))
    assert customers.parts == {part("a@x", "1"), part("b@x")}
    customers.put_rules(ONE_EMAIL, retroactive=True)
    assert customers.parts == {part("b@x", "1"), part("a@x")}


def test_retroactive_limits_leave_what_people_and_other_rules_decided():
    customers = Customers(("a@x", "1"), ("b@x", "1"), ("c@x", "1"), ("d@x", "1"), ("e@x", "1"))
    customers.undo("b@x", "1")
    customers.pin("d@x", "1", Verdict.SAME)
    customers.put_rules(RuleSet(emails=["e@x"], limits=ONE_EMAIL.limits), retroactive=True)
    assert {pair[0]: standing for pair, (standing, _) in customers.standings.items()} == {
        "b@x": Standing.UNDONE,
        "c@x": Standing.HELD,
        "e@x": Standing.BLOCKED,
    }
    assert customers.parts == {part("a@x", "d@x", "1"), part("b@x"), part("c@x")}


def test_retroactive_limits_follow_what_limits_hold(monkeypatch):
    monkeypatch.setattr("identity_core.settle_rules.LINKS_AT_ONCE", 1)
    customers = Customers(("a@x", "1", day(3)), ("b@x", "1", day(2)), ("b@x", "2"), ("c@x", "2", day(1)))
    customers.put_rules(ONE_EMAIL, retroactive=True)
    assert customers.parts == {part("a@x"), part("b@x", "1"), part("c@x", "2")}
    customers.put_rules(RuleSet(limits=Limits(values_per_identity=3)), retroactive=True)
    assert customers.parts == {part("a@x", "b@x", "1"), part("c@x", "2")}
    assert customers.standings["b@x", "2"] == (Standing.HELD, Hold.VALUES_PER_IDENTITY)


def test_of_very_many_pairs_of_a_value_the_first_count(monkeypatch):
    monkeypatch.setattr("identity_core.rules.apply.FOLLOWED", 5)
    monkeypatch.setattr("identity_core.settle_rules.LINKS_AT_ONCE", 3)
    emails = [f"{number:02}@x" for number in range(40)]
    customers = Customers(*((email, "1") for email in emails))
    for limit in (2, 7, 4):
        customers.put_rules(RuleSet(limits=Limits(emails_per_phone_number=limit)), retroactive=True)
        alone = {part(email) for email in emails[limit:]}
        assert customers.parts == {part("1", *emails[:limit]), *alone}


def test_a_pin_holds_first_and_then_the_limit():
    customers = Customers(("a@x", "1"), ("b@x", "2"))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.put_rules(RuleSet(limits=Limits(values_per_identity=2)))
    customers.identify(("a@x", "2"))
    assert customers.standings == {("a@x", "2"): (Standing.HELD, None)}
    assert customers.held == [], "which is for people to decide, who did"
    customers.unpin(customers.rulings[0])
    assert customers.parts == {part("a@x", "b@x", "1", "2")}, "limits are applied when a pair comes"


# Previews of details, imports and history


@pytest.mark.parametrize("key", [("a@x", "1"), ("d@x", "1"), (None, "1"), ("c@x", "2"), ("d@x", "4")])
@pytest.mark.parametrize("rules", [SHOP, ONE_EMAIL, RuleSet(limits=Limits(values_per_identity=3))])
def test_a_preview_of_details_tells_what_the_rules_make_of_them(key, rules):
    customers = customers_of_a_shop()
    customers.put_rules(rules)
    foretold = customers.preview(*key)
    before = customers.record
    [done] = customers.identify(key)
    assert (foretold.outcome, foretold.ignored) == (done.outcome, done.ignored)
    assert (foretold.identity.emails, foretold.identity.phone_numbers) == (
        done.identity.emails,
        done.identity.phone_numbers,
    )
    assert (foretold.outcome in (Outcome.KNOWN, Outcome.BLOCKED)) or customers.record != before


def test_an_import_counts_what_rules_hold_and_block():
    async def details():
        for key in [("a@x", "1"), (None, "1"), ("a@x", "2"), ("b@x", "2"), ("b@x", "2"), (None, "1")]:
            yield ContactDetails(*key)

    customers = Customers()
    customers.put_rules(RuleSet(phone_numbers=["1"], limits=Limits(emails_per_phone_number=1)))
    for expected in (
        {"created": 1, "linked": 1, "held": 2, "blocked": 2},
        {"known": 2, "held": 2, "blocked": 2},
    ):
        report = asyncio.run(import_contacts(customers.repository, details(), batch_size=3))
        assert report.read == 6
        assert {name: getattr(report, name) for name in expected} == expected


@pytest.mark.parametrize(
    "rules",
    [
        SHOP,
        RuleSet(emails=["b@x"]),
        RuleSet(emails=["b@x"], phone_numbers=["1"]),
        RuleSet(emails=["a@x", "b@x"]),
    ],
)
def test_each_identity_is_known_as_it_was_before_during_and_after_a_block(rules):
    customers = customers_of_a_shop()
    past = []

    def remember():
        for contacts in customers.record.identities:
            keys = {one.id: one.key for one in contacts}
            past.append((customers.clock.now, keys))

    remember()
    for change in (rules, NO_RULES, rules):
        customers.put_rules(change)
        remember()
    for moment, keys in past:
        for id in keys:
            found = customers.as_of(id, moment)
            assert {one.id: one.key for one in found} == keys


# Changing the rules


def test_rules_replace_those_that_were_looked_at():
    customers = Customers()
    customers.put_rules(SHOP, version=0)
    with pytest.raises(StalePlan):
        customers.put_rules(ONE_EMAIL, version=0)
    assert asyncio.run(customers.change.rules()).rules == SHOP


def test_settling_tells_how_far_it_is_and_goes_on_after_an_interruption(monkeypatch):
    monkeypatch.setattr("identity_core.settle_rules.IDS_AT_ONCE", 10)
    customers = Customers(*((f"{number}@x", str(100 + number)) for number in range(25)))
    asyncio.run(customers.repository.put(RuleSet(phone_number_patterns=["1*"]), NOTE))

    class Stopped(Exception):
        pass

    def stop(in_force):
        raise Stopped

    with pytest.raises(Stopped):
        asyncio.run(customers.change.settle(stop))
    assert asyncio.run(customers.change.rules()).settled_id == 10
    assert len(customers.record.evidence) == 10
    seen = []
    assert asyncio.run(customers.change.settle(lambda in_force: seen.append(in_force.settled_id))).is_settled
    assert seen == [20, 25]
    assert customers.parts == {part(f"{number}@x") for number in range(25)}


@given(batches(POOL, st.none() | moments(), max_size=12), rule_sets(POOL), rule_sets(POOL))
def test_rules_do_what_their_preview_foretold(details, first, second):
    customers = Customers()
    customers.put_rules(first)
    customers.identify(*details)
    before = customers.record
    foretold = asyncio.run(customers.change.preview(second))
    assert customers.record == before
    assert foretold == asyncio.run(customers.change.preview(second))
    assert foretold.identities_before == len(before.identities)
    customers.put_rules(second, plan=foretold.plan)
    assert foretold.identities_after == len(customers.record.identities)
    assert customers.parts == resolved(customers.record)
    with pytest.raises(StalePlan):
        customers.put_rules(second, plan=foretold.plan)


def test_a_preview_tells_how_many_pairs_would_stand_otherwise_and_which_identities_change():
    customers = customers_of_a_shop()
    customers.put_rules(RuleSet(limits=Limits(emails_per_phone_number=2)))
    customers.identify(("d@x", "1"), ("d@x", "9"))
    affected = []
    foretold = asyncio.run(customers.change.preview(SHOP, on_affected=affected.append))
    assert (foretold.identities_before, foretold.identities_after) == (3, 4)
    assert (foretold.split, foretold.merged, foretold.blocked) == (1, 0, 3)
    assert [one.primary_id for one in affected] == [1]
    assert list(foretold.most_affected) == affected
    assert affected[0].parts == (2, 1)
    # What the one limit no longer holds the other one does.
    foretold = asyncio.run(customers.change.preview(RuleSet(limits=Limits(values_per_identity=4))))
    assert (foretold.released, foretold.held, foretold.identities_after) == (0, 0, 3)
    foretold = asyncio.run(customers.change.preview(NO_RULES))
    assert (foretold.released, foretold.merged, foretold.identities_after) == (1, 2, 2)


def test_a_preview_looks_at_identities_together_that_a_held_pair_would_join():
    # The pin holds the pair of a@x and 2 for as long as b@x and 2 belong together.
    customers = Customers(("a@x", "1"), ("b@x", "2"))
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.identify(("a@x", "2"))
    rules = RuleSet(emails=["b@x"])
    foretold = asyncio.run(customers.change.preview(rules))
    assert (foretold.split, foretold.merged) == (0, 2)
    assert (foretold.identities_before, foretold.identities_after) == (2, 1)
    customers.put_rules(rules, plan=foretold.plan)
    assert customers.parts == {part("a@x", "1", "2")}


def test_an_identity_that_becomes_large_goes_on_part_by_part_and_then_whole(monkeypatch):
    monkeypatch.setattr("identity_core.settle_rules.LINKS_AT_ONCE", 1)
    customers = Customers(*((f"{n}@x", "1") for n in range(9)), ("0@x", "2"), ("9@x", "1"))
    customers.put_rules(RuleSet(phone_numbers=["1"]))
    customers.pin("8@x", "y@x", Verdict.DIFFERENT)
    before = customers.parts
    change = ChangeRules(customers.repository, customers.repository, large=3)
    read = spy_on_sizes(customers.repository, monkeypatch)
    assert asyncio.run(change.put(NO_RULES, NOTE)).is_settled
    assert len(customers.parts) == len(before) - 9
    *small, _, _ = read
    assert max(small) == 4, "the others join it part by part"
    assert min(read[-2:]) > 9, "a pin is about one of them: that and the pin need all of it"


def spy_on_sizes(repository, monkeypatch):
    """How many contacts each decision about a record reads."""
    sizes = []
    revise = repository.revise

    async def spy(identifiers, decide):
        def decide_and_tell(record, now, ids):
            sizes.append(record.size)
            return decide(record, now, ids)

        return await revise(identifiers, decide_and_tell)

    monkeypatch.setattr(repository, "revise", spy)
    return sizes


SEVERAL = [(email, number) for number in ("1", "2") for email in ("a@x", "b@x", "c@x")]
BOTH = RuleSet(phone_numbers=["1", "2"])


def preview_in_parts(customers):
    change = ChangeRules(customers.repository, customers.repository, large=2)
    return evolve(asyncio.run(change.preview(BOTH)), plan="")


def test_a_part_to_which_several_links_lead_is_foreseen_once(monkeypatch):
    monkeypatch.setattr("identity_core.change_rules.IDS_AT_ONCE", 1)
    customers = Customers(*SEVERAL)
    preview = preview_in_parts(customers)
    assert preview == evolve(asyncio.run(customers.change.preview(BOTH)), plan="")
    assert preview.most_affected[0].parts == (2, 1, 1)


def test_a_large_identity_that_is_gone_when_its_rest_is_read_is_read_again(monkeypatch):
    async def read_nothing(*_):
        return Record()

    customers = Customers(*SEVERAL)
    monkeypatch.setattr(customers.repository, "record_without", read_nothing)
    assert preview_in_parts(customers) == evolve(asyncio.run(customers.change.preview(BOTH)), plan="")


def test_a_large_identity_that_nothing_would_leave_is_read_whole():
    customers = Customers(("a@x", "1"), ("a@x", "2"), ("a@x", "3"))
    preview = preview_in_parts(customers)
    assert preview == evolve(asyncio.run(customers.change.preview(BOTH)), plan="")
    assert (preview.split, preview.blocked, preview.identities_after) == (0, 2, 1)
