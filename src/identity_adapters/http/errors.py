"""Exceptions and their handlers, which answer with problem documents.

No text quotes the request: the names of fields and the reasons are the service's own. Litestar's texts
may quote a path or a query, so only the statuses of its errors are used. The links of a conflict have values,
as in other answers.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from identity_adapters.api.explanations import ChainLink, to_chain_link
from identity_adapters.http.problem import PROBLEM_JSON, Conflict, ConflictType, FieldError, Problem
from identity_adapters.http.state import OUTCOME, REQUEST_ID
from identity_core import (
    Contradiction,
    Erased,
    RepositoryOverloaded,
    RepositoryUnavailable,
    StalePlan,
    StillReferenced,
)

_logger = structlog.get_logger(__name__)


class RequestRejected(Exception):
    """A request that is rejected with a problem document.

    Attributes:
        status: the status of the response.
        detail: what is wrong, without quoting the request.
        headers: further headers of the response.
    """

    errors: Sequence[FieldError] = ()
    """The invalid fields and what is wrong with each."""

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class InvalidFields(RequestRejected):
    """A request with invalid fields.

    >>> InvalidFields(FieldError("email", "is wrong"), FieldError("limit", "is odd")).detail
    'email: is wrong; limit: is odd'
    """

    def __init__(
        self,
        *errors: FieldError,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        headers: dict[str, str] | None = None,
    ) -> None:
        by_reason: dict[str, list[str]] = {}
        for error in errors:
            by_reason.setdefault(error.reason, []).append(error.field)
        detail = "; ".join(f"{' and '.join(fields)}: {reason}" for reason, fields in by_reason.items())
        super().__init__(status, detail, headers)
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
    if not is_shed:  # logging would add work to an overloaded service
        _logger.warning("request failed", reason=error.reason, request_id=_request_id(request))
    return _respond(
        503, f"{error.reason}; it is safe to send the same request again", headers={"Retry-After": "1"}
    )


_DETAILS = {404: "the path does not exist", 405: "the path does not support this method"}


def _handle_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    status = error.status_code
    return _respond(status, _DETAILS.get(status, HTTPStatus(status).phrase), headers=error.headers)


def _handle_internal_error(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    _logger.error("internal error", exc_info=error, request_id=_request_id(request))
    return _respond(500, "an internal error occurred; it was logged")


def _request_id(request: Request[Any, Any, Any]) -> str:
    return str(request.scope["state"].get(REQUEST_ID, b""), "latin-1")


def _handle_contradiction(_: Request[Any, Any, Any], error: Contradiction) -> Response[Conflict]:
    chain, undo = [*map(to_chain_link, error.chain)], [*map(to_chain_link, error.cut)]
    return _respond_with_conflict(
        ConflictType.CONTRADICTION, "Contradiction", error.reason, chain, undo, error.ruling_id
    )


def _handle_stale_plan(_: Request[Any, Any, Any], error: StalePlan) -> Response[Conflict]:
    return _respond_with_conflict(ConflictType.STALE_PLAN, "Stale plan", f"{error}; nothing was changed")


def _handle_still_referenced(_: Request[Any, Any, Any], error: StillReferenced) -> Response[Conflict]:
    return _respond_with_conflict(
        ConflictType.STILL_REFERENCED, "Still referenced", f"{error}; nothing was erased"
    )


ERASED = "this contact was erased; nothing else is known of it"


def _handle_erased(_: Request[Any, Any, Any], __: Erased) -> Response[Problem]:
    return _respond(HTTPStatus.GONE, ERASED)


def _respond_with_conflict(
    type: ConflictType,
    title: str,
    detail: str,
    chain: Sequence[ChainLink] = (),
    undo: Sequence[ChainLink] = (),
    ruling_id: int | None = None,
) -> Response[Conflict]:
    status = HTTPStatus.CONFLICT
    conflict = Conflict(type, title, status, detail, [*chain], [*undo], ruling_id)
    return Response(conflict, status_code=status, media_type=PROBLEM_JSON)


HANDLERS: dict[int | type[Exception], Any] = {
    RequestRejected: _handle_rejected,
    Contradiction: _handle_contradiction,
    StalePlan: _handle_stale_plan,
    StillReferenced: _handle_still_referenced,
    Erased: _handle_erased,
    RepositoryUnavailable: _handle_unavailable,
    HTTPException: _handle_http_exception,
    Exception: _handle_internal_error,
}
