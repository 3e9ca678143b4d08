"""``identity history``."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from identity_adapters.cli import fail
from identity_adapters.cli.output import json_option, list_ids, run_query, write_answer

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.api.events import HistoryAnswer
    from identity_adapters.api.identities import IdentityPage
    from identity_core import QueryIdentities


as_of_option = click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]),
    help="Show the identity as it was at this time (UTC).",
)


@click.command("history")
@click.argument("contact_id", type=click.IntRange(0, 2**63 - 1))
@as_of_option
@json_option
def history_command(contact_id: int, as_of: datetime | None, is_json: bool) -> None:
    """List the events of the identity of a contact, or show the identity as it was at a time.

    Exit code 0: the contact exists. 1: it never existed.
    """
    from identity_adapters.api.events import to_history_answer
    from identity_adapters.api.identities import IdentityPage, to_identity_page
    from identity_core import cut_page

    async def query(queries: "QueryIdentities", _: "MakeDetails") -> "IdentityPage | HistoryAnswer | None":
        if as_of is not None:
            contacts = await queries.as_of(contact_id, as_of.replace(tzinfo=UTC))
            return to_identity_page(cut_page(contacts, limit=len(contacts))) if contacts else None
        found = await queries.history(contact_id)
        return None if found is None else to_history_answer(found, len(found))

    answer = run_query(query)
    if answer is None:
        fail(1, f"CONTACT_ID must be the id of a contact; {contact_id} never existed")
    if isinstance(answer, IdentityPage):
        contacts = [(c.id, c.email, c.phone_number, c.link_precedence, c.created_at) for c in answer.contacts]
        write_answer(answer, is_json, ("contact", "email", "phone number", "", "created at"), contacts)
        return
    events = [
        (
            event.happened_at,
            event.kind,
            event.primary_contact_id,
            event.details and event.details.email,
            event.details and event.details.phone_number,
            list_ids(event.absorbed_primary_contact_ids),
            list_ids(event.moved_contact_ids),
            event.ruling_id,
        )
        for event in answer.events
    ]
    headings = ("time", "event", "primary", "email", "phone number", "absorbed", "moved", "ruling")
    write_answer(answer, is_json, headings, events)
