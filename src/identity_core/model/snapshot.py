"""A snapshot: what a repository knows about some details at one moment."""

from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter

from attrs import evolve, field, frozen

from identity_core.model.columns import ContactColumns
from identity_core.model.contact import Contact
from identity_core.model.identifiers import Identifier
from identity_core.model.rule_set import NO_RULES, RuleSet


@frozen
class Snapshot:
    """The live contacts of every identity that some details match.

    Attributes:
        identities: the contacts of each identity, oldest first.
        evidence: those of their pairs of email and phone number that are recorded as evidence, and count.
        ignored: those of their pairs that are on record and do not count, because they are undone, held or
            blocked.
        apart: values that pins keep apart, two by two, if both belong to the identities. Only a decision
            gets them.
        rules: the rules in force. Identities that only blocked values match are left out.
        paired: for each value of the details, in how many pieces of evidence that count it is. Only a
            decision gets them, if limits count pairs.
        accepted: those of their pairs that pins keep together. Only a decision gets them, and only if
            something is limited.
        columns: further identities, as columns. A decision gets none.
        suppressed: those values of the details that are kept out. Only a decision gets them.
    """

    identities: tuple[tuple[Contact, ...], ...] = ()
    evidence: frozenset[tuple[str, str]] = frozenset()
    ignored: frozenset[tuple[str, str]] = frozenset()
    apart: tuple[tuple[Identifier, Identifier], ...] = ()
    rules: RuleSet = NO_RULES
    paired: Mapping[Identifier, int] = field(factory=dict)
    accepted: frozenset[tuple[str, str]] = frozenset()
    columns: tuple[ContactColumns, ...] = ()
    suppressed: frozenset[Identifier] = frozenset()

    @property
    def size(self) -> int:
        """How many contacts it holds."""
        return sum(map(len, self.identities)) + sum(len(columns.ids) for columns in self.columns)

    @property
    def size_of_largest(self) -> int:
        """How many contacts the largest identity has."""
        sizes = [*map(len, self.identities), *(len(columns.ids) for columns in self.columns)]
        return max(sizes, default=0)

    def to_columns(self) -> "Snapshot":
        """The same, with each identity as columns."""
        return evolve(self, identities=(), columns=(*map(ContactColumns.of, self.identities), *self.columns))

    @classmethod
    def of(
        cls,
        contacts: Iterable[Contact],
        evidence: Collection[tuple[str, str]] = (),
        ignored: Collection[tuple[str, str]] = (),
        links_of_deleted: Mapping[int, int | None] | None = None,
        rules: RuleSet = NO_RULES,
    ) -> "Snapshot":
        """Group contacts, in any order, into a snapshot.

        Contacts belong to one identity if links join them, in any number of steps and in
        either direction: a database that others wrote may hold secondaries of secondaries, a
        primary that was deleted, or links in a circle.

        Args:
            contacts: live contacts.
            evidence: pairs that are recorded as evidence, and count.
            ignored: pairs that are recorded, and do not count.
            links_of_deleted: by id, the `linked_id` of each deleted contact that lies between live ones.
            rules: the rules in force.
        """
        oldest_first = sorted(contacts, key=attrgetter("created_at", "id"))
        links = {contact.id: contact.linked_id for contact in oldest_first}
        links.update(links_of_deleted or {})
        roots: dict[int, int] = {}
        identities: dict[int, list[Contact]] = {}
        for contact in oldest_first:
            root = contact.id if contact.linked_id is None else contact.linked_id
            if links.get(root) is not None:
                root = _root(root, links, roots)
            identities.setdefault(root, []).append(contact)
        return cls(
            tuple(map(tuple, identities.values())), frozenset(evidence), frozenset(ignored), rules=rules
        )


def group_linked(links: Mapping[int, int | None]) -> list[list[int]]:
    """Group the ids of contacts that links join, in any number of steps and in either direction.

    Args:
        links: the `linked_id` of each contact, by id.
    """
    roots: dict[int, int] = {}
    groups: dict[int, list[int]] = {}
    for contact_id in links:
        groups.setdefault(_root(contact_id, links, roots), []).append(contact_id)
    return [*groups.values()]


def _root(contact_id: int, links: Mapping[int, int | None], roots: dict[int, int]) -> int:
    """The id that every contact of one identity leads to; `roots` keeps what was found."""
    path: dict[int, None] = {}
    at = contact_id
    while at not in roots:
        path[at] = None
        above = links.get(at)
        if above is None:
            roots[at] = at
        elif above in path:  # a circle: wherever it is entered, its smallest id stands for it
            circle = list(path)[list(path).index(above) :]
            roots[at] = min(circle)
        else:
            at = above
    for passed in path:
        roots[passed] = roots[at]
    return roots[at]
