"""What each ruling does to a record, what it refuses and why, and what changes nothing."""

from itertools import count

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from identity_core import (
    Contradiction,
    EventKind,
    Evidence,
    InvalidDetails,
    LinkReason,
    Note,
    NotRecorded,
    Record,
    Ruling,
    Standing,
    Verdict,
    Withdrawal,
    WriteSet,
)
from identity_core.rules import rulings
from identity_core.testing.model import partition, resolved
from tests.unit.core.records import NOTE, NOW, contact, day, record_of, records, ruling, value, write

TWO = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "1", 1)])
RING = record_of(
    [
        contact(1, "a@x", "1"),
        contact(2, "b@x", "1", 1),
        contact(3, "b@x", "2", 1),
        contact(4, "a@x", "2", 1),
    ]
)
LINKED = record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2", 1)])
"""The link of the second contact is inherited."""


class Desk:
    """A record, and the rulings on it that were made."""

    def __init__(self, record):
        self.record = record
        self.ids = count(200)
        self.done = []

    def __call__(self, rule, **about):
        done = rule(self.record, NOW, self.ids, **about)
        self.record = write(self.record, done.writes)
        self.done.append(done)
        return done

    def undo(self, email, phone_number, note=NOTE):
        return self(rulings.undo, pair=(email, phone_number), note=note)

    def restore(self, ruling_id):
        return self(rulings.restore, ruling_id=ruling_id, note=NOTE)

    def split(self, one, other):
        return self(rulings.split, one=value(one), other=value(other), note=NOTE)

    def pin(self, one, other, verdict):
        return self(rulings.pin, one=value(one), other=value(other), verdict=verdict, note=NOTE)

    def unpin(self, ruling_id):
        return self(rulings.unpin, ruling_id=ruling_id, note=NOTE)

    def adopt(self, ruling):
        return self(rulings.adopt, ruling=ruling)

    def is_refused(self, way, *about):
        """The error; nothing is written."""
        before = self.record
        with pytest.raises(Contradiction) as refused:
            way(*about)
        assert self.record == before
        assert str(refused.value) == refused.value.reason
        return refused.value


def to_text(chain):
    """The values along a chain."""
    return [chain[0].one.value, *(link.other.value for link in chain)] if chain else []


# Undo


def test_undoing_a_pair_leaves_its_two_values_each_alone():
    desk = Desk(record_of([contact(1, "a@x", "1")]))
    done = desk.undo("a@x", "1")
    [made] = done.writes.rulings
    assert made == Ruling(200, Verdict.UNDONE, value("a@x"), value("1"), NOW, "marty", "a typo")
    assert partition(desk.record) == {frozenset(["a@x"]), frozenset(["1"])}
    assert [[one.key for one in contacts] for contacts in done.identities] == [[("a@x", None)], [(None, "1")]]
    assert [(link.reason, link.id) for link in done.undone] == [(LinkReason.CONTACT, 1)]
    assert (done.primaries_before, done.moved_ids, done.chain) == ((1,), (), ())


def test_undoing_tells_what_moves_and_shows_all_identities_that_change():
    desk = Desk(TWO)
    done = desk.undo("a@x", "1")
    assert done.primaries_before == (1,)
    assert done.moved_ids == (2,)
    assert [[one.id for one in contacts] for contacts in done.identities] == [[1], [201, 2]]


def test_undoing_one_of_two_ways_tells_the_other():
    done = Desk(RING).undo("a@x", "1")
    assert to_text(done.chain) == ["a@x", "2", "b@x", "1"]
    assert len(done.identities) == 1


def test_evidence_can_be_undone_and_so_can_a_pair_that_is_held():
    evidence = [Evidence(100, "b@x", "1", day(9)), Evidence(101, "c@x", "1", day(9), Standing.HELD)]
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", None, 1), contact(3, "c@x", None)]
    desk = Desk(record_of(contacts, evidence, [ruling(90, Verdict.DIFFERENT, "a@x", "c@x")]))
    for email, reason in (("b@x", LinkReason.EVIDENCE), ("c@x", LinkReason.HELD)):
        assert [link.reason for link in desk.undo(email, "1").undone] == [reason]
    assert {piece.standing for piece in desk.record.evidence} == {Standing.UNDONE}


