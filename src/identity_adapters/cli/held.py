"""``identity held``."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from identity_adapters.cli.output import json_option, write_answer
from identity_adapters.cli.rule import rule, ruling_options, run_rulings

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.api.held import HeldAnswer
    from identity_adapters.cli.rule import Rule
    from identity_adapters.container import Container

_ids = click.argument("ids", nargs=-1, required=True, metavar="ID…", type=click.IntRange(1, 2**63 - 1))


@click.group("held")
def held_group() -> None:
    """List the pairs that limits hold, accept them, or reject them."""


@held_group.command("list")
@click.option("--after", default=0, metavar="ID", type=click.IntRange(0, 2**63 - 1), help="Only larger ids.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@json_option
def list_held_command(after: int, limit: int, is_json: bool) -> None:
    """List the pairs that limits hold, oldest first, with the identities that each would join."""
    from identity_adapters.api.held import to_held_answer
    from identity_adapters.container import run

    async def read(container: "Container") -> "HeldAnswer":
        held = await container.rule().held(after, limit + 1)
        return await to_held_answer(container.query_identities(), held, limit)

    answer = run_rulings(lambda container: run(container, read(container)))
    rows = [
        (
            pair.id,
            pair.email,
            pair.phone_number,
            pair.held_by,
            pair.seen_at,
            pair.identity_of_email and pair.identity_of_email.primary_contact_id,
            pair.identity_of_phone_number and pair.identity_of_phone_number.primary_contact_id,
        )
        for pair in answer.held
    ]
    headings = ("id", "email", "phone number", "held by", "seen at", "email is of", "phone number is of")
    write_answer(answer, is_json, headings, rows)


@held_group.command("accept")
@_ids
@ruling_options
def accept_command(ids: Sequence[int], **options: Any) -> None:
    """Accept held pairs: the two values of each are one customer.

    Shows the identities that each gives, and asks. It is a pin: identity pin remove takes it back.
    """

    async def choose(id: int, container: "Container", _: "MakeDetails") -> "Rule":
        from identity_core import Verdict

        held = await container.rule().find_held(id)
        return partial(container.rule().pin, *held.identifiers, Verdict.SAME)

    _rule_on_each(ids, choose, options)


@held_group.command("reject")
@_ids
@ruling_options
def reject_command(ids: Sequence[int], **options: Any) -> None:
    """Reject held pairs: they never count.

    Shows the identities that each gives, and asks. It undoes the pair: identity restore takes it back.
    """

    async def choose(id: int, container: "Container", _: "MakeDetails") -> "Rule":
        held = await container.rule().find_held(id)
        return partial(container.rule().undo, held.pair)

    _rule_on_each(ids, choose, options)


def _rule_on_each(ids: Sequence[int], choose: Any, options: dict[str, Any]) -> None:
    """Run a ruling on each pair, until one is refused."""
    if options["plan"] is not None and len(ids) > 1:
        raise click.UsageError("--plan is of one pair")
    for id in dict.fromkeys(ids):
        rule(partial(choose, id), **options)
