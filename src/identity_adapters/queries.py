"""Queries that read an identity whole: one runs at a time, and a bounded number waits. So do rulings.

A preview of rules, and suggestions, read many identities. They queue for each of them anew, so that others
have their turn.

Such a query or ruling holds all contacts of an identity in memory, and keeps a processor and a connection
busy while it runs. Concurrent queries would be no faster, because Python runs one of them at a time,
but would need more memory and leave less to other requests. So they queue, and are rejected if the
queue is full, or after some seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence, Set
from contextlib import asynccontextmanager
from datetime import datetime

from identity_core import (
    AccessIdentities,
    AuditTrail,
    ChangeRules,
    Contact,
    ContactDetails,
    ContactRepository,
    Disclosure,
    EraseIdentities,
    ErasurePreview,
    Explanation,
    Identifier,
    IdentityGraph,
    IdentityReader,
    LedgerEntry,
    Offload,
    Preview,
    QueryIdentities,
    Record,
    RecordedEvent,
    RepositoryOverloaded,
    Revise,
    RuleBook,
    Ruled,
    RuleOnIdentities,
    RuleSet,
    Ruling,
    SuggestRules,
)
from identity_core.model.parts import Parts
from identity_core.ports import run_inline
from identity_core.rules.erase import Target


class BoundedQueries(QueryIdentities):
    """`QueryIdentities` for many concurrent callers.

    Args:
        reader: where identities are read.
        offload: runs the work on very large identities.
        max_waiting: the maximum number of waiting queries.
        timeout: seconds that a query may wait.
    """

    def __init__(
        self,
        reader: IdentityReader,
        *,
        offload: Offload = run_inline,
        max_waiting: int,
        timeout: float = 5.0,
    ) -> None:
        super().__init__(reader, offload=offload)
        self._running = asyncio.Lock()
        self._waiting = 0
        self._max_waiting = max_waiting
        self._timeout = timeout

    async def preview(self, details: ContactDetails) -> Preview:
        async with self.slot():
            return await super().preview(details)

    async def look_up(self, details: ContactDetails) -> Sequence[Sequence[Contact]]:
        async with self.slot():
            return await super().look_up(details)

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        async with self.slot():
            return await super().find(contact_id)

    async def history(
        self, contact_id: int, after: int = 0, limit: int | None = None
    ) -> list[tuple[RecordedEvent, ContactDetails | None]] | None:
        async with self.slot():
            return await super().history(contact_id, after, limit)

    async def as_of(self, contact_id: int, moment: datetime) -> tuple[Contact, ...] | None:
        async with self.slot():
            return await super().as_of(contact_id, moment)

    async def graph(self, contact_id: int) -> IdentityGraph | None:
        async with self.slot():
            return await super().graph(contact_id)

    async def graph_as_of(self, contact_id: int, moment: datetime) -> IdentityGraph | None:
        async with self.slot():
            return await super().graph_as_of(contact_id, moment)

    async def explain(self, one: Identifier | int, other: Identifier | int) -> Explanation | None:
        async with self.slot():
            return await super().explain(one, other)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until a query or a ruling may run.

        Raises:
            RepositoryOverloaded: too many wait already, or the wait is too long.
        """
        if self._waiting >= self._max_waiting:
            raise RepositoryOverloaded("too many requests are waiting")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._running.acquire()
        except TimeoutError:
            raise RepositoryOverloaded("too many requests are waiting") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._running.release()


class BoundedRulings(RuleOnIdentities):
    """`RuleOnIdentities` for many concurrent callers, which queue with those of the queries.

    Args:
        repository: where the contacts are kept.
        reader: reads the same contacts.
        offload: runs the work on very large identities.
        queries: the queries that they queue with.
    """

    def __init__(
        self,
        repository: ContactRepository,
        reader: IdentityReader,
        *,
        offload: Offload = run_inline,
        queries: BoundedQueries,
    ) -> None:
        super().__init__(repository, reader, offload=offload)
        self._slot = queries.slot

    async def find_undone(self, pair: tuple[str, str]) -> Ruling:
        async with self._slot():
            return await super().find_undone(pair)

    async def _rule(  # every ruling passes here
        self, values: Collection[Identifier], decide: Revise[Ruled], dry_run: bool, plan: str | None
    ) -> Ruled:
        async with self._slot():
            return await super()._rule(values, decide, dry_run, plan)


