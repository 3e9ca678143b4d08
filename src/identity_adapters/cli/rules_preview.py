"""What ``identity rules`` shows of what rules would do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from identity_adapters.cli import fail
from identity_adapters.cli.output import format_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from identity_core.model.rules_preview import AffectedIdentity, RulesPreview

LISTED = 5
"""How many parts of an identity, and how many that would become one with it, are listed."""


def describe_preview(preview: "RulesPreview") -> str:
    """Describe what rules would do, for people."""
    return "\n".join(_describe(preview))


def _describe(preview: "RulesPreview") -> Iterator[str]:
    yield f"Identities: {preview.identities_before:,} before, {preview.identities_after:,} after."
    if preview.sizes_before:
        yield f"{preview.split:,} would come apart, {preview.merged:,} would become one with others."
        yield (
            f"Pairs: {preview.blocked:,} would be blocked, {preview.unblocked:,} no longer blocked,"
            f" {preview.held:,} held, {preview.released:,} no longer held."
        )
        yield "The affected identities by size:"
        yield _format_sizes(preview)
        yield "The most affected:"
        headings = ("primary", "contacts", "parts", "becomes one with", "because of (pairs)")
        yield format_table(headings, [*map(_to_row, preview.most_affected)])
    else:
        yield "No identity would change."
    yield f"Plan: {preview.plan}"


def _format_sizes(preview: "RulesPreview") -> str:
    from identity_adapters.api.rules_preview import count_sizes

    rows = [
        (_name_sizes(one.min_contacts, one.max_contacts), f"{one.before:,}", f"{one.after:,}")
        for one in count_sizes(preview)
    ]
    return format_table(("contacts", "before", "after"), rows)


def _name_sizes(smallest: int, largest: int | None) -> str:
    if largest is None:
        return f"over {smallest - 1}"
    return f"{smallest}" if smallest == largest else f"{smallest}-{largest}"


def _to_row(identity: "AffectedIdentity") -> tuple[Any, ...]:
    parts = len(identity.parts)
    return (
        identity.primary_id,
        f"{identity.contacts:,}",
        f"{parts:,} of {_list(identity.parts)}" if parts > 1 else parts,
        _list(identity.joined_ids),
        ", ".join(f"{value.value} ({pairs:,})" for value, pairs in identity.values),
    )


def _list(numbers: Sequence[int]) -> str:
    """The first of some numbers, and how many more there are."""
    rest = len(numbers) - LISTED
    return ", ".join(map(str, numbers[:LISTED])) + (f" and {rest:,} more" if rest > 0 else "")


@contextmanager
def write_affected(file: str | None) -> "Iterator[Callable[[AffectedIdentity], None]]":
    """A function that writes the primary of an identity to a file, one in each line.

    The command ends if the file cannot be written.

    Args:
        file: its name; None for nothing to be written.
    """
    if file is None:
        yield lambda _: None
        return
    try:
        with Path(file).open("w", encoding="ascii") as lines:
            yield lambda identity: print(identity.primary_id, file=lines)
    except OSError as error:
        fail(1, f"{file} cannot be written: {error.strerror}")
