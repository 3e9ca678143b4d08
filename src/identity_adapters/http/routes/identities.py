"""``GET /identities/{contactId}`` and its history."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from identity_adapters.api import MAX_ID
from identity_adapters.api.events import HistoryAnswer, to_history_answer
from identity_adapters.api.identities import IdentityPage, PageCursor, to_identity_page
from identity_adapters.http import examples
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import QUERY_TAG, Answer, Operation
from identity_adapters.http.parameters import parse_parameters
from identity_adapters.http.problem import FieldError
from identity_adapters.keys import Scope
from identity_core import Contact, QueryIdentities, cut_page

LIMIT = 1_000
"""The maximum number of contacts or events in a page."""

ContactId = Annotated[
    int, Meta(ge=0, le=MAX_ID, description="The id of any contact that ever existed, primary or not.")
]


AsOf = Annotated[
    datetime,
    Meta(
        description="Returns the identity as it was at this time, in UTC unless it has an offset.",
        extra_json_schema={"format": "date-time"},
    ),
]


class IdentityParameters(msgspec.Struct, rename="camel"):
    """The parameters of `GET /identities/{contactId}`."""

    contact_id: ContactId
    after: Annotated[PageCursor, Meta(description="The `next` of the previous page.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="The maximum number of contacts.")] = 100
    as_of: AsOf | UnsetType = UNSET


def create_identity_endpoint(queries: Callable[[], QueryIdentities]) -> HTTPRouteHandler:
    operation = Operation(
        id="identity",
        tag=QUERY_TAG,
        summary="Read the identity of a contact",
        description=(
            "Returns a page of the contacts of an identity, oldest first. The id may be that of any contact"
            " of the identity: primary, secondary or deleted."
        ),
        answer=Answer(IdentityPage, "A page of the identity.", {"whole": examples.IDENTITY}),
        errors=(400, 404, 410),
        scope=Scope.READ,
        parameters=IdentityParameters,
    )

    @get("/identities/{contactId:str}", **operation.route_options())
    async def identity(request: Request[Any, Any, Any]) -> IdentityPage:
        parameters = parse_parameters(request, IdentityParameters)
        after = None if parameters.after is UNSET else parameters.after.seniority
        contacts: Sequence[Contact] | None
        if parameters.as_of is UNSET:
            if pages := await queries().pages(parameters.contact_id, after, parameters.limit):
                return to_identity_page(pages[0])
            contacts = await queries().find(parameters.contact_id)
        else:
            contacts = await queries().as_of(parameters.contact_id, to_moment(parameters.as_of))
            if contacts == ():
                raise reject_unknown("no contact had this id at that time")
        if contacts is None:
            raise reject_unknown("no contact ever had this id")
        if not contacts:
            raise reject_unknown("this contact and its whole identity were deleted")
        return to_identity_page(cut_page(contacts, after, parameters.limit))

    return identity


class HistoryParameters(msgspec.Struct, rename="camel"):
    """The parameters of `GET /identities/{contactId}/history`."""

    contact_id: ContactId
    after: Annotated[int, Meta(ge=0, le=MAX_ID, description="The `next` of the previous page.")] = 0
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="The maximum number of events.")] = 100


def create_history_endpoint(queries: Callable[[], QueryIdentities]) -> HTTPRouteHandler:
    operation = Operation(
        id="history",
        tag=QUERY_TAG,
        summary="Read the history of an identity",
        description=(
            "Returns the events of the identity of a contact in order: what happened, which primaries were"
            " merged, and by which details."
        ),
        answer=Answer(HistoryAnswer, "Events, oldest first.", {"linked": examples.HISTORY}),
        errors=(400, 404, 410),
        scope=Scope.READ,
        parameters=HistoryParameters,
    )

    @get("/identities/{contactId:str}/history", **operation.route_options())
    async def history(request: Request[Any, Any, Any]) -> HistoryAnswer:
        parameters = parse_parameters(request, HistoryParameters)
        events = await queries().history(parameters.contact_id, parameters.after, parameters.limit + 1)
        if events is None:
            raise reject_unknown("no contact ever had this id")
        return to_history_answer(events, parameters.limit)

    return history


def to_moment(as_of: datetime) -> datetime:
    """A time of a request; without an offset it is in UTC."""
    return as_of if as_of.tzinfo is not None else as_of.replace(tzinfo=UTC)


def reject_unknown(reason: str) -> InvalidFields:
    return InvalidFields(FieldError("contactId", reason), status=HTTPStatus.NOT_FOUND)
