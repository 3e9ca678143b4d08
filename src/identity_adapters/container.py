"""The composition root: the one place that knows all parts."""

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from dependency_injector import containers, providers

from identity_adapters.batching import IdentifyInBatches
from identity_adapters.postgres import PostgresContactRepository, create_engine, migrate
from identity_adapters.processes import end_with_parent
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


def _make_details(region: str | None) -> MakeDetails:
    if region is None:
        return ContactDetails
    from identity_adapters.regions import details_of_region  # its package is optional

    return details_of_region(region)


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
            yield
            watching.cancel()
            await container.engine().dispose()

    return serving


async def _watch(container: "Container") -> None:
    pool = cast("QueuePool", container.engine().pool)
    await container.metrics().watch(
        lambda: container.identify().waiting, lambda: (pool.checkedout(), pool.size())
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


def _seen(app: "ASGIApp", metrics: "Metrics", stopping: Stopping, settings: Settings) -> "ASGIApp":
    """The application with all that watches it."""
    import structlog

    from identity_adapters.http.observed import observed

    log = structlog.get_logger("identity_adapters.access").info if settings.access_log else None
    app = observed(app, metrics.observe, log=log, is_stopping=stopping)
    if settings.traces:
        from identity_adapters.http.traced import traced  # its packages are optional

        app = traced(app)
    return app


class Container(containers.DeclarativeContainer):
    """Settings → engine → repository → use case → application; each is made when first used."""

    __self__ = providers.Self()

    settings = providers.Singleton(Settings.load)
    database_url: "providers.Dependency[URL]" = providers.Dependency()
    """Known while the database is open."""

    engine = providers.Singleton(
        create_engine,
        database_url,
        pool_size=settings.provided.pool_size,
        statement_timeout=settings.provided.statement_timeout,
        lock_timeout=settings.provided.lock_timeout,
        prepare_statements=settings.provided.prepare_statements,
    )
    metrics = providers.Singleton(_metrics, count_every=settings.provided.count_every)
    stopping = providers.Singleton(Stopping)
    repository = providers.Singleton(
        PostgresContactRepository,
        engine,
        answer_within=settings.provided.answer_timeout,
        on_retry=providers.Callable(_on_retry, __self__),
    )
    service = providers.Singleton(IdentifyContacts, repository)
    identify = providers.Singleton(
        IdentifyInBatches,
        service,
        max_batch=settings.provided.max_batch,
        max_waiting=settings.provided.max_waiting,
        on_batch=metrics.provided.observe_batch,
    )
    make_details = providers.Callable(_make_details, settings.provided.default_region)
    endpoints = providers.Singleton(
        _endpoints,
        identify=identify.provider,
        service=service.provider,
        check=repository.provided.check.provider,
        make_details=make_details,
        exposition=providers.Callable(_exposition, __self__),
        is_stopping=stopping,
        keys=settings.provided.api_keys,
        rate_limit=settings.provided.rate_limit,
        lifespan=providers.List(providers.Callable(_lifespan, __self__)),
        max_body_size=settings.provided.max_body_size,
    )
    app = providers.Singleton(_seen, endpoints, metrics, stopping, settings)
