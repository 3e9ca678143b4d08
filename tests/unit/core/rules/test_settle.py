"""Which contacts, evidence and events bring a record in line with the rulings."""

from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    Contact,
    Event,
    EventKind,
    Evidence,
    LinkPrecedence,
    Record,
    Snapshot,
    Standing,
    Verdict,
    WriteSet,
)
from identity_core.rules.resolve import find_inherited_links
from identity_core.rules.settle import settle
from identity_core.testing import violations
from identity_core.testing.model import partition, resolved
from tests.unit.core.records import NOW, contact, day, record_of, records, ruling, write

PRIMARY, SECONDARY = LinkPrecedence.PRIMARY, LinkPrecedence.SECONDARY
UNDONE = ruling(80, Verdict.UNDONE, "b@x", "1")
APART = ruling(81, Verdict.DIFFERENT, "a@x", "b@x")


def rule_on(record, added=(), withdrawn=(), first_id=200):
    """What settling a record writes, with the rulings, and the record that it leads to."""
    after = record.revise(added, withdrawn)
    writes = settle(record, after, find_inherited_links(record), NOW, count(first_id)).writes
    now = write(record, writes)
    return writes, Record(now.identities, now.evidence, after.rulings, now.asked, now.deleted)


def kinds_of(writes):
    return [event.kind for event in writes.events]


# All of it


@given(records())
def test_whatever_the_rulings_are_the_identities_are_those_that_the_model_has(record):
    _, settled = rule_on(record)
    assert partition(settled) == resolved(settled) == resolved(record)
    pieces = [piece.pair for piece in settled.evidence]
    counting = [piece.pair for piece in settled.evidence if piece.standing is Standing.COUNTS]
    snapshot = Snapshot(settled.identities, frozenset(counting), frozenset(pieces))
    assert violations(snapshot) == []
    assert rule_on(settled)[0] == WriteSet(), "settling it again changes nothing"


@given(records(), st.data())
def test_every_sequence_of_rulings_leaves_what_they_would_leave_at_once(record, data):
    rulings = record.rulings
    _, step = rule_on(Record(record.identities, record.evidence, (), record.asked))
    for number, one in enumerate(data.draw(st.permutations(rulings))):
        _, step = rule_on(step, [one], first_id=200 + 50 * number)
        assert partition(step) == resolved(step)
    if data.draw(st.booleans()) and rulings:
        _, step = rule_on(step, withdrawn=rulings, first_id=900)
        _, free = rule_on(Record(record.identities, record.evidence, (), record.asked))
        assert partition(step) == partition(free)


@given(records(), st.data())
def test_the_events_alone_tell_where_every_contact_belongs(record, data):
    _, before = rule_on(Record(record.identities, record.evidence, (), record.asked))
    primaries = {one.id: contacts[0].id for contacts in before.identities for one in contacts}
    primaries |= {id: primaries[leads_to] for id, leads_to in before.deleted}
    for number, one in enumerate(data.draw(st.permutations(record.rulings))):
        writes, before = rule_on(before, [one], first_id=200 + 50 * number)
        for event in writes.events:
            if event.contact_id is not None:
                primaries[event.contact_id] = event.primary_id
            absorbed = {id for id, primary in primaries.items() if primary in event.absorbed_ids}
            primaries |= dict.fromkeys(absorbed.union(event.moved_ids), event.primary_id)
        for contacts in before.identities:
            assert {primaries[one.id] for one in contacts} == {contacts[0].id}
        current = {one.id: contacts[0].id for contacts in before.identities for one in contacts}
        assert all(primaries[id] == current[leads_to] for id, leads_to in before.deleted)


# A pair stops counting

TWO = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)])


