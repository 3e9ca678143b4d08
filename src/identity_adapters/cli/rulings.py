"""``identity rulings``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import IO, TYPE_CHECKING

import click

from identity_adapters.cli import fail
from identity_adapters.cli.rule import run_rulings
from identity_adapters.files.private import open_private

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.container import Container
    from identity_core import Identifier, RuleOnIdentities, Ruling, Verdict


@click.group("rulings")
def rulings_group() -> None:
    """Export and import what people decided: undone pairs and pins."""


@rulings_group.command("export")
@click.argument("file", default="-")
def export_rulings_command(file: str) -> None:
    """Export the rulings in force as JSON Lines, to a FILE or to standard output."""
    import msgspec

    from identity_adapters.api.rulings import to_rulings_answer
    from identity_adapters.container import run
    from identity_core.rule import read_rulings

    async def write(container: "Container", stream: IO[bytes]) -> int:
        written = 0
        async for ruling in read_rulings(container.rule()):
            [record] = to_rulings_answer([ruling], 1).rulings
            stream.write(msgspec.json.encode(record) + b"\n")
            written += 1
        return written

    try:
        with _open(file, "wb") as stream:
            written = run_rulings(lambda container: run(container, write(container, stream)))
    except OSError as error:
        fail(1, f"{file} cannot be written: {error.strerror}")
    click.echo(f"{written:,} rulings", err=True)


@rulings_group.command("import")
@click.argument("file", metavar="FILE")
def import_rulings_command(file: str) -> None:
    """Import rulings from a FILE that an export wrote, or from standard input (-).

    They keep their times, reasons and names. Rulings that are in force are skipped, and those that
    contradict one in force are left out.

    Exit code 0: all are in force. 1: some were left out; standard error names their lines. 2: the import
    did not complete.
    """
    from identity_adapters.container import run

    try:
        with _open(file, "rb") as stream:
            adopting = run_rulings(lambda container: run(container, _import(container, stream)), failure=2)
    except OSError as error:
        fail(2, f"{file} cannot be read: {error.strerror}")
    click.echo(f"{adopting.adopted:>9,}  rulings imported")
    click.echo(f"{adopting.skipped:>9,}  rulings that were in force already")
    click.echo(f"{len(adopting.rejected):>9,}  rulings left out")
    for line, reason in adopting.rejected:
        click.echo(f"line {line}: {reason}", err=True)
    sys.exit(1 if adopting.rejected else 0)


@contextmanager
def _open(file: str, mode: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdout.buffer if "w" in mode else sys.stdin.buffer
        return
    with open(file, mode, opener=open_private if "w" in mode else None) as stream:
        yield stream


async def _import(container: "Container", stream: IO[bytes]) -> "_Adopting":
    adopting = _Adopting(container.rule(), container.make_details())
    await adopting.read_those_in_force()
    for line, text in enumerate(stream, start=1):
        if text.strip():
            await adopting.adopt(line, text)
    return adopting


class _Adopting:
    """Puts rulings in force, one after the other.

    Attributes:
        adopted: how many came into force.
        skipped: how many were in force.
        rejected: the lines of those that were left out, each with the reason.
    """

    def __init__(self, rule: "RuleOnIdentities", make_details: "MakeDetails") -> None:
        self.adopted = 0
        self.skipped = 0
        self.rejected: list[tuple[int, str]] = []
        self._rule = rule
        self._make_details = make_details
        self._in_force: dict[tuple[Verdict, frozenset[Identifier]], int] = {}
        self._new_ids: dict[int, int] = {}
        """The id that a ruling has here, by the one that it had where it was exported."""

    async def read_those_in_force(self) -> None:
        from identity_core.rule import read_rulings

        async for ruling in read_rulings(self._rule):
            self._in_force[ruling.verdict, ruling.values] = ruling.id

    async def adopt(self, line: int, text: bytes) -> None:
        from attrs import evolve

        from identity_core import Contradiction, InvalidDetails, Suppressed

        try:
            ruling = _parse(text, self._make_details)
            key = ruling.verdict, ruling.values
            if key in self._in_force:
                self.skipped += 1
            else:
                # The pin of a split has a smaller id than what the split undid, so it comes first.
                split_id = None if ruling.split_id is None else self._new_ids.get(ruling.split_id)
                ruled = await self._rule.adopt(evolve(ruling, split_id=split_id))
                self.adopted += 1
                self._in_force[key] = ruled.writes.rulings[0].id
            self._new_ids[ruling.id] = self._in_force[key]
        except (InvalidDetails, Suppressed) as error:
            self.rejected.append((line, str(error)))
        except Contradiction as error:
            self.rejected.append((line, f"{error.reason} (ruling {error.ruling_id})"))


def _parse(text: bytes, make_details: "MakeDetails") -> "Ruling":
    """Parse a line of an export.

    Raises:
        InvalidDetails: it is not a ruling.
    """
    import msgspec

    from identity_adapters.api.rulings import RulingRecord, parse_reason
    from identity_core import InvalidDetails, Ruling, Verdict

    try:
        record = msgspec.json.decode(text, type=RulingRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidDetails("the ruling", "is not the JSON that an export writes") from error
    ends: list[Identifier] = []
    for name, value in (("one", record.one), ("other", record.other)):
        identifiers = make_details(value.email, value.phone_number).identifiers
        if len(identifiers) != 1:
            raise InvalidDetails(name, "must be an email or a phone number")
        ends += identifiers
    if ends[0] == ends[1]:
        raise InvalidDetails("other", "must differ from one")
    by = None if record.decided_by is None else parse_reason(record.decided_by)
    return Ruling(
        record.id,
        Verdict(record.verdict),
        ends[0],
        ends[1],
        record.decided_at.astimezone(UTC),
        by,
        parse_reason(record.reason),
        record.split_id,
    )
