"""``POST /explain``."""

from collections.abc import Callable
from functools import partial
from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler

from identity_adapters.api import MakeDetails
from identity_adapters.api.explanations import ExplainAnswer, to_explain_answer
from identity_adapters.http import examples
from identity_adapters.http.body import EXPLAIN_BODY, parse_end, read_json_object
from identity_adapters.http.openapi.operation import QUERY_TAG, Answer, Operation
from identity_adapters.http.parameters import collect
from identity_adapters.keys import Scope
from identity_core import QueryIdentities


def create_explain_endpoint(
    queries: Callable[[], QueryIdentities], make_details: MakeDetails
) -> HTTPRouteHandler:
    operation = Operation(
        id="explain",
        tag=QUERY_TAG,
        summary="Explain why two values are one customer, or why not",
        description=(
            "Returns the shortest chain of evidence between two identifiers or contacts, and its weakest"
            " link. If they are not one customer but share a history, returns the chain of that history, and"
            " the pins that keep them apart. Writes nothing."
        ),
        answer=Answer(
            ExplainAnswer,
            "The chain; empty if there is none.",
            {"joined": examples.EXPLAINED, "parted": examples.EXPLAINED_APART},
        ),
        errors=(400, 410, 413, 415),
        scope=Scope.READ,
        body=EXPLAIN_BODY,
    )

    @post("/explain", **operation.route_options())
    async def explain(request: Request[Any, Any, Any]) -> ExplainAnswer:
        body = await read_json_object(request.scope, request.receive)
        one, other = collect(*(partial(parse_end, body, name, make_details) for name in ("one", "other")))
        return to_explain_answer(await queries().explain(one, other))

    return explain
