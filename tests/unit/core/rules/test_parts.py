"""What leaves a very large identity, and what joins one, by what is known of a part alone."""

from itertools import count

import pytest
from attrs import evolve
from hypothesis import given

from identity_core import EventKind, Evidence, Hold, RuleSet, Standing, Verdict, WriteSet
from identity_core.model.parts import Parts
from identity_core.model.rule_set import NO_RULES, Limits
from identity_core.rules.apply import apply_rules
from identity_core.rules.parts import attach, detach
from identity_core.testing import rule_sets
from identity_core.testing.model import partition, resolved
from tests.unit.core.records import NOW, contact, day, record_of, records, ruling, value, write

SHARED = RuleSet(phone_numbers=["1"])
FIRST = contact(1, "a@x", "1")
BLOCKED = Evidence(2, "b@x", "1", day(2), Standing.BLOCKED)


def apply(record, rules, first_id):
    record = evolve(record, rules=rules)
    return write(record, apply_rules(record, NOW, count(first_id)).writes)


def leave(*contacts, rules=SHARED, evidence=(), rulings=(), primary=FIRST, released=(), **more):
    """What leaves the identity of a primary, of which some contacts are known."""
    record = record_of([*contacts, *([primary] if primary else [])], evidence, rulings, rules=rules)
    parts = evolve(Parts.of(record, primary), **more)
    return detach(parts, NOW, count(200), released=released).writes


def join(*contacts, evidence=(BLOCKED,), rules=NO_RULES, rulings=(), primary=FIRST, released=(), **more):
    """What joins the identity of a primary that has the phone number 1."""
    record = record_of([*contacts, primary], evidence, rulings, rules=rules)
    parts = evolve(Parts.of(record, primary), hubs=frozenset([value("1")]), **more)
    return attach(parts, NOW, count(200), released=released).writes


@given(records(), rule_sets(4))
def test_what_leaves_part_by_part_and_the_rest_at_the_end_is_what_leaves_at_once(record, rules):
    whole = apply(record, NO_RULES, 200)
    parted = evolve(whole, rules=rules)
    for contacts in whole.identities:
        parted = write(parted, detach(Parts.of(parted, contacts[0]), NOW, count(300)).writes)
    check_same(apply(parted, rules, 400), apply(whole, rules, 400))


@given(records(), rule_sets(4))
def test_what_joins_part_by_part_and_the_rest_at_the_end_is_what_joins_at_once(record, rules):
    parted = apply(apply(record, NO_RULES, 200), rules, 300)
    joined = evolve(parted, rules=NO_RULES)
    hubs = {one for piece in parted.evidence for one in piece.identifiers}
    for hub in sorted(hubs):
        for contacts in joined.identities:
            if any(hub in one.identifiers for one in contacts):
                parts = Parts.of(joined, contacts[0], [hub])
                joined = write(joined, attach(parts, NOW, count(400)).writes)
                break
    check_same(apply(joined, NO_RULES, 500), apply(parted, NO_RULES, 500))


def check_same(one, other):
    assert partition(one) == partition(other) == resolved(one)
    assert [(p.pair, p.standing, p.hold) for p in one.evidence] == [
        (p.pair, p.standing, p.hold) for p in other.evidence
    ]
    primaries = [
        {contact.id: contacts[0].created_at for contacts in record.identities for contact in contacts}
        for record in (one, other)
    ]
    both = primaries[0].keys() & primaries[1].keys()
    assert {id: primaries[0][id] for id in both} == {id: primaries[1][id] for id in both}


# Leaving


def test_a_part_leaves_that_has_nothing_but_a_blocked_value_in_common_with_the_primary():
    writes = leave(contact(2, "b@x", "1", 1), contact(3, "b@x", "3", 1))
    assert [(one.id, one.key, one.linked_id) for one in (*writes.rewritten, *writes.altered)] == [
        (2, ("b@x", None), None),
        (3, ("b@x", "3"), 2),
    ]
    assert writes.evidence == (BLOCKED,)
    assert [(one.kind, one.primary_id, one.origin_id, one.moved_ids) for one in writes.events] == [
        (EventKind.HELD, 1, None, ()),
        (EventKind.SPLIT, 2, 1, (2, 3)),
    ]


