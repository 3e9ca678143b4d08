"""The Litestar application: requests in, details out; identities in, answers out."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from litestar import Litestar, Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.types import ASGIApp, Receive, Scope, Send

from identity_adapters.http.documentation import OPENAPI, assets, redoc, swagger_ui
from identity_adapters.http.problems import HANDLERS, InvalidBody, documented
from identity_core import ContactDetails, Identity

Identify: TypeAlias = Callable[[ContactDetails], Awaitable[Identity]]
MakeDetails: TypeAlias = Callable[[Any, Any], ContactDetails]
Check: TypeAlias = Callable[[], Awaitable[None]]
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


class _Json:
    """An answer of JSON, written out as it is: Litestar's own takes a tenth of the time of a request."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self._body))]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


@dataclass
class _IdentifyOperation(Operation):
    """Documents the body, which the handler reads by itself."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            required=True,
            content={
                "application/json": OpenAPIMediaType(
                    schema=Schema(
                        type=OpenAPIType.OBJECT,
                        properties={
                            "email": Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL]),
                            "phoneNumber": Schema(
                                type=[OpenAPIType.STRING, OpenAPIType.INTEGER, OpenAPIType.NULL]
                            ),
                        },
                        any_of=[Schema(required=["email"]), Schema(required=["phoneNumber"])],
                        description="An email, a phone number or both. Other members are ignored.",
                    ),
                    examples={
                        "both": Example(value={"email": "doc@hillvalley.edu", "phoneNumber": "555-0123"})
                    },
                )
            },
        )


def _identify_endpoint(identify: Callable[[], Identify], make_details: MakeDetails) -> HTTPRouteHandler:
    @post(
        "/identify",
        status_code=HTTPStatus.OK,
        operation_class=_IdentifyOperation,
        operation_id="identify",
        summary="Identify a customer",
        description="Links the details with what is known, and answers all that is known of the customer.",
        responses={
            200: ResponseSpec(
                IdentifyAnswer, generate_examples=False, description="The customer's consolidated contact"
            ),
            **documented(400, 413, 415, 500, 503),
        },
    )
    async def identify_customer(request: Request[Any, Any, Any]) -> ASGIApp:
        body = await _json_object(request)
        identity = await identify()(make_details(body.get("email"), body.get("phoneNumber")))
        contact = ConsolidatedContact(
            identity.primary_contact_id,
            identity.emails,
            identity.phone_numbers,
            identity.secondary_contact_ids,
        )
        return _Json(msgspec.json.encode(IdentifyAnswer(contact)))

    return identify_customer


def _ready_endpoint(check: Callable[[], Check]) -> HTTPRouteHandler:
    @get(
        "/health/ready",
        operation_id="ready",
        summary="Whether the service can answer: the database is there, and migrated",
        responses=documented(503),
    )
    async def ready() -> dict[str, str]:
        await check()()
        return {"status": "ready"}

    return ready


@get("/health/live", operation_id="live", summary="Whether the service runs", sync_to_thread=False)
def live() -> dict[str, str]:
    return {"status": "live"}


async def _json_object(request: Request[Any, Any, Any]) -> dict[str, Any]:
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            _refuse_other_content(value.decode("latin-1"))
    try:
        body = msgspec.json.decode(await request.body())
    except RecursionError:
        raise InvalidBody(HTTPStatus.BAD_REQUEST, "is nested too deeply") from None
    except UnicodeDecodeError:
        raise InvalidBody(HTTPStatus.BAD_REQUEST, "is not valid UTF-8") from None
    except msgspec.DecodeError as error:
        raise InvalidBody(HTTPStatus.BAD_REQUEST, f"is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidBody(HTTPStatus.BAD_REQUEST, "must be a JSON object")
    return body


def _refuse_other_content(content_type: str) -> None:
    if content_type == "application/json":
        return
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if media_type.strip() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise InvalidBody(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "must be application/json in UTF-8")


def create_app(
    identify: Callable[[], Identify],
    check: Callable[[], Check],
    make_details: MakeDetails = ContactDetails,
    *,
    lifespan: Sequence[Lifespan] = (),
    max_body_size: int = 65536,
) -> Litestar:
    """The ASGI application.

    Args:
        identify: gives the use case; asked at each request.
        check: gives what raises `RepositoryUnavailable` while requests cannot be answered.
        make_details: makes details of an email and a phone number as they were sent.
        lifespan: what is to run while the application runs.
        max_body_size: bytes; a larger body is refused.
    """
    # Litestar resolves dependencies of a handler at each request, in a group of tasks; handlers that
    # are made with what they need cost nothing.
    return Litestar(
        [
            _identify_endpoint(identify, make_details),
            live,
            _ready_endpoint(check),
            swagger_ui,
            redoc,
            assets(),
        ],
        exception_handlers=HANDLERS,
        lifespan=list(lifespan),
        logging_config=None,
        openapi_config=OPENAPI,
        request_max_body_size=max_body_size,
    )
