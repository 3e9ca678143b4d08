"""Looking without touching: look-up, and the identity of a contact."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from identity_adapters.http import examples
from identity_adapters.http.access import guarded
from identity_adapters.http.details import (
    DetailsOperation,
    ExplainOperation,
    MakeDetails,
    details_of,
    json_object,
)
from identity_adapters.http.problems import InvalidParameter, answered
from identity_adapters.keys import Scope
from identity_core import (
    Contact,
    ContactDetails,
    Explanation,
    Happening,
    Identifier,
    IdentifyContacts,
    InvalidPlace,
    Kind,
    Link,
    Page,
    WeakestLink,
    page,
)
from identity_core.explain import identifiers_of

LIMIT = 1_000
"""How many contacts a page has at most."""

LOOK_AGAIN_AFTER = 0.25
"""Seconds between two looks for an event that somebody waits for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ContactRecord(msgspec.Struct, rename="camel"):
    """One contact on record."""

    id: int
    email: str | None
    phone_number: str | None
    link_precedence: str
    created_at: datetime


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
    @post(
        "/lookup",
        status_code=HTTPStatus.OK,
        operation_class=DetailsOperation,
        operation_id="lookup",
        summary="Look a customer up",
        description="The identities that the details touch; none where they are not known. Writes nothing.",
        **guarded(
            Scope.READ,
            answered(LookupAnswer, "The identities", known=examples.LOOKED_UP),
            errors=(400, 413, 415),
        ),
    )
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
    reason: str
    id: int
    seen_at: datetime


class Weakest(msgspec.Struct, rename="camel"):
    """The value that, taken away, parts the two."""

    identifier: Value
    pairs: int
    contacts_before: int
    contacts_after: int


class ExplainAnswer(msgspec.Struct, rename="camel"):
    """What `POST /explain` answers."""

    is_connected: bool
    chain: list[ChainLink] = []
    weakest_link: Weakest | None = None


def explain_endpoint(service: Callable[[], IdentifyContacts], make_details: MakeDetails) -> HTTPRouteHandler:
    @post(
        "/explain",
        status_code=HTTPStatus.OK,
        operation_class=ExplainOperation,
        operation_id="explain",
        summary="Explain why two are one customer",
        description="The shortest chain of evidence that joins two identifiers or contacts. Writes nothing.",
        **guarded(
            Scope.READ,
            answered(ExplainAnswer, "The chain, or that there is none", joined=examples.EXPLAINED),
            errors=(400, 413, 415),
        ),
    )
    async def explain(request: Request[Any, Any, Any]) -> ExplainAnswer:
        body = await json_object(request)
        one, other = (_sought(body, name, make_details) for name in ("one", "other"))
        return explained(await service().explain(one, other))

    return explain


def explained(found: Explanation | None) -> ExplainAnswer:
    """An explanation as it is answered."""
    if found is None:
        return ExplainAnswer(False)
    weakest = found.weakest_link
    return ExplainAnswer(
        True, [_step(link) for link in found.chain], None if weakest is None else _weakest(weakest)
    )


def _sought(body: dict[str, Any], name: str, make_details: MakeDetails) -> Identifier | int:
    """What `one` or `other` of a body names: an email, a phone number, or a contact by its id."""
    asked = body.get(name)
    if not isinstance(asked, dict):
        raise InvalidParameter(name, "must be an object")
    if len(asked) != 1 or not asked.keys() <= {"email", "phoneNumber", "contactId"}:
        raise InvalidParameter(name, "must have an email, a phoneNumber or a contactId, and nothing else")
    if "contactId" in asked:
        contact_id = asked["contactId"]
        if type(contact_id) is not int or not 0 <= contact_id < 2**63:
            raise InvalidParameter(f"{name}.contactId", "must be a whole number")
        return contact_id
    [identifier] = identifiers_of(make_details(asked.get("email"), asked.get("phoneNumber")))
    return identifier


def _value(identifier: Identifier) -> Value:
    if identifier.kind is Kind.EMAIL:
        return Value(email=identifier.value)
    return Value(phone_number=identifier.value)


def _weakest(link: WeakestLink) -> Weakest:
    return Weakest(_value(link.identifier), link.edges, link.contacts_before, link.contacts_after)


def _step(link: Link) -> ChainLink:
    return ChainLink(_value(link.one), _value(link.other), link.reason.value, link.id, link.seen_at)


class EventRecord(msgspec.Struct, rename="camel"):
    """One event, in ids: what happened to which identity, by which contact or evidence."""

    id: int
    happened_at: datetime
    kind: str
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


def history_endpoint(service: Callable[[], IdentifyContacts]) -> HTTPRouteHandler:
    @get(
        "/identities/{contact_id:int}/history",
        operation_id="history",
        summary="What happened to an identity",
        description="In order: created, linked, merged with which primaries, and by which details.",
        **guarded(
            Scope.READ,
            answered(HistoryAnswer, "Events, the first ones first", linked=examples.HISTORY),
            errors=(400, 404),
        ),
    )
    async def history(
        contact_id: int,
        after: Annotated[
            int, Parameter(ge=0, le=2**63 - 1, description="The `next` of the page before.")
        ] = 0,
        limit: Annotated[int, Parameter(ge=1, le=LIMIT, description="How many events at most.")] = 100,
    ) -> HistoryAnswer:
        found = await service().history(contact_id, after, limit + 1) if abs(contact_id) < 2**63 else None
        if found is None:
            raise NotFoundException(f"there never was a contact {contact_id}")
        return told(found, limit)

    return history


