"""Every error as a problem document (RFC 9457), made in one place."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from identity_adapters.http.observed import OUTCOME, REQUEST_ID
from identity_core import InvalidDetails, RepositoryOverloaded, RepositoryUnavailable

PROBLEM_JSON = "application/problem+json"

_logger = structlog.get_logger(__name__)

# The names that clients know the fields of the core by.
_FIELDS = {
    "email": ("email",),
    "phone_number": ("phoneNumber",),
    "details": ("email", "phoneNumber"),
}


class FieldError(msgspec.Struct):
    """What is wrong with one field."""

    field: str
    reason: str


class Problem(msgspec.Struct, omit_defaults=True):
    """An error, as RFC 9457 has it: its type is always about:blank."""

    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class InvalidBody(Exception):
    """A body that is not a JSON object.

    Attributes:
        status: the status to answer with.
        reason: why, as the end of a sentence that starts with "body".
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(f"body {reason}")
        self.status = status
        self.reason = reason


class InvalidParameter(Exception):
    """A parameter of a URL that cannot be used.

    Attributes:
        name: its name.
        reason: why, as the end of a sentence that starts with the name.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.reason = reason


def _problem(
    status: int, detail: str, errors: list[FieldError] | None = None, headers: dict[str, str] | None = None
) -> Response[Problem]:
    problem = Problem(HTTPStatus(status).phrase, status, detail, errors or [])
    return Response(problem, status_code=status, media_type=PROBLEM_JSON, headers=headers)


def _invalid_details(_: Request[Any, Any, Any], error: InvalidDetails) -> Response[Problem]:
    errors = [FieldError(field, error.reason) for field in _FIELDS[error.field]]
    return _problem(400, " and ".join(_FIELDS[error.field]) + f": {error.reason}", errors)


def _invalid_body(_: Request[Any, Any, Any], error: InvalidBody) -> Response[Problem]:
    return _problem(error.status, str(error), [FieldError("body", error.reason)])


def _invalid_parameter(_: Request[Any, Any, Any], error: InvalidParameter) -> Response[Problem]:
    return _problem(400, str(error), [FieldError(error.name, error.reason)])


def _unavailable(request: Request[Any, Any, Any], error: RepositoryUnavailable) -> Response[Problem]:
    is_shed = isinstance(error, RepositoryOverloaded)
    request.scope["state"][OUTCOME] = "shed" if is_shed else "unavailable"
    if not is_shed:  # a service with too much to do would have more to do
        _logger.warning("cannot answer", reason=error.reason, request_id=_request_id(request))
    return _problem(503, f"{error.reason}; it is safe to send the same again", headers={"Retry-After": "1"})


def _http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _problem(413, "body is too large", [FieldError("body", "is too large")])
    return _problem(error.status_code, error.detail, headers=error.headers)


def _mistake(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    _logger.error("a mistake in the program", exc_info=error, request_id=_request_id(request))
    return _problem(500, "a mistake in the program; it was logged")


def _request_id(request: Request[Any, Any, Any]) -> str:
    return str(request.scope["state"].get(REQUEST_ID, b""), "latin-1")


HANDLERS: dict[int | type[Exception], Any] = {
    InvalidDetails: _invalid_details,
    InvalidBody: _invalid_body,
    InvalidParameter: _invalid_parameter,
    RepositoryUnavailable: _unavailable,
    HTTPException: _http_exception,
    Exception: _mistake,
}


_DETAILS = {
    400: "email: must have exactly one @ between two non-empty parts",
    401: "needs an API key: Authorization: Bearer …",
    403: "the API key is not for this; it needs the scope read",
    404: "there was no contact with this id",
    413: "body is too large",
    415: "body must be application/json in UTF-8",
    429: "the API key may ask 100 times a second",
    500: "a mistake in the program; it was logged",
    503: "the database cannot be reached; it is safe to send the same again",
}


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """What the OpenAPI document says of answers with these statuses."""
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> ResponseSpec:
    phrase = HTTPStatus(status).phrase
    problem: dict[str, Any] = {"title": phrase, "status": status, "detail": _DETAILS[status]}
    if status == HTTPStatus.BAD_REQUEST:
        field, _, reason = _DETAILS[status].partition(": ")
        problem["errors"] = [{"field": field, "reason": reason}]
    return ResponseSpec(
        Problem,
        description=phrase,
        media_type=PROBLEM_JSON,
        generate_examples=False,
        examples=[Example(value=problem)],
    )


def answered(kind: Any, description: str, **examples: Any) -> ResponseSpec:
    """What the OpenAPI document says of an answer that is no error, with examples by what they show."""
    return ResponseSpec(
        kind,
        description=description,
        generate_examples=False,
        # As JSON: Litestar leaves members out that are null.
        examples=[
            Example(summary=name, value=msgspec.Raw(msgspec.json.encode(value)))
            for name, value in examples.items()
        ],
    )
