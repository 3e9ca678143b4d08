"""``GET /key``."""

from typing import Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler

from identity_adapters.http import examples
from identity_adapters.http.openapi.operation import SERVICE_TAG, Answer, Operation
from identity_adapters.http.rulings import check_query
from identity_adapters.http.state import KEY, SCOPES
from identity_adapters.keys import Scope


class KeyAnswer(msgspec.Struct, rename="camel"):
    """What the API key of the request may do.

    `name` is null, and `scopes` are all, if the service requires no key.
    """

    name: str | None
    scopes: list[Scope]
    is_required: bool


def create_key_endpoint(*, is_required: bool) -> HTTPRouteHandler:
    operation = Operation(
        id="key",
        tag=SERVICE_TAG,
        summary="Read what the API key may do",
        description=(
            "Returns the name and the scopes of the API key of the request. It needs no particular scope."
        ),
        answer=Answer(KeyAnswer, "The name and the scopes of the API key.", {"support": examples.KEY}),
        errors=(400,),
        needs_any_key=True,
    )

    @get("/key", **operation.route_options())
    async def key(request: Request[Any, Any, Any]) -> KeyAnswer:
        check_query(request, [])
        state = request.scope["state"]
        return KeyAnswer(state.get(KEY), sorted(state.get(SCOPES, Scope)), is_required)

    return key
