"""The Litestar application: requests in, details out; identities in, answers out."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from litestar import Litestar, Request, post
from litestar.datastructures import ResponseHeader
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from identity_adapters.http import examples
from identity_adapters.http.access import RateLimit, check_keys, guarded
from identity_adapters.http.details import DetailsOperation, MakeDetails, details_of
from identity_adapters.http.documentation import OPENAPI, assets, redoc, swagger_ui, tell_apart
from identity_adapters.http.health import CheckReady, live, metrics_endpoint, ready_endpoint
from identity_adapters.http.look import (
    changes_endpoint,
    explain_endpoint,
    history_endpoint,
    identity_endpoint,
    lookup_endpoint,
)
from identity_adapters.http.observed import OUTCOME
from identity_adapters.http.problems import HANDLERS, InvalidParameter, answered
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


class ForeseenContact(msgspec.Struct, rename="camel"):
    """The consolidated contact as it would be; null is the id of a contact that is not there yet."""

    primary_contact_id: int | None
    emails: tuple[str, ...]
    phone_numbers: tuple[str, ...]
    secondary_contact_ids: tuple[int | None, ...]


class DryRunAnswer(msgspec.Struct, rename="camel"):
    """What `POST /identify?dryRun=true` answers: what would happen. Nothing was written."""

    outcome: str
    contact: ForeseenContact
    absorbed_primary_contact_ids: tuple[int, ...]
    moved_contacts: int


OUTCOME_HEADER = "Identity-Outcome"
_OUTCOME_HEADERS = {outcome: (OUTCOME_HEADER.lower().encode(), outcome.value.encode()) for outcome in Outcome}


class _Json:
    """An answer of JSON, written out as it is: Litestar's own takes a tenth of the time of a request."""

    def __init__(self, body: bytes, outcome: Outcome) -> None:
        self._body = body
        self._outcome = outcome

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        scope["state"][OUTCOME] = self._outcome
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self._body)),
            _OUTCOME_HEADERS[self._outcome],
        ]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def _identify_endpoint(
    identify: Callable[[], Identify], queries: Callable[[], IdentifyContacts], make_details: MakeDetails
) -> HTTPRouteHandler:
    @post(
        "/identify",
        status_code=HTTPStatus.OK,
        operation_class=DetailsOperation,
        operation_id="identify",
        summary="Identify a customer",
        description=(
            "Links the details with what is known, and answers all that is known of the customer."
            " With `dryRun=true` it only answers what would happen."
        ),
        response_headers=[
            ResponseHeader(
                name=OUTCOME_HEADER,
                documentation_only=True,
                description="What became of the details: " + ", ".join(Outcome) + ".",
            )
        ],
        **guarded(
            KeyScope.IDENTIFY,
            answered(
                IdentifyAnswer | DryRunAnswer,
                "The customer's consolidated contact; or, of a dry run, what would happen",
                identified=examples.IDENTIFIED,
                dryRun=examples.FORESEEN,
            ),
            errors=(400, 413, 415),
        ),
    )
    async def identify_customer(
        request: Request[Any, Any, Any],
    ) -> ASGIApp:
        is_dry_run = request.scope["query_string"] and _is_dry_run(request)
        details = await details_of(request, make_details)
        if is_dry_run:
            foreseen = await queries().foresee(details)
            return _Json(msgspec.json.encode(_foreseen(foreseen)), foreseen.outcome)
        identified = await identify()(details)
        return _Json(msgspec.json.encode(_answer(identified.identity)), identified.outcome)

    return identify_customer


def _is_dry_run(request: Request[Any, Any, Any]) -> bool:
    value = request.query_params.get("dryRun", "false").lower()
    if value not in ("true", "false"):
        raise InvalidParameter("dryRun", "must be true or false")
    return value == "true"


def _answer(identity: Identity) -> IdentifyAnswer:
    return IdentifyAnswer(
        ConsolidatedContact(
            identity.primary_contact_id,
            identity.emails,
            identity.phone_numbers,
            identity.secondary_contact_ids,
        )
    )


def _foreseen(foreseen: Foresight) -> DryRunAnswer:
    identity = foreseen.identity
    contact = ForeseenContact(
        identity.primary_contact_id or None,
        identity.emails,
        identity.phone_numbers,
        tuple(id or None for id in identity.secondary_contact_ids),
    )
    return DryRunAnswer(foreseen.outcome, contact, foreseen.absorbed_ids, foreseen.moved)


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
    """
    # Litestar resolves dependencies of a handler at each request, in a group of tasks; handlers that
    # are made with what they need cost nothing.
    app = Litestar(
        [
            _identify_endpoint(identify, queries, make_details),
            lookup_endpoint(queries, make_details),
            identity_endpoint(queries),
            history_endpoint(queries),
            explain_endpoint(queries, make_details),
            changes_endpoint(feed, is_stopping),
            live,
            ready_endpoint(check, is_stopping),
            metrics_endpoint(exposition),
            swagger_ui,
            redoc,
            assets(),
        ],
        before_request=check_keys(keys, RateLimit(rate_limit) if rate_limit else None) if keys else None,
        exception_handlers=HANDLERS,
        lifespan=list(lifespan),
        logging_config=None,
        openapi_config=OPENAPI,
        request_max_body_size=max_body_size,
    )
    tell_apart(app.openapi_schema)
    return app
