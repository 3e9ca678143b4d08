"""The evidence graph of an identity, now and at some time."""

import asyncio
from contextlib import suppress

import networkx
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    Evidence,
    Hold,
    IdentityError,
    Limits,
    Lineage,
    LinkReason,
    Node,
    RuleSet,
    Verdict,
    WeakestValue,
    draw_as_of,
)
from identity_core import draw as draw_record
from identity_core.testing import batches, emails, identifiers, moments, phone_numbers, rule_sets
from tests.unit.core.records import NOW, Customers, contact, day, record_of, ruling, value

POOL = 3


def take(customers, kind, *values):
    """Take a step of a history; one that is refused changes nothing."""
    with suppress(IdentityError, IndexError):
        match kind:
            case "identify":
                customers.identify_batch(*values[0])
            case "undo":
                customers.undo(*values)
            case "split":
                customers.split(values[0].value, values[1].value)
            case "pin":
                customers.pin(values[0].value, values[1].value, values[2])
            case "restore":
                customers.restore(customers.rulings[values[0]])
            case "unpin":
                customers.unpin(customers.rulings[values[0]])
            case "rules":
                customers.put_rules(values[0])


VERDICTS = st.sampled_from([Verdict.SAME, Verdict.DIFFERENT])
RULES = st.tuples(st.just("rules"), rule_sets(POOL))
STEPS = st.one_of(
    st.tuples(st.just("identify"), batches(POOL, moments(3) | st.none(), max_size=3)),
    st.tuples(st.just("undo"), emails(POOL), phone_numbers(POOL)),
    st.tuples(st.just("restore"), st.integers(0, 3)),
    st.tuples(st.just("split"), identifiers(POOL), identifiers(POOL)),
    st.tuples(st.just("pin"), identifiers(POOL), identifiers(POOL), VERDICTS),
    st.tuples(st.just("unpin"), st.integers(0, 3)),
)


def draw(customers, contact_id, moment=None):
    graph = (
        customers.queries.graph(contact_id)
        if moment is None
        else customers.queries.graph_as_of(contact_id, moment)
    )
    return asyncio.run(graph)


def members(graph):
    return {node.identifier for node in graph.nodes if node.is_member}


def counting(graph):
    return {frozenset([link.one, link.other]) for link in graph.links if link.counts}


def ids(customers):
    return [contact.id for contact in customers.record.contacts]


@given(st.lists(STEPS | RULES, max_size=8))
def test_links_that_count_join_exactly_the_values_of_the_identity(steps):
    customers = Customers()
    for step in steps:
        take(customers, *step)
    for contact_id in ids(customers):
        graph = draw(customers, contact_id)
        contacts = asyncio.run(customers.queries.find(contact_id))
        assert members(graph) == {value for one in contacts for value in one.identifiers}
        joined = networkx.Graph()
        joined.add_nodes_from(members(graph))
        joined.add_edges_from(counting(graph))
        assert set(joined) == members(graph)
        assert networkx.is_connected(joined)
        pairs = [frozenset([link.one, link.other]) for link in graph.links]
        assert len(pairs) == len({*pairs})
        ends = {end for one in (*graph.links, *graph.pins) for end in (one.one, one.other)}
        assert {node.identifier for node in graph.nodes} == members(graph) | ends
        assert all(not members(graph).isdisjoint(pair) for pair in pairs)


@given(st.lists(STEPS | RULES, max_size=8))
def test_now_is_as_it_was_after_the_last_event(steps):
    customers = Customers()
    for step in steps:
        take(customers, *step)
    for contact_id in ids(customers):
        graph = draw(customers, contact_id)
        then = draw(customers, contact_id, customers.clock())
        assert then == graph


@given(st.lists(STEPS, max_size=8))
def test_each_moment_is_drawn_as_it_was(steps):
    customers = Customers()
    past = []
    for step in steps:
        take(customers, *step)
        now = customers.clock()
        past += [(now, id, draw(customers, id)) for id in ids(customers)]
    in_force = {one.id for one in customers.rulings}
    for now, id, graph in past:
        then = draw(customers, id, now)
        assert members(then) == members(graph)
        # Of a pin that was removed since, nothing is known any more.
        if {link.id for link in graph.links if link.reason is LinkReason.PIN} <= in_force:
            assert counting(then) == counting(graph)


def links_of(graph):
    return [(link.one.value, link.other.value, link.reason) for link in graph.links]


def strangers_of(graph):
    return [node.identifier.value for node in graph.nodes if not node.is_member]


def test_the_values_of_older_contacts_come_first_and_links_in_the_order_of_time():
    customers = Customers(("a@x", "1"), ("b@x", "1"), ("b@x", "2"))
    graph = draw(customers, 3)
    assert (graph.primary_contact_id, graph.total_contacts) == (1, 3)
    assert [node.identifier.value for node in graph.nodes] == ["a@x", "1", "b@x", "2"]
    assert links_of(graph) == [("a@x", "1", "contact"), ("b@x", "1", "contact"), ("b@x", "2", "contact")]
    assert graph.weakest == WeakestValue(value("b@x"), 1)