def test_a_contact_whose_pair_is_undone_keeps_its_id_and_its_email():
    writes, _ = rule_on(TWO, [UNDONE])
    assert writes.rewritten == (Contact(2, "b@x", None, None, PRIMARY, day(2)),)
    assert writes.evidence == (Evidence(2, "b@x", "1", day(2), Standing.UNDONE),)
    assert writes.created == writes.altered == writes.deleted == (), "another contact holds the number"
    assert writes.events == (
        Event(NOW, EventKind.UNDONE, 1, evidence_id=2, ruling_id=80),
        Event(NOW, EventKind.SPLIT, 2, ruling_id=80, origin_id=1, moved_ids=(2,)),
    )


def test_a_number_that_no_other_contact_holds_gets_a_contact_of_its_own_with_the_same_date():
    record = record_of([contact(1, "a@x", "1"), contact(2, "a@x", "2", 1)])
    writes, after = rule_on(record, [ruling(80, Verdict.UNDONE, "a@x", "2")])
    assert writes.rewritten == (Contact(2, "a@x", None, 1, SECONDARY, day(2)),)
    assert writes.created == (Contact(200, None, "2", None, PRIMARY, day(2)),)
    assert writes.events == (
        Event(NOW, EventKind.UNDONE, 1, contact_id=200, evidence_id=2, ruling_id=80),
        Event(NOW, EventKind.SPLIT, 200, ruling_id=80, origin_id=1, moved_ids=(200,)),
    )
    assert partition(after) == {frozenset(["a@x", "1"]), frozenset(["2"])}


def test_one_contact_is_made_for_a_number_even_if_several_pairs_with_it_stop_counting():
    record = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)])
    writes, _ = rule_on(record, [UNDONE, ruling(79, Verdict.UNDONE, "a@x", "1")])
    assert [(one.key, one.created_at) for one in writes.created] == [((None, "1"), day(1))]
    assert [piece.id for piece in writes.evidence] == [1, 2]


def test_the_identity_of_the_number_is_as_old_as_if_the_number_had_come_alone():
    record = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "1", 1), contact(3, "b@x", "3", 1)])
    writes, _ = rule_on(record, [ruling(80, Verdict.UNDONE, "a@x", "1")])
    assert writes.created == (Contact(200, None, "1", None, PRIMARY, day(1)),)
    assert [(one.id, one.linked_id) for one in writes.altered] == [(2, 200), (3, 200)]
    assert writes.events[1:] == (
        Event(NOW, EventKind.SPLIT, 200, ruling_id=80, origin_id=1, moved_ids=(2, 3, 200)),
    )


def test_a_younger_contact_of_the_number_alone_gives_way_so_that_restoring_brings_the_primary_back():
    record = record_of([contact(1, "a@x", "1"), contact(2, None, "1", 1), contact(3, "b@x", "1", 1)])
    undone = ruling(80, Verdict.UNDONE, "a@x", "1")
    writes, after = rule_on(record, [undone])
    assert writes.created == (Contact(200, None, "1", None, PRIMARY, day(1)),)
    assert [(one.id, one.linked_id) for one in writes.deleted] == [(2, 200)]
    assert writes.events[1:] == (
        Event(NOW, EventKind.SPLIT, 200, ruling_id=80, origin_id=1, moved_ids=(2, 3, 200)),
    )
    writes, again = rule_on(after, withdrawn=[undone])
    assert [[(one.id, one.key) for one in contacts] for contacts in again.identities] == [
        [(1, ("a@x", "1")), (3, ("b@x", "1"))]
    ]


def test_evidence_that_stops_counting_stays_where_it_is():
    record = record_of([contact(1, "a@x", None), contact(2, None, "1", 1)], [("a@x", "1")])
    writes, _ = rule_on(record, [ruling(80, Verdict.UNDONE, "a@x", "1")])
    assert writes.evidence == (Evidence(100, "a@x", "1", day(100), Standing.UNDONE),)
    assert writes.rewritten == writes.created == ()
    assert kinds_of(writes) == [EventKind.UNDONE, EventKind.SPLIT]


