"""The identities of a snapshot while a batch is decided on."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain

from attrs import define

from identity_core.contact import Contact
from identity_core.details import ContactDetails
from identity_core.identity import Identity
from identity_core.snapshot import Snapshot


@define(eq=False)
class Group:
    """The contacts of one identity, oldest first, while it is decided on."""

    contacts: list[Contact]
    merged_into: "Group | None" = None
    identity: Identity | None = None

    @property
    def primary(self) -> Contact:
        return self.contacts[0]

    @property
    def final(self) -> "Group":
        """The group that this one ended in."""
        group = self
        while group.merged_into is not None:
            group = group.merged_into
        return group

    def earlier(self, details: ContactDetails) -> datetime | None:
        """The time of the details if it is before the primary's, else None."""
        if details.seen_at is None or details.seen_at >= self.primary.created_at:
            return None
        return details.seen_at


class Draft:
    """A snapshot, found by the identifiers and keys that occur in a batch."""

    def __init__(self, batch: Sequence[ContactDetails], snapshot: Snapshot) -> None:
        self._by_email: dict[str | None, list[Group]] = {
            details.email: [] for details in batch if details.email is not None
        }
        self._by_phone_number: dict[str | None, list[Group]] = {
            details.phone_number: [] for details in batch if details.phone_number is not None
        }
        self._keys = {details.key for details in batch}
        self.holders: dict[tuple[str | None, str | None], Contact] = {}
        self.evidence = set(snapshot.evidence)
        for contacts in snapshot.identities:
            group = Group(list(contacts))
            for contact in contacts:
                self.enter(contact, group)

    def enter(self, contact: Contact, group: Group) -> None:
        """Have a contact of a group found by what it holds; of equal ones the first stays."""
        for identifier, index in (
            (contact.email, self._by_email),
            (contact.phone_number, self._by_phone_number),
        ):
            if identifier in index and (not index[identifier] or index[identifier][-1] is not group):
                index[identifier].append(group)
        if contact.key in self._keys:
            self.holders.setdefault(contact.key, contact)

    def touched(self, details: ContactDetails) -> list[Group]:
        """The groups that hold the email or the phone number, each once."""
        found: dict[Group, None] = {}
        for group in self._by_email.get(details.email, ()):
            found[group.final] = None
        for group in self._by_phone_number.get(details.phone_number, ()):
            found[group.final] = None
        return list(found)

    def knows_all(self, details: ContactDetails) -> bool:
        """Whether neither the email nor the phone number is new."""
        return bool(
            (details.email is None or self._by_email[details.email])
            and (details.phone_number is None or self._by_phone_number[details.phone_number])
        )

    def is_on_record(self, pair: tuple[str, str]) -> bool:
        return pair in self.holders or pair in self.evidence

    def is_settled(self, details: ContactDetails, touched: Sequence[Group]) -> bool:
        """Whether the details change nothing."""
        return (
            len(touched) == 1
            and self.knows_all(details)
            and (details.pair is None or self.is_on_record(details.pair))
            and touched[0].earlier(details) is None
        )

    def identity(self, group: Group) -> Identity:
        group = group.final
        if group.identity is None:
            group.identity = Identity.of(group.contacts)
        return group.identity


def merge(groups: Sequence[Group]) -> Group:
    """One group of all contacts: that of the oldest primary."""
    kept, *absorbed = sorted(groups, key=lambda group: group.primary.age)
    if absorbed:
        for group in absorbed:
            group.merged_into = kept
        kept.contacts = sorted(chain(*(group.contacts for group in groups)), key=lambda c: c.age)
    return kept
