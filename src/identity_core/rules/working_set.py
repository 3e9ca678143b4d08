"""The working set: the identities of a snapshot while a batch is decided.

It is a union-find forest (Tarjan, Efficiency of a good but not linear set union algorithm, 1975):
merging sets one pointer, and `Component.root` follows the pointers.
"""

from collections.abc import Sequence
from datetime import datetime

from attrs import define

from identity_core.model.contact import Contact
from identity_core.model.details import ContactDetails
from identity_core.model.identity import Identity
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
        evidence: the pairs that are recorded as evidence.
    """

    def __init__(self, batch: Sequence[ContactDetails], snapshot: Snapshot) -> None:
        self._by_email: dict[str | None, list[Component]] = {
            details.email: [] for details in batch if details.email is not None
        }
        self._by_phone_number: dict[str | None, list[Component]] = {
            details.phone_number: [] for details in batch if details.phone_number is not None
        }
        self._keys = {details.key for details in batch}
        self.holders: dict[tuple[str | None, str | None], Contact] = {}
        self.evidence = set(snapshot.evidence)
        for contacts in snapshot.identities:
            component = Component(list(contacts))
            for contact in contacts:
                self.add(contact, component)

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

    def is_known(self, details: ContactDetails, matches: Sequence[Component]) -> bool:
        """Whether the details, which match these components, change nothing."""
        return (
            len(matches) == 1
            and self.knows_all(details)
            and (details.pair is None or self.is_recorded(details.pair))
            and matches[0].earlier_date(details) is None
        )

    def consolidate(self, component: Component) -> Identity:
        """The identity of a component, made once however often it is asked for."""
        component = component.root
        if component.identity is None:
            component.identity = Identity.of(component.contacts)
        return component.identity
