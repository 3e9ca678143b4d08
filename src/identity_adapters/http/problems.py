"""Every error as a problem document (RFC 9457), made in one place.

No text here quotes what was sent: the names of fields and the reasons are the service's own. What Litestar
says of an error may quote a path or a query, so that only its status is used.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from identity_adapters.http.middleware.observe import OUTCOME, REQUEST_ID
from identity_core import RepositoryOverloaded, RepositoryUnavailable

PROBLEM_JSON = "application/problem+json"

_logger = structlog.get_logger(__name__)


class FieldError(msgspec.Struct):
    """What is wrong with one field: a member of the body, a parameter, or `body` as a whole."""

    field: str
    reason: str


class Problem(msgspec.Struct, omit_defaults=True):
    """An error as a problem document of RFC 9457. Its type is always `about:blank`."""

    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class RequestRejected(Exception):
    """A request that is answered with a problem document.

    Attributes:
        status: of the answer.
        detail: what is wrong, without anything that was sent.
        headers: of the answer.
    """

    errors: Sequence[FieldError] = ()
    """What is wrong with which field."""

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class InvalidFields(RequestRejected):
    """A request with fields that cannot be used.

    >>> InvalidFields(FieldError("email", "is wrong"), FieldError("limit", "is odd")).detail
    'email: is wrong; limit: is odd'
    """

    def __init__(self, *errors: FieldError, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        by_reason: dict[str, list[str]] = {}
        for error in errors:
            by_reason.setdefault(error.reason, []).append(error.field)
        super().__init__(
            status, "; ".join(f"{' and '.join(fields)}: {reason}" for reason, fields in by_reason.items())
        )
        self.errors = errors


def _respond(
    status: int, detail: str, errors: Sequence[FieldError] = (), headers: dict[str, str] | None = None
) -> Response[Problem]:
    problem = Problem(HTTPStatus(status).phrase, status, detail, list(errors))
    return Response(problem, status_code=status, media_type=PROBLEM_JSON, headers=headers)


def _handle_rejected(_: Request[Any, Any, Any], error: RequestRejected) -> Response[Problem]:
    return _respond(error.status, error.detail, error.errors, error.headers)


def _handle_unavailable(request: Request[Any, Any, Any], error: RepositoryUnavailable) -> Response[Problem]:
    is_shed = isinstance(error, RepositoryOverloaded)
    request.scope["state"][OUTCOME] = "shed" if is_shed else "unavailable"
    if not is_shed:  # a service with too much to do would have more to do
        _logger.warning("cannot answer", reason=error.reason, request_id=_request_id(request))
    return _respond(503, f"{error.reason}; it is safe to send the same again", headers={"Retry-After": "1"})


_DETAILS = {404: "there is no such path", 405: "the path does not have this method"}


def _handle_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    status = error.status_code
    return _respond(status, _DETAILS.get(status, HTTPStatus(status).phrase), headers=error.headers)


def _handle_mistake(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    _logger.error("a mistake in the program", exc_info=error, request_id=_request_id(request))
    return _respond(500, "a mistake in the program; it was logged")


def _request_id(request: Request[Any, Any, Any]) -> str:
    return str(request.scope["state"].get(REQUEST_ID, b""), "latin-1")


HANDLERS: dict[int | type[Exception], Any] = {
    RequestRejected: _handle_rejected,
    RepositoryUnavailable: _handle_unavailable,
    HTTPException: _handle_http_exception,
    Exception: _handle_mistake,
}
