"""What becomes of details with a value that was erased and is kept out."""

from itertools import count

import pytest
from attrs import evolve

from identity_core import (
    NOBODY,
    CannotSuppress,
    ContactDetails,
    IdentifierKind,
    Outcome,
    RuleSet,
    Snapshot,
    Suppressed,
    Verdict,
    WriteSet,
    preview,
    reconcile,
    reconcile_in_turn,
)
from identity_core.model.rule_set import Limits
from identity_core.rules import rulings
from tests.unit.core.records import NOTE, NOW, contact, day, record_of, ruling, value

EMAIL, NUMBER = IdentifierKind.EMAIL, IdentifierKind.PHONE_NUMBER


def snapshot_of(*suppressed, known=(), evidence=(), ignored=(), rules=None):
    snapshot = Snapshot.of(known, evidence, ignored, rules=rules or RuleSet())
    return evolve(snapshot, suppressed=frozenset(map(value, suppressed)))


def decide(snapshot, *batch):
    """Reconcile details; the decision, and for each of them the outcome and what is ignored."""
    decision = reconcile([ContactDetails(*key) for key in batch], snapshot, NOW, count(50))
    return decision, [*zip(decision.outcomes, decision.ignored, strict=True)]


@pytest.mark.parametrize(
    ("details", "kept_out"),
    [
        (("a@x",), None),
        ((None, "1"), None),
        (("a@x", "1"), None),
        (("a@x", "2"), EMAIL),
        (("b@x", "1"), NUMBER),
        (("b@x", "1", day(1)), NUMBER),
    ],
)
def test_nothing_of_them_is_recorded(details, kept_out):
    known = [contact(1, "b@x", "2")]
    decision, outcomes = decide(snapshot_of("a@x", "1", known=known), details)
    assert outcomes == [(Outcome.SUPPRESSED, kept_out)]
    assert decision.writes == WriteSet()
    assert decision.identities == (NOBODY,)


def test_others_of_the_batch_are_taken_as_always():
    decision, outcomes = decide(snapshot_of("1"), ("a@x", "2"), ("a@x", "1"), ("b@x", "2"))
    assert outcomes == [(Outcome.CREATED, None), (Outcome.SUPPRESSED, NUMBER), (Outcome.LINKED, None)]
    assert [one.key for one in decision.writes.created] == [("a@x", "2"), ("b@x", "2")]


def test_what_another_program_wrote_since_is_known():
    known = [contact(1, "a@x", "1")]
    snapshot = snapshot_of("a@x", known=known, evidence=[("a@x", "3")], ignored=[("a@x", "4")])
    decision, outcomes = decide(snapshot, ("a@x", "1"), ("a@x",), ("a@x", "2"), ("a@x", "1", day(0)))
    assert outcomes == [
        (Outcome.KNOWN, None),
        (Outcome.KNOWN, None),
        (Outcome.SUPPRESSED, EMAIL),
        (Outcome.SUPPRESSED, EMAIL),
    ]
    assert decision.writes == WriteSet()
    assert [one.primary_contact_id for one in decision.identities] == [1, 1, 0, 0]


def test_a_block_and_a_limit_do_not_let_them_in():
    rules = RuleSet(phone_numbers=["9"], limits=Limits(1, 1, 1, 1))
    snapshot = snapshot_of("a@x", "9", rules=rules)
    decision, outcomes = decide(snapshot, ("a@x", "9"), ("b@x", "9"), ("a@x", "2"), (None, "9"))
    assert outcomes == [
        (Outcome.SUPPRESSED, None),
        (Outcome.SUPPRESSED, NUMBER),
        (Outcome.SUPPRESSED, EMAIL),
        (Outcome.BLOCKED, None),
    ]
    assert decision.writes == WriteSet()


def test_a_pin_does_not_keep_them_from_being_refused():
    known = [contact(1, "a@x", None), contact(2, None, "1")]
    snapshot = evolve(snapshot_of("a@x", known=known), apart=((value("a@x"), value("1")),))
    decision, outcomes = decide(snapshot, ("a@x", "1"))
    assert outcomes == [(Outcome.SUPPRESSED, EMAIL)]
    assert decision.writes == WriteSet()


def test_each_batch_in_turn_tells_whom_it_names():
    batches = [[ContactDetails("a@x")], [ContactDetails("b@x"), ContactDetails("c@x")]]
    decisions = reconcile_in_turn(batches, [snapshot_of(), snapshot_of("b@x")], NOW, count(50))
    outcomes = [outcome for decision in decisions for outcome in decision.outcomes]
    assert outcomes == [Outcome.CREATED, Outcome.SUPPRESSED, Outcome.CREATED]


def test_a_preview_tells_it():
    record = evolve(record_of([contact(1, "b@x", "2")]), suppressed=frozenset([value("a@x")]))
    told = preview(ContactDetails("a@x", "2"), record)
    assert (told.outcome, told.identity, told.ignored) == (Outcome.SUPPRESSED, NOBODY, EMAIL)
    assert preview(ContactDetails("c@x", "2"), record).outcome is Outcome.LINKED


def test_no_pin_brings_a_value_back():
    record = evolve(record_of([contact(1, "b@x", "2")]), suppressed=frozenset([value("a@x")]))
    about = {"verdict": Verdict.SAME, "note": NOTE}
    for one, other, field in (("a@x", "b@x", "one"), ("b@x", "a@x", "other")):
        with pytest.raises(Suppressed) as caught:
            rulings.pin(record, NOW, count(50), one=value(one), other=value(other), **about)
        assert (caught.value.field, caught.value.reason) == (field, "was erased on request and is kept out")
        with pytest.raises(Suppressed):
            rulings.adopt(record, NOW, count(50), ruling=ruling(9, Verdict.SAME, one, other))
    ruled = rulings.pin(record, NOW, count(50), one=value("c@x"), other=value("b@x"), **about)
    assert [one.email for one in ruled.writes.created] == ["c@x"]


def test_a_value_that_another_program_wrote_since_can_be_pinned():
    contacts = [contact(1, "b@x", "2"), contact(2, "a@x", None)]
    record = evolve(record_of(contacts), suppressed=frozenset([value("a@x")]))
    about = {"verdict": Verdict.SAME, "note": NOTE}
    ruled = rulings.pin(record, NOW, count(50), one=value("a@x"), other=value("b@x"), **about)
    assert [one.id for one in ruled.writes.altered] == [2]


def test_who_has_no_key_is_told_what_is_missing():
    assert str(CannotSuppress()) == "nobody can be kept out without a key"
