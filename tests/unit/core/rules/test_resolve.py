"""What counts and what belongs together: `resolve`, compared with the model, and its rules one by one."""

import pytest
from attrs import evolve
from hypothesis import given

from identity_core import ContactDetails, Evidence, Hold, Limits, RuleSet, Standing, Verdict, resolve
from identity_core.rules.resolve import find_inherited_links, order_pairs
from identity_core.testing import components
from identity_core.testing.model import resolved
from identity_core.testing.strategies import EPOCH
from tests.unit.core.records import contact, record_of, records, ruling


def parts_of(record, links=()):
    """The values of contacts that belong together, as sets of text."""
    partition = resolve(record, links).partition
    values = {one for each in record.contacts for one in each.identifiers}
    by_root = {}
    for one in values:
        by_root.setdefault(partition.find(partition.number(one)), set()).add(one.value)
    return {frozenset(part) for part in by_root.values()}


def held_in(record, links=()):
    ignored = resolve(record, links).ignored
    return {pair for pair, standing in ignored.items() if standing is Standing.HELD}


@given(records())
def test_the_values_that_belong_together_are_those_of_the_model(record):
    assert parts_of(record) == resolved(record)


@given(records())
def test_a_pair_joins_its_values_or_is_held_or_is_undone(record):
    resolution = resolve(record)
    partition = resolution.partition
    for _, (email, number) in order_pairs(record):
        joined = partition.find(partition.email(email)) == partition.find(partition.phone_number(number))
        assert not joined or resolution.find_standing((email, number)) is not Standing.HELD
        assert joined or resolution.find_standing((email, number)) is not Standing.COUNTS
        is_undone = resolution.find_standing((email, number)) is Standing.UNDONE
        assert is_undone == ((email, number) in record.undone_pairs)


@given(records(verdicts=[Verdict.UNDONE, Verdict.SAME]))
def test_nothing_is_held_where_no_pin_keeps_values_apart(record):
    assert held_in(record) == frozenset()


@given(records(verdicts=[Verdict.DIFFERENT]))
def test_no_identity_has_both_ends_of_a_pin_different(record):
    parts = parts_of(record)
    assert not any({end.value for end in pin.values} <= part for pin in record.rulings for part in parts)


@given(records())
def test_without_rulings_every_pair_counts(record):
    free = evolve(record, rulings=())
    details = [ContactDetails.from_trusted(*each.key) for each in record.contacts]
    details += [ContactDetails.from_trusted(*piece.pair) for piece in record.evidence]
    assert parts_of(free) == components(details)


APART = ruling(80, Verdict.DIFFERENT, "a@x", "b@x")


def test_of_two_pairs_that_cannot_both_count_the_later_is_held():
    early, late = contact(2, "a@x", "1", days=1), contact(1, "b@x", "1", days=2)
    assert held_in(record_of([early, late], rulings=[APART])) == {("b@x", "1")}
    swapped = [evolve(early, created_at=late.created_at), evolve(late, created_at=early.created_at)]
    assert held_in(record_of(swapped, rulings=[APART])) == {("a@x", "1")}


def test_pairs_of_one_time_come_in_the_order_in_which_they_were_recorded():
    contacts = [contact(2, "a@x", "1", days=1), contact(1, "b@x", "1", days=1)]
    assert held_in(record_of(contacts, rulings=[APART])) == {("a@x", "1")}


def test_a_pair_that_is_recorded_twice_came_the_first_time():
    contacts = [
        contact(1, "a@x", "1", days=3),
        contact(2, "b@x", "1", days=2),
        contact(3, "a@x", "1", days=9),
    ]
    assert held_in(record_of(contacts, rulings=[APART])) == {("a@x", "1")}
    evidence = [Evidence(5, "a@x", "1", EPOCH)]
    assert held_in(record_of(contacts, evidence, rulings=[APART])) == {("b@x", "1")}


def test_pins_same_come_before_all_pairs():
    contacts = [contact(1, "b@x", "1"), contact(2, "a@x", None)]
    same = ruling(81, Verdict.SAME, "a@x", "1")
    record = record_of(contacts, rulings=[APART, same])
    assert held_in(record) == {("b@x", "1")}
    assert parts_of(record) == {frozenset(["a@x", "1"]), frozenset(["b@x"])}


def test_an_undone_pair_joins_nothing_and_is_not_held():
    record = record_of([contact(1, "a@x", "1")], rulings=[ruling(80, Verdict.UNDONE, "a@x", "1")])
    assert parts_of(record) == {frozenset(["a@x"]), frozenset(["1"])}
    assert held_in(record) == frozenset()


def test_a_pin_may_name_values_that_nobody_has_seen():
    record = record_of([contact(1, "a@x", None)], rulings=[ruling(80, Verdict.SAME, "a@x", "9")])
    partition = resolve(record).partition
    assert partition.find(partition.email("a@x")) == partition.find(partition.phone_number("9"))


# Inherited links

LINKED = [contact(1, "a@x", "1"), contact(2, "b@x", "2", 1)]


def links_of(record):
    return [(link.one.value, link.other.value, link.contact.id) for link in find_inherited_links(record)]


def test_a_link_that_nothing_explains_is_inherited():
    assert links_of(record_of(LINKED)) == [("a@x", "b@x", 2)]
    numbers = [contact(1, None, "1"), contact(2, None, None, 1), contact(3, None, "3", 1)]
    assert links_of(record_of(numbers)) == [("1", "3", 3)]
    assert links_of(record_of([contact(1, None, None), contact(2, None, "3", 1)])) == []


