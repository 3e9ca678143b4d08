"""``identity import``."""

import csv
import gc
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import attrs
import click

from identity_adapters.cli import fail, fail_without
from identity_adapters.files.private import open_private
from identity_adapters.files.row import Columns, FileUnusable, Rejected

if TYPE_CHECKING:
    from identity_adapters.container import Container
    from identity_core import ContactDetails, ContactRepository, ImportReport

BLOCK = 10_000
"""How many details are read ahead while the database is at work."""

SAY_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal."""


class _Stopped(Exception):
    """The import must not go on; the text says why."""


class _Rejects:
    """Writes what is rejected to a file, which is made for the first.

    Attributes:
        rows: how many rows were rejected.
        files: the files that were rejected, as a whole or from a line on.
        path: where they are written to.
        is_strict: whether the first ends the import.
    """

    def __init__(self, path: Path, is_strict: bool) -> None:
        self.rows = 0
        self.files: list[Rejected] = []
        self.path = path
        self.is_strict = is_strict
        self._file: IO[str] | None = None

    def __call__(self, rejected: Rejected) -> None:
        if rejected.field == "file":
            self.files.append(rejected)
        else:
            self.rows += 1
        if self.is_strict:
            field = "" if rejected.field == "file" else f"{rejected.field} "
            raise _Stopped(f"{rejected.file}, line {rejected.line}: {field}{rejected.reason}")
        if self._file is None:
            self._file = open(self.path, "w", encoding="utf-8", newline="", opener=open_private)  # noqa: SIM115
            csv.writer(self._file).writerow(["file", "line", "field", "reason"])
        csv.writer(self._file).writerow(attrs.astuple(rejected))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Progress:
    """Says on standard error how far it is: in one line on a terminal, now and then elsewhere."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._started = self._said = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, done: int, *, is_end: bool = False) -> None:
        now = time.monotonic()
        if not is_end and now - self._said < (0.2 if self._is_terminal else SAY_EVERY):
            return
        self._said = now
        rate = done / max(now - self._started, 1e-3)
        line = f"{self._what} {done:,} rows, {rate:,.0f} a second"
        if self._total is not None and done:
            left = (self._total - done) / rate
            line += f", {100 * done / self._total:.0f} %, {left:,.0f} s left"
        if self._is_terminal:
            click.echo(f"\r\x1b[K{line}", err=True, nl=is_end)
        else:
            click.echo(line, err=True)


