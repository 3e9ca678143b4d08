"""Looking without touching: look-up, and the identity of a contact."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from identity_adapters.http import examples
from identity_adapters.http.details import DETAILS_BODY, EXPLAIN_BODY, MakeDetails, details_of, json_object
from identity_adapters.http.openapi import QUERY_TAG, Answer, Operation
from identity_adapters.http.parameters import collect, parse_parameters
from identity_adapters.http.problems import FieldError, InvalidFields
from identity_adapters.keys import Scope
from identity_core import (
    Contact,
    ContactDetails,
    EventKind,
    Explanation,
    Happening,
    Identifier,
    IdentifyContacts,
    InvalidDetails,
    InvalidPlace,
    Kind,
    Link,
    LinkPrecedence,
    Page,
    Reason,
    WeakestLink,
    page,
)
from identity_core.explain import identifiers_of

LIMIT = 1_000
"""How many contacts a page has at most."""

LOOK_AGAIN_AFTER = 0.25
"""Seconds between two looks for an event that somebody waits for."""

MAX_ID = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Time = Annotated[datetime, Meta(tz=True)]

ContactId = Annotated[
    int, Meta(ge=0, le=MAX_ID, description="The id of any contact that ever existed, primary or not.")
]


class ContactRecord(msgspec.Struct, rename="camel"):
    """One contact on record."""

    id: int
    email: str | None
    phone_number: str | None
    link_precedence: LinkPrecedence
    created_at: Time


class IdentityPage(msgspec.Struct, rename="camel"):
    """An identity: how much there is of it, and some of its contacts, oldest first.

    `next` is the `after` of the next page; null on the last one.
    """

    primary_contact_id: int
    total_contacts: int
    total_emails: int
    total_phone_numbers: int
    contacts: list[ContactRecord]
    next: str | None


class LookupAnswer(msgspec.Struct):
    """What `POST /lookup` answers: the identities touched, the oldest first."""

    identities: list[IdentityPage]


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
        details = await details_of(request, make_details)
        return LookupAnswer([*map(shown, await service().pages(details))])

    return lookup


class Value(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An email or a phone number."""

    email: str | None = None
    phone_number: str | None = None


class ChainLink(msgspec.Struct, rename="camel"):
    """One step from an identifier to the next: by a contact, by evidence, or by an inherited link."""

    one: Value
    other: Value
    reason: Reason
    id: int
    seen_at: Time


class Weakest(msgspec.Struct, rename="camel"):
    """The value that, taken away, parts the two."""

    identifier: Value
    pairs: int
    contacts_before: int
    contacts_after: int


class ExplainAnswer(msgspec.Struct, rename="camel"):
    """What `POST /explain` answers."""

    is_connected: bool
    chain: list[ChainLink]
    weakest_link: Weakest | None


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
        body = await json_object(request)
        one, other = collect(
            *(partial(_parse_identifier, body, name, make_details) for name in ("one", "other"))
        )
        return explained(await service().explain(one, other))

    return explain


def explained(found: Explanation | None) -> ExplainAnswer:
    """An explanation as it is answered."""
    if found is None:
        return ExplainAnswer(False, [], None)
    weakest = found.weakest_link
    return ExplainAnswer(
        True, [_step(link) for link in found.chain], None if weakest is None else _weakest(weakest)
    )


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


def _value(identifier: Identifier) -> Value:
    if identifier.kind is Kind.EMAIL:
        return Value(email=identifier.value)
    return Value(phone_number=identifier.value)


def _weakest(link: WeakestLink) -> Weakest:
    return Weakest(_value(link.identifier), link.edges, link.contacts_before, link.contacts_after)


def _step(link: Link) -> ChainLink:
    return ChainLink(_value(link.one), _value(link.other), link.reason, link.id, link.seen_at)


class EventRecord(msgspec.Struct, rename="camel"):
    """One event, in ids: what happened to which identity, by which contact or evidence."""

    id: int
    happened_at: Time
    kind: EventKind
    primary_contact_id: int
    contact_id: int | None
    evidence_id: int | None
    absorbed_primary_contact_ids: tuple[int, ...]


class HistoryRecord(EventRecord):
    """One event of an identity, with the details that it was about."""

    details: Value | None


class HistoryAnswer(msgspec.Struct):
    """What happened to an identity, in order. `next` is the `after` of the next page; null on the last."""

    events: list[HistoryRecord]
    next: int | None


class ChangesAnswer(msgspec.Struct):
    """What happened to all identities. `next` is the `after` to ask with the next time."""

    events: list[EventRecord]
    next: str


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


def told(found: Sequence[tuple[Happening, ContactDetails | None]], limit: int) -> HistoryAnswer:
    """At most so many events as they are answered."""
    events = [
        HistoryRecord(**_event(happening), details=None if details is None else Value(*details.key))
        for happening, details in found[:limit]
    ]
    return HistoryAnswer(events, events[-1].id if len(found) > limit else None)


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
        return ChangesAnswer([EventRecord(**_event(happening)) for happening in happenings], place)

    return changes


def _event(happening: Happening) -> dict[str, Any]:
    event = happening.event
    return {
        "id": happening.id,
        "happened_at": event.happened_at,
        "kind": event.kind,
        "primary_contact_id": event.primary_id,
        "contact_id": event.contact_id,
        "evidence_id": event.evidence_id,
        "absorbed_primary_contact_ids": event.absorbed_ids,
    }


class Cursor:
    """Where a page of an identity ends: the age of its last contact."""

    def __init__(self, written: str) -> None:
        number, _, contact_id = written.partition(".")
        try:
            self.age = _EPOCH + int(number) * _MICROSECOND, int(contact_id)
        except OverflowError as error:
            raise ValueError from error
        if not 0 <= self.age[1] <= MAX_ID:
            raise ValueError


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


def shown(found: Page) -> IdentityPage:
    """A page as it is answered."""
    return IdentityPage(
        found.primary_contact_id,
        found.total_contacts,
        found.total_emails,
        found.total_phone_numbers,
        [_record(contact, found.primary_contact_id) for contact in found.contacts],
        None if found.last is None else _cursor(*found.last),
    )


def _record(contact: Contact, primary_contact_id: int) -> ContactRecord:
    is_primary = contact.id == primary_contact_id
    precedence = LinkPrecedence.PRIMARY if is_primary else LinkPrecedence.SECONDARY
    return ContactRecord(contact.id, contact.email, contact.phone_number, precedence, contact.created_at)


def _cursor(created_at: datetime, contact_id: int) -> str:
    return f"{(created_at - _EPOCH) // _MICROSECOND}.{contact_id}"