def test_a_pair_that_a_pin_forbids_is_held():
    writes, after = rule_on(TWO, [APART])
    assert writes.evidence == (Evidence(2, "b@x", "1", day(2), Standing.HELD),)
    assert writes.events == (
        Event(NOW, EventKind.HELD, 1, evidence_id=2),
        Event(NOW, EventKind.PINNED, 1, ruling_id=81),
        Event(NOW, EventKind.SPLIT, 2, ruling_id=81, origin_id=1, moved_ids=(2,)),
    )
    assert partition(after) == {frozenset(["a@x", "1"]), frozenset(["b@x"])}


# It counts again


@pytest.mark.parametrize("added", [UNDONE, APART])
def test_a_pair_that_counts_again_goes_back_to_its_contact(added):
    _, apart = rule_on(TWO, [added])
    writes, again = rule_on(apart, withdrawn=[added])
    assert again == TWO
    assert writes.superseded == (("b@x", "1"),)
    kinds = [EventKind.RESTORED] if added is UNDONE else [EventKind.RELEASED, *[EventKind.UNPINNED] * 2]
    assert kinds_of(writes) == [*kinds, EventKind.MERGED]
    assert writes.events[-1].absorbed_ids == (2,)


def test_the_contact_that_was_made_for_the_number_is_deleted_and_leads_to_the_identity():
    record = record_of([contact(1, "a@x", "1"), contact(2, "a@x", "2", 1)])
    undone = ruling(80, Verdict.UNDONE, "a@x", "2")
    _, apart = rule_on(record, [undone])
    writes, again = rule_on(apart, withdrawn=[undone], first_id=300)
    assert again.identities == record.identities
    assert again.evidence == ()
    assert again.deleted == ((200, 1),)
    assert writes.deleted == (Contact(200, None, "2", 1, SECONDARY, day(2)),)
    assert writes.events == (
        Event(NOW, EventKind.RESTORED, 1, contact_id=200, evidence_id=2, ruling_id=80),
        Event(NOW, EventKind.MERGED, 1, absorbed_ids=(200,), ruling_id=80),
    )


def test_a_contact_of_the_number_that_came_by_itself_stays():
    undone = ruling(80, Verdict.UNDONE, "a@x", "1")
    evidence = [Evidence(5, "a@x", "1", day(5), Standing.UNDONE)]
    for beside in (contact(2, None, "1", days=9), contact(3, None, "1", days=5)):
        record = record_of([contact(5, "a@x", None), beside], evidence, [undone])
        writes, again = rule_on(record, withdrawn=[undone])
        assert writes.deleted == ()
        assert {one.key for one in again.contacts} == {("a@x", "1"), (None, "1")}


def test_a_pair_whose_contact_is_no_longer_as_it_was_left_stays_evidence_and_counts():
    undone = ruling(80, Verdict.UNDONE, "a@x", "1")
    evidence = [Evidence(5, "a@x", "1", day(5), Standing.UNDONE)]
    record = record_of([contact(5, "a@x", None, days=4), contact(6, None, "1")], evidence, [undone])
    writes, again = rule_on(record, withdrawn=[undone])
    assert writes.evidence == (Evidence(5, "a@x", "1", day(5)),)
    assert writes.rewritten == writes.superseded == ()
    assert partition(again) == {frozenset(["a@x", "1"])}


def test_evidence_of_a_pair_that_a_contact_holds_is_superseded():
    writes, _ = rule_on(record_of([contact(1, "a@x", "1")], [("a@x", "1")]))
    assert writes.superseded == (("a@x", "1"),)
    assert writes.evidence == writes.events == ()


# What must not be there twice, and what must be there once


def test_a_contact_that_repeats_what_an_older_one_holds_is_deleted():
    record = record_of([contact(1, "a@x", None), contact(2, "a@x", "1", 1), contact(3, "b@x", "1", 1)])
    writes, after = rule_on(record, [ruling(80, Verdict.UNDONE, "a@x", "1")])
    assert [(one.id, one.linked_id) for one in writes.deleted] == [(2, 1)]
    assert writes.evidence == (Evidence(2, "a@x", "1", day(2), Standing.UNDONE),)
    assert after.deleted == ((2, 1),)


