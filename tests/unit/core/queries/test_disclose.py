"""What a person gets is everything on record of them, and nothing of anybody else."""

from datetime import date, timedelta

from identity_core import (
    DeletedContact,
    Dossier,
    Evidence,
    Hold,
    Identifier,
    IdentifierKind,
    Note,
    Record,
    RecordedEvent,
    RuleSet,
    RulesInForce,
    Ruling,
    Standing,
    Verdict,
    Withdrawal,
)
from identity_core.model.contact import Contact, LinkPrecedence
from identity_core.model.events import Event, EventKind
from identity_core.queries.disclose import disclose, find_person
from identity_core.rules.erase import foresee_scope
from identity_core.testing.strategies import EPOCH

DAY = timedelta(days=1)


def email(value):
    return Identifier(IdentifierKind.EMAIL, value)


def number(value):
    return Identifier(IdentifierKind.PHONE_NUMBER, value)


def contact(id, email, phone_number, linked_id=None, day=None):
    precedence = LinkPrecedence.PRIMARY if linked_id is None else LinkPrecedence.SECONDARY
    return Contact(id, email, phone_number, linked_id, precedence, EPOCH + (day or id) * DAY)


def evidence(id, email, phone_number, standing=Standing.COUNTS, hold=None, day=None):
    return Evidence(id, email, phone_number, EPOCH + (day or id) * DAY, standing, hold)


def ruling(id, verdict, one, other, reason="because"):
    return Ruling(id, verdict, one, other, EPOCH + id * DAY, "support", reason)


def disclosed(dossier, target, events=()):
    scope, _ = foresee_scope(dossier, target)
    return disclose(dossier, find_person(dossier, scope), events)


MOTHER = (contact(1, "lorraine@x", "1"), contact(2, "lorraine@y", "1", 1))
SON = (contact(3, "mcfly@x", "2"),)


def test_values_are_dated_by_the_earliest_of_all_that_is_on_record():
    record = Record(
        (MOTHER,),
        (evidence(9, "lorraine@y", "8", Standing.BLOCKED, day=-5), evidence(10, "lorraine@x", "1", day=20)),
        deleted=((4, 1),),
        rules=RuleSet(phone_numbers=["8"]),
    )
    deleted = DeletedContact(contact(4, None, "7", 1, day=-9), EPOCH)
    last_seen = {email("lorraine@x"): date(2026, 4, 1), number("8"): date(2026, 5, 1)}
    values = disclosed(Dossier(record, (deleted,), last_seen=last_seen), email("lorraine@x")).values
    assert [(one.value.value, (one.first_seen - EPOCH).days, one.last_seen) for one in values] == [
        ("lorraine@x", 1, date(2026, 4, 1)),
        ("lorraine@y", -5, None),
        ("1", 1, None),
        ("7", -9, None),
    ]
    assert not any(one.is_blocked for one in values)


def test_a_value_that_only_rules_name_was_never_seen():
    versions = (
        RulesInForce(RuleSet(phone_numbers=["8"]), 1),
        RulesInForce(RuleSet(phone_numbers=["9"]), 2, note=Note("admin", "the other till", EPOCH)),
        RulesInForce(RuleSet(phone_numbers=["8", "9"]), 3, note=Note("admin", "both", EPOCH + DAY)),
    )
    dossier = Dossier(Record(asked=frozenset([number("8")]), rules=versions[-1].rules), rules=versions)
    disclosure = disclosed(dossier, number("8"))
    [known] = disclosure.values
    assert (known.first_seen, known.is_blocked) == (None, True)
    assert [(one.version, one.values, one.note, one.replaced_at) for one in disclosure.rules] == [
        (1, (number("8"),), None, EPOCH),
        (3, (number("8"),), versions[2].note, None),
    ]


def test_rules_that_nobody_dated_replace_others_at_no_time():
    versions = (RulesInForce(RuleSet(emails=["a@x"]), 1), RulesInForce(RuleSet(), 2))
    [naming] = disclosed(Dossier(Record(asked=frozenset([email("a@x")])), rules=versions), email("a@x")).rules
    assert (naming.version, naming.replaced_at) == (1, None)