def told(found: Sequence[tuple[Happening, ContactDetails | None]], limit: int) -> HistoryAnswer:
    """At most so many events as they are answered."""
    events = [
        HistoryRecord(**_event(happening), details=None if details is None else Value(*details.key))
        for happening, details in found[:limit]
    ]
    return HistoryAnswer(events, events[-1].id if len(found) > limit else None)


def changes_endpoint(
    service: Callable[[], IdentifyContacts], is_stopping: Callable[[], bool]
) -> HTTPRouteHandler:
    @get(
        "/changes",
        operation_id="changes",
        summary="What happened to all identities",
        description=(
            "Who asks again and again, each time after the `next` of before, is told of every event exactly"
            " once, and of none before those that it builds upon."
        ),
        **guarded(
            Scope.READ,
            answered(ChangesAnswer, "Events, and where to go on", linked=examples.CHANGES),
            errors=(400,),
        ),
    )
    async def changes(
        after: Annotated[str | None, Parameter(description="The `next` of the answer before.")] = None,
        limit: Annotated[int, Parameter(ge=1, le=LIMIT, description="How many events at most.")] = 1_000,
        wait: Annotated[
            float,
            Parameter(
                ge=0, le=60, description="For how many seconds an event is waited for, if none is there."
            ),
        ] = 0,
    ) -> ChangesAnswer:
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + wait
        try:
            happenings, place = await service().changes(after, limit)
            while not happenings and clock() < give_up_at and not is_stopping():
                await asyncio.sleep(LOOK_AGAIN_AFTER)
                happenings, place = await service().changes(place, limit)
        except InvalidPlace as error:
            raise InvalidParameter("after", str(error)) from None
        return ChangesAnswer([EventRecord(**_event(happening)) for happening in happenings], place)

    return changes


def _event(happening: Happening) -> dict[str, Any]:
    event = happening.event
    return {
        "id": happening.id,
        "happened_at": event.happened_at,
        "kind": event.kind.value,
        "primary_contact_id": event.primary_id,
        "contact_id": event.contact_id,
        "evidence_id": event.evidence_id,
        "absorbed_primary_contact_ids": event.absorbed_ids,
    }


def identity_endpoint(service: Callable[[], IdentifyContacts]) -> HTTPRouteHandler:
    @get(
        "/identities/{contact_id:int}",
        operation_id="identity",
        summary="The identity of a contact",
        description="Of any contact that ever existed, also one that is no primary any more, or was deleted.",
        **guarded(
            Scope.READ,
            answered(IdentityPage, "A page of the identity", whole=examples.IDENTITY),
            errors=(400, 404),
        ),
    )
    async def identity(
        contact_id: int,
        after: Annotated[str | None, Parameter(description="The `next` of the page before.")] = None,
        limit: Annotated[int, Parameter(ge=1, le=LIMIT, description="How many contacts at most.")] = 100,
        as_of: Annotated[
            datetime | None, Parameter(query="asOf", description="As it was then, rather than as it is.")
        ] = None,
    ) -> IdentityPage:
        contacts: Sequence[Contact] | None = None
        seen = None if after is None else _age(after)
        if abs(contact_id) < 2**63:
            if as_of is None:
                if pages := await service().pages(contact_id, seen, limit):
                    return shown(pages[0])
                contacts = await service().find(contact_id)
            else:
                moment = as_of if as_of.tzinfo is not None else as_of.replace(tzinfo=UTC)
                contacts = await service().as_of(contact_id, moment)
        if as_of is not None and contacts == ():
            raise NotFoundException(f"there was no contact {contact_id} then")
        if contacts is None:
            raise NotFoundException(f"there never was a contact {contact_id}")
        if not contacts:
            raise NotFoundException(f"contact {contact_id} was deleted, and with it all of its identity")
        return shown(page(contacts, seen, limit))

    return identity


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
    precedence = "primary" if contact.id == primary_contact_id else "secondary"
    return ContactRecord(contact.id, contact.email, contact.phone_number, precedence, contact.created_at)


def _cursor(created_at: datetime, contact_id: int) -> str:
    return f"{(created_at - _EPOCH) // _MICROSECOND}.{contact_id}"


def _age(cursor: str) -> tuple[datetime, int]:
    number, _, contact_id = cursor.partition(".")
    try:
        age = _EPOCH + int(number) * _MICROSECOND, int(contact_id)
    except (ValueError, OverflowError):
        age = _EPOCH, 2**63
    if abs(age[1]) >= 2**63:  # no id
        raise InvalidParameter("after", "must be the next of a page")
    return age
