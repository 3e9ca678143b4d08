"""How the service is: live, ready, and in numbers."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from identity_adapters.http.access import guarded
from identity_adapters.http.problems import documented
from identity_adapters.keys import Scope
from identity_core import RepositoryUnavailable

CheckReady: TypeAlias = Callable[[], Awaitable[None]]

_PROMETHEUS = "text/plain; version=0.0.4"


@get("/health/live", operation_id="live", summary="Whether the service runs", sync_to_thread=False)
def live() -> dict[str, str]:
    return {"status": "live"}


def ready_endpoint(check: Callable[[], CheckReady], is_stopping: Callable[[], bool]) -> HTTPRouteHandler:
    @get(
        "/health/ready",
        operation_id="ready",
        summary="Whether the service can answer: the database is there, and migrated",
        responses=documented(503),
    )
    async def ready() -> dict[str, str]:
        if is_stopping():
            raise RepositoryUnavailable("the service is stopping")
        await check()()
        return {"status": "ready"}

    return ready


def metrics_endpoint(exposition: Callable[[], Awaitable[bytes]]) -> HTTPRouteHandler:
    @get(
        "/metrics",
        operation_id="metrics",
        summary="What Prometheus asks for",
        **guarded(
            Scope.ADMIN,
            ResponseSpec(str, description="Metrics", media_type="text/plain", generate_examples=False),
        ),
    )
    async def metrics() -> Response[bytes]:
        return Response(await exposition(), media_type=_PROMETHEUS)

    return metrics
