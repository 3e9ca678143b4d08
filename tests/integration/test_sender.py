"""What becomes of one webhook, on a real database, with an endpoint that does what the test says."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from inspect import isawaitable
from math import inf
from time import monotonic

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from identity_adapters.delivery import Deliverer
from identity_adapters.delivery.sender import Sender, Terms
from identity_adapters.postgres import PostgresWebhooks
from identity_adapters.webhooks.client import Answer, DeliveryFailed
from identity_adapters.webhooks.signing import identify_key, new_salts
from identity_adapters.webhooks.webhook import PauseReason, Target
from identity_core import ContactDetails, EventKind, IdentifyContacts
from tests.support.databases import connect, emptied_repository_on

KEY = b"a key that only this test has"
DAYS = 3 * 86400.0
HANG = "hang"


class Endpoint:
    """A client whose endpoint answers with these statuses, then with 200.

    Attributes:
        messages: the ids and the bodies that it got.
    """

    def __init__(self, *answers):
        self.messages = []
        self._answers = list(answers)

    async def post(self, headers, body):
        self.messages.append((headers["webhook-id"], body))
        answer = self._answers.pop(0) if self._answers else 200
        if answer == HANG:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answer) else Answer(answer)

    async def aclose(self):
        pass

    @property
    def events(self):
        """The ids of the events of all messages, those left out that came again."""
        return [
            event["id"]
            for body in dict(self.messages).values()
            for event in msgspec.json.decode(body)["data"]["events"]
        ]


class Bench:
    """A repository, its webhooks, and one process after the other that delivers them."""

    def __init__(self, url, repository):
        self.url = url
        self.repository = repository
        self.store = PostgresWebhooks(repository.database)
        self.number = 0

    async def identify(self, number):
        """Identify so many customers, of whom every other joins the one before."""
        batch = []
        for _ in range(number):
            batch.append(ContactDetails(f"{self.number}@x.com", str(self.number // 2)))
            self.number += 1
        await IdentifyContacts(self.repository).many(batch)

    async def add(self, *kinds):
        return await self.store.add(Target("https://x.com", frozenset(kinds)), new_salts(KEY), None)

    async def feed(self, *kinds):
        """The ids of the events of some kinds, in the order of the feed."""
        events, _ = await self.repository.changes(limit=100_000)
        return [one.id for one in events if not kinds or one.event.kind in kinds]

    async def has_failed(self):
        return any(webhook.failures for webhook in await self.store.webhooks())

    async def has_come(self, endpoint):
        """Whether an endpoint got everything."""
        return endpoint.events == await self.feed()

    async def claim(self):
        """The webhook, with a new lease."""
        with connect(self.url) as connection:  # that of a process which was killed is over
            connection.execute("UPDATE contact_webhooks SET leased_until = NULL, next_attempt_at = NULL")
        [webhook] = await self.store.claim(identify_key(KEY), 1, 3600)
        return webhook

    def send(self, webhook, endpoint, *, give_up_after=DAYS, valid_until=inf, stopping=None):
        """A task that sends to an endpoint."""
        terms = Terms(KEY, 15, give_up_after, stopping or asyncio.Event())
        sender = Sender(
            webhook,
            valid_until,
            store=self.store,
            feed=self.repository,
            connect=lambda _: endpoint,
            terms=terms,
        )
        return sender, asyncio.create_task(sender.run(asyncio.Event))

    async def send_all(self, endpoint, **options):
        """Send until nothing is left, or the sender ends."""
        sender, task = self.send(await self.claim(), endpoint, **options)
        await until(lambda: sender.is_caught_up or task.done())
        await cancel(task)


async def until(condition):
    """Wait for a condition, which may have to be awaited, while others go on."""
    while not ((await found) if isawaitable(found := condition()) else found):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def cancel(task):
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def on_bench(url):
    """Runs a coroutine function with a bench on an empty database."""

    def run(body):
        async def on_empty_repository():
            async with emptied_repository_on(url) as repository:
                with connect(url) as connection:
                    connection.execute("TRUNCATE contact_webhooks")
                return await body(Bench(url, repository))

        return asyncio.run(on_empty_repository())

    return run


def test_whoever_is_killed_is_followed_by_one_who_sends_the_same_message(on_bench):
    """Also if more has come meanwhile: what an endpoint may have processed comes again under the same id."""

    async def body(bench):
        await bench.add()
        await bench.identify(5)
        killed = Endpoint(HANG)
        _, task = bench.send(await bench.claim(), killed)
        await until(lambda: killed.messages)
        await cancel(task)
        await bench.identify(300)
        follower = Endpoint()
        await bench.send_all(follower)
        assert follower.messages[0] == killed.messages[0]
        assert len(follower.messages) > 3, "and the rest in more than one"
        assert follower.events == await bench.feed()

    on_bench(body)


@settings(max_examples=5)
@given(kinds=st.sets(st.sampled_from([EventKind.CREATED, EventKind.LINKED, EventKind.ERASED]), min_size=1))
def test_events_of_other_kinds_are_left_out(pair_of_urls, kinds):
    async def body():
        async with emptied_repository_on(pair_of_urls[0]) as repository:
            bench = Bench(pair_of_urls[0], repository)
            with connect(bench.url) as connection:
                connection.execute("TRUNCATE contact_webhooks")
            await bench.add(*kinds)
            await bench.identify(150)
            endpoint = Endpoint()
            await bench.send_all(endpoint)
            assert endpoint.events == await bench.feed(*kinds)
            [webhook] = await bench.store.webhooks()
            assert webhook.delivered_events == len(endpoint.events)
            assert await bench.repository.changes(webhook.cursor) == ([], webhook.cursor), "it is past all"

    asyncio.run(body())


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (500, "status 500"),
        (302, "redirect not followed"),
        (199, "status 199"),
        (DeliveryFailed("timeout"), "timeout"),
        (Answer(429, 7200.0), "status 429"),
    ],
)
def test_an_endpoint_that_fails_is_tried_again_later(on_bench, answer, failure):
    async def body(bench):
        await bench.add()
        await bench.identify(1)
        stopping = asyncio.Event()
        endpoint = Endpoint(answer)
        _, task = bench.send(await bench.claim(), endpoint, stopping=stopping)
        await until(bench.has_failed)
        [webhook] = await bench.store.webhooks()
        stopping.set()
        await task
        assert (webhook.failures, webhook.last_failure, webhook.paused_at) == (1, failure, None)
        assert webhook.wait > (7000 if isinstance(answer, Answer) else 0)
        assert len(endpoint.messages) == 1
        await bench.send_all(follower := Endpoint())
        assert follower.messages == endpoint.messages
        [webhook] = await bench.store.webhooks()
        assert (webhook.failures, webhook.delivered_events) == (0, 1)

    on_bench(body)


@pytest.mark.parametrize(
    ("status", "give_up_after", "reason"), [(500, 0.0, PauseReason.FAILING), (410, DAYS, PauseReason.GONE)]
)
def test_a_webhook_is_paused_when_its_endpoint_failed_for_too_long_or_is_gone(
    on_bench, status, give_up_after, reason
):
    async def body(bench):
        webhook = await bench.add()
        await bench.identify(1)
        await bench.send_all(Endpoint(status), give_up_after=give_up_after)
        [paused] = await bench.store.webhooks()
        assert paused.paused_because is reason
        assert await bench.store.claim(identify_key(KEY), 1, 3600) == []
        await bench.store.resume(webhook.id)
        await bench.send_all(endpoint := Endpoint())
        assert endpoint.events == await bench.feed(), "nothing is skipped"

    on_bench(body)


def test_a_replay_sends_the_same_events_as_new_messages(on_bench):
    async def body(bench):
        webhook = await bench.add()
        await bench.identify(250)
        await bench.send_all(first := Endpoint())
        await bench.store.move(webhook.id, None)
        await bench.send_all(second := Endpoint())
        assert first.events == second.events == await bench.feed()
        assert dict(first.messages).keys().isdisjoint(dict(second.messages))

    on_bench(body)


def test_nothing_is_sent_without_a_lease_that_lasts(on_bench):
    async def body(bench):
        await bench.add()
        await bench.identify(1)
        for webhook, valid_until in [
            (await bench.claim(), monotonic() - 1),  # it could not be renewed
            (await bench.claim(), inf),  # somebody changed the webhook, or claimed it
        ]:
            if valid_until == inf:
                await bench.claim()
            endpoint = Endpoint()
            _, task = bench.send(webhook, endpoint, valid_until=valid_until)
            await task
            assert endpoint.messages == []

    on_bench(body)


def test_a_webhook_whose_cursor_is_of_another_server_is_paused(on_bench):
    async def body(bench):
        webhook = await bench.add()
        await bench.identify(1)
        await bench.send_all(Endpoint())
        with connect(bench.url) as connection:  # as if the database had been restored on another server
            connection.execute("UPDATE contact_webhooks SET cursor = '9:9:__0_1'")
        await bench.identify(1)
        await bench.send_all(endpoint := Endpoint())
        [paused] = await bench.store.webhooks()
        assert (paused.paused_because, endpoint.messages) == (PauseReason.RESTORED, [])
        await bench.store.move(webhook.id, await bench.repository.seek(datetime(2000, 1, 1, tzinfo=UTC)))
        await bench.store.resume(webhook.id)
        await bench.send_all(endpoint)
        assert endpoint.events == await bench.feed()

    on_bench(body)


def test_a_deliverer_says_that_it_leaves_webhooks_of_another_key_alone(on_bench):
    async def body(bench):
        await bench.store.add(Target("https://x.com"), new_salts(b"another key"), None)
        await bench.add()
        deliverer = Deliverer(
            bench.store,
            bench.repository,
            key=KEY,
            connect=lambda _: Endpoint(),
            timeout=15,
            give_up_after=DAYS,
        )
        with capture_logs() as logged:
            running = asyncio.create_task(deliverer.run())
            await until(lambda: deliverer._deliveries)
            deliverer.stop()
            await running
        assert [entry["webhooks"] for entry in logged] == [1]
        assert [webhook.lease for webhook in await bench.store.webhooks()] == [0, 1]

    on_bench(body)


def test_a_deliverer_that_stops_ends_what_it_began_and_lets_others_go_on(on_bench):
    """It also hears of what comes, of webhooks that are added, and of changes to those that it delivers."""

    async def body(bench):
        endpoint = Endpoint()
        deliverer = Deliverer(
            bench.store, bench.repository, key=KEY, connect=lambda _: endpoint, timeout=15, give_up_after=DAYS
        )
        running = asyncio.create_task(deliverer.run())
        webhook = await bench.add()
        await until(lambda: deliverer._deliveries)
        await bench.identify(1)
        await until(lambda: bench.has_come(endpoint))
        await bench.store.pause(webhook.id)
        await until(lambda: all(one.task.done() for one in deliverer._deliveries.values()))
        await bench.identify(1)
        await bench.store.resume(webhook.id)
        await until(lambda: bench.has_come(endpoint))
        deliverer.stop()
        await running
        [left] = await bench.store.webhooks()
        assert not left.is_leased
        assert left.delivered_events == len(endpoint.events)

    on_bench(body)


def test_a_webhook_that_keeps_up_does_not_lag_although_there_is_always_more(on_bench, monkeypatch):
    monkeypatch.setattr("identity_adapters.delivery.deliverer.TICK", 0.01)

    async def body(bench):
        class Busy(Endpoint):
            async def post(self, headers, body):
                await bench.identify(1)  # before the answer, so that something is left each time
                return await super().post(headers, body)

        class Counted(PostgresWebhooks):
            renewals = 0

            async def renew(self, *arguments):
                renewed = await super().renew(*arguments)
                self.renewals += 1
                return renewed

        endpoint, store = Busy(), Counted(bench.repository.database)
        webhook = await bench.add()
        await bench.identify(1)
        deliverer = Deliverer(
            store, bench.repository, key=KEY, connect=lambda _: endpoint, timeout=15, give_up_after=DAYS
        )
        running = asyncio.create_task(deliverer.run())
        await until(lambda: len(endpoint.messages) > 1)
        known = store.renewals
        await until(lambda: store.renewals > known + 1)
        deliverer.stop()
        await running
        [left] = await bench.store.webhooks()
        assert left.caught_up_at > webhook.caught_up_at
        assert await bench.feed() != endpoint.events

    on_bench(body)


def test_many_events_at_once_are_news_once(on_bench):
    """Otherwise everybody who has got everything would read the feed again and again."""

    async def body(bench):
        deliverer = Deliverer(
            bench.store, bench.repository, key=KEY, connect=Endpoint, timeout=15, give_up_after=DAYS
        )
        cursor, told = await bench.repository.seek(None), []
        with connect(bench.url) as connection:
            connection.execute(
                "INSERT INTO contact_events"
                " (happened_at, kind, primary_id, absorbed_ids, moved_ids, transaction_id)"
                " SELECT now(), 'created', 1, '{}', '{}', pg_current_xact_id() FROM generate_series(1, 5000)"
            )
        for _ in range(4):
            news = deliverer._news
            cursor = await deliverer._look(cursor)
            told.append(news.is_set())
        assert told == [True, True, False, False]  # the second time for what came after the first

    on_bench(body)
