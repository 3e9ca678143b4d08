"""The rules of `identity_core.rules.reconcile`, one by one. What holds of all of them together is in
`identity_core.testing`, which `test_memory` puts to work."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    Contact,
    ContactDetails,
    EventKind,
    Evidence,
    Identity,
    LinkPrecedence,
    Outcome,
    Snapshot,
    WriteSet,
    find_known,
    reconcile,
)
from identity_core.testing import contact_details, moments

PRIMARY, SECONDARY = LinkPrecedence.PRIMARY, LinkPrecedence.SECONDARY
NOW = datetime(2020, 1, 1, tzinfo=UTC)


def day(number):
    """So many days before now."""
    return NOW - timedelta(days=number)


def contact(id, email, phone_number, linked_id=None, created_at=None):
    precedence = PRIMARY if linked_id is None else SECONDARY
    return Contact(id, email, phone_number, linked_id, precedence, created_at or day(100 - id))


def decide(*batch, known=(), evidence=(), now=NOW):
    """Reconcile details with contacts; new ids start at 50."""
    batch = [
        details if isinstance(details, ContactDetails) else ContactDetails(*details) for details in batch
    ]
    snapshot = Snapshot.of(known, evidence)
    decided = reconcile(batch, snapshot, now, count(50))
    # Reading first must come to the same end as deciding.
    found = find_known(batch, snapshot)
    assert found == find_known(batch, snapshot.to_columns())
    for details, identified in zip(batch, found, strict=True):
        alone = reconcile([details], snapshot, now, count(50))
        assert (identified is None) == (alone.writes != WriteSet())
        if identified is not None:
            assert alone.identities == (identified.identity,)
            assert alone.outcomes == (identified.outcome,) == (Outcome.KNOWN,)
    return decided


def only_event(decided):
    [event] = decided.writes.events
    assert event.happened_at == NOW
    return event.kind, event.primary_id, event.contact_id, event.evidence_id, event.absorbed_ids


def test_details_that_match_no_identity_become_a_primary_contact():
    decided = decide(("a@x", "1"))
    assert decided.writes.created == (Contact(50, "a@x", "1", None, PRIMARY, NOW),)
    assert decided.identities == (Identity(50, ("a@x",), ("1",), ()),)
    assert only_event(decided) == (EventKind.CREATED, 50, 50, None, ())
    assert (decided.writes.altered, decided.writes.evidence, decided.writes.superseded) == ((), (), ())


@pytest.mark.parametrize("details", [("a@x", "1"), ("a@x", None), (None, "1")])
def test_details_that_are_known_change_nothing(details):
    decided = decide(details, known=[contact(1, "a@x", "1")])
    assert decided.writes == WriteSet()
    assert decided.identities == (Identity(1, ("a@x",), ("1",), ()),)


@pytest.mark.parametrize("details", [("b@x", "1"), ("a@x", "2")])
def test_details_with_something_new_become_a_secondary_contact_as_given(details):
    decided = decide(details, known=[contact(1, "a@x", "1")])
    assert decided.writes.created == (Contact(50, *details, 1, SECONDARY, NOW),)
    assert decided.writes.altered == ()
    assert decided.identities[0].secondary_contact_ids == (50,)
    assert only_event(decided) == (EventKind.LINKED, 1, 50, None, ())


def test_secondaries_point_at_the_primary_whichever_contact_was_matched():
    known = [contact(1, "a@x", "1"), contact(2, "b@x", "1", linked_id=1)]
    assert decide(("b@x", "9"), known=known).writes.created[0].linked_id == 1


def test_a_pair_never_seen_together_is_recorded_as_evidence_once():
    known = [contact(1, "a@x", "1"), contact(2, "b@x", "1", linked_id=1), contact(3, "a@x", "2", linked_id=1)]
    decided = decide(("b@x", "2"), ("b@x", "2"), known=known)
    assert decided.writes.evidence == (Evidence(50, "b@x", "2", NOW),)
    assert (decided.writes.created, decided.writes.altered) == ((), ())
    assert only_event(decided) == (EventKind.CORROBORATED, 1, None, 50, ())
    assert decide(("b@x", "2"), known=known, evidence=[("b@x", "2")]).writes == WriteSet()


def test_details_that_match_two_identities_merge_them_under_the_oldest_primary():
    known = [contact(1, "a@x", "1"), contact(2, "b@x", "2"), contact(3, "c@x", "2", linked_id=2)]
    decided = decide(("a@x", "2"), known=known)
    assert decided.writes.altered == (
        Contact(2, "b@x", "2", 1, SECONDARY, day(98)),
        Contact(3, "c@x", "2", 1, SECONDARY, day(97)),
    )
    assert decided.writes.created == ()
    assert decided.writes.evidence == (Evidence(50, "a@x", "2", NOW),)
    assert decided.identities == (Identity(1, ("a@x", "b@x", "c@x"), ("1", "2"), (2, 3)),)
    assert only_event(decided) == (EventKind.MERGED, 1, None, 50, (2,))


def test_the_oldest_primary_is_that_of_the_earliest_date_and_then_of_the_smallest_id():
    known = [contact(1, "a@x", "1", created_at=day(1)), contact(2, "b@x", "2", created_at=day(2))]
    assert decide(("a@x", "2"), known=known).identities[0].primary_contact_id == 2
    known = [contact(2, "a@x", "1", created_at=day(1)), contact(1, "b@x", "2", created_at=day(1))]
    assert decide(("a@x", "2"), known=known).identities[0].primary_contact_id == 1


def test_a_merge_whose_details_hold_something_new_also_writes_a_secondary_contact():
    # One email in two identities, as others may have written it.
    known = [contact(1, "a@x", "1"), contact(2, "a@x", "2")]
    decided = decide(("a@x", "3"), known=known)
    assert decided.writes.created == (Contact(50, "a@x", "3", 1, SECONDARY, NOW),)
    assert [c.id for c in decided.writes.altered] == [2]
    assert only_event(decided) == (EventKind.MERGED, 1, 50, None, (2,))


def test_one_identifier_in_several_identities_merges_them_all():
    known = [contact(n, "a@x", str(n)) for n in (1, 2, 3)] + [contact(4, "b@x", "3")]
    decided = decide(("a@x", None), known=known)
    assert decided.identities[0].secondary_contact_ids == (2, 3)
    assert [c.linked_id for c in decided.writes.altered] == [1, 1]
    assert only_event(decided) == (EventKind.MERGED, 1, None, None, (2, 3))
    assert decide((None, "3"), known=known).identities[0].secondary_contact_ids == (4,)


def test_a_batch_is_decided_on_in_order():
    decided = decide(("a@x", "1"), ("b@x", "2"), ("a@x", "2"), ("c@x", "2"), ("a@x", "1"))
    assert decided.writes.created == (
        Contact(50, "a@x", "1", None, PRIMARY, NOW),
        Contact(51, "b@x", "2", 50, SECONDARY, NOW),
        Contact(53, "c@x", "2", 50, SECONDARY, NOW),
    )
    assert decided.writes.altered == ()
    assert decided.writes.evidence == (Evidence(52, "a@x", "2", NOW),)
    assert [event.kind for event in decided.writes.events] == ["created", "created", "merged", "linked"]
    assert set(decided.identities) == {Identity(50, ("a@x", "b@x", "c@x"), ("1", "2"), (51, 53))}


def test_answers_list_the_primary_first_then_by_age_each_value_once():
    known = [
        contact(3, "c@x", "1", created_at=day(30)),
        contact(1, "a@x", "1", linked_id=3, created_at=day(10)),
        contact(2, None, "2", linked_id=3, created_at=day(20)),
        contact(4, "c@x", None, linked_id=3, created_at=day(5)),
    ]
    [identity] = decide(("a@x", None), known=known).identities
    assert identity == Identity(3, ("c@x", "a@x"), ("1", "2"), (2, 1, 4))


# Time


def test_a_contact_of_now_is_never_older_than_the_identity_it_joins():
    decided = decide(("b@x", "1"), known=[contact(1, "a@x", "1", created_at=day(-1))])
    assert decided.writes.created == (Contact(50, "b@x", "1", 1, SECONDARY, day(-1)),)
    decided = decide(("a@x", "2"), known=[contact(1, "a@x", "1", created_at=day(-1)), contact(2, "b@x", "2")])
    assert decided.identities[0].primary_contact_id == 2


def test_details_keep_a_time_of_their_own():
    assert decide(ContactDetails("a@x", "1", day(5))).writes.created[0].created_at == day(5)
    known = [contact(1, "a@x", "1", created_at=day(9)), contact(2, "b@x", "1", linked_id=1)]
    known += [contact(3, "a@x", "2", linked_id=1)]
    assert decide(ContactDetails("a@x", "5", day(5)), known=known).writes.created[0].created_at == day(5)
    assert decide(ContactDetails("b@x", "2", day(5)), known=known).writes.evidence[0].seen_at == day(5)


def test_older_details_with_something_new_become_the_primary():
    known = [contact(1, "a@x", "1", created_at=day(1)), contact(2, "b@x", "1", linked_id=1, created_at=NOW)]
    decided = decide(ContactDetails("a@x", "2", day(5)), known=known)
    assert decided.writes.created == (Contact(50, "a@x", "2", None, PRIMARY, day(5)),)
    assert decided.writes.altered == (
        Contact(1, "a@x", "1", 50, SECONDARY, day(1)),
        Contact(2, "b@x", "1", 50, SECONDARY, NOW),
    )
    assert only_event(decided) == (EventKind.LINKED, 50, 50, None, (1,))


def test_older_details_that_are_all_known_become_the_primary_too():
    decided = decide(ContactDetails("a@x", None, day(5)), known=[contact(1, "a@x", "1", created_at=day(1))])
    assert decided.writes.created == (Contact(50, "a@x", None, None, PRIMARY, day(5)),)
    assert decided.identities == (Identity(50, ("a@x",), ("1",), (1,)),)


def test_the_contact_with_exactly_the_older_details_is_dated_back():
    known = [
        contact(1, "a@x", "1", created_at=day(2)),
        contact(2, "a@x", "2", linked_id=1, created_at=day(1)),
    ]
    decided = decide(ContactDetails("a@x", "2", day(5)), known=known)
    assert decided.writes.created == ()
    assert decided.writes.altered == (
        Contact(1, "a@x", "1", 2, SECONDARY, day(2)),
        Contact(2, "a@x", "2", None, PRIMARY, day(5)),
    )
    assert only_event(decided) == (EventKind.CORROBORATED, 2, 2, None, (1,))
    decided = decide(ContactDetails("a@x", "1", day(5)), known=known)
    assert decided.writes.altered == (Contact(1, "a@x", "1", None, PRIMARY, day(5)),)
    assert only_event(decided) == (EventKind.CORROBORATED, 1, 1, None, ())


def test_a_contact_may_be_dated_back_again_within_a_batch():
    batch = [ContactDetails("a@x", "1", day(n)) for n in (1, 3, 2, 4)]
    decided = decide(*batch)
    assert decided.writes.created == (Contact(50, "a@x", "1", None, PRIMARY, day(4)),)
    assert [event.kind for event in decided.writes.events] == ["created", "corroborated", "corroborated"]


def test_details_no_older_than_the_primary_leave_no_mark():
    known = [
        contact(1, "a@x", "1", created_at=day(5)),
        contact(2, "a@x", "2", linked_id=1, created_at=day(1)),
    ]
    assert decide(ContactDetails("a@x", "2", day(3)), known=known).writes == WriteSet()
    assert decide(ContactDetails("a@x", "1", day(5)), known=known).writes == WriteSet()


def test_older_details_that_merge_are_compared_with_the_oldest_primary():
    known = [contact(1, "a@x", "1", created_at=day(9)), contact(2, "b@x", "2", created_at=day(2))]
    decided = decide(ContactDetails("a@x", "2", day(5)), known=known)
    assert decided.identities[0].primary_contact_id == 1
    assert decided.writes.evidence == (Evidence(50, "a@x", "2", day(5)),)
    decided = decide(ContactDetails("a@x", "2", day(10)), known=known)
    assert decided.writes.created == (Contact(50, "a@x", "2", None, PRIMARY, day(10)),)
    assert only_event(decided) == (EventKind.MERGED, 50, 50, None, (1, 2))


def test_evidence_goes_when_a_contact_takes_its_place():
    known = [contact(1, "a@x", "1"), contact(2, "b@x", "1", linked_id=1), contact(3, "a@x", "2", linked_id=1)]
    decided = decide(ContactDetails("b@x", "2", day(200)), known=known, evidence=[("b@x", "2")])
    assert decided.writes.superseded == (("b@x", "2"),)
    assert decided.writes.evidence == ()
    assert decided.writes.created[0].key == ("b@x", "2")
    # Evidence of the same batch is never written.
    decided = decide(("b@x", "2"), ContactDetails("b@x", "2", day(200)), known=known)
    assert (decided.writes.superseded, decided.writes.evidence) == ((), ())
    assert decided.writes.created[0].key == ("b@x", "2")
    # Nor does it stay where its contacts are gone.
    assert decide(("b@x", "2"), evidence=[("b@x", "2")]).writes.superseded == (("b@x", "2"),)


# Imperfect records


def test_imperfect_links_are_answered_as_they_should_be_without_being_written():
    chain = [
        contact(1, "a@x", "1"),
        contact(2, "b@x", "1", linked_id=1),
        contact(3, "c@x", "1", linked_id=2),
        contact(4, "d@x", "1", linked_id=3),
    ]
    for email in ("a@x", "b@x", "c@x", "d@x"):
        decided = decide((email, None), known=chain)
        assert decided.writes == WriteSet()
        assert decided.identities == (Identity(1, ("a@x", "b@x", "c@x", "d@x"), ("1",), (2, 3, 4)),)


def test_imperfect_links_are_repaired_by_the_next_write():
    chain = [contact(1, "a@x", "1"), contact(2, "b@x", "1", linked_id=1), contact(3, "c@x", "1", linked_id=2)]
    assert decide(("c@x", "9"), known=chain).writes.altered == (contact(3, "c@x", "1", linked_id=1),)


def test_a_younger_primary_gives_way_to_the_oldest_contact():
    known = [contact(1, "a@x", "1", linked_id=2), contact(2, "b@x", "1")]
    assert decide(("a@x", None), known=known).identities[0].primary_contact_id == 1
    decided = decide(("c@x", "1"), known=known)
    assert decided.writes.altered == (contact(1, "a@x", "1"), contact(2, "b@x", "1", linked_id=1))
    assert decided.writes.created[0].linked_id == 1


def test_a_link_precedence_that_contradicts_the_link_is_repaired():
    wrong = [
        Contact(1, "a@x", "1", None, SECONDARY, day(9)),
        Contact(2, "b@x", "1", 1, PRIMARY, day(8)),
        Contact(3, "c@x", "1", 1, None, day(7)),
    ]
    altered = decide(("d@x", "1"), known=wrong).writes.altered
    assert [(c.id, c.linked_id, c.link_precedence) for c in altered] == [
        (1, None, PRIMARY),
        (2, 1, SECONDARY),
        (3, 1, SECONDARY),
    ]


def test_what_is_equal_to_a_contact_is_held_by_its_identity_only():
    twice = [contact(1, "a@x", "1"), contact(2, "a@x", "1")]
    decided = decide(("a@x", "1"), known=twice)
    assert [c.id for c in decided.writes.altered] == [2]
    assert (decided.writes.created, decided.writes.evidence) == ((), ())


@given(st.lists(contact_details(seen_at=moments() | st.none())))
def test_no_more_than_one_id_is_drawn_for_each_of_the_details(batch):
    drawn = iter(range(len(batch)))
    decided = reconcile(batch, Snapshot(), NOW, drawn)
    ids = [c.id for c in decided.writes.created] + [e.id for e in decided.writes.evidence]
    assert len(ids) == len(set(ids))
    assert len(decided.identities) == len(batch)


@given(st.lists(contact_details(seen_at=moments() | st.none())))
def test_the_events_alone_tell_which_primaries_there_are(batch):
    decided = reconcile(batch, Snapshot(), NOW, count(1))
    primaries: set[int] = set()
    for event in decided.writes.events:
        primaries = (primaries - set(event.absorbed_ids)) | {event.primary_id}
    assert primaries == {c.id for c in decided.writes.created if c.linked_id is None}
