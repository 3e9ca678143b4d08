"""``POST /explain``."""

from collections.abc import Callable
from functools import partial
from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler

from identity_adapters.api import MAX_ID, MakeDetails
from identity_adapters.api.explanations import ExplainAnswer, to_explain_answer
from identity_adapters.http import examples
from identity_adapters.http.body import EXPLAIN_BODY, read_json_object
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import QUERY_TAG, Answer, Operation
from identity_adapters.http.parameters import collect
from identity_adapters.http.problem import FieldError
from identity_adapters.keys import Scope
from identity_core import Identifier, InvalidDetails, QueryIdentities


def create_explain_endpoint(
    queries: Callable[[], QueryIdentities], make_details: MakeDetails
) -> HTTPRouteHandler:
    operation = Operation(
        id="explain",
        tag=QUERY_TAG,
        summary="Explain why two values are one customer",
        description=(
            "Returns the shortest chain of evidence between two identifiers or contacts, and its weakest"
            " link. Writes nothing."
        ),
        answer=Answer(ExplainAnswer, "The chain; empty if there is none.", {"joined": examples.EXPLAINED}),
        errors=(400, 413, 415),
        scope=Scope.READ,
        body=EXPLAIN_BODY,
    )

    @post("/explain", **operation.route_options())
    async def explain(request: Request[Any, Any, Any]) -> ExplainAnswer:
        body = await read_json_object(request.scope, request.receive)
        one, other = collect(
            *(partial(_parse_identifier, body, name, make_details) for name in ("one", "other"))
        )
        return to_explain_answer(await queries().explain(one, other))

    return explain


def _parse_identifier(body: dict[str, Any], name: str, make_details: MakeDetails) -> Identifier | int:
    """Parse `one` or `other` of a body: an email, a phone number, or a contact by its id."""
    end = body.get(name)
    if not isinstance(end, dict):
        raise InvalidFields(FieldError(name, "must be an object"))
    members = {member: value for member, value in end.items() if value is not None}
    if len(members) != 1 or not members.keys() <= {"email", "phoneNumber", "contactId"}:
        raise InvalidFields(FieldError(name, "must have exactly one of email, phoneNumber and contactId"))
    [(member, value)] = members.items()
    if member == "contactId":
        if type(value) is not int or not 0 <= value <= MAX_ID:
            raise InvalidFields(FieldError(f"{name}.contactId", f"must be a whole number from 0 to {MAX_ID}"))
        return value
    try:
        [identifier] = make_details(members.get("email"), members.get("phoneNumber")).identifiers
    except InvalidDetails as error:
        reason = "must not be blank" if error.field == "details" else error.reason
        raise InvalidFields(FieldError(f"{name}.{member}", reason)) from None
    return identifier
