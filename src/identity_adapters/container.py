"""The composition root: the only module that knows all parts."""

import asyncio
import gc
import multiprocessing
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import structlog
from dependency_injector import containers, providers

from identity_adapters.api import MakeDetails
from identity_adapters.batching import IdentifyInBatches
from identity_adapters.domains import normalize_domains, to_ascii, to_unicode
from identity_adapters.files.ledger import InvalidLedger, append_to_ledger, complete_ledger
from identity_adapters.offload import offload
from identity_adapters.postgres import (
    Database,
    EmailForms,
    PostgresAuditTrail,
    PostgresChangeFeed,
    PostgresContactRepository,
    PostgresIdentityReader,
    PostgresRuleBook,
    PostgresSightings,
    PostgresWebhooks,
    create_engine,
    migrate,
    take_census,
)
from identity_adapters.processes import signal_on_parent_exit
from identity_adapters.queries import (
    BoundedAccess,
    BoundedErasures,
    BoundedQueries,
    BoundedRuleChanges,
    BoundedRulings,
    BoundedSuggestions,
)
from identity_adapters.settings import InvalidSetting, Settings
from identity_adapters.settling import Settler
from identity_adapters.shutdown import GracefulShutdown
from identity_adapters.sightings import SightingRecorder, end_recording
from identity_adapters.statistics import Statistics
from identity_core import (
    AccessIdentities,
    ChangeFeed,
    ChangeRules,
    EraseIdentities,
    EraseUnseen,
    IdentifyContacts,
    LedgerEntry,
    QueryIdentities,
    RepositoryUnavailable,
    RuleOnIdentities,
    SuggestRules,
)

# Parts that only the service needs are imported where they are created, so that commands start faster.
if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import ASGIApp
    from sqlalchemy import URL, QueuePool

    from identity_adapters.api.statistics import CountAll
    from identity_adapters.delivery import Deliverer
    from identity_adapters.http.app import Lifespan
    from identity_adapters.http.routes.identify import OnSeen
    from identity_adapters.metrics import Metrics
    from identity_adapters.webhooks.client import Answer
    from identity_adapters.webhooks.manage import ManageWebhooks
    from identity_adapters.webhooks.store import WebhookStore
    from identity_adapters.webhooks.webhook import Target

T = TypeVar("T")

LEDGER = "IDENTITY_ERASURE_LEDGER"

MAX_WEBHOOKS = 10_000
"""How many webhooks have metrics."""

_logger = structlog.get_logger(__name__)


@contextmanager
def open_database(container: "Container") -> Iterator["URL"]:
    """Open the configured database, or run the embedded one, while the context is active."""
    settings = container.settings()
    if settings.database_url is not None:
        with container.database_url.override(settings.database_url):
            yield settings.database_url
        return
    from identity_adapters.embedded import embedded_database

    with (
        embedded_database(settings.data_folder, settings.postgres_programs) as url,
        container.database_url.override(url),
    ):
        yield url


