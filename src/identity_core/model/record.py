"""The record: everything known about some values and whatever may join them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from attrs import evolve, frozen

from identity_core.model.contact import Contact
from identity_core.model.details import ContactDetails
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier
from identity_core.model.rule_set import NO_RULES, RuleSet
from identity_core.model.ruling import Ruling, Verdict
from identity_core.model.snapshot import Snapshot


@frozen
class Record:
    """All identities that pairs join, whether the pairs count or pins hold them, with the rulings about them.

    Pairs that are undone, blocked or held by a limit are part of the record if it has one of the values, but
    lead to no further identity.

    Attributes:
        identities: the live contacts of each identity, oldest first.
        evidence: the evidence with any of the values, in the order of ids.
        rulings: those in force about any of the values, in the order of ids.
        deleted: the ids of the deleted contacts that lead to contacts of these identities, each with the
            contact that it leads to.
        asked: the values that were asked for; those that no contact holds were never seen. Of other values
            that evidence and rulings name, the record does not know.
        rules: the rules in force.
        suppressed: those of the values asked for that are kept out.
    """

    identities: tuple[tuple[Contact, ...], ...] = ()
    evidence: tuple[Evidence, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    asked: frozenset[Identifier] = frozenset()
    deleted: tuple[tuple[int, int], ...] = ()
    rules: RuleSet = NO_RULES
    suppressed: frozenset[Identifier] = frozenset()

    @property
    def size(self) -> int:
        """How many contacts it holds."""
        return sum(map(len, self.identities))

    @property
    def contacts(self) -> Iterator[Contact]:
        """All contacts, identity by identity."""
        return (contact for contacts in self.identities for contact in contacts)

    @property
    def undone_pairs(self) -> frozenset[tuple[str, str]]:
        """The pairs of email and phone number that are undone."""
        return self._find_pairs(Verdict.UNDONE)

    @property
    def accepted_pairs(self) -> frozenset[tuple[str, str]]:
        """The pairs of email and phone number that pins keep together."""
        return self._find_pairs(Verdict.SAME)

    def _find_pairs(self, verdict: Verdict) -> frozenset[tuple[str, str]]:
        pairs = (ruling.pair for ruling in self.rulings_with(verdict))
        return frozenset(pair for pair in pairs if pair is not None)

    @property
    def known(self) -> frozenset[Identifier]:
        """The values of which it has whatever joins them."""
        return self.asked.union(*(contact.identifiers for contact in self.contacts))

    @property
    def is_complete(self) -> bool:
        """Whether it has all that pairs and pins which it has lead to."""
        return self.known >= find_leads(self.evidence, self.rulings, self.rules)

    def rulings_with(self, *verdicts: Verdict) -> list[Ruling]:
        """The rulings with one of these verdicts."""
        return [ruling for ruling in self.rulings if ruling.verdict in verdicts]

    def find_ruling(self, verdict: Verdict, one: Identifier, other: Identifier) -> Ruling | None:
        """The ruling with this verdict about two values, in any order."""
        values = {one, other}
        return next((ruling for ruling in self.rulings_with(verdict) if ruling.values == values), None)

    def holds(self, pair: tuple[str, str]) -> bool:
        """Whether the pair is on record, in a contact or as evidence."""
        return any(contact.key == pair for contact in self.contacts) or any(
            piece.pair == pair for piece in self.evidence
        )

    def to_snapshot(self, details: ContactDetails) -> Snapshot:
        """What the record says of some details."""
        values = {value for value in details.identifiers if not self.rules.blocks(value)}
        pieces = [piece for piece in self.evidence if piece.pair == details.pair]
        return Snapshot(
            tuple(
                contacts
                for contacts in self.identities
                if any(values.intersection(contact.identifiers) for contact in contacts)
            ),
            frozenset(piece.pair for piece in pieces if piece.standing is Standing.COUNTS),
            frozenset(piece.pair for piece in pieces if piece.standing is not Standing.COUNTS),
            tuple((pin.one, pin.other) for pin in self.rulings_with(Verdict.DIFFERENT)),
            self.rules,
            Counter(
                v for piece in self.evidence if piece.standing is Standing.COUNTS for v in piece.identifiers
            ),
            self.accepted_pairs,
            suppressed=self.suppressed.intersection(details.identifiers),
        )

    def make_plan(self) -> str:
        """A short token, which another record does not have."""
        return make_plan(self.contacts, self.evidence, self.rulings)

    def revise(self, added: Iterable[Ruling] = (), withdrawn: Iterable[Ruling] = ()) -> "Record":
        """The record with other rulings in force."""
        ended = {ruling.id for ruling in withdrawn}
        kept = (ruling for ruling in self.rulings if ruling.id not in ended)
        return evolve(self, rulings=(*kept, *added))


def make_plan(contacts: Iterable[Contact], evidence: Iterable[Evidence], rulings: Iterable[Ruling]) -> str:
    """A short token, which nothing else than these contacts, evidence and rulings has."""
    parts = [repr((c.id, c.key, c.linked_id, c.created_at)) for c in contacts]
    parts += [repr((e.id, e.pair, e.seen_at, e.standing.value, e.hold)) for e in evidence]
    parts += [str(ruling.id) for ruling in rulings]
    return blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()


def find_leads(evidence: Iterable[Evidence], rulings: Iterable[Ruling], rules: RuleSet) -> set[Identifier]:
    """The values that a record with some evidence and rulings has to have: it follows what joins them."""
    leads = {
        value
        for piece in evidence
        if piece.leads_on and not rules.blocks_pair(piece.pair)
        for value in piece.identifiers
    }
    leads.update(
        value
        for ruling in rulings
        if ruling.verdict in (Verdict.SAME, Verdict.INHERITED) and not rules.block_any(ruling.values)
        for value in ruling.values
    )
    return leads
