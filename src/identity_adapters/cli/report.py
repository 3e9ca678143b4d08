"""What became of the rows of an import or a build."""

from collections.abc import Mapping

import click

_MEANINGS = {
    "read": "rows read",
    "created": "new identities",
    "linked": "contacts added to an identity",
    "merged": "rows that merged several identities",
    "corroborated": "rows that confirmed an identity",
    "held": "rows whose pair is held or undone",
    "known": "rows that were already known",
    "blocked": "rows whose values are all blocked",
    "suppressed": "rows of erased people who are kept out",
    "rejected": "rows rejected",
}


def write_report(numbers: Mapping[str, int]) -> None:
    """Write those numbers that have a meaning, each in a line."""
    for name, meaning in _MEANINGS.items():
        if name in numbers:
            click.echo(f"{numbers[name]:>14,}  {meaning}")
