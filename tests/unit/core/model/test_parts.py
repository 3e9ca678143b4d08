"""What is known of parts of a very large identity."""

from identity_core.model.parts import Parts
from tests.unit.core.records import contact, record_of, value

PRIMARY = contact(1, "a@x", "1")


def test_the_primary_is_no_part():
    parts = Parts.of(record_of([PRIMARY, contact(2, "b@x", "1", 1), contact(3, "c@x", "3")]), PRIMARY)
    assert parts.primary == PRIMARY
    assert [one.id for one in parts.contacts] == [2, 3]
    assert parts.size == 2


def test_hubs_are_values_of_the_identity():
    record = record_of([PRIMARY, contact(2, "c@x", "3")])
    assert Parts.of(record, PRIMARY, map(value, ["1", "3", "9"])).hubs == {value("1")}


def test_each_primary_has_to_be_locked():
    record = record_of([PRIMARY, contact(2, "b@x", "1", 1), contact(3, "c@x", "3")])
    locked = Parts.of(record, PRIMARY).identities
    assert {one.id for contacts in locked for one in contacts} == {1, 3}
    assert [one.id for contacts in Parts.of(record, None).identities for one in contacts] == [1, 3]


def test_other_parts_have_another_plan():
    one = Parts.of(record_of([PRIMARY, contact(2, "b@x", "1", 1)]), PRIMARY)
    other = Parts.of(record_of([PRIMARY, contact(2, "b@x", "2", 1)]), PRIMARY)
    assert one.make_plan() != other.make_plan()
