"""Settings for people: those in force, and the reference of all."""

from collections.abc import Iterator
from typing import NamedTuple

from identity_adapters.settings.settings import Settings, list_settings


class EffectiveSetting(NamedTuple):
    """A setting in force, without secrets.

    Attributes:
        variable: its name.
        value: its value as text.
        origin: where the value comes from: the environment, a file, the command line or the default.
    """

    variable: str
    value: str
    origin: str


def describe(settings: Settings) -> Iterator[EffectiveSetting]:
    """Describe every setting in force."""
    for attribute in list_settings():
        variable = attribute.metadata["variable"]
        value = attribute.metadata["text"](getattr(settings, attribute.name))
        yield EffectiveSetting(variable, value, settings.origins.get(variable, "default"))


def render_reference() -> str:
    """Render the table of all settings in Markdown."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for attribute in list_settings():
        metadata = attribute.metadata
        default = metadata["unset"] or f"`{metadata['text'](attribute.default)}`"
        lines.append(f"| `{metadata['variable']}` | {default} | {metadata['meaning']} |")
    return "\n".join(lines) + "\n"
