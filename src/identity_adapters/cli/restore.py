"""``identity restore``."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from identity_adapters.cli.rule import check_one_way, find_pair, pair_options, rule, ruling_options

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.cli.rule import Rule
    from identity_adapters.container import Container


@click.command("restore")
@pair_options
@click.option(
    "--ruling-id",
    type=click.IntRange(1, 2**63 - 1),
    metavar="N",
    help="The ruling that undid it; for a split, its pin.",
)
@ruling_options
def restore_command(
    email: str | None,
    phone_number: str | None,
    contact_id: int | None,
    evidence_id: int | None,
    event_id: int | None,
    ruling_id: int | None,
    **options: Any,
) -> None:
    """Restore an undone pair, or everything that a split undid.

    Shows the identities that this gives, and asks.
    """
    check_one_way(email, phone_number, contact_id, evidence_id, event_id, ruling_id)

    async def choose(container: "Container", make_details: "MakeDetails") -> "Rule":
        rules = container.rule()
        if ruling_id is not None:
            return partial(rules.restore, await rules.find_ruling(ruling_id))
        if event_id is not None:
            return partial(rules.restore, await rules.find_ruling_of_event(event_id))
        pair = await find_pair(
            rules,
            make_details,
            email=email,
            phone_number=phone_number,
            contact_id=contact_id,
            evidence_id=evidence_id,
            event_id=event_id,
        )
        return partial(rules.restore, await rules.find_undone(pair))

    rule(choose, **options)
