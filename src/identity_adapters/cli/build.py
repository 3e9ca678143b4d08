"""``identity build``."""

import json
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
import click

from identity_adapters.cli import fail, fail_missing_package
from identity_adapters.cli.report import write_report
from identity_adapters.files.row import Columns, FileUnusable

if TYPE_CHECKING:
    from identity_adapters.spark import BuildReport

FORMATS = ("csv", "json", "parquet")


def parse_assignments(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Parse values of the form NAME=VALUE."""
    parsed = {}
    for assignment in values:
        name, is_assignment, value = assignment.partition("=")
        if not name or not is_assignment:
            raise click.BadParameter("must be NAME=VALUE", context, parameter)
        parsed[name] = value
    return parsed


@click.command("build")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "--output", required=True, metavar="FOLDER", help="The folder that is written; it must not exist."
)
@click.option(
    "--engine", type=click.Choice(["spark"]), default="spark", show_default=True, help="What computes."
)
@click.option("--master", default="local[*]", show_default=True, help="Where Spark runs.")
@click.option(
    "--conf", callback=parse_assignments, multiple=True, metavar="NAME=VALUE", help="Configures Spark."
)
@click.option("--email", "email_column", metavar="NAME", help="The column of emails.")
@click.option("--phone-number", "phone_number_column", metavar="NAME", help="The column of phone numbers.")
@click.option("--created-at", "created_at_column", metavar="NAME", help="The column of times.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="The file format.  [default: by the names of the files]",
)
@click.option(
    "--option",
    "options",
    callback=parse_assignments,
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of Spark's reader of that format, for example sep=;",
)
@click.option("--json", "is_json", is_flag=True, help="Write the summary as JSON.")
def build_command(
    paths: tuple[str, ...],
    output: str,
    engine: str,  # noqa: ARG001
    master: str,
    conf: dict[str, str],
    email_column: str | None,
    phone_number_column: str | None,
    created_at_column: str | None,
    format_: str | None,
    options: dict[str, str],
    is_json: bool,
) -> None:
    """Build the identities of orders of any size, without a database, on Apache Spark.

    PATH is a file, a folder or a pattern, of CSV, JSON Lines or Parquet, on any file system that Spark
    reads. The output is Parquet in the layout of the tables, and has a manifest.json when it is complete.

    It is what importing all orders into an empty database gives. Rules are not applied: blocked values
    count, and limits hold nothing.

    Exit code 0: everything was built. 1: some rows were rejected, and all others were built; the folder
    rejected in the output lists them. 2: the build did not finish, and there is no output.
    """
    try:
        from identity_adapters.container import compose_make_details
        from identity_adapters.settings import InvalidSetting, Settings
        from identity_adapters.spark import OutputExists, SparkFailed, build_identities, open_session
    except ModuleNotFoundError as error:
        fail_missing_package(error, "spark")
    # A signal that ends the process raises an error, so that unfinished output is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress = {"spark.ui.showConsoleProgress": str(sys.stderr.isatty()).lower()}
    try:
        make_details = compose_make_details(Settings.load().default_region)
        with open_session(master, progress | conf) as session:
            report = build_identities(
                session,
                paths,
                output,
                make_details=make_details,
                now=datetime.now(UTC),
                columns=Columns(email_column, phone_number_column, created_at_column),
                format=format_,
                options=options,
            )
    except OutputExists:
        fail(2, f"{output} exists already; name a folder that does not")
    except (FileUnusable, InvalidSetting) as error:
        fail(2, str(error))
    except KeyboardInterrupt:
        fail(2, "interrupted; nothing was built")
    except SparkFailed as error:
        fail(2, f"{error} (--conf spark.log.level=ERROR shows more, which may be personal data)")
    _write_summary(report, output, is_json)
    sys.exit(1 if report.rejected else 0)


def _write_summary(report: "BuildReport", output: str, is_json: bool) -> None:
    numbers = attrs.asdict(report)
    if is_json:
        click.echo(json.dumps(numbers))
        return
    write_report(numbers)
    if report.rejected:
        click.echo(f"{output}/rejected lists the rejected rows with the reasons.")
