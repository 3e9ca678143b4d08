"""What blocks, limits and their end do to what is recorded."""

from itertools import count

import pytest
from attrs import evolve
from hypothesis import given

from identity_core import (
    Contact,
    Event,
    EventKind,
    Evidence,
    Hold,
    LinkPrecedence,
    RuleSet,
    Standing,
    Verdict,
    WriteSet,
)
from identity_core.model.rule_set import NO_RULES, Limits
from identity_core.rules.apply import REASON, apply_retroactively, apply_rules
from identity_core.testing import rule_sets
from identity_core.testing.model import partition, resolved
from tests.unit.core.records import NOW, contact, day, record_of, records, ruling, write

PRIMARY, SECONDARY = LinkPrecedence.PRIMARY, LinkPrecedence.SECONDARY
NUMBER, EMAIL, BOTH = (
    RuleSet(phone_numbers=["1"]),
    RuleSet(emails=["b@x"]),
    RuleSet(emails=["b@x"], phone_numbers=["1"]),
)
TWO = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)])


def put(rules, record, released=(), first_id=200):
    """What rules write, and the record that they lead to."""
    writes = apply_rules(evolve(record, rules=rules), NOW, count(first_id), released=released).writes
    return writes, write(evolve(record, rules=rules), writes)


def keys_of(record):
    return {one.id: one.key for one in record.contacts}


def standings_of(record):
    return {piece.pair: (piece.standing, piece.hold) for piece in record.evidence}


# All of it


@given(records(), rule_sets(4))
def test_whatever_the_rules_are_the_identities_are_those_that_the_model_has(record, rules):
    writes, after = put(rules, record)
    assert partition(after) == resolved(after)
    assert put(rules, after, first_id=500)[0] == WriteSet(), "applying them again changes nothing"
    for piece in after.evidence:
        assert rules.blocks_pair(piece.pair) == (piece.standing is Standing.BLOCKED)
    assert all(piece.hold is None for piece in writes.evidence), "all of it came before the limits"


@given(records(), rule_sets(4))
def test_blocks_that_end_leave_what_was_before(record, rules):
    _, before = put(NO_RULES, record)
    _, blocked = put(rules, before, first_id=300)
    _, after = put(NO_RULES, blocked, first_id=600)
    assert partition(after) == partition(before)
    primaries = [{contacts[0].created_at for contacts in one.identities} for one in (before, after)]
    assert primaries[0] == primaries[1]


# A block and limits at once


def test_a_number_whose_email_is_blocked_gives_way_to_an_older_contact_of_it():
    record = evolve(TWO, rules=RuleSet(emails=["b@x"], limits=Limits(values_per_identity=1)))
    writes = apply_retroactively(record, NOW, count(200)).writes
    after = write(record, writes)
    assert keys_of(after) == {1: ("a@x", None), 200: (None, "1")}
    assert apply_retroactively(after, NOW, count(300)).writes == WriteSet()


# A block


def test_a_contact_whose_number_is_blocked_keeps_its_id_and_its_email():
    writes, after = put(NUMBER, TWO)
    assert keys_of(after) == {1: ("a@x", None), 2: ("b@x", None)}
    assert writes.evidence == (
        Evidence(1, "a@x", "1", day(1), Standing.BLOCKED),
        Evidence(2, "b@x", "1", day(2), Standing.BLOCKED),
    )
    assert writes.created == (), "a blocked value needs no contact"
    assert writes.events == (
        Event(NOW, EventKind.HELD, 1, evidence_id=1),
        Event(NOW, EventKind.HELD, 1, evidence_id=2),
        Event(NOW, EventKind.SPLIT, 2, origin_id=1, moved_ids=(2,)),
    )


def test_a_contact_whose_email_is_blocked_keeps_its_number():
    writes, after = put(EMAIL, TWO)
    assert keys_of(after) == {1: ("a@x", "1"), 2: (None, "1")}
    [event] = writes.events
    assert (event.kind, event.contact_id, event.evidence_id) == (EventKind.HELD, 2, 2)
    assert event.keeps_number


