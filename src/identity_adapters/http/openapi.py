"""The OpenAPI document, made of the descriptions that the handlers carry of their operations."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from attrs import field, frozen
from litestar import MediaType, get
from litestar.handlers import HTTPRouteHandler

from identity_adapters.http.auth import SCOPE
from identity_adapters.http.problems import PROBLEM_JSON, Problem
from identity_adapters.keys import Scope
from identity_core import Outcome

OPERATION = "operation"
"""The name of a handler's option that describes its operation; without one it is not in the document."""

OUTCOME_HEADER = "Identity-Outcome"
REQUEST_ID_HEADER = "X-Request-ID"

_INFO = {
    "title": "Identity reconciliation",
    "version": version("identity-reconciliation"),
    "summary": "Says which orders belong to one customer.",
    "description": (
        "Links the emails and phone numbers that customers give, and answers which of them belong to one"
        " customer. Every error is a problem document (RFC 9457). No error repeats what was sent."
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
}

IDENTIFY_TAG = "identify"
QUERY_TAG = "query"
SERVICE_TAG = "service"
_TAGS = {
    IDENTIFY_TAG: "Identify customers, or preview what identifying them would do.",
    QUERY_TAG: "Look identities up, explain them and follow their changes. Writes nothing.",
    SERVICE_TAG: "The health and the metrics of the service itself.",
}

_SECURITY_SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key. The service needs one where it is configured with keys.",
    }
}

