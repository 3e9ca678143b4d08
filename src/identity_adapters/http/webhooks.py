"""Parsing webhooks from requests.

As with rulings, nothing that a client may have misspelled is ignored.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request
from msgspec import Meta

from identity_adapters.api import MAX_ID
from identity_adapters.api.webhooks import MAX_DESCRIPTION_LENGTH, MAX_KEEP_HOURS, parse_description
from identity_adapters.http.body import check_members, read_json_object
from identity_adapters.http.errors import InvalidFields, RequestRejected
from identity_adapters.http.openapi.operation import Body
from identity_adapters.http.problem import FieldError
from identity_adapters.webhooks.manage import NoWebhookKey, UnknownWebhook, WrongWebhookKey
from identity_adapters.webhooks.network import LONGEST_URL, InvalidUrl, check_url
from identity_core import EventKind, InvalidCursor, InvalidDetails

LIMIT = 100
"""The maximum number of webhooks in a page."""

START = "must be beginning, end, a time such as 2026-04-01T12:00:00Z, or a cursor of the feed"
_PLACES = "`beginning`, `end`, a time in ISO 8601, or a cursor, such as the `next` of `GET /changes`."
_BY_COMMAND_LINE = ("allowHttp", "allowedNetworks")
"""What could reach private networks through the service, so that no API key may set it."""

ADD_WEBHOOK_BODY = Body(
    {
        "WebhookRequest": {
            "title": "WebhookRequest",
            "type": "object",
            "description": "Where and what a webhook sends.",
            "properties": {
                "url": {
                    "type": "string",
                    "maxLength": LONGEST_URL,
                    "description": "The URL of the endpoint. It begins with `https://`.",
                },
                "kinds": {
                    "type": ["array", "null"],
                    "items": {"$ref": "#/components/schemas/EventKind"},
                    "description": "The kinds of events to send; all if it is empty.",
                },
                "description": {
                    "type": ["string", "null"],
                    "maxLength": MAX_DESCRIPTION_LENGTH,
                    "description": "What people call it.",
                },
                "from": {
                    "type": ["string", "null"],
                    "default": "end",
                    "description": f"Where it starts: {_PLACES}",
                },
            },
            "required": ["url"],
            "additionalProperties": False,
        }
    },
    example={
        "url": "https://warehouse.example/identity",
        "kinds": ["created", "linked", "merged"],
        "description": "the data warehouse",
        "from": "beginning",
    },
)
REPLAY_BODY = Body(
    {
        "ReplayRequest": {
            "title": "ReplayRequest",
            "type": "object",
            "description": "Where a webhook goes on.",
            "properties": {"from": {"type": "string", "description": f"Where it goes on: {_PLACES}"}},
            "required": ["from"],
            "additionalProperties": False,
        }
    },
    example={"from": "2026-04-01T12:00:00Z"},
)


class WebhooksParameters(msgspec.Struct):
    """The parameters of `GET /webhooks`."""

    after: Annotated[int, Meta(ge=0, le=MAX_ID, description="The `next` of the previous page.")] = 0
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="The maximum number of webhooks.")] = LIMIT


class WebhookParameters(msgspec.Struct):
    """The parameters of what is about one webhook."""

    id: Annotated[int, Meta(ge=0, le=MAX_ID, description="The id of a webhook.")]


class RotateParameters(WebhookParameters, rename="camel"):
    """The parameters of `POST /webhooks/{id}/rotate`."""

    keep_hours: Annotated[
        float,
        Meta(
            ge=0,
            le=MAX_KEEP_HOURS,
            description="For how many hours messages are signed with the previous secret as well.",
        ),
    ] = 24


async def read_members(request: Request[Any, Any, Any], body: Body) -> dict[str, Any]:
    """Read the body of a request; members that are null are left out.

    Raises:
        RequestRejected: it is not a JSON object.
        InvalidFields: it has members that it must not have.
    """
    members = await read_json_object(request.scope, request.receive)
    if refused := [name for name in _BY_COMMAND_LINE if name in members]:
        raise InvalidFields(*(FieldError(name, "must be set by the command line") for name in refused))
    check_members("body", members, body.members)
    return {name: value for name, value in members.items() if value is not None}


def parse_url(value: Any) -> str:
    """Parse the URL of an endpoint.

    Raises:
        InvalidFields: it is not one.
    """
    url = _parse_text("url", value)
    try:
        check_url(url, allows_http=False)
    except InvalidUrl as error:
        raise InvalidFields(FieldError("url", error.reason)) from None
    return url


def parse_kinds(value: Any) -> frozenset[EventKind]:
    """Parse kinds of events.

    Raises:
        InvalidFields: some are none.
    """
    known = {kind.value: kind for kind in EventKind}
    if not isinstance(value, list) or not all(isinstance(kind, str) and kind in known for kind in value):
        raise InvalidFields(FieldError("kinds", f"must be a list of {', '.join(known)}"))
    return frozenset(known[kind] for kind in value)


def parse_label(value: Any) -> str:
    """Parse the description of a webhook.

    Raises:
        InvalidFields: it cannot be recorded.
    """
    try:
        return parse_description(_parse_text("description", value))
    except InvalidDetails as error:
        raise InvalidFields(FieldError("description", error.reason)) from None


def parse_start(value: Any) -> str:
    """Parse where a webhook starts, or goes on.

    Raises:
        InvalidFields: it is no text.
    """
    if not isinstance(value, str):
        raise InvalidFields(FieldError("from", START))
    return value


def _parse_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidFields(FieldError(name, "must be text"))
    return value


@contextmanager
def refusing() -> Iterator[None]:
    """Answer what is refused."""
    try:
        yield
    except UnknownWebhook as error:
        raise InvalidFields(FieldError("id", str(error)), status=HTTPStatus.NOT_FOUND) from None
    except InvalidCursor:
        raise InvalidFields(FieldError("from", START)) from None
    except (NoWebhookKey, WrongWebhookKey) as error:
        raise RequestRejected(HTTPStatus.BAD_REQUEST, str(error)) from None
