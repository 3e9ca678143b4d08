"""Parsing path and query parameters into a struct."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, overload

import msgspec
from litestar import Request

from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.openapi.schema import build_schema
from identity_adapters.http.problem import FieldError

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
Parameters = TypeVar("Parameters", bound=msgspec.Struct)


@overload
def collect(one: Callable[[], A], other: Callable[[], B], /) -> tuple[A, B]: ...
@overload
def collect(one: Callable[[], A], other: Callable[[], B], third: Callable[[], C], /) -> tuple[A, B, C]: ...
@overload
def collect(
    one: Callable[[], A], other: Callable[[], B], third: Callable[[], C], fourth: Callable[[], D], /
) -> tuple[A, B, C, D]: ...
@overload
def collect(*parses: Callable[[], A]) -> tuple[A, ...]: ...
def collect(*parses: Callable[[], Any]) -> tuple[Any, ...]:
    """Call parsers and return all their results.

    Raises:
        InvalidFields: some parsers raised it; it has the errors of all of them.
    """
    values: list[Any] = []
    errors: list[FieldError] = []
    for parse in parses:
        try:
            values.append(parse())
        except InvalidFields as error:
            errors += error.errors
    if errors:
        raise InvalidFields(*errors)
    return tuple(values)


def parse_parameters(request: Request[Any, Any, Any], kind: type[Parameters]) -> Parameters:
    """Parse the parameters of a request.

    Args:
        request: has the parameters in its path or its query.
        kind: declares them; a custom type has a method `parse` that takes a text and raises ValueError.

    Raises:
        InvalidFields: parameters are invalid; it names each of them.
    """
    texts = {**request.query_params, **request.path_params}
    fields = [one for one in msgspec.structs.fields(kind) if one.encode_name in texts]
    values = collect(*(partial(_convert, texts[one.encode_name], one) for one in fields))
    return kind(**dict(zip((one.name for one in fields), values, strict=True)))


def _convert(text: str, parameter: msgspec.structs.FieldInfo) -> Any:
    try:
        return msgspec.convert(
            text, parameter.type, strict=False, dec_hook=lambda kind, text: kind.parse(text)
        )
    except msgspec.ValidationError:
        reason = _describe(build_schema(parameter.type))
        raise InvalidFields(FieldError(parameter.encode_name, reason)) from None


def _describe(schema: dict[str, Any]) -> str:
    match schema:
        case {"type": "integer", "minimum": minimum, "maximum": maximum}:
            return f"must be a whole number from {minimum} to {maximum}"
        case {"type": "number", "minimum": minimum, "maximum": maximum}:
            return f"must be a number from {minimum} to {maximum}"
        case {"type": "boolean"}:
            return "must be true or false"
        case {"format": "date-time"}:
            return "must be an RFC 3339 time, such as 2026-04-01T12:00:00Z"
        case _:
            return "must be the `next` of an earlier answer"