def test_values_of_others_are_left_out_of_contacts_pairs_and_rulings():
    record = Record(
        (MOTHER, SON),
        (
            evidence(5, "mcfly@x", "1", Standing.UNDONE),
            evidence(6, "lorraine@x", "2", Standing.HELD, Hold.VALUES_PER_IDENTITY),
        ),
        (
            ruling(7, Verdict.UNDONE, email("mcfly@x"), number("1"), "mcfly@x called from 1"),
            ruling(8, Verdict.DIFFERENT, email("lorraine@x"), email("mcfly@x"), "MCFly@X is her son"),
            ruling(9, Verdict.DIFFERENT, email("mcfly@x"), email("stranger@x"), "no relation"),
        ),
    )
    deleted = (
        DeletedContact(contact(10, "mcfly@x", "1", 3), EPOCH + 11 * DAY),
        DeletedContact(contact(11, "lorraine@x", "2", 1), EPOCH + 12 * DAY),
    )
    end = Withdrawal(4, EPOCH + 5 * DAY, "support", "not of mcfly@x either")
    withdrawn = ((ruling(4, Verdict.SAME, number("1"), number("2")), end),)
    disclosure = disclosed(Dossier(record, deleted, withdrawn), 2)

    assert [(one.contact.id, one.contact.key, one.left_out) for one in disclosure.contacts] == [
        (1, ("lorraine@x", "1"), ()),
        (2, ("lorraine@y", "1"), ()),
        (10, (None, "1"), (IdentifierKind.EMAIL,)),
        (11, ("lorraine@x", None), (IdentifierKind.PHONE_NUMBER,)),
    ]
    assert [one.deleted_at for one in disclosure.contacts][2:] == [EPOCH + 11 * DAY, EPOCH + 12 * DAY]
    assert [(one.email, one.phone_number, one.standing, one.hold) for one in disclosure.pairs] == [
        ("lorraine@x", "1", Standing.COUNTS, None),
        ("lorraine@y", "1", Standing.COUNTS, None),
        (None, "1", Standing.UNDONE, None),
        ("lorraine@x", None, Standing.HELD, Hold.VALUES_PER_IDENTITY),
    ]
    assert [(one.id, one.one, one.other, one.reason) for one in disclosure.rulings] == [
        (4, number("1"), None, "because"),
        (7, None, number("1"), "[other person] called from 1"),
        (8, email("lorraine@x"), None, "[other person] is her son"),
    ]
    assert disclosure.rulings[0].withdrawal.reason == "not of [other person] either"
    assert disclosure.rulings[1].withdrawal is None


def test_a_pair_is_told_once_with_its_first_date_and_whether_it_counts():
    record = Record(
        ((contact(1, "a@x", "1"), contact(2, "a@x", "1", 1), contact(3, "a@x", "2", 1)),),
        (evidence(4, "a@x", "1", Standing.UNDONE), evidence(5, "a@x", "2", day=-1), evidence(6, "b@x", "9")),
    )
    pairs = disclosed(Dossier(record), 1).pairs
    assert [(one.phone_number, (one.seen_at - EPOCH).days, one.standing) for one in pairs] == [
        ("2", -1, Standing.COUNTS),
        ("1", 1, Standing.UNDONE),
    ]


def test_where_the_record_is_not_in_line_yet_the_contacts_are_as_they_are_recorded():
    """A phone number was blocked, and the contacts have it still."""
    record = Record((MOTHER,), asked=frozenset([number("1")]), rules=RuleSet(phone_numbers=["1"]))
    apart = disclosed(Dossier(record), email("lorraine@y"))
    assert [known.value for known in apart.values] == [email("lorraine@y")]
    assert [(one.contact.id, one.contact.key) for one in apart.contacts] == [(2, ("lorraine@y", None))]
    blocked = disclosed(Dossier(record), number("1"))
    assert [(known.value, known.is_blocked) for known in blocked.values] == [(number("1"), True)]
    assert [(one.contact.id, one.contact.key) for one in blocked.contacts] == [
        (1, (None, "1")),
        (2, (None, "1")),
    ]


def test_events_are_told_as_they_are():
    events = [RecordedEvent(1, Event(EPOCH, EventKind.CREATED, 1, 1))]
    assert disclosed(Dossier(Record((MOTHER,))), 1, events).events == tuple(events)
