"""``identity explain``."""

import sys
from typing import TYPE_CHECKING

import click

from identity_adapters.cli.output import json_option, run_query, write_answer

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_core import Explanation, Identifier, QueryIdentities


@click.command("explain")
@click.argument("one")
@click.argument("other")
@click.option("--dot", is_flag=True, help="Write a graph for Graphviz.")
@click.option("--mermaid", is_flag=True, help="Write a graph for Mermaid.")
@json_option
def explain_command(one: str, other: str, dot: bool, mermaid: bool, is_json: bool) -> None:
    """Explain why ONE and OTHER are one customer: an email, a phone number, or contact:ID.

    Shows the shortest chain of pairs seen together, and its weakest link. Exit code 0: they are
    one customer. 1: they are not.
    """
    from identity_adapters.api.explanations import to_explain_answer
    from identity_adapters.cli.graph import to_dot, to_mermaid

    async def query(queries: "QueryIdentities", make_details: "MakeDetails") -> "Explanation | None":
        ends = (
            _parse_identifier(name, text, make_details) for name, text in (("ONE", one), ("OTHER", other))
        )
        return await queries.explain(*ends)

    explanation = run_query(query)
    chain = () if explanation is None else explanation.chain
    if dot:
        click.echo(to_dot(chain))
    elif mermaid:
        click.echo(to_mermaid(chain))
    else:
        steps = [(link.one.value, link.other.value, link.reason, link.id, link.seen_at) for link in chain]
        write_answer(to_explain_answer(explanation), is_json, ("from", "to", "by", "id", "seen at"), steps)
        weakest = None if explanation is None else explanation.weakest_link
        if weakest is not None and not is_json and sys.stdout.isatty():
            click.echo(
                f"Without {weakest.identifier.value} they would be two customers, with"
                f" {weakest.contacts_before} and {weakest.contacts_after} contacts."
            )
    if explanation is None:
        click.echo("They are not one customer.", err=True)
    sys.exit(1 if explanation is None else 0)


def _parse_identifier(name: str, text: str, make_details: "MakeDetails") -> "Identifier | int":
    """Parse an argument: an email, a phone number, or a contact by its id."""
    from identity_core import InvalidDetails

    is_email = "@" in text
    prefix, _, number = text.partition(":")
    expected = "must be an email, a phone number or contact:ID"
    if prefix == "contact" and not is_email:
        if not number.isdecimal() or int(number) >= 2**63:
            raise InvalidDetails(name, f"{expected}, where ID is the number of a contact")
        return int(number)
    try:
        [identifier] = (make_details(text, None) if is_email else make_details(None, text)).identifiers
    except InvalidDetails as error:
        if error.field == "details":  # it is blank
            raise InvalidDetails(name, expected) from None
        kind = "an email" if is_email else "a phone number"
        raise InvalidDetails(name, f"{expected}; as {kind} it {error.reason}") from None
    return identifier