def test_undoing_what_is_undone_changes_nothing_and_tells_what_still_joins_the_two():
    desk = Desk(RING)
    first = desk.undo("a@x", "1")
    again = desk.undo("a@x", "1")
    assert again.writes == WriteSet()
    assert (again.undone, again.chain) == ((), first.chain)
    assert again.identities == first.identities


def test_a_pair_that_was_never_seen_together_cannot_be_undone():
    with pytest.raises(NotRecorded, match="pair was never seen together"):
        Desk(RING).undo("a@x", "9")


def test_a_pair_that_is_pinned_together_cannot_be_undone():
    desk = Desk(TWO)
    desk.pin("a@x", "1", Verdict.SAME)
    refused = desk.is_refused(desk.undo, "a@x", "1")
    assert (refused.ruling_id, refused.chain, refused.cut) == (200, (), ())


def test_a_ruling_from_elsewhere_keeps_its_time():
    done = Desk(TWO).undo("a@x", "1", note=Note(None, "long ago", day(3)))
    [made] = done.writes.rulings
    assert (made.decided_at, made.decided_by, made.reason) == (day(3), None, "long ago")


# Restore


@pytest.mark.parametrize("pair", [("a@x", "1"), ("b@x", "1")])
def test_restoring_gives_back_exactly_what_was_there(pair):
    desk = Desk(TWO)
    undone = desk.undo(*pair)
    restored = desk.restore(200)
    assert desk.record.identities == TWO.identities
    assert (desk.record.evidence, desk.record.rulings) == (TWO.evidence, TWO.rulings)
    assert restored.writes.withdrawals == (Withdrawal(200, NOW, "marty", "a typo"),)
    assert restored.primaries_before == tuple(sorted(contacts[0].id for contacts in undone.identities))
    assert len(restored.identities) == 1


@pytest.mark.parametrize("ruling_id", [1, 99, 90])
def test_only_what_a_ruling_in_force_undid_can_be_restored(ruling_id):
    desk = Desk(evolve(TWO, rulings=(ruling(90, Verdict.DIFFERENT, "a@x", "9"),)))
    with pytest.raises(NotRecorded, match="ruling undid nothing that is in force"):
        desk.restore(ruling_id)


def test_what_a_pin_would_hold_again_cannot_be_restored():
    desk = Desk(TWO)
    desk.undo("b@x", "1")
    desk.pin("a@x", "b@x", Verdict.DIFFERENT)
    assert desk.is_refused(desk.restore, 200).ruling_id == 201


def test_a_part_of_a_split_cannot_be_restored_against_its_pin():
    desk = Desk(TWO)
    desk.split("a@x", "b@x")
    pin, undone = sorted(desk.record.rulings, key=lambda one: one.id)
    assert (pin.verdict, undone.verdict, undone.split_id) == (Verdict.DIFFERENT, Verdict.UNDONE, pin.id)
    assert desk.is_refused(desk.restore, undone.id).ruling_id == pin.id


def test_a_restored_pair_that_would_only_displace_a_later_one_is_given_back():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", None, days=0)]
    evidence = [Evidence(5, "b@x", "1", day(5), Standing.HELD)]
    pinned = record_of(contacts, evidence, [ruling(90, Verdict.DIFFERENT, "a@x", "b@x")])
    desk = Desk(pinned)
    desk.undo("a@x", "1")
    assert frozenset(["b@x", "1"]) in partition(desk.record), "what was held counts"
    desk.restore(200)
    assert partition(desk.record) == partition(pinned)
    assert {piece.standing for piece in desk.record.evidence} == {Standing.HELD}


# Split


def test_a_split_undoes_the_smallest_cut_and_pins_the_two_apart():
    desk = Desk(RING)
    done = desk.split("a@x", "b@x")
    assert [link.id for link in done.undone] == [4, 2]
    *undone, pin = done.writes.rulings
    assert (pin.verdict, pin.values) == (Verdict.DIFFERENT, {value("a@x"), value("b@x")})
    assert {(one.verdict, one.split_id) for one in undone} == {(Verdict.UNDONE, pin.id)}
    assert partition(desk.record) == {frozenset(["a@x", "1"]), frozenset(["b@x", "2"])}
    assert len(done.identities) == 2


def test_restoring_the_pin_of_a_split_gives_all_of_it_back_without_the_pin():
    desk = Desk(RING)
    desk.split("a@x", "b@x")
    desk.restore(200)
    assert (desk.record.identities, desk.record.evidence) == (RING.identities, RING.evidence)
    assert desk.record.rulings == ()


