"""``identity undo``."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from identity_adapters.cli.rule import check_one_way, find_pair, pair_options, rule, ruling_options

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.cli.rule import Rule
    from identity_adapters.container import Container


@click.command("undo")
@pair_options
@ruling_options
def undo_command(
    email: str | None,
    phone_number: str | None,
    contact_id: int | None,
    evidence_id: int | None,
    event_id: int | None,
    **options: Any,
) -> None:
    """Undo a pair: as if its email and its phone number had come alone, now and whenever it comes again.

    Shows the identities that this gives, and asks. If something else joins the two, it shows the chain.
    """
    check_one_way(email, phone_number, contact_id, evidence_id, event_id)

    async def choose(container: "Container", make_details: "MakeDetails") -> "Rule":
        pair = await find_pair(
            container.rule(),
            make_details,
            email=email,
            phone_number=phone_number,
            contact_id=contact_id,
            evidence_id=evidence_id,
            event_id=event_id,
        )
        return partial(container.rule().undo, pair)

    rule(choose, **options)
