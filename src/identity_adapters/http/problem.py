"""The problem documents (RFC 9457), the form of every error."""

from enum import StrEnum
from http import HTTPStatus

import msgspec

from identity_adapters.api.explanations import ChainLink

PROBLEM_JSON = "application/problem+json"


class FieldError(msgspec.Struct):
    """What is wrong with one field: a member of the body, a parameter, or the whole `body`."""

    field: str
    reason: str


class Problem(msgspec.Struct, omit_defaults=True):
    """An error as a problem document of RFC 9457. Its type is `about:blank`."""

    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class ConflictType(StrEnum):
    """Why a change is refused."""

    CONTRADICTION = "urn:problem-type:identity:contradiction"
    """What is recorded contradicts the ruling."""
    STALE_PLAN = "urn:problem-type:identity:stale-plan"
    """The record is no longer what the plan was made of, or other rules are in force."""
    STILL_REFERENCED = "urn:problem-type:identity:still-referenced"
    """Another table of the database refers to contacts that are to be erased."""


class Conflict(msgspec.Struct, rename="camel"):
    """The problem document of a ruling, or of rules, that are refused.

    `chain` are the links that show the contradiction, if links do, and `undo` those that a split would undo.
    `rulingId` is the ruling in force that it contradicts, if it does.
    """

    type: ConflictType
    title: str
    status: int
    detail: str
    chain: list[ChainLink]
    undo: list[ChainLink]
    ruling_id: int | None


def encode_problem(status: HTTPStatus, detail: str) -> bytes:
    """Encode the problem document of an error that concerns no field."""
    return msgspec.json.encode(Problem(status.phrase, status, detail))
