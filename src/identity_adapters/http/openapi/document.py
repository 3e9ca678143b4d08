"""The OpenAPI document, built from the operations of the handlers."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import MediaType, get
from litestar.handlers import HTTPRouteHandler

from identity_adapters.api import DetailsMember
from identity_adapters.api.messages import CHANGED, Message
from identity_adapters.http.examples import MESSAGE
from identity_adapters.http.openapi.errors import (
    COMMON_ERRORS,
    ERRORS,
    KEY_ERRORS,
    REQUEST_ID_HEADER,
    TOO_LARGE,
    ErrorResponse,
)
from identity_adapters.http.openapi.operation import (
    IDENTIFY_TAG,
    IGNORED_HEADER,
    OPERATION,
    OUTCOME_HEADER,
    PRIVACY_TAG,
    QUERY_TAG,
    RULES_TAG,
    RULING_TAG,
    SERVICE_TAG,
    WEBHOOKS_TAG,
    Operation,
)
from identity_adapters.http.openapi.schema import build_schema, build_schemas
from identity_adapters.http.problem import PROBLEM_JSON, Conflict, Problem
from identity_core import Outcome

_INFO = {
    "title": "Identity reconciliation",
    "version": version("identity-reconciliation"),
    "summary": "Finds out which orders belong to one customer.",
    "description": (
        "Links the emails and phone numbers of customers, and returns those that belong to one customer."
        " Every error is a problem document (RFC 9457). No text of an error quotes the"
        " request."
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
}

_TAGS = {
    IDENTIFY_TAG: "Identify customers, or preview what identifying them would do.",
    QUERY_TAG: "Look up identities, explain them and follow their changes. Writes nothing.",
    RULING_TAG: "Rule that a pair does not count, or that two are one customer or not, and take it back.",
    RULES_TAG: "Block values that identify nobody, and limit how much one customer may have in common.",
    PRIVACY_TAG: "Hand out what is on record of a person, or erase them.",
    WEBHOOKS_TAG: "Send the events of all identities to other systems, and see how far that is.",
    SERVICE_TAG: "The health and the metrics of the service, and what an API key may do.",
}

_SECURITY_SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key. It is required if the service is configured with keys.",
    }
}

_HEADERS: dict[str, dict[str, Any]] = {
    REQUEST_ID_HEADER: {
        "description": "The id of the request in logs and traces: its own `X-Request-ID`, the trace id of its"
        " `traceparent`, or a new one.",
        "required": True,
        "schema": {"type": "string"},
    },
    OUTCOME_HEADER: {
        "description": "What the details did: they were `known`, `created` an identity, were `linked` to"
        " one, or `merged` several. Or they were `held`: their pair is on record but does not count. Or they"
        " were `blocked`: they identify nobody. Or they were `suppressed`: one of them was erased on request"
        " and is kept out.",
        "required": True,
        "schema": {"$ref": "#/components/schemas/Outcome"},
    },
    IGNORED_HEADER: {
        "description": "The member of the body that the answer ignores, because it is blocked or the pair"
        " does not count.",
        "schema": {"$ref": "#/components/schemas/DetailsMember"},
    },
    "Retry-After": {
        "description": "Seconds to wait before sending the request again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
}


def build_document(handlers: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """Build the OpenAPI document of the operations of handlers."""
    described = [
        (handler, operation) for handler in handlers if (operation := handler.opt.get(OPERATION)) is not None
    ]
    kinds = [operation.answer.kind for _, operation in described]
    shared = [Message, Problem, Conflict, Outcome, DetailsMember]
    schemas, components = build_schemas([*shared, *kinds])
    message, *_ = schemas
    answers = dict(zip(kinds, schemas[len(shared) :], strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for handler, operation in described:
        if operation.body is not None:
            components |= operation.body.schemas
        for path in handler.paths:
            template = path.replace(":str}", "}")
            for method in handler.http_methods:
                schema = answers[operation.answer.kind]
                paths.setdefault(template, {})[method.lower()] = _describe_operation(
                    template, operation, schema
                )
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": paths,
        "webhooks": {CHANGED: {"post": _describe_message(message)}},
        "components": {
            "schemas": components,
            "responses": {
                error.component: _describe_error(status, error)
                for status, error in [*ERRORS.items(), (422, TOO_LARGE)]
            },
            "headers": _HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def create_document_endpoint(document: dict[str, Any]) -> HTTPRouteHandler:
    """Make the handler that serves the document."""
    encoded = msgspec.json.encode(document)

    @get("/openapi.json", media_type=MediaType.JSON, include_in_schema=False, sync_to_thread=False)
    def openapi() -> bytes:
        return encoded

    return openapi


def _describe_operation(path: str, operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    answer = operation.answer
    content: dict[str, Any] = {"schema": schema}
    if answer.examples:
        content["examples"] = _to_examples(answer.examples)
    statuses = {*operation.errors, *COMMON_ERRORS, *(KEY_ERRORS if operation.needs_key else ())}
    errors = {status: ERRORS[status] for status in statuses}
    if operation.refuses_large:
        errors[422] = TOO_LARGE
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description
        + (f" An API key needs the scope `{operation.scope}`." if operation.scope else ""),
        "security": [{"key": []}, {}] if operation.needs_key else [],
    }
    if operation.parameters is not None:
        described["parameters"] = [
            _describe_parameter(path, one) for one in msgspec.structs.fields(operation.parameters)
        ]
    if operation.body is not None:
        body = operation.body
        reference = {"$ref": f"#/components/schemas/{next(iter(body.schemas))}"}
        media = {"schema": reference, "examples": _to_examples({"details": body.example})}
        described["requestBody"] = {"required": True, "content": {"application/json": media}}
    success: dict[str, Any] = {
        "description": answer.description,
        "headers": _refer_to_headers((REQUEST_ID_HEADER, *answer.headers)),
    }
    if answer.kind is not None:
        success["content"] = {answer.media_type: content}
    described["responses"] = {f"{operation.status}": success} | {
        f"{status}": {"$ref": f"#/components/responses/{errors[status].component}"}
        for status in sorted(errors)
    }
    return described


def _describe_message(schema: dict[str, Any]) -> dict[str, Any]:
    """Describe what the endpoint of a webhook gets."""
    headers = {
        "webhook-id": "The id of the message. If it comes again, it has the same id.",
        "webhook-timestamp": "When it was sent: seconds since 1970.",
        "webhook-signature": "`v1,` and a signature by Standard Webhooks, or two of them with a space in"
        " between, while there are two secrets.",
    }
    return {
        "operationId": "receive_changes",
        "tags": [WEBHOOKS_TAG],
        "summary": "Receive events",
        "description": "What a webhook sends to its endpoint, until it accepts it.",
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema, "examples": _to_examples({"merged": MESSAGE})}
            },
        },
        "responses": {
            "2XX": {"description": "The message is accepted. With any other status it comes again."},
            "410": {"description": "Nothing more is wanted: the webhook is paused."},
        },
    }


def _describe_parameter(path: str, parameter: msgspec.structs.FieldInfo) -> dict[str, Any]:
    schema = build_schema(parameter.type)
    if parameter.default not in (msgspec.NODEFAULT, msgspec.UNSET):
        schema["default"] = parameter.default
    name = parameter.encode_name
    return {
        "name": name,
        "in": "path" if f"{{{name}}}" in path else "query",
        "required": parameter.required,
        "description": schema.pop("description"),
        "schema": schema,
    }


def _describe_error(status: int, error: ErrorResponse) -> dict[str, Any]:
    problem: dict[str, Any] = {"title": HTTPStatus(status).phrase, "status": status, "detail": error.detail}
    if error.errors:
        problem["errors"] = error.errors
    media = {
        "schema": {"$ref": f"#/components/schemas/{error.kind.__name__}"},
        "examples": _to_examples(error.examples or {"problem": problem}),
    }
    described = {"description": error.description, "content": {PROBLEM_JSON: media}}
    return described | {"headers": _refer_to_headers(error.headers)} if error.headers else described


def _to_examples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in values.items()}


def _refer_to_headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
