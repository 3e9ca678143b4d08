"""Erasures on record: ids, and places in rules, which find the values again in a backup alone."""

from datetime import UTC, datetime

import pytest
from attrs import evolve

from identity_core import ContactDetails, IdentifierKind, LedgerEntry, RuleSet, RulesInForce
from identity_core.model.erasure import BlockMark, find_block_marks

ENTRY = LedgerEntry(5, datetime(2024, 5, 1, tzinfo=UTC), "x", (1, 2), (3,), (4,))
A, ONE = ContactDetails("a@x", "1").identifiers
B, NINE = ContactDetails("b@x", "9").identifiers
RULES = [
    RulesInForce(rules=RuleSet(emails=["b@x", "a@x"], phone_numbers=["9"]), version=1),
    RulesInForce(rules=RuleSet(emails=["b@x", "*@till"]), version=2),
]


@pytest.mark.parametrize(
    ("field", "value"), [("id", 9), ("contact_ids", (1, 9)), ("evidence_ids", (9,)), ("ruling_ids", (4, 9))]
)
def test_the_last_id_is_the_largest_of_all(field, value):
    assert ENTRY.last_id == 5
    assert evolve(ENTRY, **{field: value}).last_id == 9


def test_marks_tell_the_place_of_a_value_in_each_version_of_the_rules():
    assert find_block_marks(RULES, frozenset([B, NINE, ONE])) == (
        BlockMark(1, IdentifierKind.EMAIL, 1),
        BlockMark(1, IdentifierKind.PHONE_NUMBER, 0),
        BlockMark(2, IdentifierKind.EMAIL, 1),  # after the pattern
    )


def test_without_rules_there_are_no_marks():
    assert find_block_marks([], frozenset([A])) == ()


def test_marks_find_the_values_in_the_rules_that_a_backup_brought_back():
    entry = evolve(ENTRY, blocks=find_block_marks(RULES, frozenset([A, NINE])))
    assert entry.find_blocked(RULES) == {A, NINE}


@pytest.mark.parametrize(
    "mark", [BlockMark(3, IdentifierKind.EMAIL, 0), BlockMark(2, IdentifierKind.PHONE_NUMBER, 0)]
)
def test_of_rules_that_are_not_there_marks_find_nothing(mark):
    assert evolve(ENTRY, blocks=(mark,)).find_blocked(RULES) == set()
