"""What becomes of details where values are blocked and limits are on."""

from itertools import count

import pytest
from attrs import evolve

from identity_core import (
    NOBODY,
    Contact,
    ContactDetails,
    EventKind,
    Evidence,
    Hold,
    IdentifierKind,
    LinkPrecedence,
    Outcome,
    RuleSet,
    Snapshot,
    Standing,
    WriteSet,
    find_known,
    reconcile,
)
from identity_core.model.rule_set import Limits
from identity_core.rules.reconcile import KeptApart, find_outcomes
from tests.unit.core.records import NOW, contact, day, value

EMAIL, NUMBER = IdentifierKind.EMAIL, IdentifierKind.PHONE_NUMBER
PRIMARY, SECONDARY = LinkPrecedence.PRIMARY, LinkPrecedence.SECONDARY
BLOCKED = RuleSet(emails=["shop@x"], phone_numbers=["9"])


def limits(*numbers, **named):
    return RuleSet(limits=Limits(*numbers, **named))


def decide(*batch, rules, known=(), evidence=(), ignored=(), **more):
    """Reconcile details with contacts by rules; new ids start at 50."""
    batch = [
        details if isinstance(details, ContactDetails) else ContactDetails(*details) for details in batch
    ]
    snapshot = evolve(Snapshot.of(known, evidence, ignored, rules=rules), **more)
    decided = reconcile(batch, snapshot, NOW, count(50))
    # Reading first must come to the same end as deciding.
    found = find_known(batch, snapshot)
    assert found == find_known(batch, snapshot.to_columns())
    assert [one and one.outcome for one in found] == find_outcomes(batch, snapshot)
    for details, identified in zip(batch, found, strict=True):
        alone = reconcile([details], snapshot, NOW, count(50))
        assert (identified is None) == (alone.writes != WriteSet())
        if identified is not None:
            assert alone.identities == (identified.identity,)
            assert alone.outcomes == (identified.outcome,)
            assert alone.ignored == (identified.ignored,)
    return decided


def told(decided):
    return [
        (outcome.value, ignored) for outcome, ignored in zip(decided.outcomes, decided.ignored, strict=True)
    ]


def holds_of(decided):
    return {piece.pair: piece.hold for piece in decided.writes.evidence}


# Blocked values


@pytest.mark.parametrize("details", [("shop@x", "9"), ("shop@x", None), (None, "9")])
def test_details_that_are_blocked_whole_identify_nobody_and_change_nothing(details):
    decided = decide(details, rules=BLOCKED, known=[contact(1, "a@x", "9"), contact(2, "shop@x", None)])
    assert (decided.identities, decided.writes) == ((NOBODY,), WriteSet())
    assert told(decided) == [("blocked", None)]


def test_details_with_a_blocked_number_belong_to_their_email_and_their_pair_is_recorded():
    decided = decide(("a@x", "9"), rules=BLOCKED)
    assert decided.writes.created == (Contact(50, "a@x", None, None, PRIMARY, NOW),)
    assert decided.writes.evidence == (Evidence(51, "a@x", "9", NOW, Standing.BLOCKED, Hold.UNCHECKED),)
    assert [(event.kind, event.primary_id) for event in decided.writes.events] == [
        (EventKind.CREATED, 50),
        (EventKind.HELD, 50),
    ]
    assert told(decided) == [("created", NUMBER)]


def test_details_with_a_blocked_email_belong_to_their_number():
    decided = decide(("shop@x", "1"), rules=BLOCKED, known=[contact(1, "a@x", "1")])
    assert decided.writes.created == decided.writes.altered == ()
    assert holds_of(decided) == {("shop@x", "1"): Hold.UNCHECKED}
    assert decided.identities[0].emails == ("a@x",)
    assert told(decided) == [("known", EMAIL)]


def test_the_pair_of_a_blocked_value_is_recorded_once():
    decided = decide(("a@x", "9"), ("a@x", "9"), rules=BLOCKED)
    assert told(decided) == [("created", NUMBER), ("known", NUMBER)]
    assert len(decided.writes.evidence) == 1
    again = decide(("a@x", "9"), rules=BLOCKED, known=[contact(1, "a@x", None)], ignored=[("a@x", "9")])
    assert (told(again), again.writes) == ([("known", NUMBER)], WriteSet())


