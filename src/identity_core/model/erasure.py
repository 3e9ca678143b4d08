"""Erasures: what goes when a person is erased, and what stays on record of it, which is ids alone."""

from collections.abc import Iterable, Set
from datetime import datetime

from attrs import frozen

from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.rule_set import RuleSet, RulesInForce


@frozen
class BlockMark:
    """Where rules blocked a value by itself, without the value.

    Attributes:
        version: of the rules.
        kind: of the value.
        position: which of the emails or phone numbers that the rules block by themselves it was, sorted.
    """

    version: int
    kind: IdentifierKind
    position: int


@frozen
class Erasure:
    """What an erasure removes, all of it or nothing.

    Evidence and rulings go if they name one of the values, whether they count or are in force. In rules that
    are no longer in force, and in the reasons of what stays, the values are struck out.

    Attributes:
        id: from the same supply as contact ids.
        values: the values that go.
        contact_ids: the contacts that go, deleted ones included, in ascending order.
        erased_by: who erases; None if nobody said.
        suppressed_until: until when the values are kept out, in UTC; None if they may come back.
        rules: the rules from now on, if those in force named one of the values; else None.
        evidence_ids: evidence that goes whatever it names.
        ruling_ids: rulings that go whatever they name.
        again: an erasure that is put on record with this one, which carries it out again; else None.
    """

    id: int
    values: frozenset[Identifier]
    contact_ids: tuple[int, ...]
    erased_by: str | None
    suppressed_until: datetime | None = None
    rules: RuleSet | None = None
    evidence_ids: tuple[int, ...] = ()
    ruling_ids: tuple[int, ...] = ()
    again: "LedgerEntry | None" = None


@frozen
class LedgerEntry:
    """An erasure, as the ledger has it: ids alone.

    Attributes:
        id: of the erasure.
        erased_at: when, in UTC.
        erased_by: who erased; None if nobody said.
        contact_ids: the contacts that went, in ascending order.
        evidence_ids: the evidence that went.
        ruling_ids: the rulings that went.
        blocks: where rules blocked a value that went.
        suppressed_until: until when its values are kept out, in UTC; None if they may come back.
    """

    id: int
    erased_at: datetime
    erased_by: str | None
    contact_ids: tuple[int, ...]
    evidence_ids: tuple[int, ...]
    ruling_ids: tuple[int, ...]
    blocks: tuple[BlockMark, ...] = ()
    suppressed_until: datetime | None = None

    @property
    def last_id(self) -> int:
        """The largest id that it names."""
        return max([self.id, *self.contact_ids, *self.evidence_ids, *self.ruling_ids])

    def find_blocked(self, rules: Iterable[RulesInForce]) -> set[Identifier]:
        """The values that rules blocked, as far as a backup brought these rules back."""
        by_version = {one.version: one.rules for one in rules}
        found: set[Identifier] = set()
        for mark in self.blocks:
            if (blocking := by_version.get(mark.version)) is not None:
                values = blocking.list_blocked(mark.kind)
                found.update(values[mark.position : mark.position + 1])
        return found


def find_block_marks(rules: Iterable[RulesInForce], values: Set[Identifier]) -> tuple[BlockMark, ...]:
    """Where some rules block some values by themselves."""
    return tuple(
        BlockMark(one.version, kind, position)
        for one in rules
        for kind in IdentifierKind
        for position, value in enumerate(one.rules.list_blocked(kind))
        if value in values
    )


@frozen
class Leftover:
    """What is left of an erasure, because a backup brought it back.

    Attributes:
        table: ``contacts``, ``contact_evidence``, ``contact_rulings`` or, where rules still block a value,
            ``contact_rules``.
        id: of what is left; of rules, the version.
        is_newer: whether it was written after the erasure, and not by another erasure, so that it may be
            something else by now.
    """

    table: str
    id: int
    is_newer: bool = False
