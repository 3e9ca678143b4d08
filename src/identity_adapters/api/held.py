"""The pairs that limits hold, and wait for somebody to accept or reject them."""

from collections.abc import Sequence

import msgspec

from identity_adapters.api import Time
from identity_adapters.api.explanations import ChainLink, to_chain_link
from identity_adapters.api.rules import HeldBy
from identity_core import ContactDetails, Evidence, Hold, Link, QueryIdentities


class IdentitySize(msgspec.Struct, rename="camel"):
    """An identity: its primary, and how many contacts it has."""

    primary_contact_id: int
    total_contacts: int


class HeldPair(msgspec.Struct, rename="camel"):
    """A pair of email and phone number that a limit holds.

    `chain` are the links that join the two without the pair; it is empty if nothing does. The identity of a
    value is null if no contact has the value any more.
    """

    id: int
    email: str
    phone_number: str
    seen_at: Time
    held_by: HeldBy
    identity_of_email: IdentitySize | None
    identity_of_phone_number: IdentitySize | None
    chain: list[ChainLink]


class HeldAnswer(msgspec.Struct):
    """Pairs that limits hold, oldest first. `next` is the `after` of the next page; null on the last page."""

    held: list[HeldPair]
    next: int | None


async def to_held_answer(queries: QueryIdentities, held: Sequence[Evidence], limit: int) -> HeldAnswer:
    """Convert the first `limit` of some held pairs to an answer, with what is known of their values."""
    pairs = [await _to_held_pair(queries, piece) for piece in held[:limit]]
    return HeldAnswer(pairs, pairs[-1].id if len(held) > limit else None)


async def _to_held_pair(queries: QueryIdentities, piece: Evidence) -> HeldPair:
    one = await _find_size(queries, ContactDetails.from_trusted(piece.email, None))
    other = await _find_size(queries, ContactDetails.from_trusted(None, piece.phone_number))
    chain: tuple[Link, ...] = ()
    if one is not None and other is not None and one.primary_contact_id == other.primary_contact_id:
        explanation = await queries.explain(*piece.identifiers)
        if explanation is not None and explanation.is_joined:
            chain = explanation.chain
    return HeldPair(
        piece.id,
        piece.email,
        piece.phone_number,
        piece.seen_at,
        HeldBy.of(piece.hold or Hold.UNCHECKED),
        one,
        other,
        [*map(to_chain_link, chain)],
    )


async def _find_size(queries: QueryIdentities, details: ContactDetails) -> IdentitySize | None:
    pages = await queries.pages(details, limit=1)
    return IdentitySize(pages[0].primary_contact_id, pages[0].total_contacts) if pages else None