def test_a_pair_that_counts_still_while_its_value_is_blocked_already_is_on_record():
    for known in (
        {"known": [contact(1, "a@x", "9")]},
        {"known": [contact(1, "a@x", None)], "evidence": [("a@x", "9")]},
    ):
        decided = decide(("a@x", "9"), rules=BLOCKED, **known)
        assert (told(decided), decided.writes) == ([("known", NUMBER)], WriteSet())


def test_a_blocked_value_joins_nobody():
    known = [contact(1, "a@x", None), contact(2, "b@x", None)]
    decided = decide(("a@x", "9"), ("b@x", "9"), ("c@x", "9"), rules=BLOCKED, known=known)
    assert [one.emails for one in decided.identities] == [("a@x",), ("b@x",), ("c@x",)]
    assert decided.writes.altered == ()


def test_the_value_that_is_not_blocked_is_dated_back():
    decided = decide(ContactDetails("a@x", "9", day(1)), rules=BLOCKED, known=[contact(7, "a@x", None)])
    assert [(one.id, one.created_at) for one in decided.writes.altered] == [(7, day(1))]
    assert decided.writes.evidence[0].seen_at == day(1)


def test_blocks_come_before_limits():
    rules = evolve(BLOCKED, limits=Limits(1, 1, 1, 1))
    decided = decide(("a@x", "9"), rules=rules, known=[contact(1, "a@x", "1")])
    assert told(decided) == [("known", NUMBER)]
    assert holds_of(decided) == {("a@x", "9"): Hold.UNCHECKED}


# Limits

KNOWN = [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1), contact(3, "c@x", "3"), contact(4, "c@x", "4", 3)]
"""Two identities of three values."""


@pytest.mark.parametrize(
    ("details", "exceeded", "kept"),
    [
        (("a@x", "9"), {"phone_numbers_per_email": 1}, {"phone_numbers_per_email": 2}),
        (("d@x", "1"), {"emails_per_phone_number": 2}, {"emails_per_phone_number": 3}),
        (("d@x", "1"), {"values_per_identity": 3}, {"values_per_identity": 4}),
        (("a@x", "3"), {"values_per_identity": 5}, {"values_per_identity": 6}),
        (("a@x", "3"), {"values_on_smaller_side": 2}, {"values_on_smaller_side": 3}),
        (("d@x", "9"), {"values_per_identity": 1}, {"values_per_identity": 2}),
    ],
)
def test_a_new_pair_that_exceeds_a_limit_is_held_by_it(details, exceeded, kept):
    held = decide(details, rules=limits(**exceeded), known=KNOWN)
    [hold] = exceeded
    assert told(held) == [("held", NUMBER)]
    assert holds_of(held) == {details: Hold(hold)}
    assert held.writes.evidence[0].standing is Standing.HELD
    assert details[0] in held.identities[0].emails
    counted = decide(details, rules=limits(**kept), known=KNOWN)
    assert told(counted)[0][0] in ("created", "linked", "merged")
    assert Standing.HELD not in {piece.standing for piece in counted.writes.evidence}


def test_the_values_of_a_held_pair_become_known_each_alone():
    decided = decide(("d@x", "9"), rules=limits(values_per_identity=1))
    assert [(one.id, one.key, one.linked_id) for one in decided.writes.created] == [
        (50, ("d@x", None), None),
        (51, (None, "9"), None),
    ]
    assert decided.writes.evidence[0].id == 52
    assert [event.kind for event in decided.writes.events] == [
        EventKind.CREATED,
        EventKind.CREATED,
        EventKind.HELD,
    ]


def test_the_first_of_several_limits_holds_a_pair():
    decided = decide(("a@x", "3"), rules=limits(1, 1, 1, 1), known=KNOWN)
    assert holds_of(decided) == {("a@x", "3"): Hold.PHONE_NUMBERS_PER_EMAIL}


def test_limits_of_an_identity_do_not_concern_what_belongs_together_already():
    decided = decide(
        ("b@x", "1"),
        ("a@x", "1"),
        rules=limits(None, None, 1, 1),
        known=[KNOWN[0], contact(2, "b@x", None, 1)],
    )
    assert told(decided) == [("known", None)] * 2
    assert [piece.standing for piece in decided.writes.evidence] == [Standing.COUNTS]


def test_pairs_that_counted_before_are_not_checked():
    decided = decide(("a@x", "1"), ("b@x", "1"), ("b@x", None), rules=limits(1, 1, 1, 1), known=KNOWN)
    assert (told(decided), decided.writes) == ([("known", None)] * 3, WriteSet())


