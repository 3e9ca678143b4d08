"""``identity import``."""

import gc
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from identity_adapters.cli import fail, fail_missing_package
from identity_adapters.cli.progress import Progress
from identity_adapters.cli.rejects import ImportStopped, Rejects
from identity_adapters.cli.report import write_report
from identity_adapters.files.row import Columns, FileUnusable, Rejected

if TYPE_CHECKING:
    from pyarrow import RecordBatch

    from identity_adapters.container import Container
    from identity_core import ContactDetails, ImportReport

BLOCK = 10_000
"""How many details are read ahead while the database works."""


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="FILE…")
@click.option("--email", "email_column", metavar="NAME", help="The column of emails.")
@click.option("--phone-number", "phone_number_column", metavar="NAME", help="The column of phone numbers.")
@click.option("--created-at", "created_at_column", metavar="NAME", help="The column of times.")
@click.option("--encoding", default="utf-8", show_default=True, help="The encoding of CSV files.")
@click.option("--delimiter", help="The delimiter of CSV files; \\t for a tab.  [default: detected]")
@click.option("--follow-links", is_flag=True, help="Read the symbolic links in a folder as well.")
@click.option("--no-sort", is_flag=True, help="Import the rows in the order of the files, not by time.")
@click.option("--strict", is_flag=True, help="Stop at the first rejected row.")
@click.option("--dry-run", is_flag=True, help="Show what would happen, and write nothing.")
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("rejected.csv"),
    show_default=True,
    help="The file that lists rejected rows.",
)
@click.option("--json", "is_json", is_flag=True, help="Write the summary as JSON.")
def import_command(
    paths: tuple[str, ...],
    email_column: str | None,
    phone_number_column: str | None,
    created_at_column: str | None,
    encoding: str,
    delimiter: str | None,
    follow_links: bool,
    no_sort: bool,
    strict: bool,
    dry_run: bool,
    rejects: Path,
    is_json: bool,
) -> None:
    """Import orders from files: CSV, JSON Lines and Parquet, also as gzip or zstd.

    FILE is a file, a folder, or - for standard input. Symbolic links in a folder are skipped.
    Rows are imported in the order of their times, not of the files. If an import is
    interrupted, run it again to complete it.

    Exit code 0: everything was imported. 1: some rows or files were rejected, and all others were
    imported; the summary names the files. 2: the import did not finish, or no file can be used.
    """
    from identity_adapters.cli.database import open_container
    from identity_adapters.container import run

    try:
        from identity_adapters.cli.first_load import load_first
        from identity_adapters.files import batches, reading, sorting
    except ModuleNotFoundError as error:
        fail_missing_package(error)
    # A signal that ends the process raises an error, so that the temporary files of sorting are removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if delimiter == "\\t":
        delimiter = "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        fail(2, "--delimiter must be one character, and neither a quote nor a line break")
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        fail(2, f"--encoding must be a known text encoding, not {encoding}")
    columns = Columns(email_column, phone_number_column, created_at_column)
    rejected = Rejects(rejects, strict)
    gc.set_threshold(200_000, 50, 50)  # an import makes millions of small objects, and no cycles of them
    sys.setswitchinterval(0.0005)  # else what the database answers waits for the thread that decides
    try:
        with open_container(failure=2) as container, ExitStack() as stack:
            _prepare_schema(container, dry_run)
            stack.callback(rejected.close)
            make_details = container.make_details()
            files, links = reading.find_files(paths, follow_links=follow_links)
            if links:
                click.echo(f"Skipped {len(links):,} symbolic links; --follow-links reads them.", err=True)
            # The rejects of an earlier import are often in the folder that is imported.
            files = [file for file in files if file in paths or Path(file).resolve() != rejects.resolve()]

            def read_file(file: str) -> "Iterator[RecordBatch]":
                return batches.read_batches(
                    file,
                    columns,
                    encoding=encoding,
                    delimiter=delimiter,
                    make_details=make_details,
                    reject=rejected,
                    keeps_digits=container.settings().default_region is None,
                )

            read = _read_files(files, read_file, rejected)
            details: Iterable[ContactDetails]
            report = in_time_order = None
            if no_sort:
                click.echo("The rows are imported in the order of the files, not of their times.", err=True)
                details = chain.from_iterable(map(batches.to_details, read))
            else:
                in_time_order = sorting.SortedDetails(_report_progress(read, Progress("Read")))
                stack.callback(in_time_order.close)
                details = in_time_order
                report = load_first(container.database_url(), in_time_order, is_dry_run=dry_run)
            if report is None:
                total = None if in_time_order is None else len(in_time_order)
                report = run(container, _import(container, iter(details), total, dry_run))
            if in_time_order is not None:
                repeated = in_time_order.read - report.read  # sorting left them out
                report = attrs.evolve(report, read=report.read + repeated, known=report.known + repeated)
    except (FileUnusable, ImportStopped) as error:
        fail(2, str(error))
    except KeyboardInterrupt:
        fail(2, "interrupted; running the command again completes the import")
    except (OSError, sorting.SortingFailed) as error:
        fail(
            2,
            f"the import cannot continue: {getattr(error, 'strerror', None) or error}",
        )
    _write_summary(report, rejected, dry_run, is_json)
    sys.exit(1 if rejected.rows or rejected.files else 0)


