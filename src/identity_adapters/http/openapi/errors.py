"""The error responses of all operations."""

from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import field, frozen

from identity_adapters.http import examples
from identity_adapters.http.errors import ERASED
from identity_adapters.http.openapi.operation import OUTCOME_HEADER
from identity_adapters.http.problem import Conflict, Problem

REQUEST_ID_HEADER = "X-Request-ID"


@frozen
class ErrorResponse:
    """An error response that several operations share.

    Attributes:
        component: its name in the document.
        description: when it occurs.
        detail: the `detail` of the example.
        errors: the `errors` of the example.
        headers: the names of its headers.
        kind: the type of its body.
        examples: example bodies by name, if they are more than one.
    """

    component: str
    description: str
    detail: str
    errors: tuple[dict[str, str], ...] = ()
    headers: tuple[str, ...] = (REQUEST_ID_HEADER,)
    kind: type[msgspec.Struct] = Problem
    examples: Mapping[str, Any] = field(factory=dict)


_BLOCKED = "is blocked and identifies nobody"
_EMAIL_SHAPE = "must have exactly one @ between two non-empty parts"
ERRORS = {
    400: ErrorResponse(
        "BadRequest",
        "A parameter or the body is invalid. `errors` names every invalid field with the reason.",
        f"email: {_EMAIL_SHAPE}",
        ({"field": "email", "reason": _EMAIL_SHAPE},),
    ),
    401: ErrorResponse(
        "Unauthorized",
        "The request has no known API key.",
        "an API key is required: Authorization: Bearer …",
        headers=(REQUEST_ID_HEADER, "WWW-Authenticate"),
    ),
    403: ErrorResponse(
        "Forbidden",
        "The API key lacks the scope of the operation, or the request comes from a page of another site.",
        "the API key needs the scope read",
    ),
    404: ErrorResponse(
        "NotFound",
        "The contact, pair, event, ruling or webhook does not exist.",
        "contactId: no contact ever had this id",
        ({"field": "contactId", "reason": "no contact ever had this id"},),
    ),
    408: ErrorResponse(
        "RequestTimeout",
        "The request did not arrive in time.",
        "the request must arrive within 10 s",
        headers=(),
    ),
    409: ErrorResponse(
        "Conflict",
        "The ruling is refused, because what is recorded contradicts it, or changed since its plan was made."
        " Or the rules are refused, because others are in force. Or a person is not erased, because they"
        " changed, or another table refers to their contacts. `type` tells which.",
        "the two are joined: split them",
        kind=Conflict,
        examples={
            "contradiction": examples.CONTRADICTION,
            "stalePlan": examples.STALE_PLAN,
            "stillReferenced": examples.STILL_REFERENCED,
        },
    ),
    410: ErrorResponse(
        "Gone",
        "The contact was erased.",
        ERASED,
    ),
    413: ErrorResponse(
        "ContentTooLarge",
        "The body is too large.",
        "body: must have at most 65536 bytes",
        ({"field": "body", "reason": "must have at most 65536 bytes"},),
    ),
    415: ErrorResponse(
        "UnsupportedMediaType",
        "The content type is not JSON in UTF-8.",
        "body: must be application/json in UTF-8",
        ({"field": "body", "reason": "must be application/json in UTF-8"},),
    ),
    421: ErrorResponse(
        "MisdirectedRequest",
        "The host of the request is not a name of the service.",
        "Host must be a name of the loopback interface or one of IDENTITY_ALLOWED_HOSTS",
    ),
    422: ErrorResponse(
        "UnprocessableContent",
        "The details identify nobody, because the rules block all their values. Or one of them was erased on"
        " request and is kept out: nothing is recorded. `Identity-Outcome` tells which.",
        f"phoneNumber: {_BLOCKED}",
        ({"field": "phoneNumber", "reason": _BLOCKED},),
        headers=(REQUEST_ID_HEADER, OUTCOME_HEADER),
    ),
    429: ErrorResponse(
        "TooManyRequests",
        "The API key exceeds its rate limit.",
        "the API key allows 100 requests per second",
        headers=(REQUEST_ID_HEADER, "Retry-After"),
    ),
    431: ErrorResponse(
        "RequestHeaderFieldsTooLarge",
        "The path and the headers are too large.",
        "path and headers must have at most 16384 bytes",
        headers=(),
    ),
    500: ErrorResponse(
        "InternalServerError",
        "The service has an internal error.",
        "an internal error occurred; it was logged",
    ),
    503: ErrorResponse(
        "ServiceUnavailable",
        "The service is temporarily unavailable. It is safe to send the same request again.",
        "the database cannot be reached; it is safe to send the same request again",
        headers=(REQUEST_ID_HEADER, "Retry-After"),
    ),
}
_TOO_LARGE = "has more than 50000 contacts, which are too many to draw"
TOO_LARGE = ErrorResponse(
    "TooLarge",
    "The identity has too many contacts to be answered whole.",
    f"contactId: {_TOO_LARGE}",
    ({"field": "contactId", "reason": _TOO_LARGE},),
)
"""Is answered with 422."""
COMMON_ERRORS = (403, 408, 421, 431, 500, 503)
KEY_ERRORS = (401, 429)