def run(container: "Container", work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine on an open database and return its result."""

    async def body() -> T:
        try:
            return await work
        finally:
            await _close_connections(container)

    return asyncio.run(body())


async def _close_connections(container: "Container") -> None:
    for engine in (container.engine(), container.query_engine()):
        await engine.dispose()


def compose_make_details(region: str | None) -> MakeDetails:
    """Compose the function that makes details of an email and a phone number."""
    if region is None:
        return normalize_domains()
    from identity_adapters.regions import normalize_phone_numbers  # its package is optional

    return normalize_domains(normalize_phone_numbers(region))


def _lifespan(container: "Container") -> "Lifespan":
    from identity_adapters.metrics import remove_dead_processes

    @asynccontextmanager
    async def run_service(_: "Litestar") -> AsyncIterator[None]:
        if (parent := multiprocessing.parent_process()) is not None and parent.pid is not None:
            signal_on_parent_exit(parent.pid, signal.SIGTERM)
        settings = container.settings()
        remove_dead_processes()
        with open_database(container) as url:
            if settings.migrate_at_start:
                migrate(url)
            if settings.erasure_ledger is not None:
                with naming_ledger():
                    await complete_ledger(settings.erasure_ledger, container.audit_trail())
            container.shutdown().delay(signal.SIGTERM, seconds=settings.drain)
            recorder = container.recorder() if settings.record_last_seen else None
            deliverer = container.deliverer() if settings.deliver else None
            delivering = asyncio.create_task(deliverer.run()) if deliverer else None
            tasks = [
                asyncio.create_task(_watch(container)),
                asyncio.create_task(container.settler().run()),
                asyncio.create_task(recorder.run() if recorder else end_recording(container.sightings())),
            ]
            # Objects from the start live for ever, so the collector need not scan them again. Requests
            # create few cycles, so the default thresholds would collect too often.
            gc.collect()
            gc.freeze()
            gc.set_threshold(10_000, 20, 20)
            # Seconds after which a thread that works on a large identity yields to the event loop.
            sys.setswitchinterval(0.0005)
            yield
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if deliverer is not None and delivering is not None:
                deliverer.stop()
                await delivering
            if recorder is not None:
                await recorder.close()
            await _close_connections(container)

    return run_service


async def _watch(container: "Container") -> None:
    pools = [cast("QueuePool", engine.pool) for engine in (container.engine(), container.query_engine())]
    await container.metrics().watch(
        lambda: container.identify().waiting,
        lambda: (sum(pool.checkedout() for pool in pools), sum(pool.size() for pool in pools)),
    )


def _settle(container: "Container") -> Callable[[], Awaitable[object]]:
    async def settle() -> None:
        book = container.rule_book()
        if (await book.rules()).is_settled:
            return
        async with book.lease() as is_free:
            if is_free:
                await container.change_rules().settle()

    return settle


@contextmanager
def naming_ledger() -> Iterator[None]:
    """Raise `InvalidSetting` if the ledger of erasures is not one, or cannot be written."""
    try:
        yield
    except InvalidLedger as error:
        raise InvalidSetting(LEDGER, f"names a file that is not a ledger: {error}") from None
    except OSError as error:
        raise InvalidSetting(LEDGER, f"names a file that cannot be written: {error.strerror}") from None


def _keep_in_ledger(ledger: Path | None) -> Callable[[LedgerEntry], None]:
    """What is done with each erasure once it is persisted."""

    def keep(entry: LedgerEntry) -> None:
        if ledger is not None:
            try:
                append_to_ledger(ledger, [entry])
            except OSError:
                # The erasure is in the database, from which the next start completes the ledger.
                _logger.exception("the ledger of erasures could not be written")

    return keep


def _deliverer(settings: Settings, store: "WebhookStore", feed: ChangeFeed) -> "Deliverer":
    from identity_adapters.delivery import Deliverer
    from identity_adapters.webhooks.client import WebhookClient

    if settings.webhook_key is None:
        raise InvalidSetting(
            "IDENTITY_WEBHOOK_KEY", "is needed to deliver webhooks: their secrets are made with it"
        )
    return Deliverer(
        store,
        feed,
        key=settings.webhook_key,
        connect=lambda target: WebhookClient(target, settings.webhook_timeout),
        timeout=settings.webhook_timeout,
        give_up_after=timedelta(days=settings.webhook_retry_days).total_seconds(),
    )


def _choose_on_seen(container: "Container") -> "OnSeen | None":
    if not container.settings().record_last_seen:
        return None
    # The recorder is created once the database is open.
    return lambda details, blocked: container.recorder().note(details, blocked)


def _metrics(count_every: float) -> "Metrics":
    from identity_adapters.metrics import Metrics

    return Metrics(count_every)


def _on_retry(container: "Container") -> Callable[[str], None]:
    return lambda cause: container.metrics().observe_retry(cause)


def _render_metrics(container: "Container") -> Callable[[], Awaitable[bytes]]:
    from identity_adapters.delivery.metrics import render_webhooks
    from identity_adapters.metrics import COUNT_TIMEOUT

    async def render() -> bytes:
        metrics = await container.metrics().render(partial(take_census, container.database()))
        try:
            async with asyncio.timeout(COUNT_TIMEOUT):  # Prometheus waits no longer for the others
                webhooks = await container.webhook_store().webhooks(limit=MAX_WEBHOOKS)
        except (RepositoryUnavailable, TimeoutError) as error:
            reason = error.reason if isinstance(error, RepositoryUnavailable) else "timeout"
            _logger.warning("the webhooks could not be read", reason=reason)
            return metrics
        return metrics + render_webhooks(webhooks)

    return render


def _count_all(container: "Container") -> "CountAll":
    # A census reads whole tables, so it leaves the connections to identify with alone.
    return lambda: take_census(container.query_database())


def _manage_webhooks(timeout: float, **parts: Any) -> "ManageWebhooks":
    from identity_adapters.webhooks.client import WebhookClient
    from identity_adapters.webhooks.manage import ManageWebhooks

    async def send_once(target: "Target", headers: Mapping[str, str], body: bytes) -> "Answer":
        async with aclosing(WebhookClient(target, timeout)) as client:
            return await client.post(headers, body)

    return ManageWebhooks(**parts, send=send_once)


def _create_app(**parts: Any) -> "Litestar":
    from identity_adapters.http import create_app

    return create_app(**parts)


def _wrap_app(
    app: "ASGIApp", metrics: "Metrics", shutdown: GracefulShutdown, settings: Settings
) -> "ASGIApp":
    """Wrap the application in its middleware."""
    import structlog

    from identity_adapters.http.middleware.foreign_pages import reject_foreign_pages
    from identity_adapters.http.middleware.observe import observe_requests

    accepts_any_host = settings.api_keys or not settings.is_local
    app = reject_foreign_pages(
        app,
        allowed_origins=settings.allowed_origins,
        allowed_hosts=settings.allowed_hosts or (None if accepts_any_host else ()),
    )
    if settings.traces:
        from identity_adapters.http.middleware.trace import trace_requests  # its packages are optional

        app = trace_requests(app)
    log = structlog.get_logger("identity_adapters.access").info if settings.access_log else None
    return observe_requests(app, metrics.observe, log=log, is_shutting_down=shutdown)


def _divide_pool(pool_size: int) -> tuple[int, int]:
    """Divide the connections into those to identify with and those for queries."""
    for_queries = max(1, pool_size // 4)
    return pool_size - for_queries, for_queries


class Container(containers.DeclarativeContainer):
    """Settings → engine → repository → use case → application; each is created at its first use."""

    __self__ = providers.Self()

    settings = providers.Singleton(Settings.load)
    database_url: "providers.Dependency[URL]" = providers.Dependency()
    """Set while the database is open."""

    _engine = providers.Factory(
        create_engine,
        database_url,
        statement_timeout=settings.provided.statement_timeout,
        lock_timeout=settings.provided.lock_timeout,
        prepare_statements=settings.provided.prepare_statements,
    )
    pool_sizes = providers.Callable(_divide_pool, settings.provided.pool_size)
    engine = providers.Singleton(_engine, pool_size=pool_sizes.provided[0])
    query_engine = providers.Singleton(_engine, pool_size=pool_sizes.provided[1])
    metrics = providers.Singleton(_metrics, count_every=settings.provided.count_every)
    shutdown = providers.Singleton(GracefulShutdown)
    _database = providers.Factory(
        Database,
        answer_timeout=settings.provided.answer_timeout,
        on_retry=providers.Callable(_on_retry, __self__),
    )
    database = providers.Singleton(_database, engine)
    query_database = providers.Singleton(_database, query_engine)
    _emails = providers.Object(EmailForms(to_ascii, to_unicode))
    repository = providers.Singleton(
        PostgresContactRepository,
        database,
        _emails,
        suppression_key=settings.provided.suppression_key,
    )
    reader = providers.Singleton(
        PostgresIdentityReader,
        query_database,
        _emails,
        suppression_key=settings.provided.suppression_key,
    )
    feed = providers.Singleton(PostgresChangeFeed, database)
    webhook_store = providers.Singleton(PostgresWebhooks, query_database)
    _webhook_feed = providers.Singleton(PostgresChangeFeed, query_database)
    webhooks = providers.Singleton(
        _manage_webhooks,
        settings.provided.webhook_timeout,
        store=webhook_store,
        feed=_webhook_feed,
        key=settings.provided.webhook_key,
    )
    deliverer = providers.Singleton(_deliverer, settings, webhook_store, _webhook_feed)
    rule_book = providers.Singleton(PostgresRuleBook, database, _emails)
    audit_trail = providers.Singleton(PostgresAuditTrail, database)
    _offload = providers.Object(offload)
    identify_contacts = providers.Singleton(IdentifyContacts, repository, offload=_offload)
    query_identities = providers.Singleton(QueryIdentities, reader, offload=_offload)
    rule = providers.Singleton(RuleOnIdentities, repository, reader, offload=_offload)
    _on_erased = providers.Callable(_keep_in_ledger, settings.provided.erasure_ledger)
    erase = providers.Singleton(
        EraseIdentities, repository, reader, audit_trail, offload=_offload, on_erased=_on_erased
    )
    sightings = providers.Singleton(PostgresSightings, query_database, _emails)
    recorder = providers.Singleton(SightingRecorder, sightings, on_written=metrics.provided.observe_last_seen)
    erase_unseen = providers.Singleton(EraseUnseen, erase, reader, sightings)
    access_identities = providers.Singleton(AccessIdentities, reader, audit_trail, offload=_offload)
    change_rules = providers.Singleton(ChangeRules, repository, rule_book)
    suggest_rules = providers.Singleton(SuggestRules, rule_book)
    settler = providers.Singleton(Settler, providers.Callable(_settle, __self__))
    queries = providers.Singleton(
        BoundedQueries,
        reader,
        offload=_offload,
        max_waiting=settings.provided.max_waiting,
    )
    rulings = providers.Singleton(BoundedRulings, repository, reader, offload=_offload, queries=queries)
    access = providers.Singleton(BoundedAccess, reader, audit_trail, offload=_offload, queries=queries)
    erasures = providers.Singleton(
        BoundedErasures,
        repository,
        reader,
        audit_trail,
        offload=_offload,
        on_erased=_on_erased,
        queries=queries,
    )
    _query_rule_book = providers.Singleton(PostgresRuleBook, query_database, _emails)
    rules = providers.Singleton(
        BoundedRuleChanges, repository, _query_rule_book, offload=_offload, queries=queries
    )
    suggestions = providers.Singleton(BoundedSuggestions, _query_rule_book, offload=_offload, queries=queries)
    identify = providers.Singleton(
        IdentifyInBatches,
        identify_contacts,
        max_batch=settings.provided.max_batch,
        max_waiting=settings.provided.max_waiting,
        on_batch=metrics.provided.observe_batch,
    )
    statistics = providers.Singleton(Statistics, providers.Callable(_count_all, __self__))
    make_details = providers.Callable(compose_make_details, settings.provided.default_region)
    endpoints = providers.Singleton(
        _create_app,
        identify=identify.provider,
        queries=queries.provider,
        rulings=rulings.provider,
        rules=rules.provider,
        suggestions=suggestions.provider,
        access=access.provider,
        erase=erasures.provider,
        feed=feed.provider,
        webhooks=webhooks.provider,
        check=database.provided.check.provider,
        make_details=make_details,
        statistics=statistics,
        render_metrics=providers.Callable(_render_metrics, __self__),
        is_shutting_down=shutdown,
        on_ruling=metrics.provided.observe_ruling,
        on_rules=settler.provided.wake,
        on_erased=metrics.provided.observe_erasure,
        on_blocked=metrics.provided.observe_blocked,
        on_seen=providers.Callable(_choose_on_seen, __self__),
        suppress_for=providers.Callable(timedelta, days=settings.provided.suppress_days),
        keys=settings.provided.api_keys,
        rate_limit=settings.provided.rate_limit,
        lifespan=providers.List(providers.Callable(_lifespan, __self__)),
        max_body_size=settings.provided.max_body_size,
        allowed_origins=settings.provided.allowed_origins,
        has_pages=settings.provided.pages,
        has_explorer=settings.provided.explorer,
    )
    app = providers.Singleton(_wrap_app, endpoints, metrics, shutdown, settings)
