"""The use case that changes the rules, and brings what was recorded before in line with them."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from hashlib import blake2b
from heapq import nlargest
from itertools import islice

from attrs import asdict, evolve, frozen

from identity_core.errors import StalePlan
from identity_core.model.decision import WriteSet
from identity_core.model.evidence import Standing
from identity_core.model.identifiers import Identifier
from identity_core.model.record import Record
from identity_core.model.rule_set import RuleSet, RulesInForce, UnsettledLink
from identity_core.model.rules_preview import AffectedIdentity, RulesPreview
from identity_core.model.ruling import Note
from identity_core.ports import ContactRepository, Offload, RuleBook, run_inline
from identity_core.rules.apply import apply_rules
from identity_core.rules.foresee import Foreseen, foresee
from identity_core.rules.groups import Groups, Place
from identity_core.rules.parts import attach, detach

IDS_AT_ONCE = 20_000
"""How many ids are looked at in one query for links that are not in line."""

LINKS_AT_ONCE = 32
"""How many links one transaction brings in line; others wait for it that long."""

LARGE = 1_000
"""How many contacts an identity has that comes apart part by part."""

LINKS_OF_LARGE_AT_ONCE = 120
"""The same, where a large identity has to be read whole each time."""

PARTS_AT_ONCE = 50
"""How many parts leave or join an identity in one transaction."""

MOST = 20
"""How many of the identities that would change most a preview tells."""


Progress = Callable[[RulesInForce], None]
"""Called with the rules that are put in force, and how far what was recorded is in line with them."""


class ChangeRules:
    """Puts rules in force.

    New rules apply at once to whatever comes. What was recorded before is brought in line in short
    transactions, beside everything else. If that is interrupted, it goes on where it stopped.

    Every method raises `RepositoryUnavailable` if it cannot be done for now.

    Args:
        repository: where the contacts are kept.
        book: keeps the rules of the same contacts.
        offload: runs the work on very large identities.
        large: how many contacts an identity has that comes apart part by part.

    >>> import asyncio
    >>> from identity_core import ChangeRules, ContactDetails, IdentifyContacts, Note, RuleSet
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> repository = InMemoryContactRepository()
    >>> identify, change = IdentifyContacts(repository), ChangeRules(repository, repository)
    >>> for email in ("doc@hillvalley.edu", "marty@hillvalley.edu"):
    ...     identity = asyncio.run(identify(ContactDetails(email, "555-0123")))
    >>> identity.emails
    ('doc@hillvalley.edu', 'marty@hillvalley.edu')
    >>> rules = RuleSet(phone_numbers=["5550123"])
    >>> asyncio.run(change.put(rules, Note("marty", "the shop's own"))).is_settled
    True
    >>> asyncio.run(identify(ContactDetails(email, "555-0123"))).emails
    ('marty@hillvalley.edu',)
    """

    def __init__(
        self,
        repository: ContactRepository,
        book: RuleBook,
        *,
        offload: Offload = run_inline,
        large: int = LARGE,
    ) -> None:
        self._repository = repository
        self._book = book
        self._offload = offload
        self._large = large

    async def rules(self) -> RulesInForce:
        """The rules in force."""
        return await self._book.rules()

    async def preview(
        self, rules: RuleSet, *, on_affected: Callable[[AffectedIdentity], None] = lambda _: None
    ) -> RulesPreview:
        """Tell what other rules would do to what is recorded.

        In memory are the ids of the identities that would change, and one after the other these identities.

        Args:
            rules: the other rules.
            on_affected: called with each identity that would change.
        """
        before, proposed = await self._book.rules(), await self._book.propose(rules)
        plan = blake2b(json.dumps([before.version, asdict(rules)], default=sorted).encode(), digest_size=12)
        tally = _Tally()
        groups = await self._find_groups(proposed)
        while (place := groups.first()) is not None:
            values = groups.take([place])
            record = await self._read(rules, values)
            # What pins hold may lead to further identities.
            primary_ids = (contacts[0].id for contacts in record.identities)
            if more := groups.take([place, *primary_ids]):
                groups.add([place], values | more)
                continue
            plan.update(record.make_plan().encode())
            foreseen = await self._offload(record.size, foresee, record, proposed.released)
            tally.add(foreseen)
            for affected in foreseen.affected:
                on_affected(affected)
        return tally.to_preview(plan.hexdigest(), await self._book.count_identities())

    async def _read(self, rules: RuleSet, values: Collection[Identifier]) -> Record:
        return await self._book.record_by(rules, values)

    async def _find_groups(self, proposed: RulesInForce) -> Groups:
        """The groups of identities that rules concern together."""
        groups = Groups()
        reached: set[Place] = set()
        while not proposed.is_settled:
            links, settled_id = await self._book.unsettled(proposed, IDS_AT_ONCE, self._large)
            for link in links:
                chosen = _choose(link, proposed.rules)
                primary_ids = dict(zip(link.ends, link.primary_ids, strict=True))
                places = [primary_ids[value] or value for value in chosen]
                # Of a pair that may count both values must be known. Of others, of which there may be very
                # many, one leads to all of an identity.
                if len(chosen) == 2 or places[0] not in reached:
                    groups.add(places, chosen)
                if not proposed.rules.block_any(chosen):
                    reached.update(places)
            proposed = evolve(proposed, settled_id=settled_id)
        return groups

    async def put(
        self, rules: RuleSet, note: Note, *, version: int | None = None, plan: str | None = None
    ) -> RulesInForce:
        """Put rules in force, and bring everything in line with them: first `replace`, then `settle`.

        It takes the arguments of `replace`, and raises what it raises.
        """
        await self.replace(rules, note, version=version, plan=plan)
        return await self.settle()

    async def replace(
        self, rules: RuleSet, note: Note, *, version: int | None = None, plan: str | None = None
    ) -> RulesInForce:
        """Put rules in force; `settle` then brings in line with them what was recorded before.

        Args:
            rules: the rules.
            note: who, and why.
            version: that of the rules that they replace; None for any.
            plan: that of a preview; None for no matter what they do.

        Raises:
            StalePlan: other rules are in force than those of the version, or the rules would do something
                else than was foretold.
        """
        if plan is not None:
            version = (await self._book.rules()).version if version is None else version
            if plan != (await self.preview(rules)).plan:
                raise StalePlan("the rules or what they would change are no longer what the plan was made of")
        return await self._book.put(rules, note, version)

    async def settle(self, on_progress: Progress = lambda _: None) -> RulesInForce:
        """Bring everything that was recorded in line with the rules in force.

        Args:
            on_progress: called with how far it is; where identities are large, it begins anew once.
        """
        divided: int | None = None
        while not (in_force := await self._book.rules()).is_settled:
            links, settled_id = await self._book.unsettled(in_force, IDS_AT_ONCE, self._large)
            is_divided = divided == in_force.version
            if is_divided or not any(link.large_ids for link in links):
                if await self._apply(links, in_force, is_divided=is_divided):
                    await self._book.settle(in_force.version, settled_id)
                    on_progress(evolve(in_force, settled_id=settled_id))
            else:
                await self._apply_to_parts(in_force, on_progress)
                divided = in_force.version
        return in_force

    async def _apply(
        self, links: Iterable[UnsettledLink], in_force: RulesInForce, *, is_divided: bool
    ) -> bool:
        """Bring links in line, with all that they may join.

        Returns:
            False if an identity became large, whose parts might be brought in line first.
        """
        rest = iter(links)
        at_once = LINKS_AT_ONCE
        while batch := list(islice(rest, at_once)):
            values = {value for link in batch for value in _choose(link, in_force.rules)}
            applied = await self._repository.revise(values, partial(_apply_to_record, in_force=in_force))
            if applied.largest >= self._large:
                if not is_divided:
                    return False
                at_once = LINKS_OF_LARGE_AT_ONCE
        return True

    async def _apply_to_parts(self, in_force: RulesInForce, on_progress: Progress) -> None:
        """Let parts of large identities leave or join, unless other rules are put in force meanwhile."""
        version, released = in_force.version, in_force.released
        hubs: set[Identifier] = set()
        while not in_force.is_settled and (await self._book.rules()).version == version:
            links, settled_id = await self._book.unsettled(in_force, IDS_AT_ONCE, self._large)
            leaving, joining = _sort(links, in_force.rules, hubs)
            for primary_id, values in leaving.items():
                for batch in _cut(values):
                    decide = partial(detach, released=released)
                    await self._repository.revise_parts(primary_id, batch, decide)
            for (primary_id, hub), values in joining.items():
                for batch in _cut(values):
                    decide = partial(attach, released=released)
                    await self._repository.revise_parts(primary_id, batch, decide, [hub])
            in_force = evolve(in_force, settled_id=settled_id)
            on_progress(in_force)


@frozen
class _Applied:
    """What brings a record in line, and how many contacts its largest identity had."""

    writes: WriteSet
    largest: int


def _apply_to_record(
    record: Record, now: datetime, ids: Iterator[int], *, in_force: RulesInForce
) -> _Applied:
    decision = apply_rules(record, now, ids, released=in_force.released)
    return _Applied(decision.writes, max(map(len, record.identities), default=0))


def _sort(
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
        match _choose(link, rules):
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


def _cut(values: Iterable[Identifier]) -> Iterator[list[Identifier]]:
    rest = iter(values)
    while batch := list(islice(rest, PARTS_AT_ONCE)):
        yield batch


def _choose(link: UnsettledLink, rules: RuleSet) -> list[Identifier]:
    """The values whose record decides about a link: those that identify somebody, if there are any.

    Very many links may have one blocked value; nothing is gained by reading what else has it.
    """
    return [value for value in link.ends if not rules.blocks(value)] or [*link.ends]


class _Tally:
    """Adds up what rules would do to one group of identities after the other."""

    def __init__(self) -> None:
        self._changes: dict[int, tuple[Standing, Standing]] = {}
        self._sizes_before: Counter[int] = Counter()
        self._sizes_after: Counter[int] = Counter()
        self._added = self._split = self._merged = 0
        self._most: list[AffectedIdentity] = []

    def add(self, foreseen: Foreseen) -> None:
        """Add one group."""
        # A pair between two identities is in the record of both.
        self._changes.update((hash(pair), standings) for pair, standings in foreseen.changes.items())
        self._added += foreseen.added
        self._sizes_before.update(identity.contacts for identity in foreseen.affected)
        self._sizes_after.update(foreseen.sizes)
        self._split += sum(len(identity.parts) > 1 for identity in foreseen.affected)
        self._merged += sum(bool(identity.joined_ids) for identity in foreseen.affected)
        self._most = nlargest(
            MOST, [*self._most, *foreseen.affected], key=lambda one: (one.moved, -one.primary_id)
        )

    def to_preview(self, plan: str, identities: int) -> RulesPreview:
        """Everything that was added."""
        changes = self._changes.values()

        def count(before: Standing | None, after: Standing | None) -> int:
            return sum(before in (None, one) and after in (None, other) for one, other in changes)

        return RulesPreview(
            plan,
            identities,
            identities + self._added,
            self._split,
            self._merged,
            count(None, Standing.BLOCKED),
            count(Standing.BLOCKED, Standing.COUNTS),
            count(None, Standing.HELD),
            count(Standing.HELD, Standing.COUNTS),
            dict(sorted(self._sizes_before.items())),
            dict(sorted(self._sizes_after.items())),
            tuple(self._most),
        )
