"""``POST /identify`` and ``POST /preview``."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from identity_adapters.api import DetailsMember, MakeDetails
from identity_adapters.http import examples
from identity_adapters.http.auth import Check
from identity_adapters.http.body import DETAILS_BODY, read_details, to_blocked_error, to_suppressed_error
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import (
    IDENTIFY_TAG,
    IGNORED_HEADER,
    OUTCOME_HEADER,
    Answer,
    Operation,
)
from identity_adapters.http.problem import FieldError
from identity_adapters.http.state import OUTCOME
from identity_adapters.keys import Scope as KeyScope
from identity_core import (
    ContactDetails,
    Identified,
    IdentifierKind,
    Identity,
    Outcome,
    Preview,
    QueryIdentities,
)

Identify: TypeAlias = Callable[[ContactDetails], Awaitable[Identified]]

OnBlocked: TypeAlias = Callable[[IdentifierKind], None]
"""Called with the kind of each value to identify by that is blocked."""

OnSeen: TypeAlias = Callable[[ContactDetails, IdentifierKind | None], None]
"""Called with details that identified somebody, and the kind of the one value that is blocked."""


class ConsolidatedContact(msgspec.Struct, rename="camel"):
    """All known values of one customer; those of the primary contact come first."""

    primary_contact_id: int
    emails: tuple[str, ...]
    phone_numbers: tuple[str, ...]
    secondary_contact_ids: tuple[int, ...]


class IdentifyAnswer(msgspec.Struct):
    """The answer of `POST /identify`."""

    contact: ConsolidatedContact


class PreviewContact(msgspec.Struct, rename="camel"):
    """The consolidated contact as it would be; a contact that does not exist yet has the id null."""

    primary_contact_id: int | None
    emails: tuple[str, ...]
    phone_numbers: tuple[str, ...]
    secondary_contact_ids: tuple[int | None, ...]


class PreviewAnswer(msgspec.Struct, rename="camel"):
    """The answer of `POST /preview`: what `POST /identify` would do. Nothing was written.

    `ignored` is the member of the body that the contact would not be identified by; null if there is none.
    """

    outcome: Outcome
    ignored: DetailsMember | None
    contact: PreviewContact
    absorbed_primary_contact_ids: tuple[int, ...]
    moved_contacts: int


def _make_headers(outcome: Outcome, ignored: IdentifierKind | None) -> list[tuple[bytes, bytes]]:
    headers = [(OUTCOME_HEADER, outcome.value)]
    if ignored is not None:
        headers.append((IGNORED_HEADER, DetailsMember.of(ignored)))
    return [(name.lower().encode(), value.encode()) for name, value in headers]


_OUTCOME_HEADERS = {
    (outcome, ignored): _make_headers(outcome, ignored)
    for outcome in Outcome
    for ignored in (None, *IdentifierKind)
}


def create_identify_endpoint(
    identify: Callable[[], Identify],
    make_details: MakeDetails,
    check: Check | None,
    on_blocked: OnBlocked,
    on_seen: OnSeen | None = None,
) -> HTTPRouteHandler:
    operation = Operation(
        id="identify",
        tag=IDENTIFY_TAG,
        summary="Identify a customer",
        description=(
            "Links the details to the known contacts, and returns all known values of the customer. If"
            " rulings or limits keep the two apart, returns the customer of the email. If one of the two is"
            " blocked, returns the customer of the other. It is safe to send the same request again."
        ),
        answer=Answer(
            IdentifyAnswer,
            "The consolidated contact of the customer.",
            {"identified": examples.IDENTIFIED},
            headers=(OUTCOME_HEADER, IGNORED_HEADER),
        ),
        errors=(400, 413, 415, 422),
        scope=KeyScope.IDENTIFY,
        body=DETAILS_BODY,
    )

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if check is not None:
            check(scope)
        if scope["query_string"]:
            _reject_dry_run(scope)
        details = await read_details(scope, receive, make_details)
        identified = await identify()(details)
        scope["state"][OUTCOME] = identified.outcome
        if identified.outcome is Outcome.SUPPRESSED:
            raise to_suppressed_error(details, identified.ignored)
        blocked = None if identified.outcome is Outcome.HELD else identified.ignored
        if blocked is not None:
            on_blocked(blocked)
        elif identified.outcome is Outcome.BLOCKED:
            for kind, _ in details.identifiers:
                on_blocked(kind)
            raise to_blocked_error(details)
        if on_seen is not None:
            on_seen(details, blocked)
        body = msgspec.json.encode(_to_identify_answer(identified.identity))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *_OUTCOME_HEADERS[identified.outcome, identified.ignored],
        ]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    # Litestar's work for a handler, from its request object to its response, takes a quarter of the time of
    # a request. It calls the middleware of the handler first, which answers.
    @post("/identify", middleware=[lambda app: answer], **operation.route_options())  # noqa: ARG005
    async def identify_customer() -> None:
        raise NotImplementedError

    return identify_customer


def _reject_dry_run(scope: Scope) -> None:
    """Reject `dryRun`, because its sender expects that nothing is written."""
    if "dryRun" in Request(scope).query_params:
        raise InvalidFields(
            FieldError("dryRun", "is not a parameter of POST /identify, which writes; use POST /preview")
        )


def create_preview_endpoint(
    queries: Callable[[], QueryIdentities], make_details: MakeDetails
) -> HTTPRouteHandler:
    operation = Operation(
        id="preview",
        tag=IDENTIFY_TAG,
        summary="Preview what identifying a customer would do",
        description="Returns what `POST /identify` would do with the same details. Writes nothing.",
        answer=Answer(
            PreviewAnswer,
            "The outcome and the consolidated contact as it would be.",
            {"linked": examples.PREVIEWED},
        ),
        errors=(400, 413, 415, 422),
        scope=KeyScope.IDENTIFY,
        body=DETAILS_BODY,
    )

    @post("/preview", **operation.route_options())
    async def preview_customer(request: Request[Any, Any, Any]) -> PreviewAnswer:
        details = await read_details(request.scope, request.receive, make_details)
        preview = await queries().preview(details)
        request.scope["state"][OUTCOME] = preview.outcome
        if preview.outcome is Outcome.BLOCKED:
            raise to_blocked_error(details)
        if preview.outcome is Outcome.SUPPRESSED:
            raise to_suppressed_error(details, preview.ignored)
        return _to_preview_answer(preview)

    return preview_customer


def _to_identify_answer(identity: Identity) -> IdentifyAnswer:
    return IdentifyAnswer(
        ConsolidatedContact(
            identity.primary_contact_id,
            identity.emails,
            identity.phone_numbers,
            identity.secondary_contact_ids,
        )
    )


def _to_preview_answer(preview: Preview) -> PreviewAnswer:
    identity = preview.identity
    contact = PreviewContact(
        identity.primary_contact_id or None,
        identity.emails,
        identity.phone_numbers,
        tuple(id or None for id in identity.secondary_contact_ids),
    )
    ignored = None if preview.ignored is None else DetailsMember.of(preview.ignored)
    return PreviewAnswer(preview.outcome, ignored, contact, preview.absorbed_ids, preview.moved)
