"""JSON schemas of types."""

from collections.abc import Iterable
from typing import Any

import msgspec


def build_schema(kind: Any) -> dict[str, Any]:
    """Build the schema of a type that refers to no other type."""
    [schema], _ = build_schemas([kind])
    return schema


def build_schemas(kinds: Iterable[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Build the schemas of types, and the components that they refer to."""
    schemas, components = msgspec.json.schema_components(
        kinds, schema_hook=lambda _: {"type": "string"}, ref_template="#/components/schemas/{name}"
    )
    return [_adapt_to_generators(schema) for schema in schemas], _adapt_to_generators(components)


def _adapt_to_generators(schema: Any) -> Any:
    """Adapt a schema of msgspec to client generators.

    A union of simple types becomes a type array, and enums and integers get a type and a format.
    """
    if isinstance(schema, list):
        return [_adapt_to_generators(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _adapt_to_generators(value) for name, value in schema.items()}
    options = schema.get("anyOf", [])
    if options and all("type" in option for option in options):
        del schema["anyOf"]
        for option in options:
            schema |= option
        schema["type"] = [option["type"] for option in options]
    if "enum" in schema:
        schema["type"] = "string"
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    return schema
