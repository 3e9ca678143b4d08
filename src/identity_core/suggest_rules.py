"""The use case that suggests which values to block."""

from collections.abc import Collection, Sequence
from heapq import nsmallest
from itertools import groupby

from identity_core.model.identifiers import Identifier
from identity_core.model.record import Record
from identity_core.model.rule_set import Hold, RuleSet
from identity_core.model.suggestion import SharedValue, Suggestion
from identity_core.ports import Offload, RuleBook, run_inline
from identity_core.rules.articulation import ArticulationPoint, find_articulation_points, rank_point
from identity_core.rules.foresee import foresee_block
from identity_core.rules.graph import build_graph_of

MAX_CONTACTS = 50_000
"""Identities with more contacts are not read."""


class SuggestRules:
    """Suggests which values to block: those that join most, with what blocking each of them would do.

    It looks at the values in most pairs that count, at those of which most pairs made one identity of several
    when they came, and at the articulation points of the largest identities: values without which these would
    fall into parts. It writes nothing.

    Args:
        book: keeps the rules.
        offload: runs the work on very large identities.

    >>> import asyncio
    >>> from identity_core import ContactDetails, IdentifyContacts, SuggestRules
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> repository = InMemoryContactRepository()
    >>> identify = IdentifyContacts(repository)
    >>> for email in ("doc@hillvalley.edu", "marty@hillvalley.edu", "biff@hillvalley.edu"):
    ...     identity = asyncio.run(identify(ContactDetails(email, "555-0123")))
    >>> [suggestion] = asyncio.run(SuggestRules(repository)())
    >>> suggestion.value.identifier.value, suggestion.value.partners, suggestion.parts
    ('5550123', 3, (1, 1, 1))
    """

    def __init__(self, book: RuleBook, *, offload: Offload = run_inline) -> None:
        self._book = book
        self._offload = offload

    async def __call__(self, limit: int = 10) -> list[Suggestion]:
        """Suggest values to block besides those that are blocked.

        In memory is one identity at a time.

        Args:
            limit: how many values are suggested at most; as many are looked at for each of the three reasons.

        Returns:
            the values, ranked by how many contacts would leave the largest part of their identity, or by
            their partners if the identity is too large to find out; then by their partners and merges.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        in_force = await self._book.rules()
        rules = in_force.rules
        released = in_force.replace(rules, None, 0).released
        points = await self._find_articulation_points(rules, limit)
        candidates = {*await self._book.most_shared(limit), *points}
        shared = await self._book.weigh([one for one in candidates if not rules.blocks(one)])
        suggestions: list[Suggestion] = []
        for _, group in groupby(sorted(shared, key=_find_primary), key=_find_primary):
            suggestions += await self._foresee(rules, [*group], released)
        return nsmallest(limit, suggestions, key=_rank)

    async def _find_articulation_points(self, rules: RuleSet, limit: int) -> list[Identifier]:
        """The articulation points of the largest identities without which most contacts would leave."""
        points: list[ArticulationPoint] = []
        for one in await self._book.weigh(await self._book.largest(limit)):
            if one.contacts <= MAX_CONTACTS:
                record = await self._read(rules, [one.identifier])
                found = await self._offload(record.size, _find_points, record, limit)
                points = nsmallest(limit, [*points, *found], key=rank_point)
        return [value for _, value in points]

    async def _foresee(
        self, rules: RuleSet, shared: Sequence[SharedValue], released: Collection[Hold]
    ) -> list[Suggestion]:
        """What blocking each of some values of one identity would do."""
        if shared[0].contacts > MAX_CONTACTS:
            return [Suggestion(one, None) for one in shared]
        record = await self._read(rules, [one.identifier for one in shared])
        suggestions: list[Suggestion] = []
        for one in shared:
            parts = await self._offload(record.size, foresee_block, record, one.identifier, released)
            if parts is not None:
                suggestions.append(Suggestion(one, parts))
        return suggestions

    async def _read(self, rules: RuleSet, values: Collection[Identifier]) -> Record:
        return await self._book.record_by(rules, values)


def _find_points(record: Record, limit: int) -> list[ArticulationPoint]:
    return find_articulation_points(build_graph_of(record), record.contacts, limit)


def _find_primary(shared: SharedValue) -> int:
    return shared.primary_id


def _rank(suggestion: Suggestion) -> tuple[int, int, int, Identifier]:
    """The sort key of suggestions; the first one has the smallest."""
    value = suggestion.value
    leaving = value.partners if suggestion.leaving is None else suggestion.leaving
    return -leaving, -value.partners, -value.merges, value.identifier
