"""The evidence graph of an identity, as an answer."""

from datetime import datetime

import msgspec

from identity_adapters.api import Time
from identity_adapters.api.rules import HeldBy
from identity_core import IdentifierKind, IdentityGraph, Link, LinkReason, Node, Ruling, Verdict


class GraphValue(msgspec.Struct, rename="camel", omit_defaults=True):
    """A value: an email or a phone number.

    `isMember` is whether it belongs to the identity; it is left out where it is true. A value that is no
    member is the far end of a link that does not count, or of a pin. `isBlocked` is whether the rules in
    force block it; it is left out where it is false.
    """

    email: str | None = None
    phone_number: str | None = None
    is_member: bool = True
    is_blocked: bool = False


class GraphLink(msgspec.Struct, rename="camel", omit_defaults=True):
    """A link between two values, by their positions in `values`.

    A link that is `undone`, `held` or `blocked` joins nothing. `heldBy` is the limit that holds it; it is
    left out if no limit does.
    """

    one: int
    other: int
    reason: LinkReason
    id: int
    seen_at: Time
    held_by: HeldBy | None = None


class GraphPin(msgspec.Struct, rename="camel"):
    """A pin, with the positions of its values in `values`."""

    id: int
    verdict: Verdict
    one: int
    other: int
    decided_at: Time
    decided_by: str | None
    reason: str


class WeakestValueRecord(msgspec.Struct, rename="camel"):
    """The value, by its position in `values`, without which most contacts would leave the largest part."""

    value: int
    leaving_contacts: int


class GraphAnswer(msgspec.Struct, rename="camel"):
    """The answer of `GET /identities/{contactId}/graph`.

    `asOf` is the time that was asked for; null for now. `weakest` is null if no single value holds the
    identity together.
    """

    primary_contact_id: int
    as_of: Time | None
    total_contacts: int
    values: list[GraphValue]
    links: list[GraphLink]
    pins: list[GraphPin]
    weakest: WeakestValueRecord | None


def to_graph_answer(graph: IdentityGraph, moment: datetime | None = None) -> GraphAnswer:
    """Convert the graph of an identity, now or at a moment, to an answer."""
    positions = {node.identifier: position for position, node in enumerate(graph.nodes)}

    def to_link(link: Link) -> GraphLink:
        held_by = None if link.hold is None else HeldBy.of(link.hold)
        return GraphLink(
            positions[link.one], positions[link.other], link.reason, link.id, link.seen_at, held_by
        )

    def to_pin(pin: Ruling) -> GraphPin:
        one, other = positions[pin.one], positions[pin.other]
        return GraphPin(pin.id, pin.verdict, one, other, pin.decided_at, pin.decided_by, pin.reason)

    weakest = graph.weakest
    return GraphAnswer(
        graph.primary_contact_id,
        moment,
        graph.total_contacts,
        [*map(_to_value, graph.nodes)],
        [*map(to_link, graph.links)],
        [*map(to_pin, graph.pins)],
        None if weakest is None else WeakestValueRecord(positions[weakest.identifier], weakest.leaving),
    )


def _to_value(node: Node) -> GraphValue:
    kind, value = node.identifier
    email, phone_number = (value, None) if kind is IdentifierKind.EMAIL else (None, value)
    return GraphValue(email, phone_number, node.is_member, node.is_blocked)
