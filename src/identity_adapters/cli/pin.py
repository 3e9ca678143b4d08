"""``identity pin``."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from identity_adapters.cli.output import json_option, write_answer
from identity_adapters.cli.rule import find_values, rule, ruling_options, run_rulings

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.cli.rule import Rule
    from identity_adapters.container import Container
    from identity_core import Ruling


class _Pins(click.Group):
    """A group whose command is `add` unless another one is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["add", *args]
        return super().parse_args(ctx, args)


@click.group("pin", cls=_Pins)
def pin_group() -> None:
    """Pin two values together or apart, list pins, or remove one.

    identity pin ONE OTHER --same|--different is short for identity pin add.
    """


@pin_group.command("add")
@click.argument("one")
@click.argument("other")
@click.option("--same", "verdict", flag_value="same", help="They are one customer.")
@click.option("--different", "verdict", flag_value="different", help="They are never one customer.")
@ruling_options
def add_pin_command(one: str, other: str, verdict: str | None, **options: Any) -> None:
    """Pin ONE and OTHER together or apart: each an email, a phone number, or contact:ID.

    Shows the identities that this gives, and asks. A value that was never seen becomes known.
    """
    from identity_core import Verdict

    if verdict is None:
        raise click.UsageError("Give --same or --different")
    chosen = Verdict(verdict)

    async def choose(container: "Container", make_details: "MakeDetails") -> "Rule":
        values = await find_values(container.query_identities(), make_details, one, other)
        return partial(container.rule().pin, *values, chosen)

    rule(choose, **options)


@pin_group.command("list")
@json_option
def list_pins_command(is_json: bool) -> None:
    """List the pins in force."""
    from identity_adapters.api.rulings import to_rulings_answer
    from identity_adapters.container import run
    from identity_core.model.ruling import PINS
    from identity_core.rule import read_rulings

    async def read(container: "Container") -> "list[Ruling]":
        return [ruling async for ruling in read_rulings(container.rule()) if ruling.verdict in PINS]

    pins = run_rulings(lambda container: run(container, read(container)))
    rows = [
        (pin.id, pin.verdict, pin.one.value, pin.other.value, pin.decided_at, pin.decided_by, pin.reason)
        for pin in pins
    ]
    headings = ("pin", "verdict", "one", "other", "decided at", "by", "reason")
    write_answer(to_rulings_answer(pins, len(pins)), is_json, headings, rows)


@pin_group.command("remove")
@click.argument("pin_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@ruling_options
def remove_pin_command(pin_id: int, **options: Any) -> None:
    """Remove a pin; pairs that it held are reconsidered.

    Shows the identities that this gives, and asks.
    """

    async def choose(container: "Container", _: "MakeDetails") -> "Rule":
        return partial(container.rule().unpin, await container.rule().find_ruling(pin_id))

    rule(choose, **options)
