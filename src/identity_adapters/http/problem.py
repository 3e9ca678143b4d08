"""The problem document (RFC 9457), the form of every error."""

from http import HTTPStatus

import msgspec

PROBLEM_JSON = "application/problem+json"


class FieldError(msgspec.Struct):
    """What is wrong with one field: a member of the body, a parameter, or the whole `body`."""

    field: str
    reason: str


class Problem(msgspec.Struct, omit_defaults=True):
    """An error as a problem document of RFC 9457. Its type is always `about:blank`."""

    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


def encode_problem(status: HTTPStatus, detail: str) -> bytes:
    """Encode the problem document of an error that concerns no field."""
    return msgspec.json.encode(Problem(status.phrase, status, detail))
