"""``POST /undo``, ``/restore`` and ``/split``, and the resources ``/pins`` and ``/rulings``."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from identity_adapters.api import MAX_ID, MakeDetails
from identity_adapters.api.rulings import (
    RulingAnswer,
    RulingsAnswer,
    find_ends,
    to_ruling_answer,
    to_rulings_answer,
)
from identity_adapters.http import examples
from identity_adapters.http.body import parse_end
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.operation import RULING_TAG, Answer, Operation
from identity_adapters.http.parameters import collect, parse_parameters
from identity_adapters.http.problem import FieldError
from identity_adapters.http.rulings import (
    PIN_BODY,
    RESTORE_BODY,
    SPLIT_BODY,
    UNDO_BODY,
    RulingOptions,
    RulingParameters,
    Subject,
    UnpinParameters,
    parse_options,
    parse_subject,
    parse_unpin,
    parse_verdict,
    read_body,
)
from identity_adapters.keys import Scope
from identity_core import (
    Identifier,
    InvalidDetails,
    NotRecorded,
    QueryIdentities,
    Ruled,
    RuleOnIdentities,
    Ruling,
    Suppressed,
)
from identity_core.model.ruling import PINS
from identity_core.rule import read_rulings

LIMIT = 1_000
"""The maximum number of rulings in a page."""

Rulings = Callable[[], RuleOnIdentities]
Queries = Callable[[], QueryIdentities]
OnRuling = Callable[[str], None]
"""Called with the kind of each ruling that changed something."""

_ERRORS = (400, 404, 409, 410, 413, 415)


def create_undo_endpoint(
    rulings: Rulings, make_details: MakeDetails, on_ruling: OnRuling
) -> HTTPRouteHandler:
    operation = Operation(
        id="undo",
        tag=RULING_TAG,
        summary="Undo a pair",
        description=(
            "Takes a pair of email and phone number back, as if only its two values had come, each alone, now"
            " and whenever the pair comes again. If something else still joins the two, `chain` shows it."
        ),
        answer=_answer("What the undo did, or would do.", {"undone": examples.UNDONE}),
        errors=_ERRORS,
        scope=Scope.DECIDE,
        parameters=RulingParameters,
        body=UNDO_BODY,
    )

    @post("/undo", **operation.route_options())
    async def undo(request: Request[Any, Any, Any]) -> RulingAnswer:
        members = await read_body(request, UNDO_BODY)
        subject, options = collect(
            partial(parse_subject, members, UNDO_BODY, make_details), partial(parse_options, request, members)
        )
        pair = await _find_pair(rulings(), subject)
        with naming(*subject.members):
            return await answer_ruling(partial(rulings().undo, pair), options, "undo", on_ruling)

    return undo


def create_restore_endpoint(
    rulings: Rulings, make_details: MakeDetails, on_ruling: OnRuling
) -> HTTPRouteHandler:
    operation = Operation(
        id="restore",
        tag=RULING_TAG,
        summary="Restore what was undone",
        description=(
            "Gives an undone pair back, so that it counts again. The ruling of a split's pin restores"
            " everything that the split undid, and removes the pin."
        ),
        answer=_answer("What the restore did, or would do.", {"restored": examples.RESTORED}),
        errors=_ERRORS,
        scope=Scope.DECIDE,
        parameters=RulingParameters,
        body=RESTORE_BODY,
    )

    @post("/restore", **operation.route_options())
    async def restore(request: Request[Any, Any, Any]) -> RulingAnswer:
        members = await read_body(request, RESTORE_BODY)
        subject, options = collect(
            partial(parse_subject, members, RESTORE_BODY, make_details),
            partial(parse_options, request, members),
        )
        ruling = await _find_undone(rulings(), subject)
        with naming(*subject.members):
            return await answer_ruling(partial(rulings().restore, ruling), options, "restore", on_ruling)

    return restore


def create_split_endpoint(
    rulings: Rulings, queries: Queries, make_details: MakeDetails, on_ruling: OnRuling
) -> HTTPRouteHandler:
    operation = Operation(
        id="split",
        tag=RULING_TAG,
        summary="Split a customer in two",
        description=(
            "Parts two that are joined: undoes the smallest set of links whose undoing parts them, and pins"
            " the two apart. `undone` are these links."
        ),
        answer=_answer("What the split did, or would do.", {"split": examples.SPLIT}),
        errors=_ERRORS,
        scope=Scope.DECIDE,
        parameters=RulingParameters,
        body=SPLIT_BODY,
    )

    @post("/split", **operation.route_options())
    async def split(request: Request[Any, Any, Any]) -> RulingAnswer:
        members = await read_body(request, SPLIT_BODY)
        one, other, options = collect(
            partial(parse_end, members, "one", make_details),
            partial(parse_end, members, "other", make_details),
            partial(parse_options, request, members),
        )
        ends = await _find_ends(queries(), one, other)
        return await answer_ruling(partial(rulings().split, *ends), options, "split", on_ruling)

    return split


def create_pin_endpoint(
    rulings: Rulings, queries: Queries, make_details: MakeDetails, on_ruling: OnRuling
) -> HTTPRouteHandler:
    operation = Operation(
        id="pin",
        tag=RULING_TAG,
        summary="Pin two together or apart",
        description=(
            "Says of two that they are the same customer, which joins them, or different ones, so that no"
            " identity ever holds both. A value that was never seen becomes known. Two that are joined are"
            " parted by a split instead."
        ),
        answer=_answer("What the pin did, or would do.", {"pinned": examples.PINNED}),
        errors=_ERRORS,
        scope=Scope.DECIDE,
        parameters=RulingParameters,
        body=PIN_BODY,
    )

    @post("/pins", **operation.route_options())
    async def pin(request: Request[Any, Any, Any]) -> RulingAnswer:
        members = await read_body(request, PIN_BODY)
        one, other, verdict, options = collect(
            partial(parse_end, members, "one", make_details),
            partial(parse_end, members, "other", make_details),
            partial(parse_verdict, members.get("verdict")),
            partial(parse_options, request, members),
        )
        ends = await _find_ends(queries(), one, other)
        return await answer_ruling(partial(rulings().pin, *ends, verdict), options, "pin", on_ruling)

    return pin


def create_unpin_endpoint(rulings: Rulings, on_ruling: OnRuling) -> HTTPRouteHandler:
    operation = Operation(
        id="unpin",
        tag=RULING_TAG,
        summary="Remove a pin",
        description="Removes a pin. What it held is reconsidered, and what it joined may come apart.",
        answer=_answer("What the removal did, or would do.", {"removed": examples.UNPINNED}),
        errors=(400, 404, 409),
        scope=Scope.DECIDE,
        parameters=UnpinParameters,
    )

    @delete("/pins/{id:str}", **operation.route_options())
    async def unpin(request: Request[Any, Any, Any]) -> RulingAnswer:
        id, options = parse_unpin(request)
        with naming("id", reason="no pin in force has this id"):
            removed = await rulings().find_ruling(id)
            return await answer_ruling(partial(rulings().unpin, removed), options, "unpin", on_ruling)

    return unpin


class RulingsParameters(msgspec.Struct):
    """The parameters of `GET /rulings` and `GET /pins`."""

    after: Annotated[int, Meta(ge=0, le=MAX_ID, description="The `next` of the previous page.")] = 0
    limit: Annotated[int, Meta(ge=1, le=LIMIT, description="The maximum number of rulings.")] = 100


def create_rulings_endpoint(rulings: Rulings) -> HTTPRouteHandler:
    operation = Operation(
        id="rulings",
        tag=RULING_TAG,
        summary="List the rulings in force",
        description="Returns all rulings in force, in the order of their ids: what is undone, and pins.",
        answer=Answer(RulingsAnswer, "A page of rulings.", {"rulings": examples.RULINGS}),
        errors=(400,),
        scope=Scope.READ,
        parameters=RulingsParameters,
    )

    @get("/rulings", **operation.route_options())
    async def list_rulings(request: Request[Any, Any, Any]) -> RulingsAnswer:
        parameters = parse_parameters(request, RulingsParameters)
        found = await rulings().rulings(parameters.after, parameters.limit + 1)
        return to_rulings_answer(found, parameters.limit)

    return list_rulings


def create_pins_endpoint(rulings: Rulings) -> HTTPRouteHandler:
    operation = Operation(
        id="pins",
        tag=RULING_TAG,
        summary="List the pins in force",
        description="Returns the pins in force, in the order of their ids.",
        answer=Answer(RulingsAnswer, "A page of pins.", {"pins": examples.PINS}),
        errors=(400,),
        scope=Scope.READ,
        parameters=RulingsParameters,
    )

    @get("/pins", **operation.route_options())
    async def list_pins(request: Request[Any, Any, Any]) -> RulingsAnswer:
        parameters = parse_parameters(request, RulingsParameters)
        found = await _read_pins(rulings(), parameters.after, parameters.limit + 1)
        return to_rulings_answer(found, parameters.limit)

    return list_pins


def _answer(description: str, example: dict[str, Any]) -> Answer:
    return Answer(RulingAnswer, description, example)


async def answer_ruling(
    rule: Callable[..., Awaitable[Ruled]], options: RulingOptions, kind: str, on_ruling: OnRuling
) -> RulingAnswer:
    """Rule, and answer what the ruling did or would do.

    Raises:
        InvalidFields: a pin names a value that is kept out.
    """
    try:
        ruled = await rule(options.note, dry_run=options.dry_run, plan=options.plan)
    except Suppressed as error:
        raise InvalidFields(FieldError(error.field, error.reason)) from None
    if not options.dry_run and (ruled.writes.rulings or ruled.writes.withdrawals):
        on_ruling(kind)
    return to_ruling_answer(ruled, is_applied=not options.dry_run)


_UNKNOWN = {
    "contactId": "no pair on record has this id",
    "evidenceId": "no pair on record has this id",
    "eventId": "no pair on record caused an event with this id",
    "rulingId": "no ruling in force has this id",
}


_UNKNOWN_UNDOING_EVENT = "no ruling in force caused an event with this id, or undid the pair that did"


async def _find_pair(rule: RuleOnIdentities, subject: Subject) -> tuple[str, str]:
    if subject.pair is not None:
        return subject.pair
    [member] = subject.members
    with naming(member, reason=_UNKNOWN[member]):
        if member == "eventId":
            return await rule.find_pair(event_id=subject.id)
        return await rule.find_pair(id=subject.id)


async def _find_undone(rule: RuleOnIdentities, subject: Subject) -> Ruling:
    if subject.id is not None and subject.members == ("rulingId",):
        with naming("rulingId", reason=_UNKNOWN["rulingId"]):
            return await rule.find_ruling(subject.id)
    if subject.id is not None and subject.members == ("eventId",):
        with naming("eventId", reason=_UNKNOWN_UNDOING_EVENT):
            return await rule.find_ruling_of_event(subject.id)
    pair = await _find_pair(rule, subject)
    with naming(*subject.members):
        return await rule.find_undone(pair)


async def _find_ends(
    queries: QueryIdentities, one: Identifier | int, other: Identifier | int
) -> tuple[Identifier, Identifier]:
    try:
        return await find_ends(queries, one, other)
    except NotRecorded as error:
        field = FieldError(f"{error.field}.contactId", error.reason)
        raise InvalidFields(field, status=HTTPStatus.NOT_FOUND) from None
    except InvalidDetails as error:
        raise InvalidFields(FieldError(error.field, error.reason)) from None


async def _read_pins(rule: RuleOnIdentities, after: int, limit: int) -> list[Ruling]:
    """The first `limit` pins with larger ids."""
    pins: list[Ruling] = []
    async for ruling in read_rulings(rule, after):
        if ruling.verdict in PINS:
            pins.append(ruling)
            if len(pins) == limit:
                break
    return pins


@contextmanager
def naming(*members: str, reason: str | None = None) -> Iterator[None]:
    """Answer 404, naming members of the request, if what they name is not recorded."""
    try:
        yield
    except NotRecorded as error:
        fields = (FieldError(member, reason or error.reason) for member in members)
        raise InvalidFields(*fields, status=HTTPStatus.NOT_FOUND) from None
