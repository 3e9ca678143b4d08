"""``GET /held``, ``POST /held/{id}/accept`` and ``POST /held/{id}/reject``."""

from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from identity_adapters.api import MAX_ID
from identity_adapters.api.held import HeldAnswer, to_held_answer
from identity_adapters.api.rulings import RulingAnswer
from identity_adapters.http import examples
from identity_adapters.http.openapi.operation import RULES_TAG, Answer, Operation
from identity_adapters.http.parameters import parse_parameters
from identity_adapters.http.routes.rulings import OnRuling, Queries, Rulings, answer_ruling, naming
from identity_adapters.http.rulings import HELD_BODY, HeldPairParameters, parse_held_pair, read_body
from identity_adapters.keys import Scope
from identity_core import Verdict

LIMIT = 100
"""The maximum number of held pairs in a page."""

_NOT_HELD = "no pair that a limit holds has this id"


class HeldParameters(msgspec.Struct):
    """The parameters of `GET /held`."""

    after: Annotated[int, Meta(ge=0, le=MAX_ID, description="The `next` of the previous page.")] = 0
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="The maximum number of pairs.")] = LIMIT


def create_held_endpoint(rulings: Rulings, queries: Queries) -> HTTPRouteHandler:
    operation = Operation(
        id="held",
        tag=RULES_TAG,
        summary="List the pairs that limits hold",
        description=(
            "Returns the pairs that limits hold, oldest first, with the identities that each would join. They"
            " wait until somebody accepts or rejects them, or the limit is raised."
        ),
        answer=Answer(HeldAnswer, "A page of held pairs.", {"held": examples.HELD}),
        errors=(400,),
        scope=Scope.READ,
        parameters=HeldParameters,
    )

    @get("/held", **operation.route_options())
    async def list_held(request: Request[Any, Any, Any]) -> HeldAnswer:
        parameters = parse_parameters(request, HeldParameters)
        held = await rulings().held(parameters.after, parameters.limit + 1)
        return await to_held_answer(queries(), held, parameters.limit)

    return list_held


def create_accept_endpoint(rulings: Rulings, on_ruling: OnRuling) -> HTTPRouteHandler:
    operation = _describe(
        "accept",
        "Accept a held pair",
        "Pins the two values of a pair that a limit holds together, so that they are one customer.",
        {"accepted": examples.ACCEPTED},
    )

    @post("/held/{id:str}/accept", **operation.route_options())
    async def accept(request: Request[Any, Any, Any]) -> RulingAnswer:
        id, options = parse_held_pair(request, await read_body(request, HELD_BODY))
        with naming("id", reason=_NOT_HELD):
            held = await rulings().find_held(id)
            pin = partial(rulings().pin, *held.identifiers, Verdict.SAME)
            return await answer_ruling(pin, options, "accept", on_ruling)

    return accept


def create_reject_endpoint(rulings: Rulings, on_ruling: OnRuling) -> HTTPRouteHandler:
    operation = _describe(
        "reject",
        "Reject a held pair",
        "Undoes a pair that a limit holds, so that it never counts, however often it comes.",
        {"rejected": examples.REJECTED},
    )

    @post("/held/{id:str}/reject", **operation.route_options())
    async def reject(request: Request[Any, Any, Any]) -> RulingAnswer:
        id, options = parse_held_pair(request, await read_body(request, HELD_BODY))
        with naming("id", reason=_NOT_HELD):
            held = await rulings().find_held(id)
            return await answer_ruling(partial(rulings().undo, held.pair), options, "reject", on_ruling)

    return reject


def _describe(id: str, summary: str, description: str, example: dict[str, Any]) -> Operation:
    return Operation(
        id=id,
        tag=RULES_TAG,
        summary=summary,
        description=description,
        answer=Answer(RulingAnswer, "What the ruling did, or would do.", example),
        errors=(400, 404, 409, 413, 415),
        scope=Scope.DECIDE,
        parameters=HeldPairParameters,
        body=HELD_BODY,
    )
