"""Path and query parameters out of a request, as a struct declares them."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from litestar import Request

from identity_adapters.http.openapi import schema_of
from identity_adapters.http.problems import FieldError, InvalidFields

T = TypeVar("T")
Parameters = TypeVar("Parameters", bound=msgspec.Struct)


def collect(*parses: Callable[[], T]) -> list[T]:
    """What each of some functions returns, if none of them raises.

    Raises:
        InvalidFields: with the errors of all that raised.
    """
    values: list[T] = []
    errors: list[FieldError] = []
    for parse in parses:
        try:
            values.append(parse())
        except InvalidFields as error:
            errors += error.errors
    if errors:
        raise InvalidFields(*errors)
    return values


def parse_parameters(request: Request[Any, Any, Any], kind: type[Parameters]) -> Parameters:
    """The parameters of a request.

    Args:
        request: has each of them in its path or its query.
        kind: declares them; a type of our own has a method `parse` that takes the text and raises ValueError.

    Raises:
        InvalidFields: names every parameter that cannot be used.
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
        reason = _describe(schema_of(parameter.type))
        raise InvalidFields(FieldError(parameter.encode_name, reason)) from None


def _describe(schema: dict[str, Any]) -> str:
    match schema:
        case {"type": "integer", "minimum": least, "maximum": most}:
            return f"must be a whole number from {least} to {most}"
        case {"type": "number", "minimum": least, "maximum": most}:
            return f"must be a number from {least} to {most}"
        case {"format": "date-time"}:
            return "must be a time as in RFC 3339, such as 2026-04-01T12:00:00Z"
        case _:
            return "must be the `next` of the answer before"
