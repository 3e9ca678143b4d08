"""What other rules would do to what is recorded."""

from collections.abc import Mapping

from attrs import frozen

from identity_core.model.identifiers import Identifier


@frozen
class AffectedIdentity:
    """An identity that other rules would change.

    Attributes:
        primary_id: its primary now.
        contacts: how many contacts it has now.
        parts: how many contacts of it each identity would have, the most first.
        joined_ids: the primaries of the identities that would become one with it.
        values: values of pairs that would stop counting or count again, each with the number of these
            pairs, the most first; at most five.
    """

    primary_id: int
    contacts: int
    parts: tuple[int, ...]
    joined_ids: tuple[int, ...]
    values: tuple[tuple[Identifier, int], ...]

    @property
    def moved(self) -> int:
        """How many contacts would leave the largest part of it, or would be joined by others."""
        return self.contacts - self.parts[0] if len(self.parts) > 1 else len(self.joined_ids)


@frozen
class RulesPreview:
    """What other rules would do; nothing is written.

    Attributes:
        plan: a token of the rules, of those in force, and of everything that would change.
        identities_before: how many identities there are.
        identities_after: how many there would be.
        split: how many would come apart.
        merged: how many would become one with others.
        blocked: how many pairs would stop counting because a value is blocked.
        unblocked: how many that were blocked would count again.
        held: how many pairs a limit would hold that does not hold them now.
        released: how many pairs that limits hold would count.
        sizes_before: of the affected identities, how many have so many contacts.
        sizes_after: of the identities that they would become, how many would have so many contacts.
        most_affected: the identities that most contacts would leave or join.
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
    sizes_before: Mapping[int, int]
    sizes_after: Mapping[int, int]
    most_affected: tuple[AffectedIdentity, ...]
