"""``identity split``."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from identity_adapters.cli.rule import find_values, rule, ruling_options

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.cli.rule import Rule
    from identity_adapters.container import Container


@click.command("split")
@click.argument("one")
@click.argument("other")
@ruling_options
def split_command(one: str, other: str, **options: Any) -> None:
    """Split a customer, so that ONE and OTHER part: each an email, a phone number, or contact:ID.

    Undoes the smallest set of links whose undoing parts the two, and pins them apart. Shows the links and
    the identities that this gives, and asks.
    """

    async def choose(container: "Container", make_details: "MakeDetails") -> "Rule":
        values = await find_values(container.query_identities(), make_details, one, other)
        return partial(container.rule().split, *values)

    rule(choose, **options)
