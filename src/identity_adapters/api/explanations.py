"""Answers that explain identities."""

import msgspec

from identity_adapters.api import IdentifierValue, Time
from identity_adapters.api.rules import HeldBy
from identity_core import Explanation, Link, LinkReason, WeakestLink


class ChainLink(msgspec.Struct, rename="camel", omit_defaults=True):
    """A step from one identifier to the next: by a contact, by evidence, by an inherited link, or by a pin.

    A link that is `undone`, `held` or `blocked` joins nothing. `heldBy` is the limit that holds it; it is
    left out if no limit does.
    """

    one: IdentifierValue
    other: IdentifierValue
    reason: LinkReason
    id: int
    seen_at: Time
    held_by: HeldBy | None = None


class WeakestLinkRecord(msgspec.Struct, rename="camel"):
    """The value whose removal separates the two identifiers."""

    identifier: IdentifierValue
    pairs: int
    contacts_before: int
    contacts_after: int


class ExplainAnswer(msgspec.Struct, rename="camel"):
    """The answer of `POST /explain`.

    If the two are not connected, the chain is what they share: some of its links are `undone`, `held` or
    `blocked`. The pins with `pinIds` keep them apart.
    """

    is_connected: bool
    chain: list[ChainLink]
    weakest_link: WeakestLinkRecord | None
    pin_ids: tuple[int, ...]


def to_explain_answer(explanation: Explanation | None) -> ExplainAnswer:
    """Convert an explanation to an answer."""
    if explanation is None:
        return ExplainAnswer(False, [], None, ())
    weakest = explanation.weakest_link
    return ExplainAnswer(
        explanation.is_joined,
        [to_chain_link(link) for link in explanation.chain],
        None if weakest is None else _to_weakest_link_record(weakest),
        explanation.pin_ids,
    )


def to_chain_link(link: Link) -> ChainLink:
    """Convert a link to an answer."""
    one, other = IdentifierValue.of(link.one), IdentifierValue.of(link.other)
    held_by = None if link.hold is None else HeldBy.of(link.hold)
    return ChainLink(one, other, link.reason, link.id, link.seen_at, held_by)


def _to_weakest_link_record(link: WeakestLink) -> WeakestLinkRecord:
    identifier = IdentifierValue.of(link.identifier)
    return WeakestLinkRecord(identifier, link.edges, link.contacts_before, link.contacts_after)
