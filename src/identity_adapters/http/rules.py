"""Parsing rules from the body of a request.

Rules replace all those before, so nothing that a client may have misspelled is ignored, as with rulings.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from attrs import evolve, frozen
from litestar import Request

from identity_adapters.api import MAX_ID, MakeDetails
from identity_adapters.api.rules import (
    MAX_LIMIT,
    BlockedValues,
    RuleLimits,
    make_rules,
    parse_blocked_value,
    parse_preset,
)
from identity_adapters.http import examples
from identity_adapters.http.body import check_members, read_json_object
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import Body
from identity_adapters.http.parameters import collect
from identity_adapters.http.problem import FieldError
from identity_adapters.http.rulings import REASON, check_query, parse_note, parse_plan
from identity_core import IdentifierKind, InvalidDetails, Limits, Note, RuleSet

_RULES: dict[str, Any] = {
    "blocked": {"$ref": "#/components/schemas/BlockedValues"},
    "limits": {"$ref": "#/components/schemas/RuleLimits"},
    "retroactive": {
        "type": "boolean",
        "default": False,
        "description": "Whether limits are applied to all that is recorded, as if they had been in force from"
        " the beginning. Otherwise they concern only what comes.",
    },
}
_OPTIONS: dict[str, Any] = {
    "version": {
        "type": ["integer", "null"],
        "format": "int64",
        "description": "The `version` of the rules that these replace. The request fails if others are in"
        " force.",
    },
    "plan": {
        "type": ["string", "null"],
        "description": "The `plan` of a preview. The request fails if other rules are in force since, or what"
        " these would change has changed.",
    },
}


def _describe_body(name: str, properties: dict[str, Any], example: dict[str, Any], *required: str) -> Body:
    schema = {
        "title": name,
        "type": "object",
        "description": "All rules. Members of `blocked` and `limits` that are absent are off.",
        "properties": _RULES | properties,
        "required": ["blocked", "limits", *required],
        "additionalProperties": False,
    }
    return Body({name: schema}, example)


RULES_BODY = _describe_body("RulesRequest", {"reason": REASON} | _OPTIONS, examples.RULES_REQUEST, "reason")
RULES_PREVIEW_BODY = _describe_body("RulesPreviewRequest", {}, examples.RULES_PREVIEW_REQUEST)


@frozen
class RulesRequest:
    """Rules to put in force.

    Attributes:
        rules: all of them.
        note: who, and why.
        version: that of the rules that they replace; None for any.
        plan: that of a preview; None for no matter what they do.
        retroactive: whether limits are applied to what is recorded.
    """

    rules: RuleSet
    note: Note
    version: int | None
    plan: str | None
    retroactive: bool


async def read_rules(request: Request[Any, Any, Any], make_details: MakeDetails) -> RulesRequest:
    """Read rules from the body of a request.

    Raises:
        RequestRejected: the body is not a JSON object.
        InvalidFields: it is invalid, or the query has parameters; it names each invalid member by its path.
    """
    members = await _read_members(request, RULES_BODY)
    (rules, retroactive), note, version, plan = collect(
        partial(_parse_rules, members, make_details),
        partial(parse_note, request, members.get("reason")),
        partial(_parse_number, "version", members.get("version"), 0, MAX_ID),
        partial(parse_plan, members.get("plan")),
    )
    return RulesRequest(rules, note, version, plan, retroactive)


async def read_rules_to_preview(
    request: Request[Any, Any, Any], make_details: MakeDetails
) -> tuple[RuleSet, bool]:
    """Read rules that are not to be put in force, as `read_rules` does; and whether limits are retroactive.

    Raises:
        RequestRejected: as of `read_rules`.
        InvalidFields: as of `read_rules`.
    """
    return _parse_rules(await _read_members(request, RULES_PREVIEW_BODY), make_details)


async def _read_members(request: Request[Any, Any, Any], body: Body) -> dict[str, Any]:
    check_query(request, [])
    members = await read_json_object(request.scope, request.receive)
    check_members("body", members, body.members)
    return members


def _parse_rules(members: dict[str, Any], make_details: MakeDetails) -> tuple[RuleSet, bool]:
    """The rules, and whether limits are retroactive."""
    blocked, limits, retroactive = collect(
        partial(_parse_blocked, members.get("blocked"), make_details),
        partial(_parse_limits, members.get("limits")),
        partial(_parse_flag, "retroactive", members.get("retroactive", False)),
    )
    return evolve(blocked, limits=limits), retroactive


def _parse_blocked(value: Any, make_details: MakeDetails) -> RuleSet:
    members = _parse_object("blocked", value, BlockedValues)
    parse_email = partial(parse_blocked_value, IdentifierKind.EMAIL, make_details=make_details)
    parse_phone_number = partial(parse_blocked_value, IdentifierKind.PHONE_NUMBER, make_details=make_details)
    emails, phone_numbers, presets, one_digit = collect(
        partial(_parse_list, "blocked.emails", members.get("emails", []), parse_email),
        partial(_parse_list, "blocked.phoneNumbers", members.get("phoneNumbers", []), parse_phone_number),
        partial(_parse_list, "blocked.presets", members.get("presets", []), parse_preset),
        partial(_parse_flag, "blocked.oneDigit", members.get("oneDigit", False)),
    )
    return make_rules(emails, phone_numbers, presets, one_digit=one_digit)


def _parse_limits(value: Any) -> Limits:
    members = _parse_object("limits", value, RuleLimits)
    fields = msgspec.structs.fields(RuleLimits)
    limits = collect(
        *(
            partial(
                _parse_number,
                f"limits.{one.encode_name}",
                members.get(one.encode_name),
                smallest=1,
                largest=MAX_LIMIT,
            )
            for one in fields
        )
    )
    return Limits(**dict(zip((one.name for one in fields), limits, strict=True)))


def _parse_object(path: str, value: Any, kind: type[msgspec.Struct]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidFields(FieldError(path, "must be an object"))
    check_members(path, value, [one.encode_name for one in msgspec.structs.fields(kind)])
    return value


def _parse_list(path: str, value: Any, parse: Callable[[Any], str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidFields(FieldError(path, "must be a list"))
    return collect(
        *(partial(_parse_item, f"{path}[{number}]", item, parse) for number, item in enumerate(value))
    )


def _parse_item(path: str, value: Any, parse: Callable[[Any], str]) -> str:
    try:
        return parse(value)
    except InvalidDetails as error:
        raise InvalidFields(FieldError(path, error.reason)) from None


def _parse_flag(path: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidFields(FieldError(path, "must be true or false"))
    return value


def _parse_number(path: str, value: Any, smallest: int, largest: int) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not smallest <= value <= largest:
        raise InvalidFields(FieldError(path, f"must be a whole number from {smallest} to {largest}"))
    return value
