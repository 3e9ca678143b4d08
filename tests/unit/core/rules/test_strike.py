"""Striking: no mention of a value is left, and nothing else is touched."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_core import ContactDetails
from identity_core.rules.strike import STRUCK, make_strike

EMAIL, NUMBER = "doc@hillvalley.edu", "15550123"
VALUES = ContactDetails(EMAIL, NUMBER).identifiers


@pytest.mark.parametrize(
    ("text", "struck"),
    [
        ("", ""),
        ("a typo", "a typo"),
        ("doc@hillvalley.edu", "[erased]"),
        ("Doc@HillValley.EDU asked.", "[erased] asked."),
        ("Is it doc@hillvalley.edu?", "Is it [erased]?"),
        ("<doc@hillvalley.edu>, (doc@hillvalley.edu)", "<[erased]>, ([erased])"),
        ('mailto:doc@hillvalley.edu "doc@hillvalley.edu"', 'mailto:[erased] "[erased]"'),
        ("marty@hillvalley.edu", "marty@hillvalley.edu"),
        ("doc@hillvalley.education", "doc@hillvalley.education"),
        ("not@an@email", "not@an@email"),
        ("15550123", "[erased]"),
        ("+1 (555) 01-23", "[erased]"),
        ("001 555.0123", "[erased]"),
        ("0 555 0123", "[erased]"),
        ("5550123", "[erased]"),
        ("550123", "550123"),
        ("2 555 0123", "2 [erased]"),
        ("on 12 15550123 34", "on 12 [erased] 34"),
        ("15550123 15550123", "[erased] [erased]"),
        ("155501234", "155501234"),
        ("in 2024", "in 2024"),
    ],
)
def test_values_are_struck_in_whatever_way_they_are_written(text, struck):
    assert make_strike(VALUES)(text) == struck


def test_a_short_number_is_struck_where_it_is_whole():
    strike = make_strike(ContactDetails(phone_number="911").identifiers)
    assert strike("911, 9-1-1, 91, 9110") == "[erased], [erased], 91, 9110"


def test_zeros_alone_are_a_number():
    assert make_strike(ContactDetails(phone_number="000").identifiers)("000 of 10") == "[erased] of 10"


def test_without_values_nothing_is_struck():
    text = "doc@hillvalley.edu, 15550123"
    assert make_strike([])(text) == text


def test_the_mark_may_be_another_one():
    assert make_strike(VALUES, "–")("doc@hillvalley.edu, 15550123") == "–, –"


AROUND = st.sampled_from(
    ["", "x", " ", ". ", ", ", "(", ")", "<", ">", '"', "\n", "; ", "2024 ", " 7", ".", "é"]
)


@given(
    st.lists(
        st.tuples(AROUND, st.sampled_from([EMAIL, EMAIL.upper(), NUMBER, "+1 555-01-23", "5550123", "a@x"])),
        max_size=5,
    ),
    AROUND,
)
def test_no_mention_that_stands_by_itself_is_left(mentions, end):
    text = " ".join(f"{before} {mention}" for before, mention in mentions) + f" {end}"
    struck = make_strike(VALUES)(text)
    words = [word.strip('.,;!?<>()"') for word in struck.lower().split()]
    assert EMAIL not in words
    assert not {NUMBER, NUMBER[1:]} & {re.sub(r"\D", "", word) for word in struck.split()}
    assert struck.count(STRUCK) >= sum(mention != "a@x" for _, mention in mentions)
    assert make_strike(VALUES)(struck) == struck


@given(
    st.text(max_size=20),
    st.sampled_from([EMAIL, EMAIL.title(), NUMBER, "+1 (555) 01-23"]),
    st.text(max_size=20),
)
def test_whatever_is_around_a_mention_it_is_struck(before, mention, after):
    text = f"{before} <{mention}> {after}"
    struck = make_strike(VALUES)(text)
    assert mention not in struck
    assert STRUCK in struck


@given(st.text(alphabet="abc .,\n", max_size=40))
def test_a_text_without_emails_and_numbers_stays(text):
    assert make_strike(VALUES)(text) == text