@click.command("import")
@click.argument("paths", nargs=-1, required=True, metavar="FILE…")
@click.option("--email", "email_column", metavar="NAME", help="The column of emails.")
@click.option("--phone-number", "phone_number_column", metavar="NAME", help="The column of phone numbers.")
@click.option("--created-at", "created_at_column", metavar="NAME", help="The column of times.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of the text in CSV files.")
@click.option("--delimiter", help="Of CSV; \\t for a tab.  [default: seen from the first line]")
@click.option("--follow-links", is_flag=True, help="Read the symbolic links in a folder as well.")
@click.option("--no-sort", is_flag=True, help="Take the rows as they come instead of by their times.")
@click.option("--strict", is_flag=True, help="Stop at the first row that is rejected.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and write nothing.")
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("rejected.csv"),
    show_default=True,
    help="The file for what is rejected.",
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

    FILE is a file, a folder, or - for the standard input. Symbolic links in a folder are skipped.
    Rows are taken in the order of their times, whatever their order in the files. An import that
    is interrupted is completed by running it again.

    Exit code 0: everything was imported. 1: some rows or files were rejected, all others imported;
    the summary names the files. 2: it did not come to its end, or none of the files can be used.
    """
    from identity_adapters.cli.database import configured
    from identity_adapters.container import run

    try:
        from identity_adapters.files import reading, sorting
    except ModuleNotFoundError as error:
        fail_without(error)
    # Ended by a signal it still takes away what it put on disk for sorting.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if delimiter == "\\t":
        delimiter = "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
        fail(2, "--delimiter must be one character, and neither a quote nor the end of a line")
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        fail(2, f"--encoding: there is no encoding {encoding}")
    columns = Columns(email_column, phone_number_column, created_at_column)
    rejected = _Rejects(rejects, strict)
    gc.set_threshold(200_000, 50, 50)  # it makes millions of small things, and no cycles of them
    try:
        with configured(failure=2) as container, ExitStack() as stack:
            _prepare_schema(container, dry_run)
            stack.callback(rejected.close)
            make_details = container.make_details()
            files, links = reading.files_in(paths, follow_links=follow_links)
            if links:
                click.echo(f"Skipped {len(links):,} symbolic links; --follow-links reads them.", err=True)
            # What an earlier import rejected often lies in the folder that is imported.
            files = [file for file in files if file in paths or Path(file).resolve() != rejects.resolve()]

            def details_of(file: str) -> "Iterator[ContactDetails]":
                rows = reading.rows(file, columns, encoding=encoding, delimiter=delimiter)
                return sorting.checked(file, rows, make_details, rejected)

            details: Iterable[ContactDetails] = _usable(files, details_of, rejected)
            repeated = 0
            total = None
            if no_sort:
                click.echo("The rows are taken as they come, not by their times.", err=True)
            else:
                in_order = sorting.Sorted(_counted(details, _Progress("Read")))
                stack.callback(in_order.close)
                total = len(in_order)
                repeated = in_order.read - total
                details = in_order
            report = run(container, _import(container.repository(), iter(details), total, dry_run))
            report = attrs.evolve(report, read=report.read + repeated, known=report.known + repeated)
    except (FileUnusable, _Stopped) as error:
        fail(2, str(error))
    except KeyboardInterrupt:
        fail(2, "interrupted; what was imported stays, and running it again completes it")
    except (OSError, sorting.SortingFailed) as error:
        fail(2, f"it cannot go on: {(error.strerror if isinstance(error, OSError) else None) or error}")
    _say(report, rejected, dry_run, is_json)
    sys.exit(1 if rejected.rows or rejected.files else 0)


def _usable(
    files: Sequence[str], details_of: "Callable[[str], Iterator[ContactDetails]]", rejected: _Rejects
) -> "Iterator[ContactDetails]":
    """The details of all files; those that cannot be used are rejected, unless that is all of them."""
    unusable = 0
    for file in files:
        try:
            yield from details_of(file)
        except FileUnusable as error:
            if len(files) == 1 or rejected.is_strict:
                raise
            unusable += 1
            rejected(Rejected(file, 0, "file", error.reason))
    if unusable == len(files):
        raise _Stopped(f"none of the {unusable:,} files can be used; {rejected.path} says why")


def _prepare_schema(container: "Container", dry_run: bool) -> None:
    from identity_adapters.postgres import check_schema, migrate

    if container.settings().migrate_at_start and not dry_run:
        migrate(container.database_url())
    else:
        check_schema(container.database_url())


def _counted(details: "Iterable[ContactDetails]", progress: _Progress) -> "Iterator[ContactDetails]":
    number = 0
    for number, one in enumerate(details, start=1):
        if number % 1000 == 0:
            progress(number)
        yield one
    progress(number, is_end=True)


async def _import(
    repository: "ContactRepository", details: "Iterator[ContactDetails]", total: int | None, dry_run: bool
) -> "ImportReport":
    from identity_adapters.memory import DryRunRepository
    from identity_core import import_contacts

    progress = _Progress("Imported", total)
    report = await import_contacts(
        DryRunRepository(repository) if dry_run else repository,
        _read_ahead(details),
        on_progress=lambda report: progress(report.read),
    )
    progress(report.read, is_end=True)
    return report


async def _read_ahead(details: "Iterator[ContactDetails]") -> "AsyncIterator[ContactDetails]":
    """Details, the next of which are read in a thread while the database is at work."""
    import asyncio

    def block() -> "list[ContactDetails]":
        return list(islice(details, BLOCK))

    following = asyncio.create_task(asyncio.to_thread(block))
    while ready := await following:
        following = asyncio.create_task(asyncio.to_thread(block))
        for one in ready:
            yield one


def _say(report: "ImportReport", rejected: _Rejects, dry_run: bool, is_json: bool) -> None:
    numbers = attrs.asdict(report) | {"rejected": rejected.rows}
    numbers["read"] += rejected.rows
    if is_json:
        files = [{"file": one.file, "line": one.line, "reason": one.reason} for one in rejected.files]
        click.echo(json.dumps(numbers | {"rejected_files": files}))
        return
    meanings = {
        "read": "rows read",
        "created": "new identities",
        "linked": "contacts added to an identity",
        "merged": "rows that made several identities one",
        "corroborated": "rows that confirmed an identity",
        "known": "rows that were known already",
        "rejected": "rows rejected",
    }
    if dry_run:
        click.echo("Nothing was written. It would come to:")
    for name, meaning in meanings.items():
        click.echo(f"{numbers[name]:>14,}  {meaning}")
    if rejected.files:
        click.echo(f"{len(rejected.files):>14,}  files rejected, or the rest of them:")
    for one in rejected.files:
        click.echo(f"{one.file}{f', line {one.line}' if one.line else ''}: {one.reason}")
    if rejected.rows:
        click.echo(f"{rejected.path} says which rows were rejected, and why.")
