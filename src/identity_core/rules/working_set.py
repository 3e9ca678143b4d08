"""The working set: the identities of a snapshot while a batch is decided.

It is a union-find forest (Tarjan, Efficiency of a good but not linear set union algorithm, 1975):
merging sets one pointer, and `Component.root` follows the pointers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from attrs import define

from identity_core.model.columns import ContactColumns
from identity_core.model.contact import Contact
from identity_core.model.details import ContactDetails
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.identity import NOBODY, Identity
from identity_core.model.rule_set import Hold
from identity_core.model.snapshot import Snapshot


@define(eq=False)
class Component:
    """The contacts of one identity, oldest first, while a batch is decided.

    Attributes:
        contacts: the contacts; of an identity in columns, the primary alone.
        merged_into: the component that it became a part of.
        identity: its identity, once that was asked for.
        size: how many values belong to it, once that was asked for.
    """

    contacts: list[Contact]
    merged_into: "Component | None" = None
    identity: Identity | None = None
    size: int | None = None

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


class _Partners:
    """With how many values of the other kind the values of a batch are in pairs that count.

    Args:
        batch: the details with these values.
        paired: in how many pieces of evidence that count each value is.
    """

    def __init__(self, batch: Sequence[ContactDetails], paired: Mapping[Identifier, int]) -> None:
        self._numbers: dict[str | None, set[str]] = {details.email: set() for details in batch}
        self._emails: dict[str | None, set[str]] = {details.phone_number: set() for details in batch}
        self._numbers_in_evidence: defaultdict[str, int] = defaultdict(int)
        self._emails_in_evidence: defaultdict[str, int] = defaultdict(int)
        for (kind, value), number in paired.items():
            is_email = kind is IdentifierKind.EMAIL
            (self._numbers_in_evidence if is_email else self._emails_in_evidence)[value] = number

    def add(self, contact: Contact) -> None:
        """Count the pair of a contact, once however many contacts hold it."""
        email, number = contact.email, contact.phone_number
        if email is not None and number is not None:
            if email in self._numbers:
                self._numbers[email].add(number)
            if number in self._emails:
                self._emails[number].add(email)

    def add_evidence(self, pair: tuple[str, str], by: int) -> None:
        """Count a pair that evidence holds from now on, or no longer."""
        email, number = pair
        self._numbers_in_evidence[email] += by
        self._emails_in_evidence[number] += by

    def count(self, pair: tuple[str, str]) -> tuple[int, int]:
        """With how many phone numbers the email is, and with how many emails the phone number."""
        email, number = pair
        return (
            len(self._numbers[email]) + self._numbers_in_evidence[email],
            len(self._emails[number]) + self._emails_in_evidence[number],
        )


class WorkingSet:
    """A snapshot, indexed by the identifiers and keys that occur in a batch.

    Attributes:
        holders: by key, the contact that holds these details.
        evidence: the pairs that are recorded as evidence, and count, or that identities in columns hold.
        ignored: the pairs that are recorded, and do not count.
        is_ruled: whether rulings or rules may have something to say about the batch.
        suppressed: the values that are kept out.
    """

    def __init__(
        self, batch: Sequence[ContactDetails], snapshot: Snapshot, *, is_partial: bool = False
    ) -> None:
        self._by_email: dict[str | None, list[Component]] = {
            details.email: [] for details in batch if details.email is not None
        }
        self._by_phone_number: dict[str | None, list[Component]] = {
            details.phone_number: [] for details in batch if details.phone_number is not None
        }
        self._keys = {details.key for details in batch}
        self.ignored = {*snapshot.ignored}
        self._blocked = snapshot.rules.pick_blocked(batch)
        self._limits = snapshot.rules.limits if snapshot.rules.is_limited else None
        self._hold_of_strangers = None if self._limits is None else self._limits.find_hold(0, 0, 1, 1)
        self._accepted = snapshot.accepted
        self.suppressed = snapshot.suppressed
        self._partners: _Partners | None = None
        self.is_ruled = bool(snapshot.ignored or snapshot.apart or self._blocked or self._limits is not None)
        if self.is_ruled or is_partial:
            # Whoever holds a value alone matters only where it may be dated back.
            for details in batch:
                if details.seen_at is not None:
                    self._keys |= {(details.email, None), (None, details.phone_number)}
        self.holders: dict[tuple[str | None, str | None], Contact] = {}
        self.evidence = set(snapshot.evidence)
        self._components: list[Component] = []
        self._learned: set[int] = set()
        self._add_identities(snapshot.identities)
        if snapshot.columns:
            self._index_columns(batch, snapshot.columns)
        self._apart = self._find_apart(snapshot) if snapshot.apart else []

    def learn(self, snapshot: Snapshot) -> None:
        """Add what is known of some of the batch, as it was before anything of the batch was decided."""
        # Of identities that were added before, this does not tell what became of them.
        self._add_identities(
            contacts for contacts in snapshot.identities if contacts[0].id not in self._learned
        )
        # Nor does it tell of the pairs that a contact holds by now.
        self.evidence.update(pair for pair in snapshot.evidence if pair not in self.holders)
        self.ignored.update(snapshot.ignored)
        self.suppressed |= snapshot.suppressed
        self.is_ruled = self.is_ruled or bool(snapshot.ignored)

    def _add_identities(self, identities: Iterable[Sequence[Contact]]) -> None:
        for contacts in identities:
            component = Component([*contacts])
            self._components.append(component)
            self._learned.add(contacts[0].id)
            for contact in contacts:
                self._index(contact, component)

    def count_pairs(self, batch: Sequence[ContactDetails], paired: Mapping[Identifier, int]) -> None:
        """Count from now on in how many pairs each value is, if limits do; `paired` are those of evidence."""
        if self._limits is None or not self._limits.counts_pairs:
            return
        self._partners = _Partners(batch, paired)
        for component in self._components:
            for contact in component.contacts:
                self._partners.add(contact)

    def find_blocked(self, details: ContactDetails) -> tuple[IdentifierKind, ...]:
        """Which of the email and the phone number identify nobody."""
        if not self._blocked:
            return ()
        return tuple(identifier.kind for identifier in details.identifiers if identifier in self._blocked)

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
        """Index a new contact of a component."""
        if component.size is not None:
            component.size += (not self._by_email.get(contact.email, True)) + (
                not self._by_phone_number.get(contact.phone_number, True)
            )
        self._index(contact, component)
        if self._partners is not None:
            self._partners.add(contact)

    def _index(self, contact: Contact, component: Component) -> None:
        """Index a contact of a component; of contacts with equal details the first stays."""
        for components in (
            self._by_email.get(contact.email),
            self._by_phone_number.get(contact.phone_number),
        ):
            if components is not None and (not components or components[-1] is not component):
                components.append(component)
        key = contact.key
        if key in self._keys:
            self.holders.setdefault(key, contact)

    def _index_columns(self, batch: Sequence[ContactDetails], identities: Sequence[ContactColumns]) -> None:
        """Index identities that no decision changes, so it does not matter which contact holds a pair."""
        pairs = {details.pair for details in batch if details.pair is not None}
        for columns in identities:
            component = Component([columns.primary], identity=columns.consolidate())
            emails = self._by_email.keys() & columns.emails
            phone_numbers = self._by_phone_number.keys() & columns.phone_numbers
            for email in emails:
                self._by_email[email].append(component)
            for phone_number in phone_numbers:
                self._by_phone_number[phone_number].append(component)
            if emails and phone_numbers:
                self.evidence |= pairs.intersection(zip(columns.emails, columns.phone_numbers, strict=True))

    def count_pair(self, pair: tuple[str, str], by: int) -> None:
        """Count a pair that evidence holds from now on, or no longer."""
        if self._partners is not None:
            self._partners.add_evidence(pair, by)

    def find_hold(self, pair: tuple[str, str]) -> Hold | None:
        """The limit that a new pair would exceed; None if it may count."""
        limits = self._limits
        if limits is None or pair in self._accepted:
            return None
        with_email, with_number = self._by_email[pair[0]], self._by_phone_number[pair[1]]
        if not with_email and not with_number:  # most pairs that limits are asked about
            return self._hold_of_strangers
        one = {component.root for component in with_email}
        other = {component.root for component in with_number}
        phone_numbers, emails = (0, 0) if self._partners is None else self._partners.count(pair)
        return limits.find_hold(
            phone_numbers,
            emails,
            sum(map(_find_size, one)) or 1,
            sum(map(_find_size, other)) or 1,
            are_joined=len(one) == 1 and one == other,
        )

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
        with_email = self._by_email.get(details.email, ())
        with_number = self._by_phone_number.get(details.phone_number, ())
        if not with_email and not with_number:  # most details of an import
            return []
        return [*dict.fromkeys(component.root for component in (*with_email, *with_number))]

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
        return pair in self.ignored or pair in self.holders or pair in self.evidence

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


def _find_size(component: Component) -> int:
    """How many values belong to a component, counted once however often it is asked for."""
    if component.size is None:
        emails = {contact.email for contact in component.contacts}
        numbers = {contact.phone_number for contact in component.contacts}
        component.size = len(emails - {None}) + len(numbers - {None})
    return component.size
