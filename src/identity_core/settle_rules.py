"""The use case that brings what was recorded before in line with the rules in force."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

from attrs import evolve, frozen

from identity_core.model.decision import WriteSet
from identity_core.model.identifiers import Identifier, to_identifiers
from identity_core.model.record import Record
from identity_core.model.rule_set import RuleSet, RulesInForce, UnsettledLink
from identity_core.ports import ContactRepository, HasWrites, Revise, RuleBook
from identity_core.rules.apply import (
    Applied,
    LeadsFurther,
    apply_retroactively,
    apply_rules,
    find_further_values,
)
from identity_core.rules.parts import attach, detach

IDS_AT_ONCE = 20_000
"""How many ids are looked at in one query for links that are not in line."""

LINKS_AT_ONCE = 32
"""How many links one transaction brings in line; others wait for it that long."""

LINKS_OF_LARGE_AT_ONCE = 120
"""The same, where a large identity has to be read whole each time."""

PARTS_AT_ONCE = 50
"""How many parts leave or join a large identity in one transaction."""

LARGE = 1_000
"""From how many contacts on an identity is brought in line part by part, as far as possible."""

Progress = Callable[[RulesInForce], None]
"""Called with the rules in force, and how far what was recorded is in line with them."""


class SettleRules:
    """Brings what was recorded in line with the rules in force, in short transactions.

    If that is interrupted, it goes on where it stopped.

    Args:
        repository: where the contacts are kept.
        book: keeps the rules of the same contacts.
        large: from how many contacts on an identity is brought in line part by part.
    """

    def __init__(self, repository: ContactRepository, book: RuleBook, *, large: int = LARGE) -> None:
        self._repository = repository
        self._book = book
        self._large = large

    async def __call__(self, on_progress: Progress = lambda _: None) -> RulesInForce:
        """Bring everything in line.

        Args:
            on_progress: called with how far it is; where identities are large, it begins anew once.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        version: int | None = None
        while not (in_force := await self._book.rules()).is_settled:
            if in_force.version != version:
                version, is_divided, considered = in_force.version, False, set[int]()
            links, settled_id = await self._book.unsettled(in_force, IDS_AT_ONCE, self._large)
            if not is_divided and any(link.large_ids for link in links):
                await self._settle_parts(in_force, on_progress)
                is_divided = True
            elif await self._settle_records(links, in_force, considered, are_whole=is_divided):
                await self._book.settle(version, settled_id)
                on_progress(evolve(in_force, settled_id=settled_id))
        return in_force

    async def _settle_records(
        self,
        links: Iterable[UnsettledLink],
        in_force: RulesInForce,
        considered: set[int],
        *,
        are_whole: bool,
    ) -> bool:
        """Bring all that links may join in line, in the order of their ids.

        Args:
            links: in the order of ids.
            in_force: the rules.
            considered: the hashes of the pairs to which limits were applied already; more are added.
            are_whole: whether large identities are read whole.

        Returns:
            False if an identity became large, whose parts may be brought in line first.
        """
        at_once = LINKS_AT_ONCE
        rest = (link for link in links if hash(link.ends) not in considered)
        while batch := list(islice(rest, at_once)):
            values = {value for link in batch for value in link.choose(in_force.rules)}
            if in_force.retroactive:
                settled = await self._settle_retroactively(values)
                considered.update(hash(to_identifiers(*pair)) for pair in settled.result.pairs)
                largest = settled.largest
            else:
                decide = partial(apply_rules, released=in_force.released)
                largest = (await self._repository.revise(values, _measure(decide))).largest
            if largest >= self._large:
                if not are_whole:
                    return False
                at_once = LINKS_OF_LARGE_AT_ONCE
        return True

    async def _settle_retroactively(self, values: Collection[Identifier]) -> "_Measured[Applied]":
        """Apply limits to all that some values lead to."""
        asked = {*values}
        while True:
            try:
                return await self._repository.revise(asked, _measure(apply_retroactively))
            except LeadsFurther as error:
                asked |= await self._follow(error.values)

    async def _follow(self, values: Collection[Identifier]) -> set[Identifier]:
        """Values that lead to all identities which pairs that limits hold join to some values."""
        rules = (await self._book.rules()).rules
        asked, known, further = set[Identifier](), set[Identifier](), frozenset(values)
        while further:
            asked |= further
            record = await self._book.record_by(rules, further)
            known |= record.known
            further = find_further_values(record) - known
        return asked

    async def _settle_parts(self, in_force: RulesInForce, on_progress: Progress) -> None:
        """Let parts of large identities leave or join, unless other rules are put in force meanwhile."""
        version = in_force.version
        leave, join = (partial(decide, released=in_force.released) for decide in (detach, attach))
        hubs: set[Identifier] = set()
        while not in_force.is_settled and (await self._book.rules()).version == version:
            links, settled_id = await self._book.unsettled(in_force, IDS_AT_ONCE, self._large)
            leaving, joining = sort_links(links, in_force.rules, hubs)
            for primary_id, values in leaving.items():
                for batch in cut(values):
                    await self._repository.revise_parts(primary_id, batch, leave)
            for (primary_id, hub), values in joining.items():
                for batch in cut(values):
                    await self._repository.revise_parts(primary_id, batch, join, [hub])
            in_force = evolve(in_force, settled_id=settled_id)
            on_progress(in_force)


R = TypeVar("R", bound=HasWrites)


@frozen
class _Measured(Generic[R]):
    """What was decided about a record, and how many contacts the largest identity of the record had."""

    result: R
    largest: int

    @property
    def writes(self) -> WriteSet:
        return self.result.writes


def _measure(decide: Revise[R]) -> Revise[_Measured[R]]:
    def measured(record: Record, now: datetime, ids: Iterator[int]) -> _Measured[R]:
        return _Measured(decide(record, now, ids), max(map(len, record.identities), default=0))

    return measured


def sort_links(
    links: Sequence[UnsettledLink], rules: RuleSet, hubs: set[Identifier]
) -> tuple[dict[int, set[Identifier]], dict[tuple[int, Identifier], set[Identifier]]]:
    """Sort values that links lead to.

    Args:
        links: in any order.
        rules: those in force.
        hubs: values of large identities that others may join; those found are added.

    Returns:
        values that may leave, by the primary of the large identity; and values that may join one, by its
        primary and the value that joins them to it.
    """
    leaving: defaultdict[int, set[Identifier]] = defaultdict(set)
    between: list[tuple[tuple[Identifier, Identifier], dict[Identifier, int]]] = []
    for link in links:
        homes = zip(link.ends, link.primary_ids, strict=True)
        large = {value: home for value, home in homes if home is not None and home in link.large_ids}
        match link.choose(rules):
            case [value] if value in large:
                leaving[large[value]].add(value)
            case [_, _] if large:
                between.append((link.ends, large))
                if len(large) == 1:
                    hubs.update(large)
    joining: defaultdict[tuple[int, Identifier], set[Identifier]] = defaultdict(set)
    for ends, large in between:
        here = hubs.intersection(large)
        if len(here) == 1:
            [hub] = here
            joining[large[hub], hub].update({*ends} - here)
    return leaving, joining


def cut(values: Iterable[Identifier]) -> Iterator[list[Identifier]]:
    """Values in lists, each for one transaction."""
    rest = iter(values)
    while batch := list(islice(rest, PARTS_AT_ONCE)):
        yield batch
