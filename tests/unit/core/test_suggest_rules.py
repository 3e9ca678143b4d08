"""Which values are suggested to be blocked, and in which order."""

import asyncio

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_core import SharedValue, Suggestion, SuggestRules, Verdict, suggest_rules
from identity_core.model.rule_set import NO_RULES
from identity_core.testing import batches, identifiers, moments, rule_sets
from tests.unit.core.records import Customers, value

POOL = 4


def suggest(customers, limit=10):
    return asyncio.run(SuggestRules(customers.repository)(limit))


def rank(customers, limit=10):
    """The suggested values, each with how many contacts would leave."""
    return [(one.value.identifier.value, one.leaving) for one in suggest(customers, limit)]


def test_there_is_nothing_to_suggest_where_nothing_is_joined():
    assert suggest(Customers(("a@x", "1"), ("b@x", "2"), (None, "3"))) == []


def test_a_shared_value_is_suggested_with_what_it_joins_and_what_blocking_it_does():
    customers = Customers(("a@x", "1"), ("b@x", "2"), ("b@x", "3"), ("a@x", "9"), ("b@x", "9"), ("c@x", "9"))
    first, *_ = suggest(customers)
    assert first == Suggestion(SharedValue(value("9"), 3, 1, 1, 5), (2, 2, 1))
    assert first.leaving == 3
    customers.put_rules(NO_RULES.block(value("9")))
    assert value("9") not in {one.value.identifier for one in suggest(customers)}


def test_the_values_without_which_most_contacts_leave_come_first_then_those_of_most_partners():
    two_tills = [(f"{number}@x", phone) for number in range(3) for phone in ("1", "2")]
    customers = Customers(*two_tills, ("a@x", "5"), ("b@x", "5"), ("c@x", "6"), ("d@x", "6"), ("d@x", "7"))
    customers.identify(("e@x", None), (None, "8"), ("e@x", "8"), ("e@x", "9"))
    parting = [("e@x", 2), ("d@x", 1), ("5", 1), ("6", 1), ("8", 1)]
    joined_twice = [("1", 0), ("2", 0), ("0@x", 0), ("1@x", 0), ("2@x", 0)]
    assert rank(customers) == parting + joined_twice
    assert rank(customers, 2) == parting[:2]


def test_a_value_that_holds_a_large_identity_together_is_found_though_others_are_in_more_pairs():
    one_till = [("10@x", "1"), ("11@x", "1"), ("12@x", "1")]
    another = [("20@x", "2"), ("21@x", "2"), ("22@x", "2")]
    customers = Customers(*one_till, ("10@x", "77"), ("20@x", "77"), *another)
    assert asyncio.run(customers.repository.most_shared(1)) == [value("1")]
    assert rank(customers, 1) == [("77", 4)]


def test_of_a_very_large_identity_the_partners_are_known_alone(monkeypatch):
    monkeypatch.setattr(suggest_rules, "MAX_CONTACTS", 5)
    sizes = {"5": 5, "6": 6, "4": 4}
    customers = Customers(
        *((f"{number}@{shop}", shop) for shop, size in sizes.items() for number in range(size))
    )
    customers.identify(("0@6", "7"), ("1@6", "7"))
    found = suggest(customers)
    assert [(one.value.identifier.value, one.parts, one.value.partners) for one in found] == [
        ("6", None, 6), ("5", (1,) * 5, 5), ("4", (1,) * 4, 4),
        ("0@6", None, 2), ("1@6", None, 2), ("7", None, 2),
    ]  # fmt: skip
    assert (found[0].leaving, found[0].value.contacts) == (None, 7)


def test_a_value_that_is_gone_meanwhile_is_left_out():
    customers = Customers(("a@x", "1"), ("b@x", "1"))

    class Forgetful(SuggestRules):
        async def _read(self, rules, values):
            return evolve(await super()._read(rules, values), identities=())

    assert asyncio.run(Forgetful(customers.repository)()) == []


def test_a_value_that_was_blocked_meanwhile_is_left_out():
    customers = Customers(("a@x", "1"), ("b@x", "1"))
    before = asyncio.run(customers.repository.most_shared(9))
    customers.put_rules(NO_RULES.block(value("1")))

    async def most_shared(limit):
        return before

    customers.repository.most_shared = most_shared
    assert suggest(customers) == []


@given(
    batches(POOL, moments() | st.none(), max_size=20),
    rule_sets(POOL),
    st.lists(st.tuples(identifiers(POOL), identifiers(POOL)), max_size=3),
)
def test_what_is_suggested_is_what_a_preview_tells_of_the_identity(details, rules, pins):
    customers = Customers()
    customers.put_rules(evolve(rules, emails=(), phone_numbers=()))
    customers.identify_batch(*details)
    for one, other in pins:
        if one != other and not customers.record.rulings:
            customers.pin(one.value, other.value, Verdict.SAME)
    in_force = asyncio.run(customers.change.rules()).rules
    for suggestion in suggest(customers, 20):
        more = in_force.block(suggestion.value.identifier)
        affected = asyncio.run(customers.change.preview(more)).most_affected
        parts = {identity.primary_id: identity.parts for identity in affected}
        assert parts.get(suggestion.value.primary_id, (suggestion.value.contacts,)) == suggestion.parts
