"""``GET /merges``."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from identity_adapters.api import MAX_ID
from identity_adapters.api.events import MergesAnswer, to_merges_answer
from identity_adapters.http import examples
from identity_adapters.http.openapi.operation import QUERY_TAG, Answer, Operation
from identity_adapters.http.parameters import parse_parameters
from identity_adapters.keys import Scope
from identity_core import QueryIdentities

LIMIT = 100
"""The maximum number of merges in a page."""


class MergesParameters(msgspec.Struct):
    """The parameters of `GET /merges`."""

    before: (
        Annotated[int, Meta(ge=0, le=MAX_ID, description="The `next` of the previous page.")] | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="The maximum number of merges.")] = 20


def create_merges_endpoint(queries: Callable[[], QueryIdentities]) -> HTTPRouteHandler:
    operation = Operation(
        id="merges",
        tag=QUERY_TAG,
        summary="List the latest merges",
        description=(
            "Returns the latest merges of all identities, newest first, each with the details that caused it."
        ),
        answer=Answer(MergesAnswer, "A page of merges.", {"merged": examples.MERGES}),
        errors=(400,),
        scope=Scope.READ,
        parameters=MergesParameters,
    )

    @get("/merges", **operation.route_options())
    async def merges(request: Request[Any, Any, Any]) -> MergesAnswer:
        parameters = parse_parameters(request, MergesParameters)
        before = None if parameters.before is UNSET else parameters.before
        return to_merges_answer(await queries().merges(before, parameters.limit + 1), parameters.limit)

    return merges