def test_the_part_of_the_primary_stays():
    assert leave(contact(2, "a@x", "2", 1)) == WriteSet()
    assert leave(contact(2, "b@x", "1", 1), primary=contact(1, "b@x", "2")) == WriteSet()


@pytest.mark.parametrize(
    "primary",
    [contact(1, "a@x", "1"), contact(1, None, "1"), contact(1, "z@x", "1")],
    ids=["one value left", "none left", "both blocked"],
)
def test_it_does_not_matter_what_the_primary_keeps(primary):
    rules = RuleSet(phone_numbers=["1"], emails=["z@x"])
    assert [one.id for one in leave(contact(2, "b@x", "1", 1), rules=rules, primary=primary).rewritten] == [2]


def test_the_primary_may_have_the_value_by_evidence_or_by_others_of_its_part():
    by_evidence = leave(contact(2, "b@x", "1", 1), primary=contact(1, "a@x", "9"), evidence=[("a@x", "1")])
    others = [contact(2, "b@x", "1", 1), contact(3, "a@x", "9", 1), contact(4, "c@x", "9", 1)]
    by_others = leave(*others, primary=contact(1, "a@x", None), evidence=[("c@x", "1")])
    for writes in (by_evidence, by_others):
        assert [one.id for one in writes.rewritten] == [2]


@pytest.mark.parametrize(
    "kept",
    [
        {"contacts": [contact(2, "b@x", "2", 1)]},
        {"contacts": [contact(2, "b@x", "1", 1), contact(3, "b@x", "2", 1)], "blocked": ["1", "2"]},
        {"contacts": [contact(2, "b@x", "1", 1)], "primary": contact(1, "a@x", "9")},
        {"contacts": [contact(2, "b@x", "1", 1)], "primary": contact(1, "a@x", "1", 7)},
        {"contacts": [contact(2, "b@x", "1", 1)], "primary": contact(1, "a@x", "1", days=3)},
        {"contacts": [contact(2, "b@x", "1", 1)], "primary": None},
        {"contacts": [contact(2, "b@x", "1", 7)]},
        {"contacts": [contact(2, "b@x", "1", 1), contact(3, "c@x", None, 2)]},
        {"contacts": [contact(2, "b@x", "1", 1)], "unread": frozenset([value("b@x")])},
        {
            "contacts": [contact(2, "b@x", "1", 1)],
            "evidence": [Evidence(9, "b@x", "3", day(9), Standing.BLOCKED)],
        },
        {"contacts": [contact(2, "b@x", None, 1)], "evidence": [("b@x", "1")], "undone": True},
    ],
    ids=[
        "an inherited link",
        "another blocked value",
        "the primary has not got it",
        "the primary is linked itself",
        "it is older",
        "the primary is gone",
        "it belongs elsewhere",
        "others are linked to it",
        "not everything is known",
        "a pair is no longer blocked",
        "the pair was undone",
    ],
)
def test_whatever_is_not_as_plain_stays(kept):
    contacts, primary = kept["contacts"], kept.get("primary", FIRST)
    rulings = [ruling(50, Verdict.UNDONE, "b@x", "1")] if kept.get("undone") else []
    writes = leave(
        *contacts,
        rules=RuleSet(phone_numbers=kept.get("blocked", ["1"])),
        evidence=kept.get("evidence", ()),
        rulings=rulings,
        primary=primary,
        unread=kept.get("unread", frozenset()),
    )
    assert writes == WriteSet()


def test_pairs_that_limits_held_and_that_are_released_wait():
    held = Evidence(9, "b@x", "3", day(9), Standing.HELD, Hold.EMAILS_PER_PHONE_NUMBER)
    of_b = contact(2, "b@x", "1", 1)
    assert leave(of_b, evidence=[held]).rewritten
    assert leave(of_b, evidence=[held], released=[Hold.EMAILS_PER_PHONE_NUMBER]) == WriteSet()


