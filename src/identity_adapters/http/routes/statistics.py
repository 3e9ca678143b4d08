"""``GET /statistics``."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler

from identity_adapters.api.statistics import StatisticsAnswer
from identity_adapters.http import examples
from identity_adapters.http.openapi.operation import QUERY_TAG, Answer, Operation
from identity_adapters.http.rulings import check_query
from identity_adapters.keys import Scope

GetStatistics: TypeAlias = Callable[[], Awaitable[StatisticsAnswer]]


def create_statistics_endpoint(get_statistics: GetStatistics) -> HTTPRouteHandler:
    operation = Operation(
        id="statistics",
        tag=QUERY_TAG,
        summary="Count everything that is recorded",
        description=(
            "Returns how much there is of everything. It is counted when somebody asks. The answer is kept"
            " for a hundred times as long as counting took, at least for a second, at most for ten minutes."
        ),
        answer=Answer(StatisticsAnswer, "The latest count.", {"counted": examples.STATISTICS}),
        errors=(400,),
        scope=Scope.READ,
    )

    @get("/statistics", **operation.route_options())
    async def statistics(request: Request[Any, Any, Any]) -> StatisticsAnswer:
        check_query(request, [])
        return await get_statistics()

    return statistics