def test_a_contact_whose_values_are_both_blocked_keeps_its_email():
    _, after = put(BOTH, record_of([contact(2, "b@x", "1")]))
    assert keys_of(after) == {2: ("b@x", None)}


def test_a_contact_of_a_blocked_value_alone_stays_and_is_joined_to_nothing():
    record = record_of([contact(1, "a@x", None), contact(2, None, "1", 1)], [("a@x", "1")])
    writes, after = put(NUMBER, record)
    assert keys_of(after) == {1: ("a@x", None), 2: (None, "1")}
    assert partition(after) == {frozenset(["a@x"]), frozenset(["1"])}
    assert writes.evidence == (Evidence(100, "a@x", "1", day(100), Standing.BLOCKED),)


def test_a_contact_that_repeats_an_older_one_without_the_blocked_value_is_deleted():
    record = record_of([contact(1, "a@x", "1"), contact(2, "a@x", "2", 1)])
    writes, after = put(RuleSet(phone_numbers=["1", "2"]), record)
    assert keys_of(after) == {1: ("a@x", None)}
    assert [(one.id, one.linked_id) for one in writes.deleted] == [(2, 1)]
    assert {piece.id for piece in after.evidence} == {1, 2}
    _, again = put(NO_RULES, after, first_id=300)
    assert keys_of(again) == {1: ("a@x", "1"), 300: (None, "2")}
    assert again.identities[0][1].created_at == day(2), "when it was first seen"
    assert partition(again) == partition(record)


def test_a_block_beats_a_pin():
    same = ruling(80, Verdict.SAME, "a@x", "1")
    _, after = put(NUMBER, record_of([contact(1, "a@x", "1")], rulings=[same]))
    assert standings_of(after) == {("a@x", "1"): (Standing.BLOCKED, None)}
    assert partition(after) == {frozenset(["a@x"])}


def test_undone_pairs_are_undone_again_once_they_are_blocked_no_longer():
    undone = ruling(80, Verdict.UNDONE, "a@x", "1")
    _, apart = put(NO_RULES, record_of([contact(1, "a@x", "1")], rulings=[undone]))
    _, blocked = put(NUMBER, apart, first_id=300)
    assert standings_of(blocked) == {("a@x", "1"): (Standing.BLOCKED, None)}
    _, after = put(NO_RULES, blocked, first_id=400)
    assert standings_of(after) == {("a@x", "1"): (Standing.UNDONE, None)}
    assert partition(after) == {frozenset(["a@x"]), frozenset(["1"])}


def test_a_pair_of_which_both_values_are_blocked_is_told_of_nobody_if_no_contact_leads_to_it():
    writes, _ = put(BOTH, record_of([], [("b@x", "1")]))
    assert writes.evidence == (Evidence(100, "b@x", "1", day(100), Standing.BLOCKED),)
    assert writes.events == ()


# Its end


@pytest.mark.parametrize("rules", [NUMBER, EMAIL, BOTH])
def test_contacts_get_back_what_was_blocked(rules):
    _, blocked = put(rules, TWO)
    writes, after = put(NO_RULES, blocked, first_id=300)
    assert after.identities == TWO.identities
    assert after.evidence == ()
    assert {event.kind for event in writes.events} <= {EventKind.RELEASED, EventKind.MERGED}


def test_of_two_blocked_values_one_that_is_blocked_no_longer_is_known_since_it_was_seen():
    _, blocked = put(BOTH, record_of([contact(2, "b@x", "1")]))
    _, after = put(EMAIL, evolve(blocked, asked=TWO.asked), first_id=300)
    assert keys_of(after) == {2: ("b@x", None), 300: (None, "1")}
    assert {one.created_at for one in after.contacts} == {day(2)}
    _, again = put(NO_RULES, after, first_id=400)
    assert keys_of(again) == {2: ("b@x", "1")}


