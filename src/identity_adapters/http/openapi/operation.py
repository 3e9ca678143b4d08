"""Descriptions of operations, which their handlers carry."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from attrs import field, frozen

from identity_adapters.http.auth import ANY_KEY, SCOPE
from identity_adapters.keys import Scope

OPERATION = "operation"
"""The option of a handler for its operation; a handler without one is not in the document."""

OUTCOME_HEADER = "Identity-Outcome"
IGNORED_HEADER = "Identity-Ignored"

IDENTIFY_TAG = "identify"
QUERY_TAG = "query"
RULING_TAG = "ruling"
RULES_TAG = "rules"
PRIVACY_TAG = "privacy"
WEBHOOKS_TAG = "webhooks"
SERVICE_TAG = "service"


@frozen
class Answer:
    """The successful response of an operation.

    Attributes:
        kind: the type of the body: a msgspec struct or str; None if there is no body.
        description: the description of the body.
        examples: example bodies by name.
        media_type: the media type of the body.
        headers: the names of its headers, besides the request id.
    """

    kind: Any
    description: str
    examples: Mapping[str, Any] = field(factory=dict)
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()


@frozen
class Body:
    """The JSON body of a request.

    Attributes:
        schemas: the component of the body, followed by the components that it refers to.
        example: an example body.
    """

    schemas: dict[str, dict[str, Any]]
    example: dict[str, Any]

    @property
    def members(self) -> Collection[str]:
        """The names of its members."""
        properties: dict[str, Any] = next(iter(self.schemas.values()))["properties"]
        return properties.keys()


@frozen
class Operation:
    """The description of one operation.

    Attributes:
        id: its name in clients, metrics and logs.
        tag: its group.
        summary: a few words.
        description: sentences.
        answer: its successful response.
        status: the status of that.
        errors: the statuses of its own errors, besides those that every operation has.
        scope: the scope that an API key needs; None if it needs none, or no key is needed.
        needs_any_key: whether an API key is needed, whatever its scopes.
        refuses_large: whether it answers 422 for very large identities.
        scope: the scope that an API key needs; None if no key is needed.
        parameters: the struct of its path and query parameters.
        body: its request body.
    """

    id: str
    tag: str
    summary: str
    description: str
    answer: Answer
    status: HTTPStatus = HTTPStatus.OK
    errors: tuple[int, ...] = ()
    refuses_large: bool = False
    scope: Scope | None = None
    needs_any_key: bool = False
    parameters: type[msgspec.Struct] | None = None
    body: Body | None = None

    @property
    def needs_key(self) -> bool:
        """Whether an API key is needed."""
        return self.needs_any_key or self.scope is not None

    def route_options(self) -> dict[str, Any]:
        """The arguments that declare a handler of this operation."""
        return {
            "operation_id": self.id,
            "status_code": self.status,
            "include_in_schema": False,
            "opt": {SCOPE: self.scope, ANY_KEY: self.needs_any_key, OPERATION: self},
        }
