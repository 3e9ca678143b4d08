"""Parsing details from the body of a request."""

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.types import Receive, Scope

from identity_adapters.api import MAX_ID, DetailsMember, MakeDetails
from identity_adapters.http.errors import InvalidFields, RequestRejected
from identity_adapters.http.openapi.operation import OUTCOME_HEADER, Body
from identity_adapters.http.problem import FieldError
from identity_core import (
    Blocked,
    ContactDetails,
    Identifier,
    IdentifierKind,
    InvalidDetails,
    Outcome,
    Suppressed,
)

# The names of the core's fields in requests.
_NAMES = {
    "email": ("email",),
    "phone_number": ("phoneNumber",),
    "details": ("email", "phoneNumber"),
}

EMAIL = {"type": ["string", "null"], "description": "An email address."}
PHONE_NUMBER = {
    "type": ["string", "null"],
    "description": "A phone number. A whole number is accepted too, since some clients send one.",
}
DETAILS_BODY = Body(
    {
        "ContactDetails": {
            "title": "ContactDetails",
            "type": "object",
            "description": (
                "An email, a phone number, or both, seen together. At least one of the two is needed; null"
                " and blank values count as absent. Other members are ignored."
            ),
            "properties": {"email": EMAIL, "phoneNumber": PHONE_NUMBER},
        }
    },
    example={"email": "doc@hillvalley.edu", "phoneNumber": "555-0123"},
)
IDENTIFIER_OR_CONTACT = {
    "title": "IdentifierOrContact",
    "type": "object",
    "description": "An email, a phone number or the id of a contact: exactly one of the three.",
    "properties": {
        "email": EMAIL,
        "phoneNumber": PHONE_NUMBER,
        "contactId": {
            "type": ["integer", "null"],
            "format": "int64",
            "description": "The id of a contact.",
        },
    },
}
EXPLAIN_BODY = Body(
    {
        "ExplainRequest": {
            "title": "ExplainRequest",
            "type": "object",
            "description": "Two of: an email, a phone number, a contact by its id.",
            "properties": {
                "one": {"$ref": "#/components/schemas/IdentifierOrContact"},
                "other": {"$ref": "#/components/schemas/IdentifierOrContact"},
            },
            "required": ["one", "other"],
        },
        "IdentifierOrContact": IDENTIFIER_OR_CONTACT,
    },
    example={"one": {"email": "doc@hillvalley.edu"}, "other": {"contactId": 23}},
)


async def read_details(scope: Scope, receive: Receive, make_details: MakeDetails) -> ContactDetails:
    """Read the details in the body of a request.

    Raises:
        RequestRejected: the body is not a JSON object, or fields are invalid; it names each of them.
    """
    body = await read_json_object(scope, receive)
    return parse_details(body.get("email"), body.get("phoneNumber"), make_details)


def parse_details(email: Any, phone_number: Any, make_details: MakeDetails) -> ContactDetails:
    """Make details of the values in a request.

    Raises:
        InvalidFields: fields are invalid; it names each of them.
    """
    try:
        return make_details(email, phone_number)
    except InvalidDetails as error:
        first = error
    errors = []
    for values in (
        (email, None),
        (None, phone_number),
    ):  # the first error hides the other
        try:
            make_details(*values)
        except InvalidDetails as error:
            if error.field != "details":
                errors += _to_field_errors(error)
    raise InvalidFields(*(errors or _to_field_errors(first)))


def _to_field_errors(error: InvalidDetails) -> list[FieldError]:
    return [FieldError(name, error.reason) for name in _NAMES[error.field]]


def to_blocked_error(details: ContactDetails) -> InvalidFields:
    """The error of details whose values are all blocked."""
    kinds = [kind for kind, _ in details.identifiers]
    return _to_refusal(Outcome.BLOCKED, kinds, Blocked(kinds[0]).reason)


def to_suppressed_error(details: ContactDetails, kept_out: IdentifierKind | None) -> InvalidFields:
    """The error of details with a value that is kept out; None if all are."""
    kinds = [kind for kind, _ in details.identifiers] if kept_out is None else [kept_out]
    return _to_refusal(Outcome.SUPPRESSED, kinds, Suppressed(kinds[0]).reason)


