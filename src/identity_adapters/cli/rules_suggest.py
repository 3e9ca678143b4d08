"""What ``identity rules`` shows of values that may be worth blocking."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from identity_adapters.cli.output import format_table

if TYPE_CHECKING:
    from identity_core import Suggestion

HEADINGS = ("kind", "value", "partners", "merges", "primary", "contacts", "parts", "leaving")
TOO_LARGE = "too large"


def describe_suggestions(suggestions: "Sequence[Suggestion]") -> str:
    """Describe values that may be worth blocking, for people, with the lines for a file of rules."""
    return "\n".join(_describe(suggestions))


def _describe(suggestions: "Sequence[Suggestion]") -> "Iterator[str]":
    if not suggestions:
        yield "No value joins others."
        return
    yield format_table(HEADINGS, [*map(_to_row, suggestions)])
    if lines := _format_lines(suggestions):
        yield "To block them, keep the lines of those that many people share:"
        yield lines


def _to_row(suggestion: "Suggestion") -> tuple[Any, ...]:
    value = suggestion.value
    return (
        value.identifier.kind.replace("_", " "),
        value.identifier.value,
        f"{value.partners:,}",
        f"{value.merges:,}",
        value.primary_id,
        f"{value.contacts:,}",
        _format(None if suggestion.parts is None else len(suggestion.parts)),
        _format(suggestion.leaving),
    )


def _format(number: int | None) -> str:
    return TOO_LARGE if number is None else f"{number:,}"


def _format_lines(suggestions: "Sequence[Suggestion]") -> str:
    """A file of rules that blocks the values, without those that a file would take for patterns."""
    from identity_adapters.api.rules import is_pattern
    from identity_adapters.rules_file import format_rules
    from identity_core.model.rule_set import NO_RULES

    rules = NO_RULES
    for suggestion in suggestions:
        if not is_pattern(suggestion.value.identifier.value):
            rules = rules.block(suggestion.value.identifier)
    return format_rules(rules).rstrip()
