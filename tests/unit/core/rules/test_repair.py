from datetime import UTC, datetime, timedelta

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
    WriteSet,
    repair,
)
from identity_core.testing import violations

PRIMARY, SECONDARY = LinkPrecedence.PRIMARY, LinkPrecedence.SECONDARY
NOW = datetime(2020, 1, 1, tzinfo=UTC)


def contact(id, email, phone_number, linked_id=None, precedence=None, days=0):
    given = precedence or (PRIMARY if linked_id is None else SECONDARY)
    return Contact(id, email, phone_number, linked_id, given, NOW - timedelta(days=days or 100 - id))


def record_of(contacts, evidence=()):
    pieces = (Evidence(id, *pair, NOW) for id, pair in enumerate(sorted(evidence), start=100))
    return Record(Snapshot.of(contacts).identities, tuple(pieces))


def repair_all(contacts, evidence=()):
    """What repairing all of them writes; without rulings, it needs no new id."""
    decided = repair(record_of(contacts, evidence), NOW, iter(()))
    assert decided.identities == ()
    assert decided.writes.created == decided.writes.rewritten == decided.writes.evidence == ()
    assert decided.writes.rulings == decided.writes.withdrawals == ()
    return decided.writes


def after(contacts, evidence, writes):
    """The snapshot after writes were written."""
    now = {c.id: c for c in contacts} | {c.id: c for c in writes.altered}
    gone = {contact.id for contact in writes.deleted}
    live = [contact for contact in now.values() if contact.id not in gone]
    return Snapshot.of(live, set(evidence) - set(writes.superseded))


def test_what_is_right_is_left_alone():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1), contact(3, "c@x", "3")]
    assert repair_all(contacts, [("b@x", "9")]) == WriteSet()


def test_chains_and_circles_point_straight_at_the_oldest():
    contacts = [contact(1, "a@x", "1", 3), contact(2, "b@x", "2", 1), contact(3, "c@x", "3", 2)]
    writes = repair_all(contacts)
    assert [(c.id, c.linked_id) for c in writes.altered] == [(1, None), (3, 1)]
    assert writes.events == (Event(NOW, EventKind.REPAIRED, 1),)


def test_a_younger_primary_gives_way():
    contacts = [contact(1, "a@x", "1", 2), contact(2, "b@x", "1")]
    writes = repair_all(contacts)
    assert violations(after(contacts, (), writes)) == []
    assert [(event.primary_id, event.absorbed_ids) for event in writes.events] == [(1, (2,))]


def test_identities_that_hold_one_identifier_become_one():
    contacts = [contact(1, "a@x", "1"), contact(2, "a@x", "2"), contact(3, None, "2"), contact(4, "d@x", "4")]
    writes = repair_all(contacts)
    assert [(c.id, c.linked_id) for c in writes.altered] == [(2, 1), (3, 1)]
    assert [(event.primary_id, event.absorbed_ids) for event in writes.events] == [(1, (2, 3))]


def test_identities_that_evidence_joins_become_one():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "2")]
    writes = repair_all(contacts, [("a@x", "2")])
    assert [(c.id, c.linked_id) for c in writes.altered] == [(2, 1)]
    assert writes.superseded == ()


def test_of_contacts_that_hold_the_same_the_oldest_stays():
    contacts = [
        contact(1, "a@x", "1", days=5),
        contact(2, "a@x", "1", days=9),
        contact(3, "a@x", None, 1),
        contact(4, "a@x", None, 1),
    ]
    writes = repair_all(contacts)
    assert sorted((c.id, c.linked_id) for c in writes.deleted) == [(1, 3), (4, 3)]
    assert violations(after(contacts, (), writes)) == []
    assert [(event.primary_id, event.absorbed_ids) for event in writes.events] == [(3, (1, 2))]


def test_contacts_that_hold_nothing_are_no_repetition():
    contacts = [contact(1, "a@x", "1"), contact(2, None, None, 1), contact(3, None, None, 1)]
    assert repair_all(contacts) == WriteSet()


def test_evidence_goes_where_a_contact_holds_the_pair():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)]
    evidence = [("a@x", "1"), ("b@x", "9")]
    writes = repair_all(contacts, evidence)
    assert writes.superseded == (("a@x", "1"),)
    assert (writes.altered, writes.deleted) == ((), ())


def test_values_that_would_be_rejected_are_repaired_too():
    contacts = [contact(1, "no email", "ext. 5"), contact(2, "no email", "ext. 6")]
    assert [c.linked_id for c in repair_all(contacts).altered] == [1]


def test_a_record_of_nothing_is_nothing_to_repair():
    assert repair_all([]) == WriteSet()


ids = st.integers(1, 8)


@st.composite
def records(draw):
    """Contacts as others may have written them, and evidence."""
    values = [draw(st.sampled_from([None, "a@x", "b@x", "c@x"])) for _ in range(8)]
    numbers = [draw(st.sampled_from([None, "1", "2", "3"])) for _ in range(8)]
    contacts = [
        Contact(
            id,
            values[id - 1],
            numbers[id - 1],
            draw(st.none() | ids),
            draw(st.sampled_from([PRIMARY, SECONDARY, None])),
            NOW - timedelta(days=draw(st.integers(0, 5))),
        )
        for id in draw(st.sets(ids, min_size=1))
    ]
    pairs = st.tuples(st.sampled_from(["a@x", "b@x", "c@x"]), st.sampled_from(["1", "2", "3"]))
    return contacts, draw(st.sets(pairs))


@given(records())
def test_whatever_is_on_record_is_brought_to_the_invariants_at_once(from_trusted):
    contacts, evidence = from_trusted
    writes = repair_all(contacts, evidence)
    now = after(contacts, evidence, writes)
    reached = [identity for identity in now.identities if any(any(c.key) for c in identity)]
    assert violations(Snapshot(tuple(reached), now.evidence)) == []
    live = [contact for identity in now.identities for contact in identity]
    assert repair_all(live, now.evidence) == WriteSet()
    # Nothing that identifies anybody is lost.
    assert {value for c in contacts for value in c.key} - {None} == {
        value for identity in now.identities for c in identity for value in c.key
    } - {None}
