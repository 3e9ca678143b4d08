"""``identity export``."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from identity_adapters.cli import fail, fail_missing_package

if TYPE_CHECKING:
    from sqlalchemy import URL


@click.command("export")
@click.argument("file", default="-")
@click.option("--format", "format_", type=click.Choice(["jsonl", "csv", "parquet"]), help="The file format.")
@click.option(
    "--all-pairs",
    is_flag=True,
    help="For CSV and Parquet: also pairs that are undone, held or blocked. Import the rulings after them.",
)
def export_command(file: str, format_: str | None, all_pairs: bool) -> None:
    """Export everything: JSON Lines of identities, or CSV or Parquet of contacts.

    The name of the FILE determines the format: it ends in .jsonl, .csv or .parquet, and in .gz or
    .zst for compression. Without a FILE, it writes JSON Lines to standard output.

    CSV and Parquet can be imported again and make the same identities.
    """
    from identity_adapters.cli.database import open_container
    from identity_adapters.postgres import check_schema
    from identity_adapters.postgres.export import NeedsRepair, read_identities, read_records

    try:
        from identity_adapters.files import writing
    except ModuleNotFoundError as error:
        fail_missing_package(error)
    format_ = format_ or writing.detect_format(file)
    if all_pairs and format_ == "jsonl":
        raise click.UsageError("--all-pairs needs CSV or Parquet")
    write: dict[str, Callable[[URL], int]] = {
        "jsonl": lambda url: writing.write_identities(file, read_identities(url)),
        "csv": lambda url: writing.write_csv(file, read_records(url, all_pairs=all_pairs)),
        "parquet": lambda url: writing.write_parquet(file, read_records(url, all_pairs=all_pairs)),
    }
    try:
        with open_container() as container:
            url = container.database_url()
            check_schema(url)
            written = write[format_](url)
    except NeedsRepair as error:
        fail(1, str(error))
    except OSError as error:
        fail(1, f"{file} cannot be written: {error.strerror}")
    click.echo(f"{written:,} {'identities' if format_ == 'jsonl' else 'contacts'}", err=True)
