"""The store of webhooks, compared with a model; leases, and what fences those off who have none."""

import asyncio
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from identity_adapters.postgres import PostgresWebhooks, statements
from identity_adapters.postgres.rows import to_webhook_values
from identity_adapters.webhooks.webhook import PauseReason, Salts, Target, Webhook
from identity_core import EventKind
from tests.support.databases import connect, emptied_repository_on, repository_on

KEY, OTHER_KEY = b"key", b"other"
TARGET = Target("https://example.org/events")
SALTS = Salts(KEY, b"salt")
SOME_TIME = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE, DAYS = 60.0, 3 * 86400.0

TARGETS = st.builds(
    Target,
    st.sampled_from([TARGET.url, "http://[::1]:8000/é?a=b"]),
    st.frozensets(st.sampled_from(EventKind), max_size=3),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=5),
    st.booleans(),
    st.lists(st.sampled_from([ip_network("10.0.0.0/8"), ip_network("fd00::/8")]), max_size=2).map(tuple),
)
IDS = st.integers(1, 4)
LEASES = st.integers(0, 6)
CURSORS = st.none() | st.sampled_from(["3", "7"])
KEYS = st.sampled_from([KEY, OTHER_KEY])
REASONS = st.sampled_from(PauseReason)


def simplify(webhook):
    """A webhook without exact times."""
    salts, times = webhook.salts, ["paused_at", "delivered_at", "failing_since"]
    return evolve(
        webhook,
        salts=evolve(salts, previous_until=salts.previous_until and SOME_TIME),
        created_at=SOME_TIME,
        caught_up_at=SOME_TIME,
        lag=0.0,
        wait=float(webhook.wait > 0),
        **{name: getattr(webhook, name) and SOME_TIME for name in times},
    )


