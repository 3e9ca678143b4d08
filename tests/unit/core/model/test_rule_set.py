"""Which values are blocked, and what exceeds a limit."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    ContactDetails,
    Hold,
    IdentifierKind,
    Limits,
    Note,
    RuleSet,
    RulesInForce,
)
from identity_core.model.rule_set import NO_RULES, strip
from tests.unit.core.records import value


def is_blocked(rules, text):
    return rules.blocks(value(text))


# Which values are blocked


def test_nothing_is_blocked_at_first():
    assert NO_RULES.is_off
    assert not NO_RULES.blocks_any
    assert not is_blocked(NO_RULES, "0000000")
    assert NO_RULES.find_blocked(ContactDetails("a@x", "1")) == ()


def test_a_value_is_blocked_by_itself_by_a_pattern_and_by_a_preset():
    rules = RuleSet(
        emails=["a@x"],
        phone_numbers=["1"],
        email_patterns=["*@y"],
        phone_number_patterns=["2?"],
        presets=["reserved-domains"],
    )
    assert [
        text
        for text in ("a@x", "b@x", "b@y", "a@example.org", "a@shop.example.org")
        if is_blocked(rules, text)
    ] == [
        *("a@x", "b@y", "a@example.org", "a@shop.example.org"),
    ]
    assert [text for text in ("1", "2", "20", "200") if is_blocked(rules, text)] == ["1", "20"]
    assert not rules.is_off


def test_numbers_that_repeat_one_digit_are_blocked_if_the_rules_say_so():
    rules = RuleSet(one_digit=True)
    numbers = ("0", "0000000", "+999999", "+9999991", "10000000")
    assert [text for text in numbers if is_blocked(rules, text)] == ["0", "0000000", "+999999"]


def test_details_are_told_apart_by_which_of_their_values_are_blocked():
    rules = RuleSet(emails=["a@x"], phone_numbers=["1"])
    email, number = IdentifierKind.EMAIL, IdentifierKind.PHONE_NUMBER
    for key, blocked in (
        (("a@x", "1"), (email, number)),
        (("a@x", "2"), (email,)),
        ((None, "1"), (number,)),
        (("b@x", "2"), ()),
    ):
        details = ContactDetails(*key)
        assert rules.find_blocked(details) == blocked
        left = [one for one in details.identifiers if one.kind not in blocked]
        assert list(strip(details, blocked).identifiers) == left


TEXTS = st.sampled_from(["a@x", "b@x", "a@y", "+1", "11", "12", "21", "212"]).map(value)
RULES = st.builds(
    RuleSet,
    emails=st.sets(st.sampled_from(["a@x", "b@x"])),
    phone_numbers=st.sets(st.sampled_from(["11", "12"])),
    email_patterns=st.sets(st.sampled_from(["*@y", "b@*"])),
    phone_number_patterns=st.sets(st.sampled_from(["2?", "2*2"])),
    one_digit=st.booleans(),
)


@given(RULES, st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4))
def test_what_is_blocked_of_a_batch_is_what_is_blocked_of_each(rules, ones, others):
    batch = [to_details(one) for one in ones]
    batch += [
        ContactDetails(one.value, other.value)
        for one, other in zip(ones, others, strict=False)
        if (one.kind, other.kind) == (IdentifierKind.EMAIL, IdentifierKind.PHONE_NUMBER)
    ]
    values = {one for details in batch for one in details.identifiers}
    assert rules.pick_blocked(batch) == {one for one in values if rules.blocks(one)}


def to_details(identifier):
    return ContactDetails(**{identifier.kind.value: identifier.value})


def test_limits_alone_block_nothing():
    rules = RuleSet(limits=Limits(1))
    assert not rules.is_off
    assert not rules.blocks_any
    assert not rules.blocks_pair(("a@x", "1"))


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match=r"presets must be some of: .*reserved-domains"):
        RuleSet(presets=["nothing"])


# Limits


@pytest.mark.parametrize(
    ("limits", "counts_pairs", "counts_values"),
    [
        (Limits(), False, False),
        (Limits(phone_numbers_per_email=1), True, False),
        (Limits(emails_per_phone_number=1), True, False),
        (Limits(values_per_identity=1), False, True),
        (Limits(values_on_smaller_side=1), False, True),
    ],
)
def test_limits_say_what_has_to_be_counted(limits, counts_pairs, counts_values):
    assert (limits.counts_pairs, limits.counts_values) == (counts_pairs, counts_values)


@given(st.builds(Limits, *[st.none() | st.integers(1, 5)] * 4), *[st.integers(0, 6)] * 4, st.booleans())
def test_a_pair_exceeds_the_first_limit_that_it_goes_beyond(limits, numbers, emails, one, other, are_joined):
    counts = {
        Hold.PHONE_NUMBERS_PER_EMAIL: numbers + 1,
        Hold.EMAILS_PER_PHONE_NUMBER: emails + 1,
        Hold.VALUES_PER_IDENTITY: 0 if are_joined else one + other,
        Hold.VALUES_ON_SMALLER_SIDE: 0 if are_joined else min(one, other),
    }
    beyond = [hold for hold, number in counts.items() if number > (getattr(limits, hold.value) or 99)]
    found = limits.find_hold(numbers, emails, one, other, are_joined=are_joined)
    assert found == (beyond[0] if beyond else None)


# The rules in force


def test_rules_that_replace_others_tell_which_limits_were_raised():
    note = Note("marty", "a till")
    first = RulesInForce().replace(RuleSet(limits=Limits(2, 2, 2, 2)), note, 50)
    assert (first.version, first.released, first.is_settled) == (1, frozenset(), False)
    settled = evolve(first, settled_id=50)
    assert settled.is_settled
    second = settled.replace(RuleSet(limits=Limits(1, 2, 3, None)), note, 60)
    assert second.released == {Hold.VALUES_PER_IDENTITY, Hold.VALUES_ON_SMALLER_SIDE}
    assert (second.version, second.settled_id, second.last_id) == (2, 0, 60)


def test_limits_that_were_raised_before_all_is_settled_are_raised_still():
    note = Note("marty", "a till")
    first = RulesInForce(RuleSet(limits=Limits(1, 1)), 1, frozenset(), 0, 9).replace(
        RuleSet(limits=Limits(2, 1)), note, 9
    )
    assert first.replace(RuleSet(limits=Limits(2, 2)), note, 9).released == {
        Hold.PHONE_NUMBERS_PER_EMAIL,
        Hold.EMAILS_PER_PHONE_NUMBER,
    }
    assert evolve(first, settled_id=9).replace(NO_RULES, note, 9).released == {
        Hold.PHONE_NUMBERS_PER_EMAIL,
        Hold.EMAILS_PER_PHONE_NUMBER,
    }
    assert evolve(first, settled_id=9).replace(first.rules, note, 9).released == frozenset()
