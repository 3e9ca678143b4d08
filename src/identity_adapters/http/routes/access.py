"""``POST /access``."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from litestar import MediaType, Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from identity_adapters.api import MakeDetails
from identity_adapters.api.access import AccessAnswer, AccessDocument
from identity_adapters.http import examples
from identity_adapters.http.body import IDENTIFIER_OR_CONTACT, parse_target
from identity_adapters.http.openapi.operation import PRIVACY_TAG, Answer, Body, Operation
from identity_adapters.http.routes.rulings import naming
from identity_adapters.http.rulings import check_query, read_body
from identity_adapters.http.state import KEY
from identity_adapters.keys import Scope
from identity_core import AccessIdentities

ACCESS_BODY = Body(
    {
        "AccessRequest": IDENTIFIER_OR_CONTACT
        | {
            "title": "AccessRequest",
            "description": "A person: exactly one of an email, a phone number and the id of a contact.",
            "additionalProperties": False,
        }
    },
    example={"email": "lorraine@hillvalley.edu"},
)


def create_access_endpoint(
    access: Callable[[], AccessIdentities], make_details: MakeDetails
) -> HTTPRouteHandler:
    operation = Operation(
        id="access",
        tag=PRIVACY_TAG,
        summary="Hand out everything on record of a person",
        description=(
            "Returns everything on record of the identity that a value or a contact belongs to, as one"
            " document, and records who got it. Values of other persons are left out. An identity of any size"
            " is answered whole."
        ),
        answer=Answer(AccessAnswer, "Everything on record.", {"known": examples.ACCESSED}),
        errors=(400, 404, 410, 413, 415),
        scope=Scope.READ,
        body=ACCESS_BODY,
    )

    @post("/access", **operation.route_options())
    async def hand_out(request: Request[Any, Any, Any]) -> Stream:
        check_query(request, [])
        member, target = parse_target(await read_body(request, ACCESS_BODY), make_details)
        with naming(member):
            disclosure = await access()(target, request.scope["state"].get(KEY))
        document = AccessDocument(disclosure, datetime.now(UTC))
        return Stream(_stream(document), media_type=MediaType.JSON)

    return hand_out


async def _stream(document: AccessDocument) -> AsyncIterator[bytes]:
    for piece in document.encode():
        yield piece
        await asyncio.sleep(0)  # other requests have their turn
