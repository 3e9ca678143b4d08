"""What a pattern stands for."""

import time

from hypothesis import example, given
from hypothesis import strategies as st

from identity_core.model.patterns import Patterns


def matches(pattern, text):
    """The meaning of a pattern, by its definition."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and matches(pattern[1:], text[1:])


@given(st.lists(st.text("ab.*?", min_size=1, max_size=6), max_size=5), st.text("ab.\n", max_size=8))
@example(["*ab", "*b"], "b")
@example(["*"], "")
@example(["ab", "ab?", "a??b", "ab*"], "ab")
def test_an_asterisk_stands_for_any_characters_and_a_question_mark_for_one(patterns, value):
    assert Patterns(patterns).match(value) == any(matches(pattern, value) for pattern in patterns)


def test_no_patterns_are_false():
    assert [bool(Patterns(patterns)) for patterns in ([], ["*a"], ["a?"])] == [False, True, True]


def test_many_asterisks_take_no_longer():
    patterns = Patterns(["*a" * 50 + "*b@x"])
    started = time.perf_counter()
    assert not patterns.match("a" * 250 + "@y")
    assert time.perf_counter() - started < 1