def test_what_nothing_joins_cannot_be_split():
    desk = Desk(record_of([contact(1, "a@x", None), contact(2, "b@x", None)]))
    for other in ("b@x", "a@x", "9"):
        error = desk.is_refused(desk.split, "a@x", other)
        assert (error.reason, error.chain, error.ruling_id) == ("nothing joins the two", (), None)


def test_what_pins_join_cannot_be_split_and_the_chain_shows_it():
    desk = Desk(record_of([contact(1, "a@x", "1"), contact(2, "b@x", None)]))
    desk.pin("a@x", "b@x", Verdict.SAME)
    refused = desk.is_refused(desk.split, "a@x", "b@x")
    assert [(link.reason, link.id) for link in refused.chain] == [(LinkReason.PIN, 200)]
    desk.split("1", "b@x")
    assert partition(desk.record) == {frozenset(["a@x", "b@x"]), frozenset(["1"])}


def test_an_inherited_link_is_split_off_and_given_back():
    desk = Desk(LINKED)
    done = desk.split("1", "2")
    assert [(link.reason, link.id) for link in done.undone] == [(LinkReason.INHERITED, 2)]
    assert partition(desk.record) == {frozenset(["a@x", "1"]), frozenset(["b@x", "2"])}
    desk.restore(200)
    assert desk.record.identities == LINKED.identities
    [inherited] = desk.record.rulings
    assert inherited.verdict is Verdict.INHERITED
    again = desk.split("1", "2")
    assert [(link.reason, link.id) for link in again.undone] == [(LinkReason.INHERITED, inherited.id)]
    assert inherited not in desk.record.rulings
    assert partition(desk.record) == {frozenset(["a@x", "1"]), frozenset(["b@x", "2"])}


def test_an_inherited_link_between_an_email_and_a_number_becomes_a_pair_on_record():
    linked = record_of([contact(1, "a@x", None), contact(2, None, "2", 1)])
    desk = Desk(linked)
    desk.split("a@x", "2")
    [piece] = desk.record.evidence
    assert (piece.pair, piece.seen_at, piece.standing) == (("a@x", "2"), day(2), Standing.UNDONE)
    desk.restore(200)
    assert desk.record.identities == linked.identities
    assert [piece.standing for piece in desk.record.evidence] == [Standing.COUNTS]
    assert desk.record.rulings == ()


# Pins


@pytest.mark.parametrize("verdict", [Verdict.SAME, Verdict.DIFFERENT])
def test_a_pin_is_made_once_whichever_way_round_it_is_given(verdict):
    desk = Desk(record_of([contact(1, "a@x", None), contact(2, None, "1")]))
    [made] = desk.pin("1", "a@x", verdict).writes.rulings
    assert (made.one, made.other) == (value("a@x"), value("1")), "the email comes first"
    for ends in (("a@x", "1"), ("1", "a@x")):
        again = desk.pin(*ends, verdict)
        assert again.writes == WriteSet()
        assert again.identities == desk.done[0].identities


@pytest.mark.parametrize("verdict", [Verdict.SAME, Verdict.DIFFERENT])
def test_one_value_cannot_be_pinned_to_itself(verdict):
    with pytest.raises(InvalidDetails, match="other must differ from one"):
        Desk(TWO).pin("a@x", "a@x", verdict)


@pytest.mark.parametrize("verdict", [Verdict.SAME, Verdict.DIFFERENT])
def test_a_pin_is_refused_where_another_says_the_opposite(verdict):
    desk = Desk(record_of([contact(1, "a@x", None), contact(2, "b@x", None)]))
    opposite = Verdict.SAME if verdict is Verdict.DIFFERENT else Verdict.DIFFERENT
    desk.pin("a@x", "b@x", opposite)
    assert desk.is_refused(desk.pin, "b@x", "a@x", verdict).ruling_id == 200


def test_values_that_are_joined_cannot_be_pinned_apart_and_the_cut_is_proposed():
    desk = Desk(RING)
    refused = desk.is_refused(desk.pin, "a@x", "b@x", Verdict.DIFFERENT)
    assert to_text(refused.chain) == ["a@x", "1", "b@x"]
    assert refused.cut == Desk(RING).split("a@x", "b@x").undone


