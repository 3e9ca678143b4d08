"""``GET /rules``, ``GET /rules/suggestions``, ``POST /rules/preview`` and ``PUT /rules``."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post, put
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from identity_adapters.api import MakeDetails
from identity_adapters.api.rules import RulesAnswer, to_rules_answer
from identity_adapters.api.rules_preview import RulesPreviewAnswer, to_rules_preview_answer
from identity_adapters.api.suggestions import SuggestionsAnswer, to_suggestions_answer
from identity_adapters.http import examples
from identity_adapters.http.openapi.operation import RULES_TAG, Answer, Operation
from identity_adapters.http.parameters import parse_parameters
from identity_adapters.http.rules import (
    RULES_BODY,
    RULES_PREVIEW_BODY,
    read_rules,
    read_rules_to_preview,
)
from identity_adapters.keys import Scope
from identity_core import ChangeRules, SuggestRules

Rules = Callable[[], ChangeRules]

LIMIT = 50
"""The maximum number of suggestions."""


class SuggestionParameters(msgspec.Struct):
    """The parameters of `GET /rules/suggestions`."""

    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="The maximum number of suggestions.")] = 10


def create_rules_endpoint(rules: Rules) -> HTTPRouteHandler:
    operation = Operation(
        id="rules",
        tag=RULES_TAG,
        summary="Read the rules in force",
        description="Returns which values are blocked, and the limits; who put them in force, why and when.",
        answer=Answer(RulesAnswer, "The rules in force.", {"rules": examples.RULES}),
        scope=Scope.ADMIN,
    )

    @get("/rules", **operation.route_options())
    async def read() -> RulesAnswer:
        return to_rules_answer(await rules().rules())

    return read


def create_suggestions_endpoint(suggestions: Callable[[], SuggestRules]) -> HTTPRouteHandler:
    operation = Operation(
        id="suggest_rules",
        tag=RULES_TAG,
        summary="Suggest values to block",
        description=(
            "Returns the values that join most, with what blocking each of them would do, and writes nothing."
            " It reads whole tables, and the identities of these values, one after the other."
        ),
        answer=Answer(SuggestionsAnswer, "The suggestions.", {"suggestions": examples.SUGGESTIONS}),
        errors=(400,),
        scope=Scope.ADMIN,
        parameters=SuggestionParameters,
    )

    @get("/rules/suggestions", **operation.route_options())
    async def suggest(request: Request[Any, Any, Any]) -> SuggestionsAnswer:
        parameters = parse_parameters(request, SuggestionParameters)
        return to_suggestions_answer(await suggestions()(parameters.limit))

    return suggest


def create_rules_preview_endpoint(rules: Rules, make_details: MakeDetails) -> HTTPRouteHandler:
    operation = Operation(
        id="preview_rules",
        tag=RULES_TAG,
        summary="Tell what rules would do",
        description=(
            "Returns what rules would do to what is recorded, and writes nothing. It reads every identity"
            " that would change, one after the other, and takes as long as that."
        ),
        answer=Answer(RulesPreviewAnswer, "What they would do.", {"preview": examples.RULES_PREVIEW}),
        errors=(400, 413, 415),
        scope=Scope.ADMIN,
        body=RULES_PREVIEW_BODY,
    )

    @post("/rules/preview", **operation.route_options())
    async def preview(request: Request[Any, Any, Any]) -> RulesPreviewAnswer:
        sent, retroactive = await read_rules_to_preview(request, make_details)
        return to_rules_preview_answer(await rules().preview(sent, retroactive=retroactive))

    return preview


def create_apply_endpoint(
    rules: Rules, make_details: MakeDetails, on_rules: Callable[[], None]
) -> HTTPRouteHandler:
    operation = Operation(
        id="apply",
        tag=RULES_TAG,
        summary="Put rules in force",
        description=(
            "Replaces all rules. They apply at once to whatever comes. What was recorded before is brought in"
            " line with them in the background; `isSettled` tells when that is done. Limits concern it only"
            " if they are `retroactive`."
        ),
        answer=Answer(RulesAnswer, "The rules in force.", {"rules": examples.RULES}),
        errors=(400, 409, 413, 415),
        scope=Scope.ADMIN,
        body=RULES_BODY,
    )

    @put("/rules", **operation.route_options())
    async def apply(request: Request[Any, Any, Any]) -> RulesAnswer:
        sent = await read_rules(request, make_details)
        in_force = await rules().replace(
            sent.rules, sent.note, version=sent.version, plan=sent.plan, retroactive=sent.retroactive
        )
        on_rules()
        return to_rules_answer(in_force)

    return apply