_HEADERS: dict[str, dict[str, Any]] = {
    REQUEST_ID_HEADER: {
        "description": "The id of the request in logs and traces: its own `X-Request-ID`, the trace id of its"
        " `traceparent`, or a new one.",
        "schema": {"type": "string"},
    },
    OUTCOME_HEADER: {
        "description": "What became of the details: they were `known`, `created` an identity, were `linked`"
        " to one, or `merged` several.",
        "required": True,
        "schema": {"$ref": "#/components/schemas/Outcome"},
    },
    "Retry-After": {
        "description": "Seconds after which to send the request again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
}


@frozen
class Answer:
    """What an operation answers when it succeeds.

    Attributes:
        kind: the type of the body: a msgspec struct, or text.
        description: what the body is.
        examples: bodies, by what they show.
        media_type: of the body.
        headers: the names of response headers, besides the request id.
    """

    kind: Any
    description: str
    examples: Mapping[str, Any] = field(factory=dict)
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()


@frozen
class Body:
    """The JSON body that an operation takes.

    Attributes:
        schemas: the component that describes it, and after it those that this one refers to.
        example: a body.
    """

    schemas: dict[str, dict[str, Any]]
    example: dict[str, Any]


@frozen
class Operation:
    """One operation, as the document describes it.

    Attributes:
        id: its name, in clients, metrics and logs alike.
        tag: the group that it belongs to.
        summary: a few words.
        description: sentences.
        answer: what it answers when it succeeds.
        errors: the statuses of its own errors, besides those of all operations.
        scope: what an API key needs; None where everybody may ask.
        parameters: the struct of its path and query parameters.
        body: what it takes.
    """

    id: str
    tag: str
    summary: str
    description: str
    answer: Answer
    errors: tuple[int, ...] = ()
    scope: Scope | None = None
    parameters: type[msgspec.Struct] | None = None
    body: Body | None = None

    def route_options(self) -> dict[str, Any]:
        """The arguments that declare a handler of this operation."""
        return {
            "operation_id": self.id,
            "status_code": HTTPStatus.OK,
            "include_in_schema": False,
            "opt": {SCOPE: self.scope, OPERATION: self},
        }


@frozen
class _Error:
    """An error response, which several operations share."""

    component: str
    description: str
    detail: str
    errors: tuple[dict[str, str], ...] = ()
    headers: tuple[str, ...] = (REQUEST_ID_HEADER,)


_EMAIL_SHAPE = "must have exactly one @ between two non-empty parts"
_ERRORS = {
    400: _Error(
        "BadRequest",
        "A parameter or the body is not valid. `errors` names every field that is wrong, and why.",
        f"email: {_EMAIL_SHAPE}",
        ({"field": "email", "reason": _EMAIL_SHAPE},),
    ),
    401: _Error(
        "Unauthorized",
        "The request has no API key that is known.",
        "needs an API key: Authorization: Bearer …",
        headers=(REQUEST_ID_HEADER, "WWW-Authenticate"),
    ),
    403: _Error(
        "Forbidden",
        "The API key lacks the scope of this operation, or a browser asks for a page of another site.",
        "the API key is not for this; it needs the scope read",
    ),
    404: _Error(
        "NotFound",
        "There is no such contact.",
        "contactId: no contact ever had this id",
        ({"field": "contactId", "reason": "no contact ever had this id"},),
    ),
    408: _Error(
        "RequestTimeout", "The request did not arrive in time.", "it did not arrive within 30 s", headers=()
    ),
    413: _Error(
        "ContentTooLarge",
        "The body is too large.",
        "body: is too large",
        ({"field": "body", "reason": "is too large"},),
    ),
    415: _Error(
        "UnsupportedMediaType",
        "The body is announced as something else than JSON in UTF-8.",
        "body: must be application/json in UTF-8",
        ({"field": "body", "reason": "must be application/json in UTF-8"},),
    ),
    421: _Error(
        "MisdirectedRequest",
        "The request is for a host that is no name of the service.",
        "Host must be a name of this machine's loopback interface, or one of IDENTITY_ALLOWED_HOSTS",
    ),
    429: _Error(
        "TooManyRequests",
        "The API key is used more often than its limit allows.",
        "the API key may ask 100 times a second",
        headers=(REQUEST_ID_HEADER, "Retry-After"),
    ),
    431: _Error(
        "RequestHeaderFieldsTooLarge",
        "The path and the headers are too large.",
        "path and headers have more than 16384 bytes",
        headers=(),
    ),
    500: _Error(
        "InternalServerError", "A mistake in the program.", "a mistake in the program; it was logged"
    ),
    503: _Error(
        "ServiceUnavailable",
        "The service cannot answer for now. It is safe to send the same request again.",
        "the database cannot be reached; it is safe to send the same again",
        headers=(REQUEST_ID_HEADER, "Retry-After"),
    ),
}
_ERRORS_OF_ALL = (403, 408, 421, 431, 500, 503)
_ERRORS_OF_KEYS = (401, 429)


def document(handlers: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """The OpenAPI document of the operations of some handlers."""
    described = [
        (handler, operation) for handler in handlers if (operation := handler.opt.get(OPERATION)) is not None
    ]
    kinds = [operation.answer.kind for _, operation in described]
    schemas, components = _schemas([Problem, Outcome, *kinds])
    answers = dict(zip(kinds, schemas[2:], strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for handler, operation in described:
        if operation.body is not None:
            components |= operation.body.schemas
        for path in handler.paths:
            template = path.replace(":str}", "}")
            for method in handler.http_methods:
                schema = answers[operation.answer.kind]
                paths.setdefault(template, {})[method.lower()] = _operation(template, operation, schema)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {error.component: _error(status, error) for status, error in _ERRORS.items()},
            "headers": _HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def document_endpoint(document: dict[str, Any]) -> HTTPRouteHandler:
    """Serves the document."""
    encoded = msgspec.json.encode(document)

    @get("/openapi.json", media_type=MediaType.JSON, include_in_schema=False, sync_to_thread=False)
    def openapi() -> bytes:
        return encoded

    return openapi


def schema_of(kind: Any) -> dict[str, Any]:
    """The schema of a type that refers to no other."""
    [schema], _ = _schemas([kind])
    return schema


def _schemas(kinds: Iterable[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The schemas of types, and the components that they refer to."""
    schemas, components = msgspec.json.schema_components(
        kinds, schema_hook=lambda _: {"type": "string"}, ref_template="#/components/schemas/{name}"
    )
    return [_as_generators_read_it(schema) for schema in schemas], _as_generators_read_it(components)


def _as_generators_read_it(schema: Any) -> Any:
    """A schema of msgspec, with a type array for several simple types, and with the type of each enum."""
    if isinstance(schema, list):
        return [_as_generators_read_it(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _as_generators_read_it(value) for name, value in schema.items()}
    options = schema.get("anyOf", [])
    if options and all("type" in option for option in options):
        del schema["anyOf"]
        for option in options:
            schema |= option
        schema["type"] = [option["type"] for option in options]
    if "enum" in schema:
        schema["type"] = "string"
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    return schema


def _operation(path: str, operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    answer = operation.answer
    content: dict[str, Any] = {"schema": schema}
    if answer.examples:
        content["examples"] = _examples(answer.examples)
    errors = {*operation.errors, *_ERRORS_OF_ALL, *(_ERRORS_OF_KEYS if operation.scope else ())}
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description
        + (f" An API key needs the scope `{operation.scope}`." if operation.scope else ""),
        "security": [{"key": []}, {}] if operation.scope else [],
    }
    if operation.parameters is not None:
        described["parameters"] = [
            _parameter(path, one) for one in msgspec.structs.fields(operation.parameters)
        ]
    if operation.body is not None:
        body = operation.body
        reference = {"$ref": f"#/components/schemas/{next(iter(body.schemas))}"}
        media = {"schema": reference, "examples": _examples({"details": body.example})}
        described["requestBody"] = {"required": True, "content": {"application/json": media}}
    described["responses"] = {
        "200": {
            "description": answer.description,
            "headers": _header_references((REQUEST_ID_HEADER, *answer.headers)),
            "content": {answer.media_type: content},
        }
    } | {
        f"{status}": {"$ref": f"#/components/responses/{_ERRORS[status].component}"}
        for status in sorted(errors)
    }
    return described


def _parameter(path: str, parameter: msgspec.structs.FieldInfo) -> dict[str, Any]:
    schema = schema_of(parameter.type)
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


def _error(status: int, error: _Error) -> dict[str, Any]:
    problem: dict[str, Any] = {"title": HTTPStatus(status).phrase, "status": status, "detail": error.detail}
    if error.errors:
        problem["errors"] = error.errors
    media = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": _examples({"problem": problem}),
    }
    described = {"description": error.description, "content": {PROBLEM_JSON: media}}
    return described | {"headers": _header_references(error.headers)} if error.headers else described


def _examples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in values.items()}


def _header_references(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