def _read_files(
    files: Sequence[str], read_file: "Callable[[str], Iterator[RecordBatch]]", rejected: Rejects
) -> "Iterator[RecordBatch]":
    """Read the rows of all files, and reject files that cannot be used.

    Raises:
        FileUnusable: the only file, or in strict mode any file, cannot be used.
        ImportStopped: no file can be used.
    """
    unusable = 0
    for file in files:
        try:
            yield from read_file(file)
        except FileUnusable as error:
            if len(files) == 1 or rejected.is_strict:
                raise
            unusable += 1
            rejected(Rejected(file, 0, "file", error.reason))
    if unusable == len(files):
        raise ImportStopped(f"none of the {unusable:,} files can be used; {rejected.path} gives the reasons")


def _prepare_schema(container: "Container", dry_run: bool) -> None:
    from identity_adapters.postgres import check_schema, migrate

    if container.settings().migrate_at_start and not dry_run:
        migrate(container.database_url())
    else:
        check_schema(container.database_url())


def _report_progress(batches: "Iterator[RecordBatch]", progress: Progress) -> "Iterator[RecordBatch]":
    number = 0
    for batch in batches:
        number += len(batch)
        progress(number)
        yield batch
    progress(number, is_end=True)


async def _import(
    container: "Container", details: "Iterator[ContactDetails]", total: int | None, dry_run: bool
) -> "ImportReport":
    from identity_adapters.cli.seen_rows import SeenRows
    from identity_adapters.memory import DryRunRepository
    from identity_core import import_contacts

    progress = Progress("Imported", total)
    ahead = _read_ahead(details)
    since = None if dry_run else await container.sightings().recorded_since()
    seen = (
        None
        if since is None
        else SeenRows(container.recorder(), since, (await container.rule_book().rules()).rules)
    )

    def go_on(report: "ImportReport") -> None:
        progress(report.read)
        if seen is not None:
            seen.are_written = True

    report = await import_contacts(
        DryRunRepository(container.reader()) if dry_run else container.repository(),
        ahead if seen is None else seen.note_each(ahead),
        on_progress=go_on,
    )
    if seen is not None:
        await seen.flush()
    progress(report.read, is_end=True)
    return report


async def _read_ahead(details: "Iterator[ContactDetails]") -> "AsyncIterator[ContactDetails]":
    """Read details in a thread, the next block while the database works on the last one."""
    import asyncio

    def read_block() -> "list[ContactDetails]":
        return list(islice(details, BLOCK))

    following = asyncio.create_task(asyncio.to_thread(read_block))
    while ready := await following:
        following = asyncio.create_task(asyncio.to_thread(read_block))
        for one in ready:
            yield one


def _write_summary(report: "ImportReport", rejected: Rejects, dry_run: bool, is_json: bool) -> None:
    numbers = attrs.asdict(report) | {"rejected": rejected.rows}
    numbers["read"] += rejected.rows
    if is_json:
        files = [{"file": one.file, "line": one.line, "reason": one.reason} for one in rejected.files]
        click.echo(json.dumps(numbers | {"rejected_files": files}))
        return
    if dry_run:
        click.echo("Nothing was written. The import would give:")
    write_report(numbers)
    if rejected.files:
        click.echo(f"{len(rejected.files):>14,}  files rejected, whole or from a line on:")
    for one in rejected.files:
        click.echo(f"{one.file}{f', line {one.line}' if one.line else ''}: {one.reason}")
    if rejected.rows:
        click.echo(f"{rejected.path} lists the rejected rows with the reasons.")
