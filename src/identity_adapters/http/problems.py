"""Every error as a problem document (RFC 9457), made in one place."""

import logging
import traceback
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from identity_core import InvalidDetails, RepositoryUnavailable

PROBLEM_JSON = "application/problem+json"

_logger = logging.getLogger(__name__)

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


def _unavailable(_: Request[Any, Any, Any], error: RepositoryUnavailable) -> Response[Problem]:
    _logger.warning("cannot answer: %s", error.reason)
    return _problem(503, f"{error.reason}; it is safe to send the same again", headers={"Retry-After": "1"})


def _http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _problem(413, "body is too large", [FieldError("body", "is too large")])
    return _problem(error.status_code, error.detail, headers=error.headers)


def _mistake(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    # Where it happened, but not the error's own words: they may quote what was sent.
    frames = "".join(traceback.format_tb(error.__traceback__))
    _logger.error("%s: a mistake in the program\n%s", type(error).__qualname__, frames)
    return _problem(500, "a mistake in the program; it was logged")


HANDLERS: dict[int | type[Exception], Any] = {
    InvalidDetails: _invalid_details,
    InvalidBody: _invalid_body,
    InvalidParameter: _invalid_parameter,
    RepositoryUnavailable: _unavailable,
    HTTPException: _http_exception,
    Exception: _mistake,
}


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """What the OpenAPI document says of answers with these statuses."""
    return {
        status: ResponseSpec(
            Problem, description=HTTPStatus(status).phrase, media_type=PROBLEM_JSON, generate_examples=False
        )
        for status in statuses
    }
