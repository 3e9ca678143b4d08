"""Parsing rulings from requests.

A ruling is hard to overlook but easy to send by mistake, so nothing that a client may have misspelled is
ignored: other members and parameters than the known ones are rejected.
"""

from collections.abc import Collection
from functools import partial
from typing import Annotated, Any

import msgspec
from attrs import frozen
from litestar import Request
from msgspec import UNSET, Meta, UnsetType

from identity_adapters.api import MAX_ID, MakeDetails
from identity_adapters.api.rulings import MAX_REASON_LENGTH, parse_reason
from identity_adapters.http.body import (
    EMAIL,
    IDENTIFIER_OR_CONTACT,
    PHONE_NUMBER,
    check_members,
    parse_details,
    parse_id,
    read_json_object,
)
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import Body
from identity_adapters.http.parameters import collect, parse_parameters
from identity_adapters.http.problem import FieldError
from identity_adapters.http.state import KEY
from identity_core import InvalidDetails, Note, Verdict
from identity_core.model.ruling import PINS

DryRun = Annotated[bool, Meta(description="Returns what the ruling would do, and writes nothing.")]
_PLAN = "The `plan` of a dry run. The ruling fails if the record has changed since."
_REASON = "Why. It is recorded."
_REASON_SCHEMA = {"minLength": 1, "maxLength": MAX_REASON_LENGTH}


class RulingParameters(msgspec.Struct, rename="camel"):
    """The parameters of each `POST` of a ruling."""

    dry_run: DryRun = False


class HeldPairParameters(msgspec.Struct, rename="camel"):
    """The parameters of `POST /held/{id}/accept` and `POST /held/{id}/reject`."""

    id: Annotated[int, Meta(ge=0, le=MAX_ID, description="The id of a held pair.")]
    dry_run: DryRun = False


class UnpinParameters(msgspec.Struct, rename="camel"):
    """The parameters of `DELETE /pins/{id}`."""

    id: Annotated[int, Meta(ge=0, le=MAX_ID, description="The id of a pin.")]
    dry_run: DryRun = False
    plan: Annotated[str, Meta(description=_PLAN)] | UnsetType = UNSET
    reason: Annotated[str, Meta(description=_REASON, extra_json_schema=_REASON_SCHEMA)] = "removed"


@frozen
class RulingOptions:
    """Everything but what a ruling is about.

    Attributes:
        note: who rules, and why.
        dry_run: whether nothing is to be written.
        plan: the plan of a dry run.
    """

    note: Note
    dry_run: bool
    plan: str | None


@frozen
class Subject:
    """What an undo or a restore is about.

    Attributes:
        members: the members of the body that name it.
        pair: an email and a phone number; None if an id names it.
        id: the id of a contact, a piece of evidence, an event or a ruling.
    """

    members: tuple[str, ...]
    pair: tuple[str, str] | None = None
    id: int | None = None


def _describe_id(what: str) -> dict[str, Any]:
    return {"type": ["integer", "null"], "format": "int64", "description": f"The id of {what}."}


_SUBJECTS: dict[str, Any] = {
    "email": EMAIL,
    "phoneNumber": PHONE_NUMBER,
    "contactId": _describe_id("the contact that had the pair first"),
    "evidenceId": _describe_id("the evidence of the pair"),
    "eventId": _describe_id("an event that the pair caused, such as a merge"),
}
REASON: dict[str, Any] = {"type": "string", "description": _REASON} | _REASON_SCHEMA
_OPTIONS: dict[str, Any] = {
    "reason": REASON,
    "plan": {"type": ["string", "null"], "description": _PLAN},
}
_ENDS = {name: {"$ref": "#/components/schemas/IdentifierOrContact"} for name in ("one", "other")}


def _describe_body(
    name: str, description: str, properties: dict[str, Any], example: dict[str, Any], *required: str
) -> Body:
    schema = {
        "title": name,
        "type": "object",
        "description": description,
        "properties": properties | _OPTIONS,
        "required": [*required, "reason"],
        "additionalProperties": False,
    }
    components = {"IdentifierOrContact": IDENTIFIER_OR_CONTACT} if "one" in properties else {}
    return Body({name: schema} | components, example)


_PAIR = {"email": "mcfly@hillvalley.edu", "phoneNumber": "123456"}
_TWO = {"one": {"email": "lorraine@hillvalley.edu"}, "other": {"email": "mcfly@hillvalley.edu"}}
UNDO_BODY = _describe_body(
    "UndoRequest",
    "A pair: by email and phone number, or by one of the ids.",
    _SUBJECTS,
    _PAIR | {"reason": "a typo in the phone number"},
)
RESTORE_BODY = _describe_body(
    "RestoreRequest",
    "What to restore: a pair, by email and phone number or by one of the ids, or a ruling.",
    _SUBJECTS | {"rulingId": _describe_id("the ruling that undid it; of a split, its pin")},
    {"rulingId": 3, "reason": "no typo after all"},
)
SPLIT_BODY = _describe_body(
    "SplitRequest",
    "Two that are joined.",
    _ENDS,
    _TWO | {"reason": "mother and son", "plan": "5d41402abc4b2a76b9719d91"},
    *_ENDS,
)
PIN_BODY = _describe_body(
    "PinRequest",
    "Two, and whether they are the same customer or different ones.",
    _ENDS
    | {
        "verdict": {
            "type": "string",
            "enum": [Verdict.SAME, Verdict.DIFFERENT],
            "description": "Whether they are the same customer or different ones.",
        }
    },
    _TWO | {"verdict": "different", "reason": "mother and son"},
    *_ENDS,
    "verdict",
)


