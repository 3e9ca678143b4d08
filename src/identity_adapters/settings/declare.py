"""The declaration of a setting: an attribute with its variable, parser, default and description."""

from collections.abc import Callable
from typing import Any

from attrs import field

from identity_adapters.settings.values import format_value


def setting(
    variable: str,
    parse: Callable[[str], Any],
    default: Any,
    meaning: str,
    unset: str = "",
    *,
    text: Callable[[Any], str] = format_value,
    rejected_in_file: str | None = None,
) -> Any:
    """Declare a setting.

    Args:
        variable: its name in the environment and in the file ``.env``.
        parse: parses its text, or raises ValueError with what would be right.
        default: the value if it is not set.
        meaning: its description in the reference.
        unset: the description of the default, if the value does not speak for itself.
        text: formats a value for people, without secrets.
        rejected_in_file: why the file must not set it; None if the file may.
    """
    metadata = {
        "variable": variable,
        "parse": parse,
        "meaning": meaning,
        "unset": unset,
        "text": text,
        "rejected_in_file": rejected_in_file,
    }
    return field(default=default, metadata=metadata, repr=text)