def test_an_end_that_the_record_does_not_know_waits():
    stranger = Evidence(9, "a@x", "7", day(9), Standing.BLOCKED)
    record = record_of([contact(1, "a@x", None)], [stranger])
    assert put(NO_RULES, record)[0] == WriteSet()


WAITING = [
    contact(1, "a@x", None),
    contact(2, "b@x", None),
    contact(3, "c@x", None),
    contact(4, None, "1"),
]


def waiting(*holds, standing=Standing.BLOCKED):
    """Pairs of three emails with a number; the later ones are of an earlier time."""
    emails = ("a@x", "b@x", "c@x")
    pieces = [
        Evidence(10 + position, email, "1", day(90 - position), standing, hold)
        for position, (email, hold) in enumerate(zip(emails, holds, strict=True))
    ]
    return record_of(WAITING, pieces)


def test_pairs_that_came_during_the_block_are_checked_in_the_order_in_which_they_came():
    rules = RuleSet(limits=Limits(emails_per_phone_number=2))
    _, after = put(rules, waiting(*[Hold.UNCHECKED] * 3))
    assert standings_of(after) == {
        ("a@x", "1"): (Standing.COUNTS, None),
        ("b@x", "1"): (Standing.COUNTS, None),
        ("c@x", "1"): (Standing.HELD, Hold.EMAILS_PER_PHONE_NUMBER),
    }
    assert partition(after) == {frozenset(["a@x", "b@x", "1"]), frozenset(["c@x"])}


def test_pairs_that_counted_before_the_block_are_not_checked():
    rules = RuleSet(limits=Limits(emails_per_phone_number=1, values_per_identity=1))
    _, after = put(rules, waiting(None, None, Hold.UNCHECKED))
    assert standings_of(after)["b@x", "1"] == (Standing.COUNTS, None)
    assert standings_of(after)["c@x", "1"] == (Standing.HELD, Hold.EMAILS_PER_PHONE_NUMBER)


@pytest.mark.parametrize(
    ("limits", "holds"),
    [
        (Limits(values_per_identity=3), [None, None, Hold.VALUES_PER_IDENTITY]),
        (Limits(values_on_smaller_side=1), [None, None, None]),
        (Limits(1, 9, 9, 9), [None, None, None]),
        (Limits(values_per_identity=1), [Hold.VALUES_PER_IDENTITY] * 3),
    ],
)
def test_every_limit_is_applied(limits, holds):
    _, after = put(RuleSet(limits=limits), waiting(*[Hold.UNCHECKED] * 3))
    assert [hold for _, hold in standings_of(after).values()] == holds


def test_pairs_that_a_limit_held_before_the_block_stay_held():
    rules = RuleSet(limits=Limits(values_per_identity=9))
    _, after = put(rules, waiting(Hold.VALUES_PER_IDENTITY, None, Hold.VALUES_PER_IDENTITY))
    assert [standing for standing, _ in standings_of(after).values()] == [
        Standing.HELD,
        Standing.COUNTS,
        Standing.HELD,
    ]


# A limit that is raised


def test_what_a_raised_limit_held_is_considered_again_in_the_order_in_which_it_came():
    hold = Hold.EMAILS_PER_PHONE_NUMBER
    record = waiting(*[hold] * 3, standing=Standing.HELD)
    rules = RuleSet(limits=Limits(emails_per_phone_number=2))
    assert put(rules, record)[0] == WriteSet(), "unless it was raised, nothing is considered again"
    writes, after = put(rules, record, released=[hold])
    assert [hold for _, hold in standings_of(after).values()] == [None, None, hold]
    assert [event.kind for event in writes.events if event.evidence_id] == [EventKind.RELEASED] * 2


