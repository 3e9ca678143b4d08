"""What other rules would do."""

from collections.abc import Mapping

import msgspec

from identity_adapters.api import IdentifierValue
from identity_core.model.rules_preview import AffectedIdentity, RulesPreview

SIZES: tuple[tuple[int, int | None], ...] = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 100), (101, None))
"""The ranges of numbers of contacts by which identities are counted; the last one has no end."""

MAX_LISTED = 20
"""How many parts of an identity, and how many that would become one with it, an answer has at most."""


class SizeCount(msgspec.Struct, rename="camel"):
    """How many of the affected identities have so many contacts, and how many would have so many.

    `maxContacts` is null if there is no maximum.
    """

    min_contacts: int
    max_contacts: int | None
    before: int
    after: int


class ReasonRecord(msgspec.Struct, rename="camel"):
    """A value of pairs that would stop counting, or count again, and the number of these pairs."""

    value: IdentifierValue
    pairs: int


class AffectedRecord(msgspec.Struct, rename="camel"):
    """An identity that rules would change.

    - `parts` is how many identities it would be in; `contactsOfParts` is how many of its contacts each of
      them would have, the most first, of at most 20.
    - `joined` is how many identities would become one with it; `joinedPrimaryContactIds` are at most 20.
    - `reasons` are at most five, those of the most pairs first.
    """

    primary_contact_id: int
    total_contacts: int
    parts: int
    contacts_of_parts: tuple[int, ...]
    joined: int
    joined_primary_contact_ids: tuple[int, ...]
    reasons: list[ReasonRecord]


class RulesPreviewAnswer(msgspec.Struct, rename="camel"):
    """What rules would do.

    - `plan` is a token of the rules and of everything that they would change. Sent with the rules, it has the
      request fail if either has changed.
    - `identitiesBefore` and `identitiesAfter` are how many identities there are, and would be.
    - `split` is how many would come apart, and `merged` how many would become one with others.
    - `blocked` and `unblocked` are how many pairs would stop counting because a value is blocked, and how
      many would count again.
    - `held` and `released` are how many pairs limits would hold that do not hold them now, and how many they
      hold now that would count.
    - `sizes` counts the affected identities by the number of their contacts.
    - `mostAffected` are the twenty identities that most contacts would leave or join.
    """

    plan: str
    identities_before: int
    identities_after: int
    split: int
    merged: int
    blocked: int
    unblocked: int
    held: int
    released: int
    sizes: list[SizeCount]
    most_affected: list[AffectedRecord]


def to_rules_preview_answer(preview: RulesPreview) -> RulesPreviewAnswer:
    """Convert what rules would do to an answer."""
    return RulesPreviewAnswer(
        preview.plan,
        preview.identities_before,
        preview.identities_after,
        preview.split,
        preview.merged,
        preview.blocked,
        preview.unblocked,
        preview.held,
        preview.released,
        count_sizes(preview),
        [*map(_to_affected_record, preview.most_affected)],
    )


def count_sizes(preview: RulesPreview) -> list[SizeCount]:
    """Count the affected identities, as they are and as they would be, by their size."""
    return [
        SizeCount(
            smallest,
            largest,
            _count(preview.sizes_before, smallest, largest),
            _count(preview.sizes_after, smallest, largest),
        )
        for smallest, largest in SIZES
    ]


def _count(sizes: Mapping[int, int], smallest: int, largest: int | None) -> int:
    """How many identities have a size from the smallest to the largest.

    >>> _count({1: 5, 2: 3, 9: 1}, 2, None)
    4
    """
    return sum(
        number for size, number in sizes.items() if smallest <= size and (largest is None or size <= largest)
    )


def _to_affected_record(identity: AffectedIdentity) -> AffectedRecord:
    return AffectedRecord(
        identity.primary_id,
        identity.contacts,
        len(identity.parts),
        identity.parts[:MAX_LISTED],
        len(identity.joined_ids),
        identity.joined_ids[:MAX_LISTED],
        [ReasonRecord(IdentifierValue.of(value), pairs) for value, pairs in identity.values],
    )
