"""Small records, and what becomes of them, for the tests of rulings."""

import asyncio
from datetime import timedelta

from hypothesis import strategies as st

from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    ChangeRules,
    Contact,
    ContactDetails,
    Evidence,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    LinkPrecedence,
    Note,
    QueryIdentities,
    Record,
    RuleOnIdentities,
    Ruling,
    Snapshot,
    Verdict,
)
from identity_core.model.rule_set import NO_RULES
from identity_core.testing import moments
from identity_core.testing.model import partition
from identity_core.testing.strategies import EPOCH, emails, phone_numbers

NOTE = Note("marty", "a typo")


def day(number):
    return EPOCH + timedelta(days=number)


NOW = day(1_000)


def value(text):
    """An identifier: an email if there is an @ in it."""
    return Identifier(IdentifierKind.EMAIL if "@" in text else IdentifierKind.PHONE_NUMBER, text)


def contact(id, email, phone_number, linked_id=None, days=None):
    """A contact of the day of its id, if no other day is given."""
    precedence = LinkPrecedence.PRIMARY if linked_id is None else LinkPrecedence.SECONDARY
    return Contact(id, email, phone_number, linked_id, precedence, day(id if days is None else days))


def ruling(id, verdict, one, other, split_id=None):
    return Ruling(id, verdict, value(one), value(other), day(id), "marty", "a typo", split_id)


def record_of(contacts, evidence=(), rulings=(), deleted=(), rules=NO_RULES):
    """A record of some contacts, in which each piece of evidence without an id is of the day of its id."""
    pieces = [
        one if isinstance(one, Evidence) else Evidence(id, *one, day(id))
        for id, one in enumerate(evidence, start=100)
    ]
    identities = Snapshot.of(contacts).identities
    asked = frozenset(identifier for one in contacts for identifier in one.identifiers)
    return Record(identities, tuple(pieces), tuple(rulings), asked, tuple(deleted), rules)


def write(record, writes):
    """The record after something was written."""
    contacts = {one.id: one for one in record.contacts}
    contacts |= {one.id: one for one in (*writes.created, *writes.altered, *writes.rewritten)}
    gone = {one.id: one.linked_id for one in writes.deleted}
    deleted = {**dict(record.deleted), **gone}
    live = [one for one in contacts.values() if one.id not in gone]
    evidence = {one.pair: one for one in record.evidence if one.pair not in writes.superseded}
    evidence |= {one.pair: one for one in writes.evidence}
    ended = {one.ruling_id for one in writes.withdrawals}
    rulings = [one for one in (*record.rulings, *writes.rulings) if one.id not in ended]

    def find(id):
        while id in gone:
            id = gone[id]
        return id

    return Record(
        Snapshot.of(live).identities,
        tuple(sorted(evidence.values(), key=lambda one: one.id)),
        tuple(sorted(rulings, key=lambda one: one.id)),
        record.asked,
        tuple((id, find(leads_to)) for id, leads_to in sorted(deleted.items())),
        record.rules,
    )


def keys_of(contacts):
    return [one.key for one in contacts]


@st.composite
def records(draw, pool=4, verdicts=tuple(Verdict), max_rulings=5):
    """Records in which every value has a contact, no link is inherited, and nothing is settled."""
    pairs = draw(st.lists(st.tuples(emails(pool), phone_numbers(pool)), unique=True, max_size=10))
    times = draw(st.lists(moments(4), min_size=len(pairs), max_size=len(pairs)))
    as_contacts = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    contacts, evidence = [], []
    for id, (pair, time, is_contact) in enumerate(zip(pairs, times, as_contacts, strict=True), start=1):
        if is_contact:
            contacts.append(Contact(id, *pair, None, LinkPrecedence.PRIMARY, time))
        else:
            evidence.append(Evidence(id, *pair, time))
    held = {one for each in contacts for one in each.identifiers}
    values = {value(text) for pair in pairs for text in pair} - held
    for id, one in enumerate(sorted(values), start=50):
        is_email = one.kind is IdentifierKind.EMAIL
        key = (one.value, None) if is_email else (None, one.value)
        contacts.append(Contact(id, *key, None, LinkPrecedence.PRIMARY, NOW))
    rulings = []
    if pairs:
        ends = st.sampled_from(sorted(held | values))
        drawn = draw(
            st.lists(st.tuples(st.sampled_from(verdicts), ends, ends), unique=True, max_size=max_rulings)
        )
        for id, (verdict, one, other) in enumerate(drawn, start=80):
            if one < other:
                rulings.append(Ruling(id, verdict, one, other, NOW, None, "drawn"))
    return record_of(contacts, evidence, rulings)


class Clock:
    """A time that goes on by an hour each time it is asked for."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        self.now += timedelta(hours=1)
        return self.now


class Customers:
    """The use cases on a repository in memory, which is empty at first."""

    def __init__(self, *keys):
        self.clock = Clock()
        self.repository = InMemoryContactRepository(self.clock)
        self.identify_contacts = IdentifyContacts(self.repository)
        self.queries = QueryIdentities(self.repository)
        self.rule = RuleOnIdentities(self.repository, self.repository)
        self.change = ChangeRules(self.repository, self.repository)
        self.seen = set()
        self.identify(*keys)

    def identify(self, *keys):
        """Identify details one after the other; what became of each."""
        return [one for key in keys for one in self.identify_batch(key)]

    def identify_batch(self, *keys):
        batch = [key if isinstance(key, ContactDetails) else ContactDetails(*key) for key in keys]
        self.seen |= {one for details in batch for one in details.identifiers}
        return asyncio.run(self.identify_contacts.with_outcomes(batch))

    def preview(self, *key):
        return asyncio.run(self.queries.preview(ContactDetails(*key)))

    def undo(self, email, phone_number, **options):
        return asyncio.run(self.rule.undo((email, phone_number), NOTE, **options))

    def split(self, one, other, **options):
        return asyncio.run(self.rule.split(value(one), value(other), NOTE, **options))

    def pin(self, one, other, verdict, **options):
        self.seen |= {value(one), value(other)}
        return asyncio.run(self.rule.pin(value(one), value(other), verdict, NOTE, **options))

    def unpin(self, one, **options):
        return asyncio.run(self.rule.unpin(one, NOTE, **options))

    def restore(self, one, **options):
        return asyncio.run(self.rule.restore(one, NOTE, **options))

    def put_rules(self, rules=NO_RULES, **options):
        return asyncio.run(self.change.put(rules, NOTE, **options))

    @property
    def held(self):
        """The pairs that limits hold."""
        return asyncio.run(self.rule.held(limit=1_000))

    @property
    def standings(self):
        """How each pair of evidence stands, and which limit holds it."""
        return {piece.pair: (piece.standing, piece.hold) for piece in self.record.evidence}

    @property
    def rulings(self):
        """The rulings in force."""
        return asyncio.run(self.rule.rulings())

    @property
    def events(self):
        return [recorded.event for recorded in asyncio.run(self.repository.changes())[0]]

    @property
    def record(self):
        """All that is on record."""
        return asyncio.run(self.repository.record(self.seen))

    @property
    def parts(self):
        """The identities, as sets of values."""
        return partition(self.record)

    def as_of(self, contact_id, moment):
        return asyncio.run(self.queries.as_of(contact_id, moment))
