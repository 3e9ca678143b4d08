"""The composition root: the one place that knows all parts."""

import asyncio
import gc
import multiprocessing
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import structlog
from dependency_injector import containers, providers
from litestar import Litestar
from litestar.types import ASGIApp
from sqlalchemy import URL, QueuePool

from identity_adapters.batching import IdentifyInBatches
from identity_adapters.domains import ascii_form, details_in_unicode, unicode_form
from identity_adapters.embedded import embedded_database
from identity_adapters.http import create_app
from identity_adapters.http.app import Lifespan
from identity_adapters.http.observed import observed
from identity_adapters.http.sites import refuse_foreign_pages
from identity_adapters.metrics import Metrics, forget_the_dead
from identity_adapters.postgres import PostgresContactRepository, create_engine, migrate
from identity_adapters.processes import end_with_parent
from identity_adapters.queries import BoundedQueries
from identity_adapters.settings import Settings
from identity_adapters.stopping import Stopping
from identity_core import ContactDetails, IdentifyContacts


@contextmanager
def database(settings: Settings) -> Iterator[URL]:
    """The configured database, or the embedded one for as long as it is used."""
    if settings.database_url is not None:
        yield settings.database_url
    else:
        with embedded_database(settings.data_folder, settings.postgres_programs) as url:
            yield url


def details_maker(region: str | None) -> Callable[[Any, Any], ContactDetails]:
    """What makes details of an email and a phone number as they were sent."""
    if region is None:
        return details_in_unicode()
    from identity_adapters.regions import details_of_region  # its package is optional

    return details_in_unicode(details_of_region(region))


def _lifespan(container: "Container") -> Lifespan:
    @asynccontextmanager
    async def serving(_: Litestar) -> AsyncIterator[None]:
        if (parent := multiprocessing.parent_process()) is not None and parent.pid is not None:
            end_with_parent(parent.pid, signal.SIGTERM)
        settings = container.settings()
        forget_the_dead()
        with database(settings) as url:
            if settings.migrate_at_start:
                migrate(url)
            with container.database_url.override(url):
                container.stopping().on(signal.SIGTERM, after=settings.drain)
                watching = asyncio.create_task(_watch(container))
                # What start-up made stays. Looking through it again and again would take long, and
                # so would looking for cycles as often as is the default: requests make few.
                gc.collect()
                gc.freeze()
                gc.set_threshold(10_000, 20, 20)
                # A thread that works on a large identity lets the event loop go on after so many seconds.
                sys.setswitchinterval(0.0005)
                yield
                watching.cancel()
                await container.engine().dispose()
                await container.query_engine().dispose()

    return serving


async def _watch(container: "Container") -> None:
    pools = [cast(QueuePool, engine.pool) for engine in (container.engine(), container.query_engine())]
    await container.metrics().watch(
        lambda: container.identify().waiting,
        lambda: (sum(pool.checkedout() for pool in pools), sum(pool.size() for pool in pools)),
    )


def _exposition(container: "Container") -> Callable[[], Awaitable[bytes]]:
    return lambda: container.metrics().exposition(container.repository().census)


def _guarded(app: ASGIApp, metrics: Metrics, stopping: Stopping, settings: Settings) -> ASGIApp:
    """The application with all that watches over it."""
    any_name_will_do = settings.api_keys or not settings.is_local
    app = refuse_foreign_pages(
        app,
        allowed_origins=settings.allowed_origins,
        allowed_hosts=settings.allowed_hosts or (None if any_name_will_do else ()),
    )
    if settings.traces:
        from identity_adapters.http.traced import traced  # its packages are optional

        app = traced(app)
    log = structlog.get_logger("identity_adapters.access").info if settings.access_log else None
    return observed(app, metrics.observe, log=log, is_stopping=stopping)


def _divided(pool_size: int) -> tuple[int, int]:
    """How many connections are there to identify, and how many for queries, which take no others."""
    for_queries = max(1, pool_size // 4)
    return pool_size - for_queries, for_queries


class Container(containers.DeclarativeContainer):
    """Settings → engine → repository → use case → application; each is made when first used."""

    __self__ = providers.Self()

    settings = providers.Singleton(Settings.load)
    database_url: providers.Object[URL | None] = providers.Object(None)
    """Known while the application runs."""

    _engine = providers.Factory(
        create_engine,
        database_url,
        statement_timeout=settings.provided.statement_timeout,
        lock_timeout=settings.provided.lock_timeout,
        prepare_statements=settings.provided.prepare_statements,
    )
    _pool_sizes = providers.Callable(_divided, settings.provided.pool_size)
    engine = providers.Singleton(_engine, pool_size=_pool_sizes.provided[0])
    query_engine = providers.Singleton(_engine, pool_size=_pool_sizes.provided[1])
    metrics = providers.Singleton(Metrics, count_every=settings.provided.count_every)
    stopping = providers.Singleton(Stopping)
    _repository = providers.Factory(
        PostgresContactRepository,
        answer_within=settings.provided.answer_timeout,
        on_retry=metrics.provided.observe_retry,
        ascii_form=providers.Object(ascii_form),
        unicode_form=providers.Object(unicode_form),
    )
    repository = providers.Singleton(_repository, engine)
    service = providers.Singleton(IdentifyContacts, repository)
    queries = providers.Singleton(
        BoundedQueries,
        providers.Singleton(_repository, query_engine),
        max_waiting=settings.provided.max_waiting,
    )
    identify = providers.Singleton(
        IdentifyInBatches,
        service,
        max_batch=settings.provided.max_batch,
        max_waiting=settings.provided.max_waiting,
        on_batch=metrics.provided.observe_batch,
    )
    endpoints = providers.Singleton(
        create_app,
        identify=identify.provider,
        queries=queries.provider,
        feed=service.provider,
        check=repository.provided.check.provider,
        make_details=providers.Callable(details_maker, settings.provided.default_region),
        exposition=providers.Callable(_exposition, __self__),
        is_stopping=stopping,
        keys=settings.provided.api_keys,
        rate_limit=settings.provided.rate_limit,
        lifespan=providers.List(providers.Callable(_lifespan, __self__)),
        max_body_size=settings.provided.max_body_size,
        allowed_origins=settings.provided.allowed_origins,
        has_pages=settings.provided.pages,
    )
    app = providers.Singleton(_guarded, endpoints, metrics, stopping, settings)