HELD_BODY = _describe_body(
    "HeldPairRequest",
    "Why the pair is accepted or rejected.",
    {},
    {"reason": "one family", "plan": "5d41402abc4b2a76b9719d91"},
)


async def read_body(request: Request[Any, Any, Any], body: Body) -> dict[str, Any]:
    """Read the body of a ruling; members that are null are left out.

    Raises:
        RequestRejected: it is not a JSON object.
        InvalidFields: it has members that it must not have.
    """
    members = await read_json_object(request.scope, request.receive)
    if "dryRun" in members:
        raise InvalidFields(FieldError("dryRun", "must be a parameter of the query"))
    check_members("body", members, body.members)
    return {name: value for name, value in members.items() if value is not None}


def parse_options(request: Request[Any, Any, Any], members: dict[str, Any]) -> RulingOptions:
    """Parse the options of a ruling from its body and the query.

    Raises:
        InvalidFields: some are invalid; it names each of them.
    """
    check_query(request, ["dryRun"])
    note, plan, parameters = collect(
        partial(parse_note, request, members.get("reason")),
        partial(parse_plan, members.get("plan")),
        partial(parse_parameters, request, RulingParameters),
    )
    return RulingOptions(note, parameters.dry_run, plan)


def parse_held_pair(request: Request[Any, Any, Any], members: dict[str, Any]) -> tuple[int, RulingOptions]:
    """Parse the id of a held pair and the options of the ruling on it.

    Raises:
        InvalidFields: some are invalid; it names each of them.
    """
    check_query(request, ["dryRun"])
    parameters, note, plan = collect(
        partial(parse_parameters, request, HeldPairParameters),
        partial(parse_note, request, members.get("reason")),
        partial(parse_plan, members.get("plan")),
    )
    return parameters.id, RulingOptions(note, parameters.dry_run, plan)


def parse_unpin(request: Request[Any, Any, Any]) -> tuple[int, RulingOptions]:
    """Parse the id of a pin and the options of its removal.

    Raises:
        InvalidFields: some are invalid; it names each of them.
    """
    check_query(request, ["dryRun", "plan", "reason"])
    parameters = parse_parameters(request, UnpinParameters)
    note = parse_note(request, parameters.reason)
    plan = None if parameters.plan is UNSET else parameters.plan
    return parameters.id, RulingOptions(note, parameters.dry_run, plan)


def check_query(request: Request[Any, Any, Any], known: Collection[str]) -> None:
    """Check that the query has no parameters but the known ones.

    Raises:
        InvalidFields: it has.
    """
    if not set(request.query_params) <= {*known}:
        exceptions = f" but {', '.join(known)}" if known else ""
        raise InvalidFields(FieldError("query", f"must have no parameters{exceptions}"))


def parse_note(request: Request[Any, Any, Any], reason: Any) -> Note:
    """Parse a reason; who rules is the name of the API key.

    Raises:
        InvalidFields: the reason is invalid.
    """
    try:
        return Note(request.scope["state"].get(KEY), parse_reason(reason))
    except InvalidDetails as error:
        raise InvalidFields(FieldError(error.field, error.reason)) from None


def parse_subject(members: dict[str, Any], body: Body, make_details: MakeDetails) -> Subject:
    """Parse what an undo or a restore is about.

    Raises:
        InvalidFields: it is none or several of what the body may have, or invalid.
    """
    names = [name for name in members if name not in _OPTIONS]
    ids = [name for name in names if name.endswith("Id")]
    if len(ids) + (len(ids) < len(names)) != 1:
        allowed = ", ".join(name for name in body.members if name.endswith("Id"))
        raise InvalidFields(
            FieldError("body", f"must have email and phoneNumber, or exactly one of {allowed}")
        )
    if ids:
        return Subject((ids[0],), id=parse_id(ids[0], members[ids[0]]))
    details = parse_details(members.get("email"), members.get("phoneNumber"), make_details)
    if details.pair is None:
        missing = "email" if details.email is None else "phoneNumber"
        raise InvalidFields(FieldError(missing, "must be given, because a pair has both values"))
    return Subject(("email", "phoneNumber"), details.pair)


def parse_verdict(verdict: Any) -> Verdict:
    """Parse the verdict of a pin.

    Raises:
        InvalidFields: it is not the verdict of a pin.
    """
    if not isinstance(verdict, str) or verdict not in PINS:
        raise InvalidFields(FieldError("verdict", "must be same or different"))
    return Verdict(verdict)


def parse_plan(plan: Any) -> str | None:
    """Parse a plan.

    Raises:
        InvalidFields: it is not text.
    """
    if plan is not None and not isinstance(plan, str):
        raise InvalidFields(FieldError("plan", "must be text"))
    return plan