def test_deleted_contacts_go_with_the_part_that_they_lead_to():
    record = record_of([FIRST, contact(2, "b@x", "1", 1)], deleted=[(3, 2), (4, 1)], rules=SHARED)
    writes = detach(Parts.of(record, FIRST), NOW, count(200)).writes
    assert [one.moved_ids for one in writes.events if one.kind is EventKind.SPLIT] == [(2, 3)]


# Joining


def test_a_part_joins_whose_pairs_are_no_longer_blocked():
    writes = join(contact(2, "b@x", None), contact(3, None, "3", 2), evidence=(BLOCKED, ("b@x", "3")))
    assert [(one.id, one.key, one.linked_id) for one in (*writes.rewritten, *writes.altered)] == [
        (2, ("b@x", "1"), 1),
        (3, (None, "3"), 1),
    ]
    assert writes.superseded == (("b@x", "1"),)
    assert [(one.kind, one.primary_id, one.absorbed_ids) for one in writes.events] == [
        (EventKind.RELEASED, 2, ()),
        (EventKind.MERGED, 1, (2,)),
    ]


def test_a_part_that_belongs_to_the_identity_already_gets_its_pair_back():
    writes = join(contact(2, "b@x", None, 1))
    assert [(one.id, one.key, one.linked_id) for one in writes.rewritten] == [(2, ("b@x", "1"), 1)]
    assert writes.altered == ()


def test_what_is_linked_to_a_part_joins_with_it():
    writes = join(contact(2, "b@x", None), contact(3, "c@x", "3", 2))
    assert {one.id: one.linked_id for one in (*writes.rewritten, *writes.altered)} == {2: 1, 3: 1}


@pytest.mark.parametrize("hold", [Hold.UNCHECKED, Hold.VALUES_PER_IDENTITY])
def test_pairs_that_were_held_or_never_checked_count_where_nothing_is_limited_any_more(hold):
    held = Evidence(9, "b@x", "1", day(9), Standing.HELD, hold)
    for piece in (held, evolve(held, standing=Standing.BLOCKED)):
        [counting] = join(contact(2, "b@x", None), evidence=[piece], released=[hold]).evidence
        assert (counting.standing, counting.hold) == (Standing.COUNTS, None)


@pytest.mark.parametrize(
    "kept",
    [
        {"evidence": []},
        {"rulings": [ruling(50, Verdict.DIFFERENT, "b@x", "z@x")]},
        {"rules": RuleSet(limits=Limits(values_per_identity=99))},
        {"primary": contact(1, "a@x", "1", days=3)},
        {"primary": contact(1, "a@x", "1", 7)},
        {"primary": contact(1, "b@x", "9")},
        {"evidence": [BLOCKED, Evidence(9, "b@x", "3", day(9), Standing.BLOCKED)]},
        {"unread": frozenset([value("b@x")])},
        {"others": [contact(3, "b@x", "3", 7)]},
        {"evidence": [evolve(BLOCKED, id=3)], "others": [contact(3, "1@x", None, 1)]},
        {"evidence": [evolve(BLOCKED, id=1)]},
    ],
    ids=[
        "nothing is to be considered",
        "a pin is about it",
        "something is limited",
        "it is older",
        "the primary is linked itself",
        "it is the part of the primary",
        "a pair leads elsewhere",
        "not everything is known",
        "it is linked elsewhere",
        "the pair was that of another contact",
        "the pair was that of the primary",
    ],
)
def test_whatever_is_not_as_plain_does_not_join(kept):
    others = kept.pop("others", [])
    assert join(contact(2, "b@x", None), *others, **kept) == WriteSet()


def test_nothing_joins_where_the_primary_is_gone():
    record = record_of([contact(2, "b@x", None)], [BLOCKED])
    parts = evolve(Parts.of(record, None), hubs=frozenset([value("1")]))
    assert attach(parts, NOW, count(200)).writes == WriteSet()