def test_a_pair_that_several_contacts_hold_becomes_evidence_once():
    record = record_of([contact(1, "a@x", "1"), contact(2, "a@x", "1", 1), contact(3, None, None, 1)])
    writes, after = rule_on(record, [ruling(80, Verdict.UNDONE, "a@x", "1")])
    assert writes.evidence == (Evidence(1, "a@x", "1", day(1), Standing.UNDONE),)
    assert [(one.id, one.key) for one in writes.deleted] == [(2, ("a@x", None))]
    assert partition(after) == {frozenset(["a@x"]), frozenset(["1"])}
    assert kinds_of(writes) == [EventKind.UNDONE, EventKind.SPLIT]


def test_contacts_without_values_repeat_nothing():
    record = record_of([contact(1, None, None), contact(2, None, None, 1), contact(3, "a@x", None, 1)])
    assert rule_on(record)[0] == WriteSet()
    alone = record_of([contact(1, None, None), contact(2, None, None, 1)])
    assert rule_on(alone)[0] == WriteSet()


def test_deleted_contacts_move_along_with_what_they_lead_to():
    record = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)], deleted=[(7, 2), (8, 1)])
    writes, _ = rule_on(record, [UNDONE])
    assert writes.events[-1].moved_ids == (2, 7)


def test_a_value_that_a_ruling_names_and_that_was_never_seen_becomes_a_contact():
    record = record_of([contact(1, "a@x", "1")])
    writes, after = rule_on(record, [ruling(80, Verdict.DIFFERENT, "a@x", "9")])
    assert writes.created == (Contact(200, None, "9", None, PRIMARY, NOW),)
    assert writes.events == (
        Event(NOW, EventKind.CREATED, 200, contact_id=200),
        Event(NOW, EventKind.PINNED, 1, ruling_id=80),
        Event(NOW, EventKind.PINNED, 200, ruling_id=80),
    )
    assert rule_on(after)[0] == WriteSet()


def test_a_value_that_is_pinned_to_a_known_one_joins_it():
    record = record_of([contact(1, "a@x", "1")])
    writes, _ = rule_on(record, [ruling(80, Verdict.SAME, "a@x", "b@x")])
    assert writes.created == (Contact(200, "b@x", None, 1, SECONDARY, NOW),)
    assert kinds_of(writes) == [EventKind.CREATED, EventKind.PINNED, EventKind.PINNED, EventKind.MERGED]
    assert writes.events[-1].absorbed_ids == (200,)


def test_a_value_that_was_never_seen_is_no_older_than_what_it_joins_though_clocks_step_back():
    later = NOW + timedelta(days=1)
    record = record_of([Contact(1, "a@x", "1", None, PRIMARY, later)])
    writes, _ = rule_on(record, [ruling(80, Verdict.SAME, "a@x", "b@x")])
    assert writes.created == (Contact(200, "b@x", None, 1, SECONDARY, later),)
    assert writes.altered == ()


def test_an_inherited_link_that_is_undone_and_restored_is_told_of_by_its_ruling():
    record = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2", 1)])
    undone = ruling(80, Verdict.UNDONE, "a@x", "b@x")
    writes, apart = rule_on(record, [undone])
    assert writes.events == (
        Event(NOW, EventKind.UNDONE, 1, ruling_id=80),
        Event(NOW, EventKind.SPLIT, 2, ruling_id=80, origin_id=1, moved_ids=(2,)),
    )
    inherited = ruling(82, Verdict.INHERITED, "a@x", "b@x")
    writes, again = rule_on(apart, [inherited], [undone])
    assert again.identities == record.identities
    assert kinds_of(writes) == [EventKind.RESTORED, EventKind.RESTORED, EventKind.MERGED]
