"""The composition root: the one place that knows all parts."""

import asyncio
import gc
import multiprocessing
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from dependency_injector import containers, providers

from identity_adapters.batching import IdentifyInBatches
from identity_adapters.domains import ascii_form, details_in_unicode, unicode_form
from identity_adapters.postgres import PostgresContactRepository, create_engine, migrate
from identity_adapters.processes import end_with_parent
from identity_adapters.queries import BoundedQueries
from identity_adapters.settings import Settings
from identity_adapters.stopping import Stopping
from identity_core import ContactDetails, IdentifyContacts

# The parts that only the service has are imported where they are made: commands do without them.
if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import ASGIApp
    from sqlalchemy import URL, QueuePool

    from identity_adapters.http.app import Lifespan
    from identity_adapters.metrics import Metrics

T = TypeVar("T")
MakeDetails: TypeAlias = Callable[[Any, Any], ContactDetails]
"""Makes details of an email and a phone number as they were sent."""


@contextmanager
def open_database(container: "Container") -> Iterator["URL"]:
    """The configured database, or the embedded one, for as long as it is used."""
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
    """What a command's work on an open database returns."""

    async def body() -> T:
        try:
            return await work
        finally:
            await container.engine().dispose()

    return asyncio.run(body())


def details_maker(region: str | None) -> MakeDetails:
    """What makes details of an email and a phone number as they were sent."""
    if region is None:
        return details_in_unicode()
    from identity_adapters.regions import details_of_region  # its package is optional

    return details_in_unicode(details_of_region(region))


def _lifespan(container: "Container") -> "Lifespan":
    from identity_adapters.metrics import forget_the_dead

    @asynccontextmanager
    async def serving(_: "Litestar") -> AsyncIterator[None]:
        if (parent := multiprocessing.parent_process()) is not None and parent.pid is not None:
            end_with_parent(parent.pid, signal.SIGTERM)
        settings = container.settings()
        forget_the_dead()
        with open_database(container) as url:
            if settings.migrate_at_start:
                migrate(url)
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
    pools = [cast("QueuePool", engine.pool) for engine in (container.engine(), container.query_engine())]
    await container.metrics().watch(
        lambda: container.identify().waiting,
        lambda: (sum(pool.checkedout() for pool in pools), sum(pool.size() for pool in pools)),
    )


def _metrics(count_every: float) -> "Metrics":
    from identity_adapters.metrics import Metrics

    return Metrics(count_every)


def _on_retry(container: "Container") -> Callable[[str], None]:
    return lambda cause: container.metrics().observe_retry(cause)


def _exposition(container: "Container") -> Callable[[], Awaitable[bytes]]:
    return lambda: container.metrics().exposition(container.repository().census)


def _endpoints(**parts: Any) -> "Litestar":
    from identity_adapters.http import create_app

    return create_app(**parts)


def _guarded(app: "ASGIApp", metrics: "Metrics", stopping: Stopping, settings: Settings) -> "ASGIApp":
    """The application with all that watches over it."""
    import structlog

    from identity_adapters.http.observed import observed
    from identity_adapters.http.sites import refuse_foreign_pages

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
    database_url: "providers.Dependency[URL]" = providers.Dependency()
    """Known while the database is open."""

    _engine = providers.Factory(
        create_engine,
        database_url,
        statement_timeout=settings.provided.statement_timeout,
        lock_timeout=settings.provided.lock_timeout,
        prepare_statements=settings.provided.prepare_statements,
    )
    pool_sizes = providers.Callable(_divided, settings.provided.pool_size)
    engine = providers.Singleton(_engine, pool_size=pool_sizes.provided[0])
    query_engine = providers.Singleton(_engine, pool_size=pool_sizes.provided[1])
    metrics = providers.Singleton(_metrics, count_every=settings.provided.count_every)
    stopping = providers.Singleton(Stopping)
    _repository = providers.Factory(
        PostgresContactRepository,
        answer_within=settings.provided.answer_timeout,
        on_retry=providers.Callable(_on_retry, __self__),
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
    make_details = providers.Callable(details_maker, settings.provided.default_region)
    endpoints = providers.Singleton(
        _endpoints,
        identify=identify.provider,
        queries=queries.provider,
        feed=service.provider,
        check=repository.provided.check.provider,
        make_details=make_details,
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
