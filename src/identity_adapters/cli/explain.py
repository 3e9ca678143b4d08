"""``identity explain``."""

import sys
from typing import TYPE_CHECKING

import click

from identity_adapters.cli.arguments import parse_identifier
from identity_adapters.cli.output import json_option, run_query, write_answer

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_core import Explanation, Link, QueryIdentities


@click.command("explain")
@click.argument("one")
@click.argument("other")
@click.option("--dot", is_flag=True, help="Write a graph for Graphviz.")
@click.option("--mermaid", is_flag=True, help="Write a graph for Mermaid.")
@json_option
def explain_command(one: str, other: str, dot: bool, mermaid: bool, is_json: bool) -> None:
    """Explain why ONE and OTHER are one customer: an email, a phone number, or contact:ID.

    Shows the shortest chain of links that count, and its weakest link. If they are not one customer but
    share a history, it shows the links that are undone, held or blocked, and names the pins that keep them
    apart.

    Exit code 0: they are one customer. 1: they are not.
    """
    from identity_adapters.api.explanations import to_explain_answer
    from identity_adapters.cli.drawing import to_dot, to_mermaid

    async def query(queries: "QueryIdentities", make_details: "MakeDetails") -> "Explanation | None":
        ends = (parse_identifier(name, text, make_details) for name, text in (("ONE", one), ("OTHER", other)))
        return await queries.explain(*ends)

    explanation = run_query(query)
    chain = () if explanation is None else explanation.chain
    if dot:
        click.echo(to_dot(chain))
    elif mermaid:
        click.echo(to_mermaid(chain))
    else:
        steps = [
            (link.one.value, link.other.value, tell_reason(link), link.id, link.seen_at) for link in chain
        ]
        write_answer(to_explain_answer(explanation), is_json, ("from", "to", "by", "id", "seen at"), steps)
        weakest = None if explanation is None else explanation.weakest_link
        if weakest is not None and not is_json and sys.stdout.isatty():
            click.echo(
                f"Without {weakest.identifier.value} they would be two customers, with"
                f" {weakest.contacts_before} and {weakest.contacts_after} contacts."
            )
    is_joined = explanation is not None and explanation.is_joined
    if not is_joined:
        click.echo(_explain_separation(explanation), err=True)
    sys.exit(0 if is_joined else 1)


def tell_reason(link: "Link") -> str:
    """What joins two values, or what keeps their link from counting."""
    return link.reason if link.hold is None else f"{link.reason} by limit {link.hold}"


def _explain_separation(explanation: "Explanation | None") -> str:
    from identity_core import LinkReason

    sentences = ["They are not one customer."]
    if explanation is not None:
        inert = {link.reason for link in explanation.chain if not link.counts}
        standings = [reason.value for reason in LinkReason if reason in inert]
        if standings:
            sentences.append(f"Links that are {' or '.join(standings)} do not count.")
        sentences += [f"Pin {id} keeps them apart." for id in explanation.pin_ids]
    return " ".join(sentences)