def test_a_link_that_something_explains_is_not_inherited():
    assert links_of(record_of([*LINKED, contact(3, "b@x", "1", 1)])) == []
    assert links_of(record_of(LINKED, [("b@x", "1")])) == []
    for verdict in (Verdict.SAME, Verdict.INHERITED):
        assert links_of(record_of(LINKED, rulings=[ruling(80, verdict, "2", "a@x")])) == []


def test_evidence_that_does_not_count_explains_no_link():
    for standing in (Standing.UNDONE, Standing.HELD):
        evidence = Evidence(100, "b@x", "1", EPOCH, standing)
        assert links_of(record_of(LINKED, [evidence])) == [("a@x", "b@x", 2)]
    undone = ruling(80, Verdict.UNDONE, "b@x", "1")
    assert links_of(record_of([*LINKED, contact(3, "b@x", "1", 1)], rulings=[undone])) == [("a@x", "b@x", 2)]


def test_inherited_links_join_before_pairs():
    record = record_of(
        [contact(1, "c@x", "2", days=0), *LINKED[:1], contact(3, None, "2", 1)],
        rulings=[ruling(80, Verdict.DIFFERENT, "a@x", "c@x")],
    )
    links = find_inherited_links(record_of([LINKED[0], contact(3, None, "2", 1)]))
    assert held_in(record, links) == {("c@x", "2")}


def test_an_inherited_link_that_is_undone_joins_nothing_until_it_is_restored():
    links = find_inherited_links(record_of(LINKED))
    assert len(parts_of(record_of(LINKED), links)) == 1
    undone = ruling(80, Verdict.UNDONE, "b@x", "a@x")
    assert len(parts_of(record_of(LINKED, rulings=[undone]), links)) == 2
    restored = ruling(81, Verdict.INHERITED, "a@x", "b@x")
    assert len(parts_of(record_of(LINKED, rulings=[restored]))) == 1


def test_an_inherited_link_between_values_that_are_kept_apart_joins_nothing():
    record = record_of(LINKED, rulings=[APART])
    assert len(parts_of(record, find_inherited_links(record))) == 2


# Blocks and limits

BLOCKED = RuleSet(phone_numbers=["1"])
HELD = Hold.EMAILS_PER_PHONE_NUMBER


def standing_in(record, pair=("a@x", "1")):
    return resolve(record).find_standing(pair)


@pytest.mark.parametrize("verdict", [None, Verdict.SAME, Verdict.UNDONE, Verdict.DIFFERENT])
def test_a_block_beats_everything(verdict):
    rulings = [] if verdict is None else [ruling(80, verdict, "a@x", "1")]
    record = record_of([contact(1, "a@x", "1"), contact(2, "a@x", "2")], rulings=rulings, rules=BLOCKED)
    assert standing_in(record) is Standing.BLOCKED
    assert parts_of(record) == {frozenset(["a@x", "2"]), frozenset(["1"])}


def test_a_blocked_value_is_joined_to_nothing_by_pins_and_links():
    same = ruling(80, Verdict.SAME, "1", "2")
    restored = ruling(81, Verdict.INHERITED, "1", "b@x")
    record = record_of(
        [contact(1, None, "1"), contact(2, "b@x", "2", 1)], rulings=[same, restored], rules=BLOCKED
    )
    links = find_inherited_links(evolve(record, rulings=()))
    assert [(link.one.value, link.other.value) for link in links] == [("1", "b@x")]
    assert parts_of(record, links) == {frozenset(["1"]), frozenset(["b@x", "2"])}


def test_a_pair_that_was_blocked_counts_only_once_it_is_considered_again():
    piece = Evidence(9, "a@x", "1", EPOCH, Standing.BLOCKED)
    record = record_of([contact(1, "a@x", None), contact(2, None, "1")], [piece])
    assert standing_in(record) is Standing.BLOCKED
    assert len(parts_of(record)) == 2


@pytest.mark.parametrize(
    ("verdict", "standing"),
    [
        (None, Standing.HELD),
        (Verdict.SAME, Standing.COUNTS),
        (Verdict.UNDONE, Standing.UNDONE),
        (Verdict.DIFFERENT, Standing.HELD),
    ],
)
def test_what_a_limit_holds_counts_only_if_a_pin_says_so(verdict, standing):
    rulings = [] if verdict is None else [ruling(80, verdict, "a@x", "1")]
    piece = Evidence(9, "a@x", "1", EPOCH, Standing.HELD, HELD)
    record = record_of([contact(1, "a@x", None), contact(2, None, "1")], [piece], rulings)
    assert standing_in(record) is standing
    assert (len(parts_of(record)) == 1) == (standing is Standing.COUNTS)


def test_a_pin_between_others_counts_nothing_that_a_limit_holds():
    piece = Evidence(9, "a@x", "1", EPOCH, Standing.HELD, HELD)
    same = ruling(80, Verdict.SAME, "a@x", "b@x")
    record = record_of([contact(1, "a@x", None), contact(2, "b@x", "1")], [piece], [same])
    assert parts_of(record) == {frozenset(["a@x", "b@x", "1"])}
    assert standing_in(record) is Standing.HELD, "though its values belong together otherwise"


def test_limits_are_not_applied_again_to_pairs_that_count():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)]
    record = record_of(contacts, rules=RuleSet(limits=Limits(1, 1, 1, 1)))
    assert resolve(record).ignored == {}


def test_a_link_leads_to_a_value_that_is_not_blocked_if_there_is_one():
    record = record_of(
        [contact(1, "a@x", "1"), contact(2, "b@x", "2", 1)],
        rules=RuleSet(emails=["a@x", "b@x"], phone_numbers=["2"]),
    )
    assert links_of(record) == [("1", "b@x", 2)]