def test_a_held_pair_is_held_again_without_a_trace():
    decided = decide(
        ("d@x", "1"), rules=limits(9), known=[*KNOWN, contact(5, "d@x", None)], ignored=[("d@x", "1")]
    )
    assert (told(decided), decided.writes) == ([("held", NUMBER)], WriteSet())


def test_details_of_a_held_pair_date_both_values_back():
    known = [contact(5, "d@x", None), *KNOWN]
    decided = decide(ContactDetails("d@x", "1", day(0)), rules=limits(emails_per_phone_number=2), known=known)
    assert told(decided) == [("held", NUMBER)]
    assert [(one.id, one.created_at) for one in decided.writes.altered if one.created_at == day(0)] == [
        (5, day(0))
    ]
    [made] = decided.writes.created
    assert (made.key, made.created_at) == ((None, "1"), day(0))


def test_pairs_in_evidence_count_and_so_do_those_of_the_same_batch():
    rules = limits(3, 3)
    known = [contact(1, "a@x", "1"), contact(2, "b@x", "2", 1), contact(3, "c@x", "3", 1)]
    paired = {value("a@x"): 1, value("2"): 1}
    batch = ("a@x", "3"), ("a@x", "4"), ("c@x", "2"), ("d@x", "2"), ("c@x", "1")
    decided = decide(*batch, rules=rules, known=known, evidence=[("a@x", "2")], paired=paired)
    assert told(decided) == [
        ("known", None),
        ("held", NUMBER),
        ("known", None),
        ("held", NUMBER),
        ("known", None),
    ]
    assert holds_of(decided) == {
        ("a@x", "3"): None,
        ("a@x", "4"): Hold.PHONE_NUMBERS_PER_EMAIL,
        ("c@x", "2"): None,
        ("d@x", "2"): Hold.EMAILS_PER_PHONE_NUMBER,
        ("c@x", "1"): None,
    }


def test_a_contact_that_takes_the_place_of_evidence_counts_once():
    known = [contact(1, "a@x", "1"), contact(2, "b@x", "2", 1)]
    batch = ContactDetails("a@x", "2", day(0)), ContactDetails("a@x", "3")
    decided = decide(
        *batch, rules=limits(3), known=known, evidence=[("a@x", "2")], paired={value("a@x"): 1, value("2"): 1}
    )
    assert decided.writes.superseded == (("a@x", "2"),)
    assert told(decided) == [("linked", None), ("linked", None)]


def test_values_of_one_batch_count_for_the_size_of_an_identity():
    batch = [(f"{position}@x", "1") for position in range(4)]
    decided = decide(*batch, rules=limits(values_per_identity=3))
    assert told(decided) == [("created", None), ("linked", None), ("held", NUMBER), ("held", NUMBER)]
    assert decided.identities[0].emails == ("0@x", "1@x")


def test_no_limit_holds_an_accepted_pair():
    decided = decide(("d@x", "1"), rules=limits(1, 1, 1, 1), known=KNOWN, accepted=frozenset([("d@x", "1")]))
    assert told(decided) == [("linked", None)]


def test_one_value_alone_exceeds_no_limit():
    decided = decide(("d@x", None), (None, "1"), rules=limits(1, 1, 1, 1), known=KNOWN)
    assert told(decided) == [("created", None), ("known", None)]


# Limits and pins

APART = ((value("a@x"), value("c@x")),)


def test_a_pin_holds_a_pair_before_a_limit_does():
    decided = decide(("a@x", "3"), rules=limits(1, 1, 1, 1), known=KNOWN, apart=APART)
    assert told(decided) == [("held", NUMBER)]
    assert holds_of(decided) == {("a@x", "3"): None}


def test_dated_details_that_a_pin_forbids_need_the_whole_record_unless_a_limit_holds_them():
    details = ContactDetails("a@x", "3", day(500))
    held = decide(details, rules=limits(values_per_identity=3), known=KNOWN, apart=APART)
    assert holds_of(held) == {details.pair: Hold.VALUES_PER_IDENTITY}
    with pytest.raises(KeptApart):
        decide(details, rules=limits(values_per_identity=9), known=KNOWN, apart=APART)


def test_blocked_values_need_no_pin():
    rules = RuleSet(phone_numbers=["3"])
    decided = decide(("a@x", "3"), rules=rules, known=KNOWN, apart=APART)
    assert decided.writes.evidence[0].standing is Standing.BLOCKED
    assert decided.outcomes == (Outcome.KNOWN,)
