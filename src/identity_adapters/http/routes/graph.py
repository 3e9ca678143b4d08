"""``GET /identities/{contactId}/graph``."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, UnsetType

from identity_adapters.api.graph import GraphAnswer, to_graph_answer
from identity_adapters.http import examples
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import QUERY_TAG, Answer, Operation
from identity_adapters.http.parameters import parse_parameters
from identity_adapters.http.problem import FieldError
from identity_adapters.http.routes.identities import AsOf, ContactId, reject_unknown, to_moment
from identity_adapters.keys import Scope
from identity_adapters.offload import offload
from identity_core import QueryIdentities

MAX_CONTACTS = 50_000
"""Identities with more contacts are not drawn."""


class GraphParameters(msgspec.Struct, rename="camel"):
    """The parameters of `GET /identities/{contactId}/graph`."""

    contact_id: ContactId
    as_of: AsOf | UnsetType = UNSET


def create_graph_endpoint(queries: Callable[[], QueryIdentities]) -> HTTPRouteHandler:
    operation = Operation(
        id="graph",
        tag=QUERY_TAG,
        summary="Read the evidence graph of an identity",
        description=(
            "Returns the values of the identity of a contact, and the links between them: those that count,"
            " and those that are undone, held or blocked. Links and pins that lead to values of others have"
            " these as their far ends. Identities of more than 50,000 contacts are refused."
        ),
        answer=Answer(GraphAnswer, "The graph.", {"linked": examples.GRAPH}),
        errors=(400, 404, 410),
        refuses_large=True,
        scope=Scope.READ,
        parameters=GraphParameters,
    )

    @get("/identities/{contactId:str}/graph", **operation.route_options())
    async def graph(request: Request[Any, Any, Any]) -> GraphAnswer:
        parameters = parse_parameters(request, GraphParameters)
        contact_id = parameters.contact_id
        pages = await queries().pages(contact_id, limit=1)
        if pages and pages[0].total_contacts > MAX_CONTACTS:
            raise _reject_large()
        if parameters.as_of is UNSET:
            moment, drawn = None, await queries().graph(contact_id)
        else:
            moment = to_moment(parameters.as_of)
            drawn = await queries().graph_as_of(contact_id, moment)
        if drawn is None:
            if await queries().find(contact_id) is None:
                raise reject_unknown("no contact ever had this id")
            if moment is not None:
                raise reject_unknown("no contact had this id at that time")
            raise reject_unknown("this contact and its whole identity were deleted")
        return await offload(len(drawn.links), to_graph_answer, drawn, moment)

    return graph


def _reject_large() -> InvalidFields:
    reason = f"has more than {MAX_CONTACTS} contacts, which are too many to draw"
    return InvalidFields(FieldError("contactId", reason), status=HTTPStatus.UNPROCESSABLE_ENTITY)