class StoreMachine(RuleBasedStateMachine):
    """Does anything to some webhooks, with any leases, and to the model: values in a dictionary."""

    url: str

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        repository = self.wait_for(self.stack.enter_async_context(emptied_repository_on(self.url)))
        self.sql = self.stack.enter_context(connect(self.url))
        self.store = PostgresWebhooks(repository.database)
        self.model: dict[int, Webhook] = {}
        self.served: dict[int, int] = {}
        """By id, when a lease that was not revoked ended or ends, as a number of the step."""
        self.failed_for_long: set[int] = set()
        self.caught_up_at: dict[int, datetime] = {}
        self.added = self.steps = 0

    def teardown(self):
        self.wait_for(self.stack.aclose())
        self.runner.close()

    def wait_for(self, awaitable):
        async def body():
            return await awaitable

        return self.runner.run(body())

    def change(self, id, **changes):
        """Change the model as people do; what the store has to answer."""
        if id not in self.model:
            return None
        self.served.pop(id, None)
        self.model[id] = evolve(self.model[id], lease=self.model[id].lease + 1, is_leased=False, **changes)
        return self.model[id]

    def holds(self, id, lease):
        return id in self.model and self.model[id].is_leased and self.model[id].lease == lease

    def end_lease(self, id):
        self.steps += 1
        self.served[id] = self.steps
        self.model[id] = evolve(self.model[id], is_leased=False)

    @rule(endpoint=TARGETS, key_id=KEYS, previous=st.booleans(), cursor=CURSORS)
    def add(self, endpoint, key_id, previous, cursor):
        if self.added == 4:
            return
        salts = Salts(key_id, b"salt", *([b"previous", SOME_TIME] if previous else []))
        webhook = self.wait_for(self.store.add(endpoint, salts, cursor))
        assert webhook.created_at - webhook.caught_up_at < timedelta(seconds=1)
        self.added += 1
        self.model[self.added] = Webhook(
            self.added, endpoint, salts, cursor, 0, SOME_TIME, None, None, SOME_TIME, 0.0, None, 0,
            None, None, 0.0, 0, 0, 0, 0, False,
        )  # fmt: skip
        self.caught_up_at[self.added] = webhook.caught_up_at
        assert webhook.salts == salts
        assert simplify(webhook) == self.model[self.added]

    @rule(id=IDS)
    def remove(self, id):
        assert self.wait_for(self.store.remove(id)) is (self.model.pop(id, None) is not None)

    @rule(id=IDS)
    def pause(self, id):
        paused = id in self.model and self.model[id].paused_because
        found = self.wait_for(self.store.pause(id))
        expected = self.change(id, paused_at=SOME_TIME, paused_because=paused or PauseReason.ASKED)
        assert (found and simplify(found)) == expected

    @rule(id=IDS)
    def resume(self, id):
        found = self.wait_for(self.store.resume(id))
        self.failed_for_long.discard(id)
        expected = self.change(
            id, paused_at=None, paused_because=None, failures=0, failing_since=None, wait=0.0
        )
        assert (found and simplify(found)) == expected

    @rule(id=IDS, cursor=CURSORS)
    def move(self, id, cursor):
        found = self.wait_for(self.store.move(id, cursor))
        replays = id in self.model and self.model[id].replays + 1
        assert (found and simplify(found)) == self.change(id, cursor=cursor, replays=replays)

    @rule(id=IDS, key_id=KEYS)
    def rotate(self, id, key_id):
        self.steps += 1
        salt = str(self.steps).encode()
        found = self.wait_for(self.store.rotate(id, key_id, salt, MINUTE))
        before = self.model[id].salts if id in self.model else None
        kept = [before.current, SOME_TIME] if before and before.key_id == key_id else []
        assert (found and simplify(found)) == self.change(id, salts=Salts(key_id, salt, *kept))

    @rule(key_id=KEYS, limit=st.integers(1, 3))
    def claim(self, key_id, limit):
        free = [
            webhook
            for webhook in self.model.values()
            if webhook.salts.key_id == key_id and not webhook.paused_at and not webhook.is_leased
        ]
        free.sort(key=lambda webhook: (self.served.get(webhook.id, 0), webhook.id))
        claimed = [evolve(webhook, lease=webhook.lease + 1, is_leased=True) for webhook in free[:limit]]
        found = self.wait_for(self.store.claim(key_id, limit, MINUTE))
        assert [*map(simplify, found)] == sorted(claimed, key=lambda webhook: webhook.id)
        self.model.update((webhook.id, webhook) for webhook in claimed)

    @rule(leases=st.dictionaries(IDS, LEASES), own=st.booleans(), caught_up=st.sets(IDS))
    def renew(self, leases, own, caught_up):
        if own:
            leases |= {id: webhook.lease for id, webhook in self.model.items()}
        held = {id for id, lease in leases.items() if self.holds(id, lease)}
        assert self.wait_for(self.store.renew(leases, MINUTE, caught_up)) == held
        self.check_caught_up(held & caught_up)

    @rule(leases=st.dictionaries(IDS, LEASES), own=st.booleans())
    def release(self, leases, own):
        if own:
            leases |= {id: webhook.lease for id, webhook in self.model.items()}
        self.wait_for(self.store.release(leases))
        self.steps += 1
        for id, lease in sorted(leases.items()):
            if self.holds(id, lease):
                self.end_lease(id)

    @rule(id=IDS)
    def expire(self, id):
        if id in self.model and self.model[id].is_leased:
            self.end_lease(id)
            now = "timezone('UTC', clock_timestamp())"
            self.sql.execute(f"UPDATE contact_webhooks SET leased_until = {now} WHERE id = %s", [id])

    @rule(id=IDS)
    def fail_for_long(self, id):
        if id in self.model and self.model[id].failing_since:
            self.failed_for_long.add(id)
            earlier = "failing_since - make_interval(days => 3)"
            self.sql.execute(f"UPDATE contact_webhooks SET failing_since = {earlier} WHERE id = %s", [id])

    @rule(id=IDS, lease=LEASES, own=st.booleans(), cursor=CURSORS, events=st.integers(0, 2))
    def advance(self, id, lease, own, cursor, events):
        lease = self.model[id].lease if own and id in self.model else lease
        holds = self.holds(id, lease)
        done = self.wait_for(self.store.advance(id, lease, cursor, events=events))
        assert done is holds
        self.check_caught_up(set())
        if holds:
            self.model[id] = evolve(self.model[id], cursor=cursor)
        if holds and events:
            self.failed_for_long.discard(id)
            self.model[id] = evolve(
                self.model[id],
                delivered_at=SOME_TIME,
                failures=0,
                failing_since=None,
                wait=0.0,
                delivered_events=self.model[id].delivered_events + events,
                delivered_requests=self.model[id].delivered_requests + 1,
            )

    @rule(id=IDS, lease=LEASES, own=st.booleans(), because=st.none() | REASONS)
    def fail(self, id, lease, own, because):
        lease = self.model[id].lease if own and id in self.model else lease
        holds = self.holds(id, lease)
        found = self.wait_for(
            self.store.fail(id, lease, f"status {lease}", delay=MINUTE, give_up_after=DAYS, because=because)
        )
        if not holds:
            assert found is None
            return
        if because is None and id in self.failed_for_long:
            because = PauseReason.FAILING
        self.model[id] = evolve(
            self.model[id],
            failures=self.model[id].failures + 1,
            failed_requests=self.model[id].failed_requests + 1,
            failing_since=SOME_TIME,
            last_failure=f"status {lease}",
            wait=1.0,
            paused_at=because and SOME_TIME,
            paused_because=because,
        )
        if because:
            self.model[id] = evolve(self.model[id], is_leased=False)
            self.served.pop(id, None)
        assert MINUTE - 10 < found.wait <= MINUTE
        assert simplify(found) == self.model[id]

    def check_caught_up(self, ids):
        """Check that only these have caught up anew."""
        for webhook in self.wait_for(self.store.webhooks()):
            assert (webhook.caught_up_at > self.caught_up_at[webhook.id]) is (webhook.id in ids)
            self.caught_up_at[webhook.id] = webhook.caught_up_at

    @rule(id=IDS, limit=st.integers(1, 3))
    def list(self, id, limit):
        later = [webhook for webhook in self.model.values() if webhook.id > id]
        assert [*map(simplify, self.wait_for(self.store.webhooks(id, limit)))] == later[:limit]
        found = self.wait_for(self.store.get(id))
        assert (found and simplify(found)) == self.model.get(id)

    @invariant()
    def all_are_as_the_model_says(self):
        assert [*map(simplify, self.wait_for(self.store.webhooks()))] == [*self.model.values()]


