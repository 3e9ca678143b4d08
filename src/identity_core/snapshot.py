"""What a repository knows about some details at one moment."""

from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter

from attrs import frozen

from identity_core.contact import Contact


@frozen
class Snapshot:
    """The live contacts of every identity that the details asked about touch.

    Attributes:
        identities: the contacts of each identity, oldest first.
        evidence: those of the pairs of email and phone number asked about that are on
            record as evidence.
    """

    identities: tuple[tuple[Contact, ...], ...] = ()
    evidence: frozenset[tuple[str, str]] = frozenset()

    @property
    def size(self) -> int:
        """How many contacts it holds."""
        return sum(map(len, self.identities))

    @classmethod
    def of(
        cls,
        contacts: Iterable[Contact],
        evidence: Collection[tuple[str, str]] = (),
        links_of_deleted: Mapping[int, int | None] | None = None,
    ) -> "Snapshot":
        """A snapshot of contacts that come in any order.

        Contacts belong to one identity if links join them, in however many steps and
        whichever way: a database that others wrote may hold secondaries of secondaries, a
        primary that was deleted, or links in a circle.

        Args:
            contacts: live contacts.
            evidence: pairs on record as evidence.
            links_of_deleted: what each deleted contact that stands between live ones is
                linked to, by id.
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
        return cls(tuple(map(tuple, identities.values())), frozenset(evidence))


def joined(links: Mapping[int, int | None]) -> list[list[int]]:
    """The ids of contacts, those that links join together, in however many steps and whichever way.

    Args:
        links: what each contact is linked to, by id.
    """
    roots: dict[int, int] = {}
    together: dict[int, list[int]] = {}
    for contact_id in links:
        together.setdefault(_root(contact_id, links, roots), []).append(contact_id)
    return [*together.values()]


def _root(contact_id: int, links: Mapping[int, int | None], roots: dict[int, int]) -> int:
    """The id that every contact of one identity leads to; found ones are kept in `roots`."""
    path: dict[int, None] = {}
    at = contact_id
    while at not in roots:
        path[at] = None
        above = links.get(at)
        if above is None:
            roots[at] = at
        elif above in path:  # a circle: whoever of it comes along, its smallest id stands for it
            circle = list(path)[list(path).index(above) :]
            roots[at] = min(circle)
        else:
            at = above
    for passed in path:
        roots[passed] = roots[at]
    return roots[at]
