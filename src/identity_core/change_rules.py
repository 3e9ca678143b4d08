"""The use case that changes the rules, and brings what was recorded before in line with them."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Set
from hashlib import blake2b
from heapq import nlargest

from attrs import asdict, evolve

from identity_core.errors import StalePlan
from identity_core.model.evidence import Standing
from identity_core.model.identifiers import Identifier
from identity_core.model.parts import Parts
from identity_core.model.record import Record
from identity_core.model.rule_set import RuleSet, RulesInForce
from identity_core.model.rules_preview import AffectedIdentity, RulesPreview
from identity_core.model.ruling import Note
from identity_core.ports import ContactRepository, Offload, RuleBook, run_inline
from identity_core.rules.foresee import Foreseen, LargeIdentity, foresee, foresee_leaving
from identity_core.rules.groups import Groups, Place
from identity_core.rules.resolve import Pair
from identity_core.settle_rules import IDS_AT_ONCE, LARGE, Progress, SettleRules, cut, sort_links

MOST = 20
"""How many of the identities that would change most a preview tells."""


class ChangeRules:
    """Puts rules in force.

    New rules apply at once to whatever comes. What was recorded before is brought in line in short
    transactions, beside everything else. If that is interrupted, it goes on where it stopped.

    Every method raises `RepositoryUnavailable` if it cannot be done for now.

    Args:
        repository: where the contacts are kept.
        book: keeps the rules of the same contacts.
        offload: runs the work on very large identities.
        large: from how many contacts on an identity is brought in line part by part.

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
        self._book = book
        self._offload = offload
        self._large = large
        self._settle = SettleRules(repository, book, large=large)

    async def rules(self) -> RulesInForce:
        """The rules in force."""
        return await self._book.rules()

    async def preview(
        self,
        rules: RuleSet,
        *,
        retroactive: bool = False,
        on_affected: Callable[[AffectedIdentity], None] = lambda _: None,
    ) -> RulesPreview:
        """Tell what other rules would do to what is recorded.

        In memory are the ids of the identities that would change, and one after the other these identities;
        of large ones that would come apart the ids of their contacts, and one after the other their parts.

        Args:
            rules: the other rules.
            retroactive: as of `replace`.
            on_affected: called with each identity that would change.
        """
        before, proposed = await self._book.rules(), await self._book.propose(rules, retroactive=retroactive)
        base = [before.version, asdict(rules), proposed.retroactive]
        plan = blake2b(json.dumps(base, default=sorted).encode(), digest_size=12)
        tally = _Tally()
        groups, large = await self._find_groups(proposed)
        async for foreseen in self._foresee_large(proposed, large, plan, tally):
            groups.take([foreseen.affected[0].primary_id])
            tally.add(foreseen)
            on_affected(foreseen.affected[0])
        while (place := groups.first()) is not None:
            values = groups.take([place])
            record = await self._read(rules, values)
            # What pins hold may lead to further identities.
            primary_ids = (contacts[0].id for contacts in record.identities)
            if more := groups.take([place, *primary_ids]):
                groups.add([place], values | more)
                continue
            plan.update(record.make_plan().encode())
            foreseen = await self._offload(
                record.size, foresee, record, proposed.released, retroactive=proposed.retroactive
            )
            tally.add(foreseen)
            for affected in foreseen.affected:
                on_affected(affected)
        return tally.to_preview(plan.hexdigest(), await self._book.count_identities())

    async def _read(self, rules: RuleSet, values: Collection[Identifier]) -> Record:
        return await self._book.record_by(rules, values)

    async def _foresee_large(
        self, proposed: RulesInForce, primary_ids: Collection[int], plan: blake2b, tally: "_Tally"
    ) -> AsyncIterator[Foreseen]:
        """Foresee what becomes of large identities, part by part, and of the rest at the end."""
        rules = proposed.rules
        identities = {primary_id: LargeIdentity(rules) for primary_id in sorted(primary_ids)}
        while identities and not proposed.is_settled:
            links, settled_id = await self._book.unsettled(proposed, IDS_AT_ONCE, self._large)
            leaving, _ = sort_links(links, rules, set())
            for primary_id in sorted(identities.keys() & leaving.keys()):
                for batch in cut(sorted(leaving[primary_id])):
                    parts = await self._read_parts(rules, primary_id, batch)
                    plan.update(parts.make_plan().encode())
                    for part in foresee_leaving(parts, proposed.released):
                        identities[primary_id].add(part)
                        tally.add_changes(part.changes)
            proposed = evolve(proposed, settled_id=settled_id)
        for primary_id, identity in identities.items():
            if not identity.left:
                continue
            rest = await self._read_rest(rules, primary_id, identity.left)
            # It may have become part of another one meanwhile; then that is read.
            if len(rest.identities) == 1:
                plan.update(rest.make_plan().encode())
                foreseen = await self._offload(rest.size, foresee, rest, proposed.released)
                yield identity.combine(rest, foreseen)

    async def _read_parts(
        self, rules: RuleSet, primary_id: int, identifiers: Collection[Identifier]
    ) -> Parts:
        return await self._book.parts_by(rules, primary_id, identifiers)

    async def _read_rest(self, rules: RuleSet, primary_id: int, ids: Set[int]) -> Record:
        return await self._book.record_without(rules, primary_id, ids)

    async def _find_groups(self, proposed: RulesInForce) -> tuple[Groups, set[int]]:
        """The groups of identities that rules concern together, and the large ones that come apart alone."""
        groups = Groups()
        reached: set[Place] = set()
        large: set[int] = set()
        together: set[Place] = set()
        while not proposed.is_settled:
            links, settled_id = await self._book.unsettled(proposed, IDS_AT_ONCE, self._large)
            for link in links:
                chosen = link.choose(proposed.rules)
                primary_ids = dict(zip(link.ends, link.primary_ids, strict=True))
                places = [primary_ids[value] or value for value in chosen]
                # Of a pair that may count both values must be known. Of others, of which there may be very
                # many, one leads to all of an identity.
                are_blocked = proposed.rules.block_any(chosen)
                if are_blocked or len({*places}) == 2 or places[0] not in reached:
                    groups.add(places, chosen)
                if not are_blocked:
                    reached.update(places)
                if are_blocked or len(chosen) == 2:
                    together.update(places)
                large |= link.large_ids
            proposed = evolve(proposed, settled_id=settled_id)
        if proposed.retroactive:
            return groups, set()
        return groups, {id for id in large if id not in together and groups.is_alone(id)}

    async def put(
        self,
        rules: RuleSet,
        note: Note,
        *,
        version: int | None = None,
        plan: str | None = None,
        retroactive: bool = False,
    ) -> RulesInForce:
        """Put rules in force, and bring everything in line with them: first `replace`, then `settle`.

        It takes the arguments of `replace`, and raises what it raises.
        """
        await self.replace(rules, note, version=version, plan=plan, retroactive=retroactive)
        return await self.settle()

    async def replace(
        self,
        rules: RuleSet,
        note: Note,
        *,
        version: int | None = None,
        plan: str | None = None,
        retroactive: bool = False,
    ) -> RulesInForce:
        """Put rules in force; `settle` then brings in line with them what was recorded before.

        Args:
            rules: the rules.
            note: who, and why.
            version: that of the rules that they replace; None for any.
            plan: that of a preview; None for no matter what they do.
            retroactive: whether limits are applied to all that is recorded, as if they had been in force from
                the beginning; else only to what comes.

        Raises:
            StalePlan: other rules are in force than those of the version, or the rules would do something
                else than was foretold.
        """
        if plan is not None:
            version = (await self._book.rules()).version if version is None else version
            if plan != (await self.preview(rules, retroactive=retroactive)).plan:
                raise StalePlan("the rules or what they would change are no longer what the plan was made of")
        return await self._book.put(rules, note, version, retroactive=retroactive)

    async def settle(self, on_progress: Progress = lambda _: None) -> RulesInForce:
        """Bring everything that was recorded in line with the rules in force.

        Args:
            on_progress: called with how far it is; where identities are large, it begins anew once.
        """
        return await self._settle(on_progress)


class _Tally:
    """Adds up what rules would do to one group of identities after the other."""

    def __init__(self) -> None:
        self._changes: dict[int, tuple[Standing, Standing]] = {}
        self._sizes_before: Counter[int] = Counter()
        self._sizes_after: Counter[int] = Counter()
        self._added = self._split = self._merged = 0
        self._most: list[AffectedIdentity] = []

    def add_changes(self, changes: Mapping[Pair, tuple[Standing, Standing]]) -> None:
        """Add pairs that would stand otherwise; one between two identities is in the record of both."""
        self._changes.update((hash(pair), standings) for pair, standings in changes.items())

    def add(self, foreseen: Foreseen) -> None:
        """Add one group."""
        self.add_changes(foreseen.changes)
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