def test_the_store_does_what_the_model_does(url):
    class Machine(StoreMachine):
        pass

    Machine.url = url
    run_state_machine_as_test(
        Machine,
        settings=settings(
            deadline=None,
            max_examples=20,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def on(url, work):
    """Work with a store."""

    async def body():
        async with repository_on(url) as repository:
            return await work(PostgresWebhooks(repository.database))

    return asyncio.run(body())


async def add_some(store, number):
    for _ in range(number):
        await store.add(TARGET, SALTS, None)


def test_those_who_claim_at_once_never_share_a_webhook(url):
    async def body(store):
        await add_some(store, 40)
        claims = await asyncio.gather(*(store.claim(KEY, 7, MINUTE) for _ in range(8)))
        claimed = [webhook.id for claim in claims for webhook in claim]
        assert len(claimed) == len({*claimed})
        assert all(len(claim) <= 7 for claim in claims)
        rest = await store.claim(KEY, 40, MINUTE)
        assert sorted([*claimed, *(webhook.id for webhook in rest)]) == [*range(1, 41)]

    on(url, body)


def test_nobody_waits_for_a_claim_and_one_whose_connection_is_lost_is_undone(url, sql):
    async def body(store):
        await add_some(store, 2)
        with closing(connect(url)) as other:
            other.execute("BEGIN")
            values = {"key_id": KEY, "limit": 1, "seconds": MINUTE}
            assert len(other.execute(statements.CLAIM_WEBHOOKS, values).fetchall()) == 1
            assert [webhook.id for webhook in await store.claim(KEY, 9, MINUTE)] == [2]
            sql("SELECT pg_terminate_backend(%s, 60000)", other.info.backend_pid)
        assert [webhook.id for webhook in await store.claim(KEY, 9, MINUTE)] == [1]

    on(url, body)


def test_a_webhook_that_is_paused_while_it_is_claimed_is_not_claimed(url):
    async def body(store):
        await add_some(store, 1)
        with connect(url) as other:
            other.execute("BEGIN; UPDATE contact_webhooks SET paused_at = now(), paused_because = 'asked'")
            assert await store.claim(KEY, 9, MINUTE) == []
            other.execute("COMMIT")
        assert await store.claim(KEY, 9, MINUTE) == []

    on(url, body)


def test_the_lease_of_a_process_that_is_gone_ends_by_the_clock_of_the_database_alone(url, sql):
    async def claim(store):
        return [(webhook.id, webhook.lease) for webhook in await store.claim(KEY, 9, MINUTE)]

    async def go_on_with_an_old_lease(store):
        assert await store.renew({1: 1}, MINUTE) == frozenset()
        assert not await store.advance(1, 1, "cursor", events=1)
        assert await store.fail(1, 1, "timeout", delay=1, give_up_after=0) is None
        await store.release({1: 1})

    on(url, lambda store: add_some(store, 1))
    assert on(url, claim) == [(1, 1)]  # by a process that does not give it back
    assert on(url, claim) == []
    sql("UPDATE contact_webhooks SET leased_until = leased_until - interval '1 minute'")
    before = sql("SELECT * FROM contact_webhooks")
    on(url, go_on_with_an_old_lease)  # nobody else has it, but it is over
    assert sql("SELECT * FROM contact_webhooks") == before
    assert on(url, claim) == [(1, 2)]
    before = sql("SELECT * FROM contact_webhooks")
    on(url, go_on_with_an_old_lease)
    assert sql("SELECT * FROM contact_webhooks") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.pause(1),
        lambda store: store.resume(1),
        lambda store: store.move(1, "cursor"),
        lambda store: store.rotate(1, KEY, b"another", 1),
        lambda store: store.remove(1),
    ],
    ids=["pause", "resume", "move", "rotate", "remove"],
)
def test_every_change_revokes_the_lease(url, sql, change):
    async def body(store):
        await add_some(store, 1)
        [webhook] = await store.claim(KEY, 1, MINUTE)
        assert await store.renew({1: webhook.lease}, MINUTE) == {1}
        await change(store)
        assert not await store.advance(1, webhook.lease, "elsewhere")
        assert await store.renew({1: webhook.lease}, MINUTE) == frozenset()
        assert await store.fail(1, webhook.lease, "timeout", delay=1, give_up_after=0) is None

    on(url, body)
    assert sql("SELECT count(*) FROM contact_webhooks WHERE cursor = 'elsewhere' OR failures > 0") == [(0,)]


def test_what_is_sent_again_after_its_answer_was_lost_adds_and_loses_nothing(url, sql):
    async def body():
        async with repository_on(url) as repository:
            values = to_webhook_values(TARGET, SALTS) | {"id": 7, "cursor": None}
            for _ in range(2):
                assert len(await repository.database.fetch(statements.ADD_WEBHOOK, values)) == 1
            store = PostgresWebhooks(repository.database)
            assert [webhook.id for webhook in await store.webhooks()] == [7]
            for _ in range(2):
                webhook = await store.rotate(7, KEY, b"new", MINUTE)
                assert (webhook.salts.current, webhook.salts.previous) == (b"new", b"salt")

    asyncio.run(body())
