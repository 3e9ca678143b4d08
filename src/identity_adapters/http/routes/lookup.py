"""``POST /lookup``."""

from collections.abc import Callable
from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler

from identity_adapters.api import MakeDetails
from identity_adapters.api.identities import LookupAnswer, to_identity_page
from identity_adapters.http import examples
from identity_adapters.http.body import DETAILS_BODY, read_details
from identity_adapters.http.openapi.operation import QUERY_TAG, Answer, Operation
from identity_adapters.keys import Scope
from identity_core import QueryIdentities


def create_lookup_endpoint(
    queries: Callable[[], QueryIdentities], make_details: MakeDetails
) -> HTTPRouteHandler:
    operation = Operation(
        id="lookup",
        tag=QUERY_TAG,
        summary="Look up a customer",
        description="Returns the identities that the details match, if any. Writes nothing.",
        answer=Answer(LookupAnswer, "The identities, oldest first.", {"known": examples.LOOKED_UP}),
        errors=(400, 413, 415),
        scope=Scope.READ,
        body=DETAILS_BODY,
    )

    @post("/lookup", **operation.route_options())
    async def lookup(request: Request[Any, Any, Any]) -> LookupAnswer:
        details = await read_details(request.scope, request.receive, make_details)
        return LookupAnswer([*map(to_identity_page, await queries().pages(details))])

    return lookup
