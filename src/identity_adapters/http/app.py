"""The Litestar application: requests in, details out; identities in, answers out."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from litestar import Litestar, Request, post
from litestar.config.cors import CORSConfig
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from identity_adapters.http import examples
from identity_adapters.http.access import Check, RateLimit, before_request, check_keys
from identity_adapters.http.details import DETAILS_BODY, MakeDetails, details_of
from identity_adapters.http.health import CheckReady, live, metrics_endpoint, ready_endpoint
from identity_adapters.http.look import (
    changes_endpoint,
    explain_endpoint,
    history_endpoint,
    identity_endpoint,
    lookup_endpoint,
)
from identity_adapters.http.observed import OUTCOME
from identity_adapters.http.openapi import (
    IDENTIFY_TAG,
    OUTCOME_HEADER,
    Answer,
    Operation,
    document,
    document_endpoint,
)
from identity_adapters.http.pages import PAGES
from identity_adapters.http.problems import HANDLERS, FieldError, InvalidFields
from identity_adapters.keys import ApiKey
from identity_adapters.keys import Scope as KeyScope
from identity_core import ContactDetails, Foresight, Identified, IdentifyContacts, Identity, Outcome

Identify: TypeAlias = Callable[[ContactDetails], Awaitable[Identified]]
Lifespan: TypeAlias = Callable[[Litestar], AbstractAsyncContextManager[None]]


class ConsolidatedContact(msgspec.Struct, rename="camel"):
    """All that is known of one customer; the primary contact's values come first."""

    primary_contact_id: int
    emails: tuple[str, ...]
    phone_numbers: tuple[str, ...]
    secondary_contact_ids: tuple[int, ...]


class IdentifyAnswer(msgspec.Struct):
    """What `POST /identify` answers."""

    contact: ConsolidatedContact


class PreviewContact(msgspec.Struct, rename="camel"):
    """The consolidated contact as it would be; null is the id of a contact that does not exist yet."""

    primary_contact_id: int | None
    emails: tuple[str, ...]
    phone_numbers: tuple[str, ...]
    secondary_contact_ids: tuple[int | None, ...]


class PreviewAnswer(msgspec.Struct, rename="camel"):
    """What `POST /preview` answers: what identifying the customer would do. Nothing was written."""

    outcome: Outcome
    contact: PreviewContact
    absorbed_primary_contact_ids: tuple[int, ...]
    moved_contacts: int


_OUTCOME_HEADERS = {outcome: (OUTCOME_HEADER.lower().encode(), outcome.value.encode()) for outcome in Outcome}


def _identify_endpoint(
    identify: Callable[[], Identify], make_details: MakeDetails, check: Check | None
) -> HTTPRouteHandler:
    operation = Operation(
        id="identify",
        tag=IDENTIFY_TAG,
        summary="Identify a customer",
        description=(
            "Links the details with what is known, and answers all that is known of the customer. It is safe"
            " to send the same again."
        ),
        answer=Answer(
            IdentifyAnswer,
            "The consolidated contact of the customer.",
            {"identified": examples.IDENTIFIED},
            headers=(OUTCOME_HEADER,),
        ),
        errors=(400, 413, 415),
        scope=KeyScope.IDENTIFY,
        body=DETAILS_BODY,
    )

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if check is not None:
            check(scope)
        if scope["query_string"]:
            _reject_dry_run(scope)
        details = await details_of(scope, receive, make_details)
        identified = await identify()(details)
        scope["state"][OUTCOME] = identified.outcome
        body = msgspec.json.encode(_answer(identified.identity))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            _OUTCOME_HEADERS[identified.outcome],
        ]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    # What Litestar does for a handler, from the request that it makes to the response, takes a quarter of
    # the time of a request. It routes to the middleware of the handler first, which answers.
    @post("/identify", middleware=[lambda app: answer], **operation.route_options())  # noqa: ARG005
    async def identify_customer() -> None:
        raise NotImplementedError

    return identify_customer


def _reject_dry_run(scope: Scope) -> None:
    """Reject a request that may expect that nothing is written."""
    if "dryRun" in Request(scope).query_params:
        raise InvalidFields(
            FieldError("dryRun", "is no parameter of POST /identify, which writes; use POST /preview")
        )


