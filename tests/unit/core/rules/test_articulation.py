"""Articulation points: values without which an identity would fall into parts."""

from contextlib import suppress

import networkx
from hypothesis import given
from hypothesis import strategies as st

from identity_core import IdentityError, Verdict
from identity_core.errors import Blocked
from identity_core.rules import articulation
from identity_core.rules.graph import build_graph_of
from identity_core.testing import batches, emails, identifiers, moments, phone_numbers, rule_sets
from tests.unit.core.records import Customers, contact, record_of, value

POOL = 5


def find_articulation_points(record, limit):
    return articulation.find_articulation_points(build_graph_of(record), record.contacts, limit)


def find_by_hand(record):
    """The points as another library finds them: each value is left out, and the parts are counted."""
    graph = networkx.Graph()
    for one in record.contacts:
        graph.add_edges_from((one.id, identifier) for identifier in one.identifiers)
        if len(one.identifiers) == 2:
            graph.add_edge(*one.identifiers)
    for piece in record.evidence:
        if piece.standing == "counts":
            graph.add_edge(*piece.identifiers)
    for ruling in record.rulings:
        if ruling.verdict == "same":
            graph.add_edge(ruling.one, ruling.other)

    def count(nodes):
        return sum(isinstance(node, int) for node in nodes)

    points = {}
    for one in [node for node in graph if not isinstance(node, int)]:
        own = networkx.node_connected_component(graph, one)
        parts = map(count, networkx.connected_components(graph.subgraph(own - {one})))
        if len(graph[one]) - count(graph[one]) > 1:
            points[one] = count(own) - max(parts)
    found = ((leaving, one) for one, leaving in points.items() if leaving)
    return sorted(found, key=lambda point: (-point[0], point[1]))


def see_all(details, pairs_to_undo=(), pins=()):
    """Customers who came with details, after some rulings."""
    customers = Customers(*details)
    for pair in pairs_to_undo:
        with suppress(IdentityError):
            customers.undo(*pair)
    for one, other, verdict in pins:
        with suppress(IdentityError):
            customers.pin(one.value, other.value, verdict)
    return customers


def value_pairs(*more):
    return st.lists(st.tuples(identifiers(POOL), identifiers(POOL), *more), max_size=4)


@given(
    batches(POOL, moments() | st.none(), max_size=20),
    st.lists(st.tuples(emails(POOL), phone_numbers(POOL)), max_size=2),
    value_pairs(st.sampled_from([Verdict.SAME, Verdict.DIFFERENT])),
)
def test_they_are_those_values_without_which_an_identity_falls_into_parts(details, undone, pins):
    record = see_all(details, undone, pins).record
    assert find_articulation_points(record, 100) == find_by_hand(record)
    assert find_articulation_points(record, 2) == find_by_hand(record)[:2]


@given(batches(POOL, max_size=20), rule_sets(POOL))
def test_values_that_are_blocked_are_none(details, rules):
    customers = Customers()
    customers.put_rules(rules)
    with suppress(Blocked):
        customers.identify_batch(*details)
    record = customers.record
    assert find_articulation_points(record, 100) == find_by_hand(record)


def test_a_contact_stays_with_the_value_that_it_keeps():
    customers = Customers(("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("b@x", "3"), ("c@x", "3"))
    assert find_articulation_points(customers.record, 9) == [
        (3, value("b@x")), (1, value("1")), (1, value("3"))
    ]  # fmt: skip


def test_links_of_other_programs_are_among_them_too():
    record = record_of([contact(1, "a@x", None), contact(2, "b@x", None, 1), contact(3, None, "3", 2)])
    assert [leaving for leaving, _ in find_articulation_points(record, 9)] == [2]


def test_the_walk_is_not_limited_by_the_depth_of_an_identity():
    record = record_of(
        [contact(n, f"{n // 2}@x", str((n + 1) // 2), 1 if n > 1 else None) for n in range(1, 5_000)]
    )
    leaving, _ = find_articulation_points(record, 1)[0]
    assert leaving == 2_499
