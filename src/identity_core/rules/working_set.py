"""The working set: the identities of a snapshot while a batch is decided.

It is a union-find forest (Tarjan, Efficiency of a good but not linear set union algorithm, 1975):
merging sets one pointer, and `Component.root` follows the pointers.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

from attrs import define

from identity_core.model.contact import Contact
from identity_core.model.details import ContactDetails
from identity_core.model.identifiers import Identifier, to_identifiers
from identity_core.model.identity import NOBODY, Identity
from identity_core.model.rule_set import NO_LIMITS, Hold
from identity_core.model.snapshot import Snapshot


@define(eq=False)
class Component:
    """The contacts of one identity, oldest first, while a batch is decided."""

    contacts: list[Contact]
    merged_into: "Component | None" = None
    identity: Identity | None = None

    @property
    def primary(self) -> Contact:
        return self.contacts[0]

    @property
    def root(self) -> "Component":
        """The component that this one was merged into, in any number of steps; else itself."""
        component = self
        while component.merged_into is not None:
            component = component.merged_into
        return component

    def earlier_date(self, details: ContactDetails) -> datetime | None:
        """The time of the details if it is before the primary's, else None."""
        if details.seen_at is None or details.seen_at >= self.primary.created_at:
            return None
        return details.seen_at


class WorkingSet:
    """A snapshot, indexed by the identifiers and keys that occur in a batch.

    Attributes:
        holders: by key, the contact that holds these details.
        evidence: the pairs that are recorded as evidence, and count.
        ignored: the pairs that are recorded, and do not count.
        rules: the rules in force.
        accepted: the pairs that pins keep together; no limit holds them.
        is_ruled: whether rulings or rules may have something to say about the batch.
    """

    def __init__(self, batch: Sequence[ContactDetails], snapshot: Snapshot) -> None:
        self._by_email: dict[str | None, list[Component]] = {
            details.email: [] for details in batch if details.email is not None
        }
        self._by_phone_number: dict[str | None, list[Component]] = {
            details.phone_number: [] for details in batch if details.phone_number is not None
        }
        self._keys = {details.key for details in batch}
        self.ignored = {*snapshot.ignored}
        self.rules = snapshot.rules
        self.accepted = snapshot.accepted
        self.is_ruled = bool(snapshot.ignored or snapshot.apart) or not snapshot.rules.is_off
        self._counts_pairs = snapshot.rules.limits.counts_pairs
        self._paired = Counter(snapshot.paired)
        self._numbers: defaultdict[str, set[str]] = defaultdict(set)
        self._emails: defaultdict[str, set[str]] = defaultdict(set)
        if self.is_ruled:
            self._keys |= {(details.email, None) for details in batch}
            self._keys |= {(None, details.phone_number) for details in batch}
        self.holders: dict[tuple[str | None, str | None], Contact] = {}
        self.evidence = set(snapshot.evidence)
        self._components = [Component(list(contacts)) for contacts in snapshot.identities]
        for component, contacts in zip(self._components, snapshot.identities, strict=True):
            for contact in contacts:
                self.add(contact, component)
        self._apart = self._find_apart(snapshot) if snapshot.apart else []

    def take_alone(self, details: ContactDetails) -> tuple[ContactDetails, ContactDetails]:
        """Each value of details alone, the email first."""
        return (
            ContactDetails.from_trusted(details.email, None, details.seen_at),
            ContactDetails.from_trusted(None, details.phone_number, details.seen_at),
        )

    def find_ends_apart(self, details: ContactDetails) -> tuple[Component, Component] | None:
        """The components of the email and the phone number, if a pin keeps them apart and the pair is new."""
        if not self._apart:
            return None
        ends = [component for one in self.take_alone(details) for component in self.find_matches(one)]
        return (ends[0], ends[1]) if len(ends) == 2 and self.are_apart(ends) else None

    def are_apart(self, components: Sequence[Component]) -> bool:
        """Whether a pin keeps two of these components apart."""
        return any(one.root in components and other.root in components for one, other in self._apart)

    def add(self, contact: Contact, component: Component) -> None:
        """Index a contact of a component; of contacts with equal details the first stays."""
        for identifier, index in (
            (contact.email, self._by_email),
            (contact.phone_number, self._by_phone_number),
        ):
            if identifier in index and (not index[identifier] or index[identifier][-1] is not component):
                index[identifier].append(component)
        if contact.key in self._keys:
            self.holders.setdefault(contact.key, contact)
        if self._counts_pairs and contact.email is not None and contact.phone_number is not None:
            if contact.email in self._by_email:
                self._numbers[contact.email].add(contact.phone_number)
            if contact.phone_number in self._by_phone_number:
                self._emails[contact.phone_number].add(contact.email)

    def count_pair(self, pair: tuple[str, str], by: int) -> None:
        """Count a pair that evidence holds from now on, or no longer."""
        if self._counts_pairs:
            for identifier in to_identifiers(*pair):
                self._paired[identifier] += by

    def find_hold(self, details: ContactDetails) -> Hold | None:
        """The limit that a new pair would exceed; None if it may count."""
        pair, limits = details.pair, self.rules.limits
        if pair is None or limits == NO_LIMITS or pair in self.accepted:
            return None
        email, number = to_identifiers(*pair)
        phone_numbers = len(self._numbers[email.value]) + self._paired[email]
        emails = len(self._emails[number.value]) + self._paired[number]
        if not limits.counts_values:
            return limits.find_hold(phone_numbers, emails)
        ends = [self._find_size(one) for one in self.take_alone(details)]
        matches = self.find_matches(details)
        are_joined = len(matches) == 1 and self.knows_all(details)
        return limits.find_hold(phone_numbers, emails, *ends, are_joined=are_joined)

    def _find_size(self, details: ContactDetails) -> int:
        """How many values belong to the one value that details hold, itself included."""
        matches = self.find_matches(details)
        return sum(map(_count_values, matches)) if matches else 1

    def _find_apart(self, snapshot: Snapshot) -> list[tuple[Component, Component]]:
        """The components that pins keep apart, two by two."""
        ends = {identifier for pin in snapshot.apart for identifier in pin}
        holding: defaultdict[Identifier, list[Component]] = defaultdict(list)
        for component in self._components:
            for contact in component.contacts:
                for identifier in ends.intersection(contact.identifiers):
                    holding[identifier].append(component)
        return [(a, b) for one, other in snapshot.apart for a in holding[one] for b in holding[other]]

    def find_matches(self, details: ContactDetails) -> list[Component]:
        """The components that hold the email or the phone number, each once."""
        found: dict[Component, None] = {}
        for component in self._by_email.get(details.email, ()):
            found[component.root] = None
        for component in self._by_phone_number.get(details.phone_number, ()):
            found[component.root] = None
        return list(found)

    def knows_all(self, details: ContactDetails) -> bool:
        """Whether neither the email nor the phone number is new."""
        return bool(
            (details.email is None or self._by_email[details.email])
            and (details.phone_number is None or self._by_phone_number[details.phone_number])
        )

    def is_recorded(self, pair: tuple[str, str]) -> bool:
        """Whether a contact or a piece of evidence holds the pair."""
        return pair in self.holders or pair in self.evidence

    def is_on_record(self, pair: tuple[str, str]) -> bool:
        """Whether the pair is recorded, whether it counts or not."""
        return pair in self.ignored or self.is_recorded(pair)

    def is_known(self, details: ContactDetails, matches: Sequence[Component]) -> bool:
        """Whether the details, which match these components, change nothing."""
        return (
            len(matches) == 1
            and self.knows_all(details)
            and (details.pair is None or self.is_recorded(details.pair))
            and matches[0].earlier_date(details) is None
        )

    def consolidate(self, component: Component | None) -> Identity:
        """The identity of a component, made once however often it is asked for; of None, that of nobody."""
        if component is None:
            return NOBODY
        component = component.root
        if component.identity is None:
            component.identity = Identity.of(component.contacts)
        return component.identity


def _count_values(component: Component) -> int:
    return len({identifier for contact in component.contacts for identifier in contact.identifiers})