def test_a_customer_with_one_value_has_no_links():
    graph = draw(Customers(("a@x", None)), 1)
    assert (graph.nodes, graph.links, graph.weakest) == ((Node(value("a@x")),), (), None)


def test_links_and_pins_that_join_nothing_lead_to_values_of_others():
    customers = Customers(("a@x", "1"), ("b@x", "2"), ("b@x", "1"))
    customers.undo("b@x", "1")
    customers.pin("a@x", "2", Verdict.DIFFERENT)
    for contact_id, strangers in {1: {"b@x", "2"}, 2: {"1", "a@x"}}.items():
        graph = draw(customers, contact_id)
        assert links_of(graph)[-1] == ("b@x", "1", "undone")
        assert {*strangers_of(graph)} == strangers
        assert [pin.verdict for pin in graph.pins] == [Verdict.DIFFERENT]


def test_what_limits_hold_and_what_is_blocked_is_drawn_with_the_reason():
    customers = Customers()
    customers.put_rules(RuleSet(limits=Limits(emails_per_phone_number=1)))
    customers.identify(("a@x", "1"), ("b@x", "1"))
    [link] = [one for one in draw(customers, 1).links if not one.counts]
    assert (link.one, link.reason, link.hold) == (value("b@x"), "held", Hold.EMAILS_PER_PHONE_NUMBER)
    customers.put_rules(RuleSet(phone_numbers={"1"}))
    graph = draw(customers, 1)
    assert links_of(graph) == [("a@x", "1", "blocked")]
    assert graph.nodes == (Node(value("a@x")), Node(value("1"), is_member=False, is_blocked=True))


def test_links_of_other_programs_are_drawn():
    contacts = [contact(1, "a@x", None), contact(2, None, "2", 1)]
    graph = draw_record(record_of(contacts), contacts)
    assert links_of(graph) == [("a@x", "2", "inherited")]


def test_values_that_another_identity_has_too_are_drawn_with_what_they_join():
    contacts = [contact(1, "a@x", "1"), contact(2, "a@x", "2")]
    graph = draw_record(record_of(contacts), contacts[:1])
    assert members(graph) == {value("a@x"), value("1"), value("2")}
    assert graph.total_contacts == 1


def test_a_pair_that_is_not_settled_yet_is_drawn_as_the_rulings_say():
    contacts = [contact(1, "a@x", "1"), contact(2, "a@x", "2", 1), contact(3, "c@x", "2", 1)]
    graph = draw_record(record_of(contacts, rulings=[ruling(80, Verdict.UNDONE, "a@x", "1")]), contacts)
    assert links_of(graph) == [("a@x", "2", "contact"), ("c@x", "2", "contact"), ("a@x", "1", "undone")]
    assert members(graph) == {value("a@x"), value("1"), value("2"), value("c@x")}
    assert graph.weakest == WeakestValue(value("2"), 1)


def test_who_is_erased_while_they_are_read_has_no_graph():
    before = [contact(1, "a@x", "1")]
    assert draw_record(record_of([contact(2, "b@x", "2")]), before) is None


def test_an_identity_that_grows_while_it_is_read_is_drawn_as_it_is_now():
    now = [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)]
    assert draw_record(record_of(now), now[:1]).total_contacts == 2


def test_contacts_without_values_are_drawn_as_nothing():
    contacts = [contact(1, None, None)]
    graph = draw_record(record_of([]), contacts)
    assert (graph.primary_contact_id, graph.total_contacts, graph.nodes) == (1, 1, ())


def test_nobody_has_no_graph():
    customers = Customers(("a@x", "1"))
    assert draw(customers, 9) is None
    assert draw(customers, 9, NOW) is None
    assert draw(customers, 1, day(1)) is None


def test_an_undone_pair_counted_before_it_was_undone_and_not_while_it_was():
    customers = Customers(("a@x", "1"))
    before = customers.clock()
    customers.undo("a@x", "1")
    undone = customers.clock()
    customers.restore(customers.rulings[0])
    after = customers.clock()
    assert links_of(draw(customers, 1, before)) == [("a@x", "1", "contact")]
    graph = draw(customers, 1, undone)
    assert links_of(graph) == [("a@x", "1", "undone")]
    assert (members(graph), strangers_of(graph)) == ({value("a@x")}, ["1"])
    assert links_of(draw(customers, 1, after)) == [("a@x", "1", "contact")]


def test_a_pair_that_no_contact_holds_counted_then_as_it_does_now():
    customers = Customers(("a@x", "1"), ("b@x", "2"))
    customers.identify(("a@x", "2"))
    then = customers.clock()
    customers.identify(("c@x", "2"))
    assert links_of(draw(customers, 1, then)) == [
        ("a@x", "1", "contact"), ("b@x", "2", "contact"), ("a@x", "2", "evidence")
    ]  # fmt: skip


