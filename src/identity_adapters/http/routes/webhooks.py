"""The resource ``/webhooks``."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler

from identity_adapters.api.webhooks import (
    WebhookRecord,
    WebhooksAnswer,
    WebhookSecretAnswer,
    WebhookTestAnswer,
    to_webhook_record,
    to_webhook_test_answer,
    to_webhooks_answer,
)
from identity_adapters.http import examples
from identity_adapters.http.openapi.operation import WEBHOOKS_TAG, Answer, Body, Operation
from identity_adapters.http.parameters import collect, parse_parameters
from identity_adapters.http.rulings import check_query
from identity_adapters.http.webhooks import (
    ADD_WEBHOOK_BODY,
    REPLAY_BODY,
    RotateParameters,
    WebhookParameters,
    WebhooksParameters,
    parse_kinds,
    parse_label,
    parse_start,
    parse_url,
    read_members,
    refusing,
)
from identity_adapters.keys import Scope
from identity_adapters.webhooks.manage import END, ManageWebhooks
from identity_adapters.webhooks.webhook import Target

Webhooks = Callable[[], ManageWebhooks]


def create_webhook_endpoints(webhooks: Webhooks) -> list[HTTPRouteHandler]:
    """The handlers of all operations on webhooks."""
    return [
        _create_add_endpoint(webhooks),
        _create_list_endpoint(webhooks),
        _create_show_endpoint(webhooks),
        _create_pause_endpoint(webhooks),
        _create_resume_endpoint(webhooks),
        _create_replay_endpoint(webhooks),
        _create_rotate_endpoint(webhooks),
        _create_test_endpoint(webhooks),
        _create_remove_endpoint(webhooks),
    ]


def _create_add_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "add_webhook",
        "Add a webhook",
        "Sends the events of all identities to an endpoint, in order, until it has accepted them. The answer"
        " has the secret that messages are signed with; no later answer has it.",
        Answer(WebhookSecretAnswer, "The webhook, and its secret.", {"added": examples.ADDED_WEBHOOK}),
        status=HTTPStatus.CREATED,
        errors=(400, 413, 415),
        body=ADD_WEBHOOK_BODY,
    )

    @post("/webhooks", **operation.route_options())
    async def add(request: Request[Any, Any, Any]) -> WebhookSecretAnswer:
        check_query(request, [])
        members = await read_members(request, ADD_WEBHOOK_BODY)
        url, kinds, description, start = collect(
            partial(parse_url, members.get("url")),
            partial(parse_kinds, members.get("kinds", [])),
            partial(parse_label, members.get("description", "")),
            partial(parse_start, members.get("from", END)),
        )
        with refusing():
            webhook, secret = await webhooks().add(Target(url, kinds, description), start)
        return WebhookSecretAnswer(await to_webhook_record(webhooks(), webhook), secret)

    return add


def _create_list_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "webhooks",
        "List webhooks",
        "Returns the webhooks in the order of their ids, each with how far it is.",
        Answer(WebhooksAnswer, "A page of webhooks.", {"webhooks": examples.WEBHOOKS}),
        errors=(400,),
        parameters=WebhooksParameters,
    )

    @get("/webhooks", **operation.route_options())
    async def list_webhooks(request: Request[Any, Any, Any]) -> WebhooksAnswer:
        parameters = parse_parameters(request, WebhooksParameters)
        found = await webhooks().webhooks(parameters.after, parameters.limit + 1)
        return await to_webhooks_answer(webhooks(), found, parameters.limit)

    return list_webhooks


def _create_show_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "webhook",
        "Show a webhook",
        "Returns a webhook with how far it is.",
        Answer(WebhookRecord, "The webhook.", {"active": examples.WEBHOOK}),
    )

    @get("/webhooks/{id:str}", **operation.route_options())
    async def show(request: Request[Any, Any, Any]) -> WebhookRecord:
        id = parse_parameters(request, WebhookParameters).id
        with refusing():
            return await to_webhook_record(webhooks(), await webhooks().get(id))

    return show


def _create_pause_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "pause_webhook",
        "Pause a webhook",
        "Sends nothing until it is resumed. Nothing is lost meanwhile. A webhook that is paused stays so.",
        Answer(WebhookRecord, "The paused webhook.", {"paused": examples.PAUSED_WEBHOOK}),
    )

    @post("/webhooks/{id:str}/pause", **operation.route_options())
    async def pause(request: Request[Any, Any, Any]) -> WebhookRecord:
        id = _parse_id(request)
        with refusing():
            return await to_webhook_record(webhooks(), await webhooks().pause(id))

    return pause


def _create_resume_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "resume_webhook",
        "Resume a webhook",
        "Goes on where it stopped, at once, whether it is paused or waits to be tried again.",
        Answer(WebhookRecord, "The webhook.", {"active": examples.WEBHOOK}),
    )

    @post("/webhooks/{id:str}/resume", **operation.route_options())
    async def resume(request: Request[Any, Any, Any]) -> WebhookRecord:
        id = _parse_id(request)
        with refusing():
            return await to_webhook_record(webhooks(), await webhooks().resume(id))

    return resume


def _create_replay_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "replay_webhook",
        "Replay a webhook",
        "Sends again from an earlier event on, or skips to a later one. Messages that are sent again have"
        " other ids than before. A paused webhook stays paused.",
        Answer(WebhookRecord, "The webhook.", {"active": examples.WEBHOOK}),
        errors=(400, 404, 413, 415),
        body=REPLAY_BODY,
    )

    @post("/webhooks/{id:str}/replay", **operation.route_options())
    async def replay(request: Request[Any, Any, Any]) -> WebhookRecord:
        check_query(request, [])
        members = await read_members(request, REPLAY_BODY)
        parameters, to = collect(
            partial(parse_parameters, request, WebhookParameters),
            partial(parse_start, members.get("from")),
        )
        with refusing():
            return await to_webhook_record(webhooks(), await webhooks().replay(parameters.id, to))

    return replay


def _create_rotate_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "rotate_webhook",
        "Rotate the secret of a webhook",
        "Gives it a new secret, which no later answer has. Messages are signed with the previous one as"
        " well for some hours, so that the endpoint can take its time.",
        Answer(WebhookSecretAnswer, "The webhook, and its secret.", {"rotated": examples.ROTATED_WEBHOOK}),
        parameters=RotateParameters,
    )

    @post("/webhooks/{id:str}/rotate", **operation.route_options())
    async def rotate(request: Request[Any, Any, Any]) -> WebhookSecretAnswer:
        check_query(request, ["keepHours"])
        parameters = parse_parameters(request, RotateParameters)
        with refusing():
            webhook, secret = await webhooks().rotate(parameters.id, parameters.keep_hours * 3600)
        return WebhookSecretAnswer(await to_webhook_record(webhooks(), webhook), secret)

    return rotate


def _create_test_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "test_webhook",
        "Test a webhook",
        "Sends a message of the type `identity.test` without events to its endpoint, paused or not, and"
        " returns what came of it. Nothing is recorded.",
        Answer(WebhookTestAnswer, "What came of it.", {"accepted": examples.TESTED_WEBHOOK}),
    )

    @post("/webhooks/{id:str}/test", **operation.route_options())
    async def test(request: Request[Any, Any, Any]) -> WebhookTestAnswer:
        id = _parse_id(request)
        with refusing():
            return to_webhook_test_answer(await webhooks().test(id))

    return test


def _create_remove_endpoint(webhooks: Webhooks) -> HTTPRouteHandler:
    operation = _describe(
        "remove_webhook",
        "Remove a webhook",
        "Sends nothing any more, and forgets it. A message that is on its way may still arrive.",
        Answer(None, "The webhook is removed."),
        status=HTTPStatus.NO_CONTENT,
    )

    @delete("/webhooks/{id:str}", **operation.route_options())
    async def remove(request: Request[Any, Any, Any]) -> None:
        id = _parse_id(request)
        with refusing():
            await webhooks().remove(id)

    return remove


def _describe(
    id: str,
    summary: str,
    description: str,
    answer: Answer,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    errors: tuple[int, ...] = (400, 404),
    parameters: type[msgspec.Struct] | None = None,
    body: Body | None = None,
) -> Operation:
    is_about_one = 404 in errors
    return Operation(
        id=id,
        tag=WEBHOOKS_TAG,
        summary=summary,
        description=description,
        answer=answer,
        status=status,
        errors=errors,
        scope=Scope.ADMIN,
        parameters=parameters or (WebhookParameters if is_about_one else None),
        body=body,
    )


def _parse_id(request: Request[Any, Any, Any]) -> int:
    check_query(request, [])
    return parse_parameters(request, WebhookParameters).id
