"""The smallest cut, compared with all the cuts there are."""

from itertools import combinations

from hypothesis import assume, given
from hypothesis import strategies as st

from identity_core import Evidence, LinkReason, Record, Verdict, resolve
from identity_core.rules.cut import find_cut
from identity_core.rules.graph import build_graph
from identity_core.rules.resolve import find_inherited_links
from tests.unit.core.records import contact, day, record_of, records, ruling, value

WITHOUT_APART = [Verdict.UNDONE, Verdict.SAME, Verdict.INHERITED]


def graph_of(record):
    links = find_inherited_links(record)
    return build_graph(record, links, resolve(record, links))


def cut(record, one, other):
    graph = graph_of(record)
    return find_cut(graph, graph.partition.number(value(one)), graph.partition.number(value(other)))


def edges_of(graph):
    """The links, each once and the weakest first; then the pins, which are never cut."""
    links = [
        graph.to_link(here, there)
        for here, beside in enumerate(graph.edges)
        for there in beside
        if here < there
    ]

    def weakness(link):
        return link.reason is not LinkReason.INHERITED, -link.seen_at.timestamp(), -link.id

    def weakness_of_inherited(link):
        return (False, 0, -link.id) if link.reason is LinkReason.INHERITED else weakness(link)

    links.sort(key=weakness_of_inherited)
    return (
        [link for link in links if link.reason is not LinkReason.PIN],
        [link for link in links if link.reason is LinkReason.PIN],
    )


def join(links, one, other):
    """Whether links join two values."""
    reached, grown = set(), {one}
    while reached != grown:
        reached = grown
        grown = reached.union(*({*ends} for ends in links if {*ends} & reached))
    return other in reached


def ends_of(link):
    return frozenset([link.one, link.other])


@given(records(pool=3, verdicts=WITHOUT_APART), st.data())
def test_a_cut_is_smallest_and_of_the_smallest_the_weakest(record, data):
    graph = graph_of(record)
    links, pins = edges_of(graph)
    values = sorted({end for link in (*links, *pins) for end in (link.one, link.other)})
    assume(len(values) > 1)
    one, other = data.draw(st.lists(st.sampled_from(values), min_size=2, max_size=2, unique=True))
    fixed = [ends_of(pin) for pin in pins]
    free = [ends_of(link) for link in links]
    assume(join([*free, *fixed], one, other))

    found = find_cut(graph, graph.partition.number(one), graph.partition.number(other))
    ranks = {ends: rank for rank, ends in enumerate(free)}
    found_ranks = [ranks[ends_of(link)] for link in found]
    assert found_ranks == sorted(found_ranks), "the weakest comes first"

    def parts(removed):
        return not join([*(e for e in free if e not in removed), *fixed], one, other)

    if not parts({*free}):
        assert found == (), "pins join them whatever is undone"
        return
    assert parts({ends_of(link) for link in found})
    size = next(size for size in range(1, len(free) + 1) if any(map(parts, combinations(free, size))))
    assert len(found) == size
    weakest = min(sum(map(ranks.__getitem__, few)) for few in combinations(free, size) if parts(few))
    assert sum(found_ranks) == weakest


@given(records(verdicts=WITHOUT_APART), st.data())
def test_a_cut_does_not_depend_on_the_order_of_the_record(record, data):
    links, pins = edges_of(graph_of(record))
    values = sorted({end.value for link in (*links, *pins) for end in (link.one, link.other)})
    assume(len(values) > 1)
    one, other = data.draw(st.lists(st.sampled_from(values), min_size=2, max_size=2, unique=True))
    other_way = Record(
        tuple(data.draw(st.permutations(record.identities))),
        tuple(data.draw(st.permutations(record.evidence))),
        tuple(data.draw(st.permutations(record.rulings))),
    )
    assume(graph_of(record).find_chain(value(one), value(other)))
    found = cut(record, one, other)
    assert {ends_of(link) for link in cut(other_way, one, other)} == {ends_of(link) for link in found}
    assert cut(record, one, other) == found


def test_the_younger_of_two_links_is_cut():
    path = [contact(1, "a@x", "1", days=5), contact(2, "b@x", "1", days=3), contact(3, "b@x", "2", days=4)]
    [link] = cut(record_of(path), "a@x", "2")
    assert (link.reason, link.id, link.seen_at) == (LinkReason.CONTACT, 1, day(5))
    [link] = cut(record_of(path), "1", "2")
    assert link.id == 3


def test_evidence_is_as_strong_as_a_contact_of_its_time():
    contacts = [contact(1, "a@x", "1", days=5), contact(2, "b@x", None, 1)]
    for days, reason in ((6, LinkReason.EVIDENCE), (4, LinkReason.CONTACT)):
        record = record_of(contacts, [Evidence(9, "b@x", "1", day(days))])
        [link] = cut(record, "a@x", "b@x")
        assert link.reason is reason


def test_an_inherited_link_is_cut_before_pairs_however_old_it_is():
    record = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2", 1), contact(3, "b@x", "3", 1)])
    for ends in (("1", "3"), ("3", "1")):
        [link] = cut(record, *ends)
        assert (link.reason, link.id) == (LinkReason.INHERITED, 2)
    restored = ruling(90, Verdict.INHERITED, "a@x", "b@x")
    apart = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2")], rulings=[restored])
    [link] = cut(apart, "1", "2")
    assert (link.reason, link.id) == (LinkReason.INHERITED, 90)


def test_a_few_strong_links_are_cut_before_many_weak_ones():
    weak = [contact(n, f"{chr(95 + n)}@x", number, days=50) for n in range(2, 5) for number in ("1", "2")]
    strong = contact(1, "z@x", "2", days=0)
    [link] = cut(record_of([*weak, strong]), "1", "z@x")
    assert link.id == 1


def test_the_links_of_a_cut_lead_from_the_side_of_the_first_to_that_of_the_second():
    path = [contact(1, "a@x", "1", days=1), contact(2, "b@x", "1", days=3)]
    [there], [back] = cut(record_of(path), "a@x", "b@x"), cut(record_of(path), "b@x", "a@x")
    assert (there.one, there.other) == (value("1"), value("b@x")) == (back.other, back.one)


def test_pins_are_never_cut():
    same = ruling(80, Verdict.SAME, "a@x", "b@x")
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "2")]
    assert cut(record_of(contacts, rulings=[same]), "a@x", "b@x") == ()
    assert [link.id for link in cut(record_of(contacts, rulings=[same]), "1", "2")] == [2]
    both = [same, ruling(81, Verdict.SAME, "1", "a@x"), ruling(82, Verdict.SAME, "2", "b@x")]
    assert cut(record_of(contacts, rulings=both), "1", "2") == ()


def test_a_ring_is_cut_in_two_places():
    ring = [("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("a@x", "2")]
    contacts = [contact(id, *key) for id, key in enumerate(ring, start=1)]
    assert [link.id for link in cut(record_of(contacts), "a@x", "b@x")] == [4, 2]
    [link] = cut(record_of(contacts[:3]), "a@x", "2")
    assert link.id == 3