def test_a_pair_that_is_undone_again_was_undone_before_and_counted_in_between():
    customers = Customers(("a@x", "1"))
    customers.undo("a@x", "1")
    undone = customers.clock()
    customers.restore(customers.rulings[0])
    restored = customers.clock()
    customers.undo("a@x", "1")
    assert links_of(draw(customers, 1, undone)) == [("a@x", "1", "undone")]
    assert links_of(draw(customers, 1, restored)) == [("a@x", "1", "contact")]


def test_links_between_others_that_a_held_pair_leads_to_are_not_drawn():
    customers = Customers(("a@x", "1"), ("b@x", "2"), ("c@x", "2"))
    customers.undo("c@x", "2")
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.identify(("a@x", "2"))
    graph = draw(customers, 1)
    assert links_of(graph) == [("a@x", "1", "contact"), ("a@x", "2", "held")]
    assert strangers_of(graph) == ["2", "b@x"]


def test_evidence_of_those_who_were_split_off_is_not_drawn():
    customers = Customers(("a@x", "1"), ("b@x", "2"), ("a@x", "2"), ("c@x", "3"), ("c@x", "1"))
    customers.split("c@x", "a@x")
    graph = draw(customers, 4, customers.clock())
    assert links_of(graph) == [("c@x", "3", "contact"), ("c@x", "1", "undone")]
    assert graph == draw(customers, 4)


def test_a_pair_that_is_held_since_it_came_was_not_there_before():
    customers = Customers(("a@x", "1"), ("b@x", "2"))
    before = customers.clock()
    customers.pin("a@x", "b@x", Verdict.DIFFERENT)
    customers.identify(("b@x", "1"))
    held = customers.clock()
    customers.unpin(customers.rulings[0])
    assert links_of(draw(customers, 2, before)) == [("b@x", "2", "contact")]
    assert links_of(draw(customers, 2, held)) == [("b@x", "2", "contact"), ("b@x", "1", "held")]
    assert links_of(draw(customers, 2)) == [
        *links_of(draw(customers, 1, before)),
        *links_of(draw(customers, 2, held))[:1],
        ("b@x", "1", "evidence"),
    ]


def test_an_email_that_was_blocked_for_a_while_was_the_far_end_of_its_pair():
    customers = Customers(("a@x", "1"))
    customers.put_rules(RuleSet(emails={"a@x"}))
    blocked = customers.clock()
    customers.put_rules()
    assert links_of(draw(customers, 1, blocked)) == [("a@x", "1", "blocked")]
    assert links_of(draw(customers, 1)) == [("a@x", "1", "contact")]


def test_what_a_removed_pin_joined_is_drawn_as_inherited():
    customers = Customers(("a@x", None), ("b@x", None))
    customers.pin("a@x", "b@x", Verdict.SAME)
    pinned = customers.clock()
    assert links_of(draw(customers, 1, pinned)) == [("a@x", "b@x", "pin")]
    customers.unpin(customers.rulings[0])
    assert links_of(draw(customers, 1, pinned)) == [("a@x", "b@x", "inherited")]


def test_nothing_is_drawn_that_was_first_seen_later():
    contacts = (contact(1, "a@x", "1"), contact(2, "b@x", "1", 1, days=5), contact(3, None, "3", 1, days=6))
    record = record_of(contacts, [Evidence(9, "a@x", "3", day(7))])
    graph = draw_as_of(Lineage(contacts, (), ()), record, 1, day(5))
    assert links_of(graph) == [("a@x", "1", "contact"), ("b@x", "1", "contact")]
    graph = draw_as_of(Lineage(contacts, (), ()), record, 1, day(6))
    assert links_of(graph)[-1] == ("a@x", "3", "inherited")
    assert draw_as_of(Lineage(contacts, (), ()), record, 1, day(0)) is None


@given(st.lists(STEPS | RULES, max_size=8))
def test_nothing_is_drawn_of_later_times(steps):
    customers = Customers()
    moments_passed = []
    for step in steps:
        take(customers, *step)
        moments_passed.append((customers.clock(), {*customers.seen}))
    for contact_id in ids(customers):
        for moment, seen in moments_passed:
            graph = draw(customers, contact_id, moment)
            if graph is not None:
                assert members(graph) <= seen
                assert all(link.seen_at <= moment for link in graph.links)


@given(st.lists(STEPS | RULES, max_size=8))
def test_a_chain_leads_over_links_that_are_drawn(steps):
    customers = Customers()
    for step in steps:
        take(customers, *step)
    for contact_id in ids(customers):
        graph = draw(customers, contact_id)
        drawn = {frozenset([link.one, link.other]): (link.reason, link.id) for link in graph.links}
        first, *others = [node.identifier for node in graph.nodes if node.is_member]
        for other in others:
            explanation = asyncio.run(customers.queries.explain(first, other))
            for link in explanation.chain:
                assert drawn[frozenset([link.one, link.other])] == (link.reason, link.id)
