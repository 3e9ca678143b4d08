"""Details out of the body of a request."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from litestar import Request
from litestar.exceptions.http_exceptions import ClientException, RequestEntityTooLarge
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from identity_adapters.http.problems import InvalidBody
from identity_core import ContactDetails

MakeDetails: TypeAlias = Callable[[Any, Any], ContactDetails]


_DETAILS = Schema(
    type=OpenAPIType.OBJECT,
    properties={
        "email": Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL]),
        "phoneNumber": Schema(type=[OpenAPIType.STRING, OpenAPIType.INTEGER, OpenAPIType.NULL]),
    },
    any_of=[Schema(required=["email"]), Schema(required=["phoneNumber"])],
    description="An email, a phone number or both. Other members are ignored.",
)
_SOUGHT = Schema(
    type=OpenAPIType.OBJECT,
    properties={
        "email": Schema(type=OpenAPIType.STRING),
        "phoneNumber": Schema(type=[OpenAPIType.STRING, OpenAPIType.INTEGER]),
        "contactId": Schema(type=OpenAPIType.INTEGER),
    },
    min_properties=1,
    max_properties=1,
)
_TWO_SOUGHT = Schema(
    type=OpenAPIType.OBJECT,
    properties={"one": _SOUGHT, "other": _SOUGHT},
    required=["one", "other"],
    description="Two of: an email, a phone number, a contact by its id.",
)


def _json_body(schema: Schema, name: str, value: dict[str, Any]) -> RequestBody:
    """Documents a body that a handler reads by itself, with an example."""
    content = OpenAPIMediaType(schema=schema, examples={name: Example(value=value)})
    return RequestBody(required=True, content={"application/json": content})


@dataclass
class DetailsOperation(Operation):
    """Takes details."""

    def __post_init__(self) -> None:
        example = {"email": "doc@hillvalley.edu", "phoneNumber": "555-0123"}
        self.request_body = _json_body(_DETAILS, "both", example)


@dataclass
class ExplainOperation(Operation):
    """Takes two that are sought."""

    def __post_init__(self) -> None:
        example = {"one": {"email": "doc@hillvalley.edu"}, "other": {"contactId": 23}}
        self.request_body = _json_body(_TWO_SOUGHT, "values", example)


async def details_of(request: Request[Any, Any, Any], make_details: MakeDetails) -> ContactDetails:
    """The details in the body of a request.

    Raises:
        InvalidBody: it is no JSON object.
        InvalidDetails: what it holds cannot be used.
    """
    body = await json_object(request)
    return make_details(body.get("email"), body.get("phoneNumber"))


async def json_object(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The body of a request.

    Raises:
        InvalidBody: it is no JSON object.
    """
    try:
        body = msgspec.json.decode(await _body(request))
    except RecursionError:
        raise InvalidBody(HTTPStatus.BAD_REQUEST, "is nested too deeply") from None
    except UnicodeDecodeError:
        raise InvalidBody(HTTPStatus.BAD_REQUEST, "is not valid UTF-8") from None
    except msgspec.DecodeError as error:
        raise InvalidBody(HTTPStatus.BAD_REQUEST, f"is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidBody(HTTPStatus.BAD_REQUEST, "must be a JSON object")
    return body


async def _body(request: Request[Any, Any, Any]) -> bytes:
    # Litestar's own way makes a mapping of all headers, which takes a twentieth of the time of a request.
    for name, value in request.scope["headers"]:
        if name == b"content-type" and value != b"application/json":
            _refuse_other_content(value.decode("latin-1"))
    most: Any = request.scope["litestar_app"].request_max_body_size
    body: bytes = b""
    while True:
        message: Any = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientException
        body += message["body"]
        if len(body) > most:
            raise RequestEntityTooLarge
        if not message.get("more_body"):
            return body


def _refuse_other_content(content_type: str) -> None:
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if media_type.strip() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise InvalidBody(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "must be application/json in UTF-8")
