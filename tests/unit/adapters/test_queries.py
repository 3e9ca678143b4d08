"""Many who query at once."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from identity_adapters.memory import InMemoryContactRepository
from identity_adapters.queries import (
    BoundedAccess,
    BoundedQueries,
    BoundedRuleChanges,
    BoundedRulings,
    BoundedSuggestions,
)
from identity_core import (
    ContactDetails,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Note,
    RepositoryOverloaded,
    RuleSet,
    Verdict,
)

DETAILS = ContactDetails("a@x", "1")
WHOLE = {
    "preview": lambda queries: queries.preview(DETAILS),
    "look_up": lambda queries: queries.look_up(DETAILS),
    "find": lambda queries: queries.find(1),
    "history": lambda queries: queries.history(1),
    "as_of": lambda queries: queries.as_of(1, datetime(2999, 1, 1, tzinfo=UTC)),
    "explain": lambda queries: queries.explain(Identifier(IdentifierKind.EMAIL, "a@x"), 1),
}
OTHERS = {
    "pages": lambda queries: queries.pages(1),
}
NOTE = Note("support", "a typo")
ENDS = Identifier(IdentifierKind.EMAIL, "a@x"), Identifier(IdentifierKind.EMAIL, "b@x")
RULED = {
    "undo": lambda rule: rule.undo(("a@x", "1"), NOTE, dry_run=True),
    "find_undone": lambda rule: rule.find_undone(("a@x", "1")),
    "split": lambda rule: rule.split(*ENDS, NOTE, dry_run=True),
    "pin": lambda rule: rule.pin(*ENDS, Verdict.SAME, NOTE),
    "dry run of a pin": lambda rule: rule.pin(*ENDS, Verdict.SAME, NOTE, dry_run=True),
}


class Slow(InMemoryContactRepository):
    """Reads identities no sooner than it is let; counts how often it was asked to at once."""

    def __init__(self):
        super().__init__()
        self.reading = self.most = 0
        self.open = asyncio.Event()

    async def find(self, contact_id):
        async with self._reading():
            return await super().find(contact_id)

    async def load(self, batch):
        async with self._reading():
            return await super().load(batch)

    async def record(self, identifiers):
        async with self._reading():
            return await super().record(identifiers)

    async def dossier(self, identifiers):
        async with self._reading():
            return await super().dossier(identifiers)

    async def record_by(self, rules, identifiers):
        async with self._reading():
            return await super().record_by(rules, identifiers)

    async def revise(self, identifiers, decide):
        async with self._reading():
            return await super().revise(identifiers, decide)

    async def lineage(self, contact_id):
        async with self._reading():
            return await super().lineage(contact_id)

    @asynccontextmanager
    async def _reading(self):
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            await self.open.wait()
            yield
        finally:
            self.reading -= 1


def queries_of(repository, **bounds):
    return BoundedQueries(repository, **({"max_waiting": 100, "timeout": 60} | bounds))


async def started(*coroutines):
    tasks = [asyncio.create_task(one) for one in coroutines]
    for _ in range(10):
        await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize("query", WHOLE.values(), ids=WHOLE)
def test_identities_are_read_whole_one_at_a_time(query):
    async def body():
        repository = Slow()
        queries = queries_of(repository)
        tasks = await started(*(query(queries) for _ in range(5)))
        assert repository.reading == 1
        repository.open.set()
        await asyncio.gather(*tasks)
        assert repository.most == 1

    asyncio.run(body())


@pytest.mark.parametrize("ruled", RULED.values(), ids=RULED)
def test_rulings_wait_for_queries_and_queries_for_rulings(ruled):
    async def body():
        repository = Slow()
        queries = queries_of(repository)
        rule = BoundedRulings(repository, repository, queries=queries)
        tasks = await started(queries.find(1), ruled(rule), queries.find(1), ruled(rule))
        assert repository.reading == 1
        repository.open.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert repository.most == 1

    asyncio.run(body())


def test_past_the_bound_of_the_line_a_ruling_is_rejected_and_changes_nothing():
    async def body():
        repository = Slow()
        queries = queries_of(repository, max_waiting=1)
        rule = BoundedRulings(repository, repository, queries=queries)
        tasks = await started(queries.find(1), queries.find(1))
        with pytest.raises(RepositoryOverloaded):
            await rule.pin(*ENDS, Verdict.SAME, NOTE)
        repository.open.set()
        await asyncio.gather(*tasks)
        assert await repository.rulings() == []

    asyncio.run(body())


def test_what_is_handed_out_waits_in_the_same_line_and_is_not_recorded_past_its_bound():
    async def body():
        repository = Slow()
        repository.open.set()
        await IdentifyContacts(repository)(ContactDetails("a@x", "1"))
        repository.open.clear()
        repository.most = repository.reading = 0
        queries = queries_of(repository, max_waiting=2)
        access = BoundedAccess(repository, repository, queries=queries)
        tasks = await started(queries.find(1), access(ENDS[0], "support"), access(1))
        assert repository.reading == 1
        with pytest.raises(RepositoryOverloaded):
            await access(1, "somebody else")
        repository.open.set()
        _, disclosure, same = await asyncio.gather(*tasks)
        assert repository.most == 1
        assert disclosure == same
        assert repository._accesses == [((1,), "support"), ((1,), None)]

    asyncio.run(body())


def test_a_preview_of_rules_waits_for_queries_and_queries_for_each_identity_that_it_reads():
    async def body():
        repository = Slow()
        repository.open.set()
        for number in range(3):
            await IdentifyContacts(repository)(ContactDetails(f"{number}@x", str(number)))
        repository.open.clear()
        repository.most = repository.reading = 0
        queries = queries_of(repository)
        changes = BoundedRuleChanges(repository, repository, queries=queries)
        tasks = await started(queries.find(1), changes.preview(RuleSet(phone_numbers="012")), queries.find(1))
        assert repository.reading == 1
        repository.open.set()
        _, preview, _ = await asyncio.gather(*tasks)
        assert repository.most == 1
        assert preview.blocked == 3

    asyncio.run(body())


def test_suggestions_wait_in_the_same_line_for_each_identity():
    async def body():
        repository = Slow()
        repository.open.set()
        await IdentifyContacts(repository).many([ContactDetails("b@x", "1"), ContactDetails("c@x", "1")])
        repository.open.clear()
        repository.most = repository.reading = 0
        queries = queries_of(repository)
        suggest = BoundedSuggestions(repository, queries=queries)
        tasks = await started(queries.find(1), suggest(), queries.find(1))
        assert repository.reading == 1
        repository.open.set()
        _, suggestions, _ = await asyncio.gather(*tasks)
        assert repository.most == 1
        assert [one.leaving for one in suggestions] == [1]

    asyncio.run(body())


def test_past_the_bound_of_the_line_rules_with_a_plan_are_rejected_and_not_put_in_force():
    async def body():
        repository = Slow()
        repository.open.set()
        await IdentifyContacts(repository)(ContactDetails("a@x", "1"))
        repository.open.clear()
        queries = queries_of(repository, max_waiting=1)
        changes = BoundedRuleChanges(repository, repository, queries=queries)
        tasks = await started(queries.find(1), queries.find(1))
        with pytest.raises(RepositoryOverloaded):
            await changes.replace(RuleSet(phone_numbers=["1"]), NOTE, plan="x")
        repository.open.set()
        await asyncio.gather(*tasks)
        assert (await repository.rules()).version == 0

    asyncio.run(body())


@pytest.mark.parametrize("query", OTHERS.values(), ids=OTHERS)
def test_nothing_else_waits_for_them(query):
    async def body():
        repository = Slow()
        queries = queries_of(repository)
        tasks = await started(queries.history(1), queries.history(1))
        running = repository.reading
        repository.find = super(Slow, repository).find  # from now on reading is quick
        repository.load = super(Slow, repository).load
        await query(queries)
        assert running == repository.reading == 1
        repository.open.set()
        await asyncio.gather(*tasks)

    asyncio.run(body())


def test_past_the_bound_of_the_line_a_query_is_rejected_at_once():
    async def body():
        repository = Slow()
        queries = queries_of(repository, max_waiting=2)
        tasks = await started(*(queries.find(1) for _ in range(5)))
        assert [task.done() for task in tasks] == [False, False, False, True, True]
        assert isinstance(tasks[4].exception(), RepositoryOverloaded)
        repository.open.set()
        assert await asyncio.gather(*tasks[:3]) == [None] * 3
        assert await queries.find(1) is None

    asyncio.run(body())


def test_a_query_that_waits_too_long_is_rejected_and_leaves_the_line():
    async def body():
        repository = Slow()
        queries = queries_of(repository, max_waiting=1, timeout=0.01)
        [running] = await started(queries.find(1))
        for _ in range(3):
            with pytest.raises(RepositoryOverloaded, match="too many requests are waiting"):
                await queries.find(1)
        assert not running.done()
        repository.open.set()
        await running

    asyncio.run(body())


def test_who_goes_away_makes_room():
    async def body():
        repository = Slow()
        queries = queries_of(repository, max_waiting=1)
        running, waiting = await started(queries.find(1), queries.find(1))
        running.cancel()
        await asyncio.wait([running])
        [another] = await started(queries.find(1))
        assert not another.done()
        repository.open.set()
        assert await asyncio.gather(waiting, another) == [None, None]
        assert repository.most == 1

    asyncio.run(body())
