"""``identity rules``."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from identity_adapters.cli import fail
from identity_adapters.cli.output import format_table
from identity_adapters.cli.progress import Progress
from identity_adapters.cli.rule import confirm, find_user, make_note, run_rulings
from identity_adapters.cli.rules_preview import describe_preview, write_affected
from identity_adapters.cli.rules_suggest import describe_suggestions

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.container import Container
    from identity_core import Limits, RuleSet, RulesInForce
    from identity_core.model.rules_preview import RulesPreview

VALUES_SHOWN = 20
"""How many of the values that become blocked, or no longer are, are listed."""

_retroactive_option = click.option(
    "--retroactive",
    is_flag=True,
    help="Apply limits to what is recorded, too, as if they had been in force from the beginning.",
)
_json_option = click.option("--json", "is_json", is_flag=True, help="Write the JSON of the HTTP answer.")


@click.group("rules")
def rules_group() -> None:
    """Show the rules in force, suggest some, preview those of a file, or put them in force."""


@rules_group.command("show")
@_json_option
def show_rules_command(is_json: bool) -> None:
    """Write the rules in force as a file to standard output; who put them in force, to standard error."""
    from identity_adapters.container import run
    from identity_adapters.rules_file import format_rules

    in_force = run_rulings(lambda container: run(container, container.change_rules().rules()))
    if is_json:
        _write_json(in_force)
        return
    click.echo(format_rules(in_force.rules), nl=False)
    click.echo(_describe(in_force), err=True)


@rules_group.command("suggest")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@_json_option
def suggest_rules_command(limit: int, is_json: bool) -> None:
    """Show the values that join most, with what blocking each would do, and write nothing.

    Below the table are lines for a file of rules. A value that joins much may well be that of one customer:
    keep the lines of those that many people share, and preview the file.
    """
    from identity_adapters.container import run

    suggestions = run_rulings(lambda container: run(container, container.suggest_rules()(limit)))
    if is_json:
        import msgspec

        from identity_adapters.api.suggestions import to_suggestions_answer

        click.echo(msgspec.json.encode(to_suggestions_answer(suggestions)))
    else:
        click.echo(describe_suggestions(suggestions))


@rules_group.command("preview")
@click.argument("file", metavar="FILE")
@click.option("--affected", metavar="OUT", help="Write the primary of each affected identity to a file.")
@_retroactive_option
@_json_option
def preview_rules_command(file: str, affected: str | None, retroactive: bool, is_json: bool) -> None:
    """Show what the rules of a FILE would do to what is recorded, and write nothing; - is standard input.

    The plan that it shows is for rules apply --plan.

    Exit code 0: it is shown. 1: a failure that a message explains. 2: the file cannot be used.
    """
    from identity_adapters.container import run

    def work(container: "Container") -> "RulesPreview":
        rules = _read(file, container.make_details())
        with write_affected(affected) as write:
            change = container.change_rules()
            return run(container, change.preview(rules, retroactive=retroactive, on_affected=write))

    preview = run_rulings(work)
    if is_json:
        import msgspec

        from identity_adapters.api.rules_preview import to_rules_preview_answer

        click.echo(msgspec.json.encode(to_rules_preview_answer(preview)))
    else:
        click.echo(describe_preview(preview))


@rules_group.command("apply")
@click.argument("file", metavar="FILE")
@click.option("--reason", help="Why; it is recorded.", show_default="the name of the file")
@click.option("--by", metavar="NAME", default=find_user, show_default="your user name", help="Who decided.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--plan", metavar="TOKEN", help="The plan of a preview: apply if that is what they still do.")
@_retroactive_option
@_json_option
def apply_rules_command(
    file: str,
    reason: str | None,
    by: str | None,
    yes: bool,
    plan: str | None,
    retroactive: bool,
    is_json: bool,
) -> None:
    """Put the rules of a FILE in force in place of all others; - is standard input.

    Shows what changes and what that would do, and asks. The rules apply at once to whatever comes; then what
    was recorded before is brought in line with them; limits concern it only with --retroactive. If that is
    interrupted, run the command again to go on.

    Exit code 0: the rules are in force, and everything is in line with them. 1: they are not, or not
    everything is. 2: the file cannot be used.
    """
    from identity_adapters.container import run

    def work(container: "Container") -> "RulesInForce":
        note = make_note(reason or Path(file).name, by)
        rules = _read(file, container.make_details())
        change = container.change_rules()
        in_force = run(container, change.rules())
        goes_on = in_force.retroactive and not in_force.is_settled
        if rules != in_force.rules or (retroactive and not goes_on):
            agreed = plan if yes else _agree(container, in_force.rules, rules, plan, retroactive)
            replaced = change.replace(
                rules, note, version=in_force.version, plan=agreed, retroactive=retroactive
            )
            in_force = run(container, replaced)
        return _settle(container, in_force)

    in_force = run_rulings(work)
    if is_json:
        _write_json(in_force)
    else:
        click.echo(_describe(in_force))


def _agree(
    container: "Container", before: "RuleSet", after: "RuleSet", plan: str | None, retroactive: bool
) -> str:
    """Show what other rules would do, ask whether to go on, and return the plan; the command ends if not.

    Args:
        container: the parts.
        before: the rules in force.
        after: the other rules.
        plan: the plan of an earlier preview; None if there was none.
        retroactive: whether limits are applied to what is recorded.

    Raises:
        StalePlan: the plan is another one.
    """
    from identity_adapters.container import run
    from identity_core import StalePlan

    preview = run(container, container.change_rules().preview(after, retroactive=retroactive))
    if plan not in (None, preview.plan):
        raise StalePlan("the rules or what they would change are no longer what the plan was made of")
    for line in _describe_changes(before, after):
        click.echo(line, err=True)
    click.echo(describe_preview(preview), err=True)
    confirm()
    return preview.plan


def _read(file: str, make_details: "MakeDetails") -> "RuleSet":
    """Read the rules in a file; the command ends if they cannot be used."""
    from identity_adapters.rules_file import InvalidRules, parse_rules

    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return parse_rules(content.decode("utf-8-sig"), make_details)
    except OSError as error:
        fail(2, f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(2, f"{file} must be UTF-8")
    except InvalidRules as error:
        fail(2, "\n".join([f"{file} cannot be used:", *map(str, error.faults)]))


def _settle(container: "Container", in_force: "RulesInForce") -> "RulesInForce":
    """Bring what is recorded in line with the rules in force."""
    from identity_adapters.container import run
    from identity_core import RepositoryUnavailable

    start = in_force.settled_id
    progress = Progress("Checked", in_force.last_id - start)

    def report(reached: "RulesInForce") -> None:
        progress(max(0, reached.settled_id - start))

    try:
        settled = run(container, container.change_rules().settle(report))
    except (RepositoryUnavailable, KeyboardInterrupt) as error:
        cause = str(error) or "interrupted"
        fail(1, f"{cause}; the rules are in force, and running the command again brings the rest in line")
    if not in_force.is_settled:
        progress(in_force.last_id - start, is_end=True)
    return settled


def _describe_changes(before: "RuleSet", after: "RuleSet") -> Iterator[str]:
    """Describe how rules differ."""
    blocked_before, blocked_after = _list_blocked(before), _list_blocked(after)
    for heading, values in (
        ("Blocks:", blocked_after - blocked_before),
        ("No longer blocks:", blocked_before - blocked_after),
    ):
        if values:
            yield heading
            yield from _indent(sorted(values))
    rows = [*_compare(before.limits, after.limits)]
    if rows:
        yield format_table(("limit", "before", "after"), rows)


def _list_blocked(rules: "RuleSet") -> set[str]:
    """What rules block, in words."""
    values = rules.emails | rules.email_patterns | rules.phone_numbers | rules.phone_number_patterns
    presets = {f"preset {name}" for name in rules.presets}
    return {*values, *presets, *(["phone numbers that repeat one digit"] if rules.one_digit else [])}


def _indent(lines: Sequence[str]) -> Iterator[str]:
    for line in lines[:VALUES_SHOWN]:
        yield f"  {line}"
    if len(lines) > VALUES_SHOWN:
        yield f"  and {len(lines) - VALUES_SHOWN:,} more"


def _compare(before: "Limits", after: "Limits") -> "Iterator[tuple[str, int | str, int | str]]":
    """The limits that differ."""
    from attrs import asdict

    old, new = asdict(before), asdict(after)
    for name in old:
        if old[name] != new[name]:
            yield name, old[name] or "none", new[name] or "none"


def _describe(in_force: "RulesInForce") -> str:
    """Describe who put rules in force, and whether everything is in line with them."""
    note = in_force.note
    if note is None:
        return "No rules were ever put in force."
    by = "" if note.by is None else f" by {note.by}"
    at = "" if note.at is None else f" at {note.at:%Y-%m-%d %H:%M:%S}"
    rest = "Everything recorded" if in_force.is_settled else "Not everything recorded yet"
    return (
        f"Version {in_force.version} of the rules was put in force{by}{at}: {note.reason}\n"
        f"{rest} is in line with it."
    )


def _write_json(in_force: "RulesInForce") -> None:
    import msgspec

    from identity_adapters.api.rules import to_rules_answer

    click.echo(msgspec.json.encode(to_rules_answer(in_force)))
