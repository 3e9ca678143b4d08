"""``identity merges``."""

from typing import TYPE_CHECKING

import click

from identity_adapters.cli.output import json_option, list_ids, run_query, write_answer

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.api.events import MergesAnswer
    from identity_core import QueryIdentities


@click.command("merges")
@click.option("--before", metavar="ID", type=click.IntRange(0, 2**63 - 1), help="Only smaller ids.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@json_option
def merges_command(before: int | None, limit: int, is_json: bool) -> None:
    """List the latest merges, newest first, with the details that caused each."""
    from identity_adapters.api.events import to_merges_answer

    async def query(queries: "QueryIdentities", _: "MakeDetails") -> "MergesAnswer":
        return to_merges_answer(await queries.merges(before, limit + 1), limit)

    answer = run_query(query)
    rows = [
        (
            merge.id,
            merge.happened_at,
            merge.primary_contact_id,
            list_ids(merge.absorbed_primary_contact_ids),
            merge.details and merge.details.email,
            merge.details and merge.details.phone_number,
        )
        for merge in answer.merges
    ]
    write_answer(answer, is_json, ("id", "time", "primary", "absorbed", "email", "phone number"), rows)
