"""``identity lookup``."""

import sys
from typing import TYPE_CHECKING

import click

from identity_adapters.cli.output import json_option, run_query, write_answer

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.api.identities import IdentityPage
    from identity_core import QueryIdentities


@click.command("lookup")
@click.option("--email", help="An email of the customer.")
@click.option("--phone-number", help="A phone number of the customer.")
@click.option("--contact", "contact_id", type=click.IntRange(0, 2**63 - 1), help="The id of a contact.")
@json_option
def lookup_command(
    email: str | None, phone_number: str | None, contact_id: int | None, is_json: bool
) -> None:
    """Look up a customer by an email, a phone number, both, or the id of any contact.

    Writes nothing to the database. Exit code 0: known. 1: unknown.
    """
    from identity_adapters.api.identities import LookupAnswer, to_identity_page
    from identity_core import cut_page

    async def query(queries: "QueryIdentities", make_details: "MakeDetails") -> "list[IdentityPage]":
        if contact_id is not None:
            found = await queries.find(contact_id)
            identities = [found] if found else []
        else:
            identities = [*map(tuple, await queries.look_up(make_details(email, phone_number)))]
        return [to_identity_page(cut_page(contacts, limit=len(contacts))) for contacts in identities]

    found = run_query(query)
    rows = [
        (
            identity.primary_contact_id,
            one.id,
            one.email,
            one.phone_number,
            one.link_precedence,
            one.created_at,
        )
        for identity in found
        for one in identity.contacts
    ]
    write_answer(
        LookupAnswer(found), is_json, ("primary", "contact", "email", "phone number", "", "created at"), rows
    )
    sys.exit(0 if found else 1)
