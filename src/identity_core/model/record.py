"""The record: everything known about some values and whatever may join them."""

from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from identity_core.model.contact import Contact
from identity_core.model.details import ContactDetails
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.ruling import Ruling, Verdict
from identity_core.model.snapshot import Snapshot


@frozen
class Record:
    """All identities that pairs join, whether the pairs count or are held, with the rulings about them.

    Undone pairs with one of the values are part of the record, but lead to no further identity.

    Attributes:
        identities: the live contacts of each identity, oldest first.
        evidence: the evidence with any of the values, in the order of ids.
        rulings: those in force about any of the values, in the order of ids.
        deleted: the ids of the deleted contacts that lead to contacts of these identities, each with the
            contact that it leads to.
        asked: the values that were asked for; those that no contact holds were never seen. Of other values
            that evidence and rulings name, the record does not know.
    """

    identities: tuple[tuple[Contact, ...], ...] = ()
    evidence: tuple[Evidence, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    asked: frozenset[Identifier] = frozenset()
    deleted: tuple[tuple[int, int], ...] = ()

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
        return frozenset(
            (ruling.one.value, ruling.other.value)
            for ruling in self.rulings_with(Verdict.UNDONE)
            if (ruling.one.kind, ruling.other.kind) == (IdentifierKind.EMAIL, IdentifierKind.PHONE_NUMBER)
        )

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
        values = {*details.identifiers}
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
        )

    def revise(self, added: Iterable[Ruling] = (), withdrawn: Iterable[Ruling] = ()) -> "Record":
        """The record with other rulings in force."""
        ended = {ruling.id for ruling in withdrawn}
        kept = (ruling for ruling in self.rulings if ruling.id not in ended)
        return evolve(self, rulings=(*kept, *added))