def _to_refusal(outcome: Outcome, kinds: Sequence[IdentifierKind], reason: str) -> InvalidFields:
    errors = (FieldError(DetailsMember.of(kind), reason) for kind in kinds)
    headers = {OUTCOME_HEADER: outcome.value}
    return InvalidFields(*errors, status=HTTPStatus.UNPROCESSABLE_ENTITY, headers=headers)


def parse_end(body: dict[str, Any], name: str, make_details: MakeDetails) -> Identifier | int:
    """Parse `one` or `other` of a body: an email, a phone number, or a contact by its id.

    Raises:
        InvalidFields: it is none of these.
    """
    end = body.get(name)
    if not isinstance(end, dict):
        raise InvalidFields(FieldError(name, "must be an object"))
    members = {member: value for member, value in end.items() if value is not None}
    if len(members) != 1 or not members.keys() <= {"email", "phoneNumber", "contactId"}:
        raise InvalidFields(FieldError(name, "must have exactly one of email, phoneNumber and contactId"))
    [(member, value)] = members.items()
    if member == "contactId":
        return parse_id(f"{name}.contactId", value)
    return _parse_value(f"{name}.{member}", members, make_details)


def parse_target(members: dict[str, Any], make_details: MakeDetails) -> tuple[str, Identifier | int]:
    """Parse whom a body is about: by an email, a phone number, or the id of a contact.

    Returns:
        the member that names them, and the value or the id.

    Raises:
        InvalidFields: it is none or several of these, or invalid.
    """
    named = [name for name in ("email", "phoneNumber", "contactId") if members.get(name) is not None]
    if len(named) != 1:
        raise InvalidFields(FieldError("body", "must have exactly one of email, phoneNumber and contactId"))
    [member] = named
    if member == "contactId":
        return member, parse_id(member, members[member])
    return member, _parse_value(member, members, make_details)


def _parse_value(name: str, members: dict[str, Any], make_details: MakeDetails) -> Identifier:
    """Parse the one value that an object has."""
    try:
        [identifier] = make_details(members.get("email"), members.get("phoneNumber")).identifiers
    except InvalidDetails as error:
        reason = "must not be blank" if error.field == "details" else error.reason
        raise InvalidFields(FieldError(name, reason)) from None
    return identifier


def parse_id(name: str, value: Any) -> int:
    """Parse an id.

    Raises:
        InvalidFields: it is not a whole number, or out of range.
    """
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise InvalidFields(FieldError(name, f"must be a whole number from 0 to {MAX_ID}"))
    return value


def check_members(name: str, members: Collection[str], known: Collection[str]) -> None:
    """Check that an object has no members but the known ones.

    Raises:
        InvalidFields: it has.
    """
    if not {*members} <= {*known}:
        raise InvalidFields(FieldError(name, f"must have no members but {', '.join(known)}"))


async def read_json_object(scope: Scope, receive: Receive) -> dict[str, Any]:
    """Read the body of a request.

    Raises:
        RequestRejected: it is not a JSON object.
    """
    try:
        body = msgspec.json.decode(await _read_body(scope, receive))
    except RecursionError:
        raise _invalid_body("is nested too deeply") from None
    except UnicodeDecodeError:
        raise _invalid_body("is not valid UTF-8") from None
    except msgspec.DecodeError as error:
        raise _invalid_body(f"is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise _invalid_body("must be a JSON object")
    return body


def _invalid_body(reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> InvalidFields:
    return InvalidFields(FieldError("body", reason), status=status)


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    # Litestar would make a mapping of all headers, which takes 5 % of the time of a request.
    for name, value in scope["headers"]:
        if name == b"content-type" and value != b"application/json":
            _check_content_type(value.decode("latin-1"))
    limit: Any = scope["litestar_app"].request_max_body_size
    body: bytes = b""
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise RequestRejected(HTTPStatus.BAD_REQUEST, "the client closed the connection")
        body += message["body"]
        if len(body) > limit:
            raise _invalid_body(f"must have at most {limit} bytes", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if not message.get("more_body"):
            return body


def _check_content_type(content_type: str) -> None:
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if media_type.strip() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise _invalid_body("must be application/json in UTF-8", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
