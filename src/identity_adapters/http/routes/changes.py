"""``GET /changes``."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType

from identity_adapters.api.events import ChangesAnswer, to_changes_answer
from identity_adapters.http import examples
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import QUERY_TAG, Answer, Operation
from identity_adapters.http.parameters import parse_parameters
from identity_adapters.http.problem import FieldError
from identity_adapters.keys import Scope
from identity_core import ChangeFeed, InvalidCursor

LIMIT = 1_000
"""The maximum number of events in an answer."""

POLL_INTERVAL = 0.25
"""Seconds between two reads of the feed while a client waits for an event."""


class ChangesParameters(msgspec.Struct):
    """The parameters of `GET /changes`."""

    after: Annotated[str, Meta(description="The `next` of the previous answer.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="The maximum number of events.")] = 1_000
    wait: Annotated[
        float,
        Meta(ge=0, le=60, description="Seconds to wait for an event if there is none yet."),
    ] = 0


def create_changes_endpoint(
    feed: Callable[[], ChangeFeed], is_shutting_down: Callable[[], bool]
) -> HTTPRouteHandler:
    operation = Operation(
        id="changes",
        tag=QUERY_TAG,
        summary="Follow all identities",
        description=(
            "Returns the events of all identities. Polling with the `next` of the previous answer as `after`"
            " delivers every event exactly once, and after the events that it builds upon."
        ),
        answer=Answer(ChangesAnswer, "Events, and the cursor after them.", {"linked": examples.CHANGES}),
        errors=(400,),
        scope=Scope.READ,
        parameters=ChangesParameters,
    )

    @get("/changes", **operation.route_options())
    async def changes(request: Request[Any, Any, Any]) -> ChangesAnswer:
        parameters = parse_parameters(request, ChangesParameters)
        clock = asyncio.get_running_loop().time
        deadline = clock() + parameters.wait
        try:
            after = None if parameters.after is UNSET else parameters.after
            events, cursor = await feed().changes(after, parameters.limit)
            while not events and clock() < deadline and not is_shutting_down():
                await asyncio.sleep(POLL_INTERVAL)
                events, cursor = await feed().changes(cursor, parameters.limit)
        except InvalidCursor:
            raise InvalidFields(FieldError("after", "must be the `next` of an earlier answer")) from None
        return to_changes_answer(events, cursor)

    return changes
