"""What is brought in line part by part, and what is left for later."""

import asyncio

from identity_core import ChangeRules, RuleSet
from identity_core.model.rule_set import NO_RULES, UnsettledLink
from identity_core.settle_rules import sort_links
from tests.unit.core.records import NOTE, Customers, value

SHARED = RuleSet(phone_numbers=["1"])


def link(one, other, primary_ids, *large_ids):
    return UnsettledLink((value(one), value(other)), primary_ids, frozenset(large_ids))


def test_what_a_block_frees_may_leave():
    links = [link("a@x", "1", (7, 7), 7), link("b@x", "1", (8, 7), 7), link("c@x", "1", (7, 7), 7)]
    assert sort_links(links, SHARED, set()) == ({7: {value("a@x"), value("c@x")}}, {})


def test_what_a_pair_joins_to_a_large_identity_may_join():
    links = [link("a@x", "1", (3, 7), 7), link("b@x", "1", (4, 7), 7), link("c@x", "2", (5, 6))]
    _, joining = sort_links(links, NO_RULES, set())
    assert joining == {(7, value("1")): {value("a@x"), value("b@x")}}


def test_what_belongs_to_it_already_is_told_from_the_hub_by_other_links():
    inner = link("c@x", "1", (7, 7), 7)
    assert sort_links([inner], NO_RULES, set()) == ({}, {})
    hubs = set()
    sort_links([link("a@x", "1", (3, 7), 7)], NO_RULES, hubs)
    assert sort_links([inner], NO_RULES, hubs) == ({}, {(7, value("1")): {value("c@x")}})


def test_a_large_identity_comes_apart_and_together_again_as_it_was():
    customers = Customers(*((f"{n}@x", "1") for n in range(6)))
    before = customers.record
    change = ChangeRules(customers.repository, customers.repository, large=3)
    asyncio.run(change.put(SHARED, NOTE))
    assert len(customers.parts) == 6
    asyncio.run(change.put(NO_RULES, NOTE))
    assert customers.record.identities == before.identities