def _preview_endpoint(queries: Callable[[], IdentifyContacts], make_details: MakeDetails) -> HTTPRouteHandler:
    operation = Operation(
        id="preview",
        tag=IDENTIFY_TAG,
        summary="Preview what identifying a customer would do",
        description="Answers what `POST /identify` would do with the same details. Writes nothing.",
        answer=Answer(
            PreviewAnswer,
            "The outcome and the consolidated contact as it would be.",
            {"linked": examples.PREVIEWED},
        ),
        errors=(400, 413, 415),
        scope=KeyScope.IDENTIFY,
        body=DETAILS_BODY,
    )

    @post("/preview", **operation.route_options())
    async def preview(request: Request[Any, Any, Any]) -> PreviewAnswer:
        foreseen = await queries().foresee(await details_of(request.scope, request.receive, make_details))
        request.scope["state"][OUTCOME] = foreseen.outcome
        return _preview(foreseen)

    return preview


def _answer(identity: Identity) -> IdentifyAnswer:
    return IdentifyAnswer(
        ConsolidatedContact(
            identity.primary_contact_id,
            identity.emails,
            identity.phone_numbers,
            identity.secondary_contact_ids,
        )
    )


def _preview(foreseen: Foresight) -> PreviewAnswer:
    identity = foreseen.identity
    contact = PreviewContact(
        identity.primary_contact_id or None,
        identity.emails,
        identity.phone_numbers,
        tuple(id or None for id in identity.secondary_contact_ids),
    )
    return PreviewAnswer(foreseen.outcome, contact, foreseen.absorbed_ids, foreseen.moved)


def _cors(origins: Sequence[str]) -> CORSConfig:
    return CORSConfig(
        allow_origins=[*origins],
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["Authorization", "Content-Type", "Traceparent", "X-Request-ID"],
        expose_headers=[OUTCOME_HEADER, "Retry-After", "WWW-Authenticate", "X-Request-ID"],
    )


def create_app(
    identify: Callable[[], Identify],
    queries: Callable[[], IdentifyContacts],
    feed: Callable[[], IdentifyContacts],
    check: Callable[[], CheckReady],
    make_details: MakeDetails = ContactDetails,
    *,
    exposition: Callable[[], Awaitable[bytes]],
    is_stopping: Callable[[], bool],
    keys: Sequence[ApiKey] = (),
    rate_limit: float | None = None,
    lifespan: Sequence[Lifespan] = (),
    max_body_size: int = 65536,
    allowed_origins: Sequence[str] = (),
    has_pages: bool = True,
) -> Litestar:
    """The ASGI application.

    Args:
        identify: gives the use case for one of many callers; asked at each request.
        queries: gives the use case for what only reads, all but the feed of changes.
        feed: gives the one for the feed.
        check: gives what raises `RepositoryUnavailable` while requests cannot be answered.
        make_details: makes details of an email and a phone number as they were sent.
        exposition: gives the metrics, as Prometheus reads them.
        is_stopping: whether clients are to ask elsewhere.
        keys: who may do what; none for everybody and everything.
        rate_limit: how often a second each key may ask; None for any number.
        lifespan: what is to run while the application runs.
        max_body_size: bytes; a larger body is refused.
        allowed_origins: whose pages may ask, such as ``https://shop.example``.
        has_pages: whether there are pages for people.
    """
    check_key = check_keys(keys, RateLimit(rate_limit) if rate_limit else None) if keys else None
    # Litestar resolves dependencies of a handler at each request, in a group of tasks; handlers that
    # are made with what they need cost nothing.
    handlers = [
        _identify_endpoint(identify, make_details, check_key),
        _preview_endpoint(queries, make_details),
        lookup_endpoint(queries, make_details),
        explain_endpoint(queries, make_details),
        identity_endpoint(queries),
        history_endpoint(queries),
        changes_endpoint(feed, is_stopping),
        live,
        ready_endpoint("/health/ready", "ready", check, is_stopping),
        ready_endpoint("/health", "health", check, is_stopping),  # what most probes ask for
        metrics_endpoint(exposition),
    ]
    return Litestar(
        [*handlers, document_endpoint(document(handlers)), *(PAGES if has_pages else ())],
        before_request=before_request(check_key) if check_key is not None else None,
        cors_config=_cors(allowed_origins) if allowed_origins else None,
        exception_handlers=HANDLERS,
        lifespan=list(lifespan),
        logging_config=None,
        openapi_config=None,
        request_max_body_size=max_body_size,
    )
