"""Running queries and writing their answers."""

import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from identity_adapters.cli import fail

if TYPE_CHECKING:
    import msgspec

    from identity_adapters.api import MakeDetails
    from identity_core import QueryIdentities

T = TypeVar("T")

IDS_SHOWN = 20
"""How many ids a cell of a table lists."""

json_option = click.option("--json", "is_json", is_flag=True, help="Write the JSON of the HTTP answer.")


def run_query(query: "Callable[[QueryIdentities, MakeDetails], Coroutine[Any, Any, T]]") -> T:
    """Run a query on the configured database and return its result."""
    from identity_adapters.cli.database import open_container
    from identity_adapters.container import run
    from identity_adapters.postgres import check_schema
    from identity_core import Erased, InvalidDetails

    try:
        with open_container() as container:
            check_schema(container.database_url())
            return run(container, query(container.query_identities(), container.make_details()))
    except (Erased, InvalidDetails) as error:
        fail(1, str(error))


def write_answer(
    answer: "msgspec.Struct", is_json: bool, headings: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Write an answer: as a table to a terminal, else as JSON."""
    import msgspec

    if is_json or not sys.stdout.isatty():
        click.echo(msgspec.json.encode(answer))
        return
    click.echo(format_table(headings, rows))


def format_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Lay out rows in columns."""
    table = [list(headings), *([_to_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[number]) for row in table) for number in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def list_ids(ids: Sequence[int]) -> str:
    """List ids in a cell."""
    shown = ", ".join(map(str, ids[:IDS_SHOWN]))
    return f"{shown} and {len(ids) - IDS_SHOWN:,} more" if len(ids) > IDS_SHOWN else shown


def _to_cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return "" if value is None else str(value)
