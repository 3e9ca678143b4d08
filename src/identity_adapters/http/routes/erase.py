"""``POST /erase``."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from identity_adapters.api import MakeDetails
from identity_adapters.api.erasures import ErasureAnswer, to_preview_record, to_receipt
from identity_adapters.http import examples
from identity_adapters.http.body import EMAIL, PHONE_NUMBER, parse_target
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import PRIVACY_TAG, Answer, Body, Operation
from identity_adapters.http.parameters import collect, parse_parameters
from identity_adapters.http.problem import FieldError
from identity_adapters.http.routes.rulings import naming
from identity_adapters.http.rulings import check_query, parse_plan, read_body
from identity_adapters.http.state import KEY
from identity_adapters.keys import Scope
from identity_core import CannotSuppress, EraseIdentities

Erase = Callable[[], EraseIdentities]

ERASE_BODY = Body(
    {
        "EraseRequest": {
            "title": "EraseRequest",
            "type": "object",
            "description": "A person: exactly one of an email, a phone number and the id of a contact.",
            "properties": {
                "email": EMAIL,
                "phoneNumber": PHONE_NUMBER,
                "contactId": {
                    "type": ["integer", "null"],
                    "format": "int64",
                    "description": "The id of any contact of the person.",
                },
                "plan": {
                    "type": ["string", "null"],
                    "description": "The `plan` of a dry run. The erasure fails if the person has changed.",
                },
                "suppress": {
                    "type": ["boolean", "null"],
                    "description": "Whether the values are kept out for `IDENTITY_SUPPRESS_DAYS`.",
                },
            },
            "additionalProperties": False,
        }
    },
    example={"contactId": 1, "plan": "5d41402abc4b2a76b9719d91"},
)


NO_KEY = "needs the setting IDENTITY_SUPPRESSION_KEY"
"""Why nobody can be kept out."""


class EraseParameters(msgspec.Struct, rename="camel"):
    """The parameters of `POST /erase`."""

    dry_run: Annotated[bool, Meta(description="Returns what would be erased, and writes nothing.")] = False


def create_erase_endpoint(
    erase: Erase, make_details: MakeDetails, on_erased: Callable[[], None], suppress_for: timedelta
) -> HTTPRouteHandler:
    operation = Operation(
        id="erase",
        tag=PRIVACY_TAG,
        summary="Erase a person",
        description=(
            "Removes an identity with everything on record of it: contacts, pairs, rulings, blocks, and its"
            " values in what people wrote. Events stay, which are ids alone. Its ids answer 410 from then on."
            " A value that identifies nobody is erased alone. A dry run returns what would go, and warns"
            " where strangers would."
        ),
        answer=Answer(
            ErasureAnswer,
            "What would be erased, or the receipt.",
            {"erased": examples.ERASED, "dryRun": examples.WOULD_ERASE},
        ),
        errors=(400, 404, 409, 410, 413, 415),
        scope=Scope.ERASE,
        parameters=EraseParameters,
        body=ERASE_BODY,
    )

    @post("/erase", **operation.route_options())
    async def erase_person(request: Request[Any, Any, Any]) -> ErasureAnswer:
        check_query(request, ["dryRun"])
        members = await read_body(request, ERASE_BODY)
        (member, target), plan, is_suppressed, parameters = collect(
            partial(parse_target, members, make_details),
            partial(parse_plan, members.get("plan")),
            partial(_parse_suppress, members.get("suppress")),
            partial(parse_parameters, request, EraseParameters),
        )
        with naming(member):
            if parameters.dry_run:
                return ErasureAnswer(preview=to_preview_record(await erase().preview(target)))
            until = datetime.now(UTC) + suppress_for if is_suppressed else None
            by = request.scope["state"].get(KEY)
            try:
                entry = await erase()(target, by, plan=plan, suppressed_until=until)
            except CannotSuppress:
                raise InvalidFields(FieldError("suppress", NO_KEY)) from None
        on_erased()
        return ErasureAnswer(receipt=to_receipt(entry))

    return erase_person


def _parse_suppress(value: Any) -> bool:
    if not isinstance(value, bool | None):
        raise InvalidFields(FieldError("suppress", "must be true or false"))
    return bool(value)
