"""Answers that explain identities."""

import msgspec

from identity_adapters.api import IdentifierValue, Time
from identity_core import Explanation, Link, LinkReason, WeakestLink


class ChainLink(msgspec.Struct, rename="camel"):
    """A step from one identifier to the next: by a contact, by evidence, by an inherited link, or by a pin.

    A link that is `undone` or `held` joins nothing.
    """

    one: IdentifierValue
    other: IdentifierValue
    reason: LinkReason
    id: int
    seen_at: Time


class WeakestLinkRecord(msgspec.Struct, rename="camel"):
    """The value whose removal separates the two identifiers."""

    identifier: IdentifierValue
    pairs: int
    contacts_before: int
    contacts_after: int


class ExplainAnswer(msgspec.Struct, rename="camel"):
    """The answer of `POST /explain`.

    If the two are not connected, the chain is what they share: some of its links are `undone` or `held`. The
    pins with `pinIds` keep them apart.
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
    return ChainLink(one, other, link.reason, link.id, link.seen_at)


def _to_weakest_link_record(link: WeakestLink) -> WeakestLinkRecord:
    identifier = IdentifierValue.of(link.identifier)
    return WeakestLinkRecord(identifier, link.edges, link.contacts_before, link.contacts_after)
