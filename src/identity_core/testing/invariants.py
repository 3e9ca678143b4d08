"""The invariants of recorded contacts and evidence."""

from collections import Counter
from collections.abc import Collection, Iterator

from identity_core import ContactDetails, LinkPrecedence, Snapshot


def violations(snapshot: Snapshot, acknowledged: Collection[ContactDetails] = ()) -> list[str]:
    """What is wrong with a snapshot, in words without personal values.

    Args:
        snapshot: of everything that was acknowledged.
        acknowledged: details that were identified; each of their pairs has to be recorded.
    """
    return [*_of_links(snapshot), *_of_identifiers(snapshot), *_of_pairs(snapshot, acknowledged)]


def _of_links(snapshot: Snapshot) -> Iterator[str]:
    for contacts in snapshot.identities:
        oldest = min(contacts, key=lambda contact: contact.seniority)
        primaries = [c for c in contacts if c.link_precedence is LinkPrecedence.PRIMARY]
        if len(primaries) != 1:
            yield f"the identity of contact {oldest.id} has {len(primaries)} primary contacts"
        for contact in contacts:
            if contact.linked_to(oldest) is not contact:
                yield f"contact {contact.id} does not point straight at contact {oldest.id}, the oldest"


def _of_identifiers(snapshot: Snapshot) -> Iterator[str]:
    holding = Counter(
        identifier
        for contacts in snapshot.identities
        for identifier in {value for contact in contacts for value in contact.key if value is not None}
    )
    if shared := sum(identities > 1 for identities in holding.values()):
        yield f"{shared} emails or phone numbers are in more than one identity"


def _of_pairs(snapshot: Snapshot, acknowledged: Collection[ContactDetails]) -> Iterator[str]:
    contacts = Counter(
        contact.key for contacts in snapshot.identities for contact in contacts if any(contact.key)
    )
    if repeated := sum(number > 1 for number in contacts.values()):
        yield f"{repeated} details are held by more than one contact"
    recorded = snapshot.evidence | snapshot.ignored
    if twice := sum(pair in contacts for pair in recorded):
        yield f"{twice} pairs are recorded both as a contact and as evidence"
    pairs = {details.pair for details in acknowledged if details.pair is not None}
    if missing := len(pairs - contacts.keys() - recorded):
        yield f"{missing} acknowledged pairs are not recorded"
