"""Rules as TOML."""

import json
from collections.abc import Iterable

from attrs import asdict

from identity_core import RuleSet


def format_rules(rules: RuleSet) -> str:
    """Format rules as TOML; the same rules give the same text.

    >>> print(format_rules(RuleSet(emails=["test@example.org"], one_digit=True)), end="")
    [blocked]
    emails = ["test@example.org"]
    one_digit = true
    """
    blocked = {
        "emails": _format_values(rules.emails | rules.email_patterns),
        "phone_numbers": _format_values(rules.phone_numbers | rules.phone_number_patterns),
        "one_digit": "true" if rules.one_digit else None,
        "presets": _format_values(rules.presets),
    }
    limits = {key: None if limit is None else str(limit) for key, limit in asdict(rules.limits).items()}
    return "\n".join(filter(None, (_format_table("blocked", blocked), _format_table("limits", limits))))


def _format_table(name: str, values: dict[str, str | None]) -> str:
    """Format the values that are set as a table; it is empty if none is."""
    lines = [f"{key} = {value}\n" for key, value in values.items() if value is not None]
    return "".join([f"[{name}]\n", *lines]) if lines else ""


def _format_values(values: Iterable[str]) -> str | None:
    """Format values as an array, each in a line of its own if there are several."""
    # What JSON escapes, TOML escapes in the same way.
    texts = [json.dumps(value, ensure_ascii=False) for value in sorted(values)]
    if len(texts) < 2:
        return f"[{texts[0]}]" if texts else None
    return "".join(["[\n", *(f"    {text},\n" for text in texts), "]"])