def test_what_it_held_may_exceed_another_limit():
    record = waiting(*[Hold.EMAILS_PER_PHONE_NUMBER] * 3, standing=Standing.HELD)
    rules = RuleSet(limits=Limits(values_per_identity=2))
    _, after = put(rules, record, released=[Hold.EMAILS_PER_PHONE_NUMBER])
    assert [hold for _, hold in standings_of(after).values()] == [None, *[Hold.VALUES_PER_IDENTITY] * 2]


def test_an_undone_pair_takes_the_place_of_none():
    undone = ruling(80, Verdict.UNDONE, "a@x", "1")
    record = evolve(waiting(*[Hold.EMAILS_PER_PHONE_NUMBER] * 3, standing=Standing.HELD), rulings=(undone,))
    rules = RuleSet(limits=Limits(emails_per_phone_number=1))
    _, after = put(rules, record, released=[Hold.EMAILS_PER_PHONE_NUMBER])
    assert [standing for standing, _ in standings_of(after).values()] == [
        Standing.UNDONE,
        Standing.COUNTS,
        Standing.HELD,
    ]


def test_an_accepted_pair_counts_though_it_would_exceed_a_limit():
    same = ruling(80, Verdict.SAME, "c@x", "1")
    record = evolve(waiting(*[Hold.EMAILS_PER_PHONE_NUMBER] * 3, standing=Standing.HELD), rulings=(same,))
    _, after = put(RuleSet(limits=Limits(emails_per_phone_number=1)), record)
    assert [standing for standing, _ in standings_of(after).values()] == [
        Standing.HELD,
        Standing.HELD,
        Standing.COUNTS,
    ]
    assert partition(after) == {frozenset(["a@x"]), frozenset(["b@x"]), frozenset(["c@x", "1"])}


# Inherited links

LINKED = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2", 1)])


def test_an_inherited_link_leads_to_values_that_are_not_blocked():
    writes, after = put(RuleSet(emails=["a@x", "b@x"]), LINKED)
    assert writes.rulings == ()
    assert partition(after) == {frozenset(["1", "2"])}


def test_an_inherited_link_that_a_block_cuts_is_kept_by_a_ruling():
    writes, apart = put(RuleSet(emails=["b@x"], phone_numbers=["2"]), LINKED)
    [kept] = writes.rulings
    assert (kept.verdict, {value for _, value in kept.values}) == (Verdict.INHERITED, {"a@x", "b@x"})
    assert (kept.reason, kept.decided_by, kept.decided_at) == (REASON, None, NOW)
    assert partition(apart) == {frozenset(["a@x", "1"]), frozenset(["b@x"])}
    _, after = put(NO_RULES, apart, first_id=300)
    assert after.identities == LINKED.identities


def test_contacts_without_values_lead_nowhere():
    record = record_of([contact(1, None, None), contact(2, "b@x", "1", 1)])
    _, after = put(BOTH, record)
    assert keys_of(after) == {1: (None, None), 2: ("b@x", None)}


def test_whoever_is_linked_by_nothing_but_a_blocked_value_comes_apart():
    record = record_of([contact(n, f"{n}@x", "1", None if n == 1 else 1) for n in range(1, 5)])
    writes, after = put(NUMBER, record)
    assert len(after.identities) == 4
    assert writes.created == ()
    assert [event.kind for event in writes.events].count(EventKind.SPLIT) == 3
    assert Contact(4, "4@x", None, None, PRIMARY, day(4)) in writes.rewritten


def test_a_value_that_is_no_longer_blocked_is_not_dated_before_its_identity():
    early = [Evidence(4, "a@x", "2", day(0)), Evidence(5, "b@x", "2", day(0))]
    contacts = [contact(1, "b@x", "1"), contact(2, "a@x", "1", 1, days=1), contact(3, None, "2", 1)]
    _, blocked = put(RuleSet(email_patterns=["?@x"]), record_of(contacts, early))
    _, after = put(NO_RULES, blocked, first_id=300)
    [identity] = after.identities
    assert (identity[0].id, identity[0].created_at) == (1, day(1))