def test_values_that_only_pins_join_cannot_be_pinned_apart_and_no_cut_is_proposed():
    desk = Desk(record_of([contact(1, "a@x", None), contact(2, "b@x", None), contact(3, "c@x", None)]))
    desk.pin("a@x", "b@x", Verdict.SAME)
    desk.pin("b@x", "c@x", Verdict.SAME)
    refused = desk.is_refused(desk.pin, "a@x", "c@x", Verdict.DIFFERENT)
    assert [link.id for link in refused.chain] == [200, 201]
    assert refused.cut == ()


def test_a_pin_same_joins_two_identities_and_an_undone_pair_forbids_it():
    desk = Desk(record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2")]))
    done = desk.pin("b@x", "a@x", Verdict.SAME)
    assert done.primaries_before == (1, 2)
    assert done.moved_ids == (2,)
    assert [[one.id for one in contacts] for contacts in done.identities] == [[1, 2]]
    desk.undo("a@x", "1")
    assert desk.is_refused(desk.pin, "1", "a@x", Verdict.SAME).ruling_id == 201


def test_what_a_pin_keeps_apart_cannot_be_pinned_together_and_the_chain_leads_over_the_pin():
    desk = Desk(record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2")]))
    desk.pin("a@x", "b@x", Verdict.DIFFERENT)
    for ends in (("1", "2"), ("2", "1")):
        refused = desk.is_refused(desk.pin, *ends, Verdict.SAME)
        assert refused.ruling_id == 200
        first, second = refused.chain
        assert (first.one.value, second.other.value) == ends
        assert {first.other, second.one} == {value("a@x"), value("b@x")}
    assert desk.is_refused(desk.pin, "a@x", "2", Verdict.SAME).ruling_id == 200


def test_a_pin_between_others_is_no_reason_to_refuse():
    desk = Desk(record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2"), contact(3, "c@x", "3")]))
    desk.pin("a@x", "b@x", Verdict.DIFFERENT)
    desk.pin("a@x", "c@x", Verdict.SAME)
    assert desk.is_refused(desk.pin, "3", "2", Verdict.SAME).ruling_id == 200


def test_removing_a_pin_reconsiders_what_it_held():
    contacts = [contact(1, "a@x", "1"), contact(2, "b@x", None)]
    evidence = [Evidence(5, "b@x", "1", day(5), Standing.HELD)]
    desk = Desk(record_of(contacts, evidence, [ruling(90, Verdict.DIFFERENT, "a@x", "b@x")]))
    done = desk.unpin(90)
    assert partition(desk.record) == {frozenset(["a@x", "b@x", "1"])}
    assert done.moved_ids == (2,)
    assert EventKind.RELEASED in [event.kind for event in done.writes.events]


def test_removing_a_pin_same_parts_what_only_it_joined():
    desk = Desk(record_of([contact(1, "a@x", "1"), contact(2, "b@x", "2")]))
    before = desk.record.identities
    desk.pin("a@x", "b@x", Verdict.SAME)
    desk.unpin(200)
    assert desk.record.identities == before
    assert desk.record.rulings == ()


def test_only_a_pin_that_is_in_force_can_be_removed():
    desk = Desk(TWO)
    desk.undo("a@x", "1")
    for ruling_id in (99, 200):
        with pytest.raises(NotRecorded, match="pin is not in force"):
            desk.unpin(ruling_id)


# Rulings from another database


def test_a_ruling_from_another_database_is_in_force_with_its_time_and_a_new_id():
    desk = Desk(TWO)
    foreign = ruling(7, Verdict.UNDONE, "b@x", "1", split_id=6)
    [made] = desk.adopt(foreign).writes.rulings
    assert made == evolve(foreign, id=200)
    assert partition(desk.record) == {frozenset(["a@x", "1"]), frozenset(["b@x"])}
    assert desk.adopt(foreign).writes == WriteSet(), "adopting it again changes nothing"


def test_adopting_parts_also_what_is_joined():
    desk = Desk(TWO)
    desk.adopt(ruling(7, Verdict.DIFFERENT, "a@x", "b@x"))
    assert partition(desk.record) == {frozenset(["a@x", "1"]), frozenset(["b@x"])}
    assert {piece.standing for piece in desk.record.evidence} == {Standing.HELD}


def test_an_undone_pair_that_never_came_here_does_not_count_when_it_comes():
    desk = Desk(Record(asked=frozenset([value("a@x"), value("1")])))
    desk.adopt(ruling(7, Verdict.UNDONE, "a@x", "1"))
    assert partition(desk.record) == {frozenset(["a@x"]), frozenset(["1"])}
    [piece] = desk.record.evidence
    assert (piece.pair, piece.seen_at, piece.standing) == (("a@x", "1"), day(7), Standing.UNDONE)


def test_an_undone_inherited_link_that_is_adopted_makes_no_evidence():
    desk = Desk(LINKED)
    desk.adopt(ruling(7, Verdict.UNDONE, "a@x", "b@x"))
    assert desk.record.evidence == ()
    assert partition(desk.record) == {frozenset(["a@x", "1"]), frozenset(["b@x", "2"])}


@pytest.mark.parametrize(
    ("in_force", "adopted"),
    [
        ((Verdict.SAME, "a@x", "c@x"), (Verdict.DIFFERENT, "a@x", "c@x")),
        ((Verdict.DIFFERENT, "a@x", "c@x"), (Verdict.SAME, "c@x", "a@x")),
        ((Verdict.SAME, "a@x", "1"), (Verdict.UNDONE, "a@x", "1")),
        ((Verdict.UNDONE, "a@x", "1"), (Verdict.SAME, "a@x", "1")),
        ((Verdict.DIFFERENT, "a@x", "c@x"), (Verdict.INHERITED, "c@x", "a@x")),
    ],
)
def test_a_ruling_from_another_database_is_refused_only_where_a_ruling_here_says_the_opposite(
    in_force, adopted
):
    contacts = [contact(1, "a@x", "1"), contact(2, "c@x", "3"), contact(3, "d@x", "4")]
    desk = Desk(record_of(contacts, rulings=[ruling(90, *in_force)]))
    assert desk.is_refused(desk.adopt, ruling(7, *adopted)).ruling_id == 90
    desk.adopt(ruling(8, Verdict.DIFFERENT, "d@x", "1"))


def test_rulings_that_contradict_each_other_already_are_no_reason_to_refuse_another():
    contacts = [contact(1, "a@x", None), contact(2, "c@x", None)]
    opposite = [ruling(90, Verdict.SAME, "a@x", "c@x"), ruling(91, Verdict.DIFFERENT, "a@x", "c@x")]
    desk = Desk(record_of(contacts, rulings=opposite))
    desk.adopt(ruling(7, Verdict.DIFFERENT, "a@x", "9"))
    assert len(desk.record.rulings) == 3


# Any of them


@given(records(max_rulings=0), st.data())
def test_any_rulings_lead_to_what_the_model_says_or_are_refused(record, data):
    desk = Desk(record)
    desk.pin("z@x", "999", Verdict.DIFFERENT)
    values = st.sampled_from(
        sorted({one for each in record.contacts for one in each.identifiers} | {value("z@x")})
    )
    for _ in range(data.draw(st.integers(0, 6))):
        one, other = (data.draw(values).value for _ in range(2))
        way = data.draw(st.sampled_from(["undo", "split", "same", "different", "take back"]))
        before = desk.record
        in_force = [ruling.id for ruling in before.rulings]
        try:
            if way == "undo":
                desk.undo(one, other)
            elif way == "split":
                desk.split(one, other)
            elif way == "take back" and in_force:
                taken = data.draw(st.sampled_from(in_force))
                data.draw(st.sampled_from([desk.restore, desk.unpin]))(taken)
            elif one != other:
                desk.pin(one, other, Verdict(way) if way != "take back" else Verdict.SAME)
        except (Contradiction, NotRecorded):
            assert desk.record == before
        assert partition(desk.record) == resolved(desk.record)


# The plan


def test_a_plan_tells_records_apart():
    desk = Desk(TWO)
    plans = [TWO.make_plan()]
    for _ in range(2):
        assert desk.record.make_plan() == plans[-1]
        done = desk.undo("a@x", "1") if len(plans) == 1 else desk.pin("a@x", "1", Verdict.DIFFERENT)
        assert done.plan == plans[-1]
        plans.append(desk.record.make_plan())
    assert len({*plans}) == 3
    assert evolve(TWO, asked=frozenset()).make_plan() == plans[0], "only what is on record matters"
