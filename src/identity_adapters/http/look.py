"""Looking without touching: look-up, and the identity of a contact."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from identity_adapters.api import (
    MAX_ID,
    ChangesAnswer,
    Cursor,
    EventRecord,
    ExplainAnswer,
    HistoryAnswer,
    IdentityPage,
    LookupAnswer,
    event_fields,
    explained,
    shown,
    told,
)
from identity_adapters.http import examples
from identity_adapters.http.details import DETAILS_BODY, EXPLAIN_BODY, MakeDetails, details_of, json_object
from identity_adapters.http.openapi import QUERY_TAG, Answer, Operation
from identity_adapters.http.parameters import collect, parse_parameters
from identity_adapters.http.problems import FieldError, InvalidFields
from identity_adapters.keys import Scope
from identity_core import (
    Contact,
    Identifier,
    IdentifyContacts,
    InvalidDetails,
    InvalidPlace,
    page,
)
from identity_core.explain import identifiers_of

LIMIT = 1_000
"""How many contacts a page has at most."""

LOOK_AGAIN_AFTER = 0.25
"""Seconds between two looks for an event that somebody waits for."""

ContactId = Annotated[
    int, Meta(ge=0, le=MAX_ID, description="The id of any contact that ever existed, primary or not.")
]


def lookup_endpoint(service: Callable[[], IdentifyContacts], make_details: MakeDetails) -> HTTPRouteHandler:
    operation = Operation(
        id="lookup",
        tag=QUERY_TAG,
        summary="Look a customer up",
        description="Answers the identities that the details match, or none. Writes nothing.",
        answer=Answer(LookupAnswer, "The identities, the oldest first.", {"known": examples.LOOKED_UP}),
        errors=(400, 413, 415),
        scope=Scope.READ,
        body=DETAILS_BODY,
    )

    @post("/lookup", **operation.route_options())
    async def lookup(request: Request[Any, Any, Any]) -> LookupAnswer:
        details = await details_of(request.scope, request.receive, make_details)
        return LookupAnswer([*map(shown, await service().pages(details))])

    return lookup


def explain_endpoint(service: Callable[[], IdentifyContacts], make_details: MakeDetails) -> HTTPRouteHandler:
    operation = Operation(
        id="explain",
        tag=QUERY_TAG,
        summary="Explain why two are one customer",
        description=(
            "Answers the shortest chain of evidence that joins two identifiers or contacts, and its weakest"
            " link. Writes nothing."
        ),
        answer=Answer(ExplainAnswer, "The chain, or that there is none.", {"joined": examples.EXPLAINED}),
        errors=(400, 413, 415),
        scope=Scope.READ,
        body=EXPLAIN_BODY,
    )

    @post("/explain", **operation.route_options())
    async def explain(request: Request[Any, Any, Any]) -> ExplainAnswer:
        body = await json_object(request.scope, request.receive)
        one, other = collect(
            *(partial(_parse_identifier, body, name, make_details) for name in ("one", "other"))
        )
        return explained(await service().explain(one, other))

    return explain


def _parse_identifier(body: dict[str, Any], name: str, make_details: MakeDetails) -> Identifier | int:
    """What `one` or `other` of a body names: an email, a phone number, or a contact by its id."""
    asked = body.get(name)
    if not isinstance(asked, dict):
        raise InvalidFields(FieldError(name, "must be an object"))
    given = {member: value for member, value in asked.items() if value is not None}
    if len(given) != 1 or not given.keys() <= {"email", "phoneNumber", "contactId"}:
        raise InvalidFields(
            FieldError(name, "must have an email, a phoneNumber or a contactId, and nothing else")
        )
    [(member, value)] = given.items()
    if member == "contactId":
        if type(value) is not int or not 0 <= value <= MAX_ID:
            raise InvalidFields(FieldError(f"{name}.contactId", f"must be a whole number from 0 to {MAX_ID}"))
        return value
    try:
        [identifier] = identifiers_of(make_details(given.get("email"), given.get("phoneNumber")))
    except InvalidDetails as error:
        reason = "must not be blank" if error.field == "details" else error.reason
        raise InvalidFields(FieldError(f"{name}.{member}", reason)) from None
    return identifier


class HistoryParameters(msgspec.Struct, rename="camel"):
    """Which events of an identity are asked for."""

    contact_id: ContactId
    after: Annotated[int, Meta(ge=0, le=MAX_ID, description="The `next` of the page before.")] = 0
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="How many events at most.")] = 100


def history_endpoint(service: Callable[[], IdentifyContacts]) -> HTTPRouteHandler:
    operation = Operation(
        id="history",
        tag=QUERY_TAG,
        summary="Read the history of an identity",
        description=(
            "Answers what happened to the identity of a contact, in order: created, linked, merged with which"
            " primaries, and by which details."
        ),
        answer=Answer(HistoryAnswer, "Events, the first ones first.", {"linked": examples.HISTORY}),
        errors=(400, 404),
        scope=Scope.READ,
        parameters=HistoryParameters,
    )

    @get("/identities/{contactId:str}/history", **operation.route_options())
    async def history(request: Request[Any, Any, Any]) -> HistoryAnswer:
        asked = parse_parameters(request, HistoryParameters)
        found = await service().history(asked.contact_id, asked.after, asked.limit + 1)
        if found is None:
            raise _not_found("no contact ever had this id")
        return told(found, asked.limit)

    return history


class ChangesParameters(msgspec.Struct):
    """Which events are asked for."""

    after: Annotated[str, Meta(description="The `next` of the answer before.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="How many events at most.")] = 1_000
    wait: Annotated[
        float,
        Meta(ge=0, le=60, description="For how many seconds to wait for an event, if there is none yet."),
    ] = 0


def changes_endpoint(
    service: Callable[[], IdentifyContacts], is_stopping: Callable[[], bool]
) -> HTTPRouteHandler:
    operation = Operation(
        id="changes",
        tag=QUERY_TAG,
        summary="Follow all identities",
        description=(
            "Answers the events of all identities. Asking again and again, each time with the `next` of the"
            " answer before, delivers every event exactly once, and none before those that it builds upon."
        ),
        answer=Answer(ChangesAnswer, "Events, and where to go on.", {"linked": examples.CHANGES}),
        errors=(400,),
        scope=Scope.READ,
        parameters=ChangesParameters,
    )

    @get("/changes", **operation.route_options())
    async def changes(request: Request[Any, Any, Any]) -> ChangesAnswer:
        asked = parse_parameters(request, ChangesParameters)
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + asked.wait
        try:
            after = None if asked.after is UNSET else asked.after
            happenings, place = await service().changes(after, asked.limit)
            while not happenings and clock() < give_up_at and not is_stopping():
                await asyncio.sleep(LOOK_AGAIN_AFTER)
                happenings, place = await service().changes(place, asked.limit)
        except InvalidPlace:
            raise InvalidFields(FieldError("after", "must be the `next` of the answer before")) from None
        return ChangesAnswer([EventRecord(**event_fields(happening)) for happening in happenings], place)

    return changes


class IdentityParameters(msgspec.Struct, rename="camel"):
    """Which contacts of an identity are asked for."""

    contact_id: ContactId
    after: Annotated[Cursor, Meta(description="The `next` of the page before.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="How many contacts at most.")] = 100
    as_of: (
        Annotated[
            datetime,
            Meta(
                description="Answers the identity as it was at this time, in UTC unless it has an offset.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | UnsetType
    ) = UNSET


def identity_endpoint(service: Callable[[], IdentifyContacts]) -> HTTPRouteHandler:
    operation = Operation(
        id="identity",
        tag=QUERY_TAG,
        summary="Read the identity of a contact",
        description=(
            "Answers a page of the contacts of an identity, oldest first. The contact may be any of it that"
            " ever existed, also one that is no primary any more or was deleted."
        ),
        answer=Answer(IdentityPage, "A page of the identity.", {"whole": examples.IDENTITY}),
        errors=(400, 404),
        scope=Scope.READ,
        parameters=IdentityParameters,
    )

    @get("/identities/{contactId:str}", **operation.route_options())
    async def identity(request: Request[Any, Any, Any]) -> IdentityPage:
        asked = parse_parameters(request, IdentityParameters)
        after = None if asked.after is UNSET else asked.after.age
        contacts: Sequence[Contact] | None
        if asked.as_of is UNSET:
            if pages := await service().pages(asked.contact_id, after, asked.limit):
                return shown(pages[0])
            contacts = await service().find(asked.contact_id)
        else:
            moment = asked.as_of if asked.as_of.tzinfo is not None else asked.as_of.replace(tzinfo=UTC)
            contacts = await service().as_of(asked.contact_id, moment)
            if contacts == ():
                raise _not_found("no contact had this id then")
        if contacts is None:
            raise _not_found("no contact ever had this id")
        if not contacts:
            raise _not_found("this contact was deleted, and with it all of its identity")
        return shown(page(contacts, after, asked.limit))

    return identity


def _not_found(reason: str) -> InvalidFields:
    return InvalidFields(FieldError("contactId", reason), status=HTTPStatus.NOT_FOUND)
