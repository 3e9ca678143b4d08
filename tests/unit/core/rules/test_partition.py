from hypothesis import given
from hypothesis import strategies as st

from identity_core.rules.partition import Partition
from tests.unit.core.records import value

VALUES = [value(text) for text in ("a@x", "b@x", "c@x", "d@x", "1", "2", "3", "4")]
STEPS = st.tuples(st.sampled_from(["join", "join", "keep apart"]), *[st.integers(0, 7)] * 2)


@given(st.lists(STEPS, max_size=30))
def test_a_join_succeeds_unless_it_would_bring_together_what_is_kept_apart(steps):
    partition = Partition()
    numbers = [partition.number(one) for one in VALUES]
    parts, apart = {frozenset([number]) for number in numbers}, []
    for step, one, other in steps:
        matched = {part for part in parts if one in part or other in part}
        joined = frozenset().union(*matched)
        if step == "keep apart":
            partition.keep_apart(one, other)
            apart.append({one, other})
        elif len(matched) == 2 and any(
            ends <= joined for ends in apart if not any(ends <= p for p in matched)
        ):
            assert not partition.join(one, other)
        else:
            assert partition.join(one, other)
            parts = (parts - matched) | {joined}
    roots = {
        frozenset(n for n in numbers if partition.find(n) == root) for root in map(partition.find, numbers)
    }
    assert roots == parts


def test_a_value_keeps_its_number_and_a_number_its_value():
    partition = Partition()
    numbers = [partition.number(one) for one in VALUES]
    assert numbers == [partition.number(one) for one in VALUES] == [*range(8)]
    assert partition.identifiers == VALUES
    assert partition.email("1") == 8, "an email and a phone number are two values, even if they look alike"


def test_the_first_value_of_details_is_the_email():
    partition = Partition()
    one, other = partition.email("a@x"), partition.phone_number("1")
    assert [partition.first(*key) for key in [("a@x", "1"), (None, "1"), (None, None)]] == [one, other, None]


def test_pairs_are_joined_all_at_once():
    partition = Partition()
    partition.join_all([(value("a@x"), value("1")), (value("b@x"), value("1"))])
    assert len({partition.find(number) for number in range(3)}) == 1
