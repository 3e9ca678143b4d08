"""Parts of an identity that is too large to be read whole."""

from collections.abc import Iterable

from attrs import frozen

from identity_core.model.contact import Contact
from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import Identifier
from identity_core.model.record import Record, make_plan
from identity_core.model.rule_set import NO_RULES, RuleSet
from identity_core.model.ruling import Ruling


@frozen
class Parts:
    """What belongs to some values, and to a primary, by pairs that count, pins and links.

    Blocked values and hubs lead to nothing else, because very many may share them;
    nor do links to the primary.

    Attributes:
        primary: the primary of the identity; None if it is none any more.
        contacts: the other live contacts with the values of the parts, those that are linked to them, and
            where there are hubs those that the evidence had been the pairs of; in any order.
        evidence: what has one of the values, in the order of ids.
        rulings: those in force about any of the values, in the order of ids.
        deleted: as in `Record`.
        asked: the values that were asked for.
        rules: the rules in force.
        unread: values of which not everything was read.
        hubs: values that belong to the identity of the primary.
    """

    primary: Contact | None
    contacts: tuple[Contact, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    deleted: tuple[tuple[int, int], ...] = ()
    asked: frozenset[Identifier] = frozenset()
    rules: RuleSet = NO_RULES
    unread: frozenset[Identifier] = frozenset()
    hubs: frozenset[Identifier] = frozenset()

    @classmethod
    def of(cls, record: Record, primary: Contact | None, hubs: Iterable[Identifier] = ()) -> "Parts":
        """The whole of a record as parts of the identity of a primary."""
        own = next((contacts for contacts in record.identities if primary in contacts), ())
        values = {value for contact in own for value in contact.identifiers}
        return cls(
            primary,
            tuple(contact for contact in record.contacts if contact != primary),
            record.evidence,
            record.rulings,
            record.deleted,
            record.asked,
            record.rules,
            hubs=frozenset(values.intersection(hubs)),
        )

    def make_plan(self) -> str:
        """A short token, which other parts do not have."""
        contacts = sorted(self.contacts, key=lambda contact: contact.id)
        return make_plan(contacts, self.evidence, self.rulings)

    @property
    def size(self) -> int:
        """How many contacts were read."""
        return len(self.contacts)

    @property
    def identities(self) -> tuple[tuple[Contact, ...], ...]:
        """The primaries, each for the identity that must not change meanwhile."""
        primaries = [contact for contact in self.contacts if contact.linked_id is None]
        if self.primary is not None:
            primaries.append(self.primary)
        return tuple((primary,) for primary in primaries)
