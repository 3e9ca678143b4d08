"""The health of the service, and its metrics."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from identity_adapters.http.openapi.operation import SERVICE_TAG, Answer, Operation
from identity_adapters.keys import Scope
from identity_core import RepositoryUnavailable

CheckReady: TypeAlias = Callable[[], Awaitable[None]]

_PROMETHEUS = "text/plain; version=0.0.4"


class Health(msgspec.Struct):
    """The health of the service."""

    status: str


_LIVE = Operation(
    id="live",
    tag=SERVICE_TAG,
    summary="Check whether the service runs",
    description="Answers 200 while the process runs.",
    answer=Answer(Health, "The service runs.", {"live": {"status": "live"}}),
)


@get("/health/live", sync_to_thread=False, **_LIVE.route_options())
def live() -> Health:
    return Health("live")


def create_ready_endpoint(
    path: str, id: str, check: Callable[[], CheckReady], is_shutting_down: Callable[[], bool]
) -> HTTPRouteHandler:
    operation = Operation(
        id=id,
        tag=SERVICE_TAG,
        summary="Check whether the service can answer",
        description="Answers 200 while the database is ready and the service is not stopping.",
        answer=Answer(Health, "The service can answer.", {"ready": {"status": "ready"}}),
    )

    @get(path, **operation.route_options())
    async def ready() -> Health:
        if is_shutting_down():
            raise RepositoryUnavailable("the service is stopping")
        await check()()
        return Health("ready")

    return ready


def create_metrics_endpoint(render_metrics: Callable[[], Awaitable[bytes]]) -> HTTPRouteHandler:
    operation = Operation(
        id="metrics",
        tag=SERVICE_TAG,
        summary="Read the metrics",
        description="Returns the metrics in the text format of Prometheus.",
        answer=Answer(str, "The metrics.", media_type="text/plain"),
        scope=Scope.ADMIN,
    )

    @get("/metrics", **operation.route_options())
    async def metrics() -> Response[bytes]:
        return Response(await render_metrics(), media_type=_PROMETHEUS)

    return metrics
