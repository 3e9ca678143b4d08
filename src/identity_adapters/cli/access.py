"""``identity access``."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from identity_adapters.cli import fail
from identity_adapters.cli.arguments import parse_target
from identity_adapters.cli.output import json_option
from identity_adapters.cli.rule import find_user, parse_name, run_rulings
from identity_adapters.files.private import open_private

if TYPE_CHECKING:
    from identity_adapters.container import Container
    from identity_core import Disclosure


@click.command("access")
@click.option("--contact", "contact_id", type=click.IntRange(0, 2**63 - 1), help="The id of a contact.")
@click.option("--email", help="An email of the person.")
@click.option("--phone-number", help="A phone number of the person.")
@click.option("--html", "is_html", is_flag=True, help="Write a page for a browser.")
@json_option
@click.option("--output", metavar="FILE", help="Write to a file that only you can read.")
@click.option("--by", metavar="NAME", default=find_user, show_default="your user name", help="Who gets it.")
def access_command(
    contact_id: int | None,
    email: str | None,
    phone_number: str | None,
    is_html: bool,
    is_json: bool,
    output: str | None,
    by: str | None,
) -> None:
    """Hand out everything on record of a person, named by one value or contact.

    Values of other persons are left out. It is recorded who got it.

    Exit code 0: it is written. 1: nothing is on record, the person was erased, or it cannot be written.
    """
    from datetime import UTC, datetime

    from identity_adapters.api.access import AccessDocument
    from identity_adapters.cli.access_pages import to_html, to_text
    from identity_adapters.container import run

    if sum(one is not None for one in (contact_id, email, phone_number)) != 1:
        raise click.UsageError("Give exactly one of --contact, --email and --phone-number")
    if is_html and is_json:
        raise click.UsageError("--html and --json exclude each other")

    def read(container: "Container") -> "Disclosure":
        name = parse_name(by)
        target = parse_target(contact_id, email, phone_number, container.make_details())
        return run(container, container.access_identities()(target, name))

    document = AccessDocument(run_rulings(read), datetime.now(UTC))
    pieces = document.encode() if is_json else (to_html if is_html else to_text)(document)
    try:
        _write(pieces, output)
    except OSError as error:
        fail(1, f"{output or 'standard output'} cannot be written: {error.strerror}")


def _write(pieces: Iterable[bytes], output: str | None) -> None:
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()
        return
    with open(output, "wb", opener=open_private) as stream:
        stream.writelines(pieces)
        stream.write(b"\n")