class BoundedAccess(AccessIdentities):
    """`AccessIdentities` for many concurrent callers, which queue with those of the queries.

    Args:
        reader: where identities are read.
        trail: keeps who got what.
        offload: runs the work on very large identities.
        queries: the queries that they queue with.
    """

    def __init__(
        self,
        reader: IdentityReader,
        trail: AuditTrail,
        *,
        offload: Offload = run_inline,
        queries: BoundedQueries,
    ) -> None:
        super().__init__(reader, trail, offload=offload)
        self._slot = queries.slot

    async def __call__(self, target: Target, by: str | None = None) -> Disclosure:
        async with self._slot():
            return await super().__call__(target, by)


class BoundedErasures(EraseIdentities):
    """`EraseIdentities` for many concurrent callers, which queue with those of the queries.

    Args:
        repository: where the contacts are kept.
        reader: reads the same contacts.
        trail: keeps who was erased there.
        offload: runs the work on very large identities.
        on_erased: called with each erasure once it is persisted.
        queries: the queries that they queue with.
    """

    def __init__(
        self,
        repository: ContactRepository,
        reader: IdentityReader,
        trail: AuditTrail,
        *,
        offload: Offload = run_inline,
        on_erased: Callable[[LedgerEntry], None] = lambda _: None,
        queries: BoundedQueries,
    ) -> None:
        super().__init__(repository, reader, trail, offload=offload, on_erased=on_erased)
        self._slot = queries.slot

    async def preview(self, target: Target) -> ErasurePreview:
        async with self._slot():
            return await super().preview(target)

    async def __call__(
        self,
        target: Target,
        by: str | None = None,
        *,
        plan: str | None = None,
        suppressed_until: datetime | None = None,
    ) -> LedgerEntry:
        async with self._slot():
            return await super().__call__(target, by, plan=plan, suppressed_until=suppressed_until)


class BoundedSuggestions(SuggestRules):
    """`SuggestRules` whose reads of identities queue with queries.

    Args:
        book: keeps the rules.
        offload: runs the work on very large identities.
        queries: the queries that they queue with.
    """

    def __init__(self, book: RuleBook, *, offload: Offload = run_inline, queries: BoundedQueries) -> None:
        super().__init__(book, offload=offload)
        self._slot = queries.slot

    async def _read(self, rules: RuleSet, values: Collection[Identifier]) -> Record:
        async with self._slot():
            return await super()._read(rules, values)


class BoundedRuleChanges(ChangeRules):
    """`ChangeRules` whose previews queue with queries.

    Args:
        repository: where the contacts are kept.
        book: keeps the rules of the same contacts.
        offload: runs the work on very large identities.
        queries: the queries that they queue with.
    """

    def __init__(
        self,
        repository: ContactRepository,
        book: RuleBook,
        *,
        offload: Offload = run_inline,
        queries: BoundedQueries,
    ) -> None:
        super().__init__(repository, book, offload=offload)
        self._slot = queries.slot

    # Previews read here.

    async def _read(self, rules: RuleSet, values: Collection[Identifier]) -> Record:
        async with self._slot():
            return await super()._read(rules, values)

    async def _read_parts(
        self, rules: RuleSet, primary_id: int, identifiers: Collection[Identifier]
    ) -> Parts:
        async with self._slot():
            return await super()._read_parts(rules, primary_id, identifiers)

    async def _read_rest(self, rules: RuleSet, primary_id: int, ids: Set[int]) -> Record:
        async with self._slot():
            return await super()._read_rest(rules, primary_id, ids)
