"""``identity graph``."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from identity_adapters.cli import fail
from identity_adapters.cli.explain import tell_reason
from identity_adapters.cli.history import as_of_option
from identity_adapters.cli.output import json_option, run_query, write_answer

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_core import IdentityGraph, QueryIdentities


@click.command("graph")
@click.argument("contact_id", type=click.IntRange(0, 2**63 - 1))
@as_of_option
@click.option("--dot", is_flag=True, help="Write a graph for Graphviz.")
@click.option("--mermaid", is_flag=True, help="Write a graph for Mermaid.")
@json_option
def graph_command(contact_id: int, as_of: datetime | None, dot: bool, mermaid: bool, is_json: bool) -> None:
    """Show all links between the values of the identity of a contact, now or at a time.

    Links that are undone, held or blocked join nothing; a graph shows them dashed.

    Exit code 0: the identity exists. 1: it does not, or did not at that time.
    """
    from identity_adapters.api.graph import to_graph_answer
    from identity_adapters.cli.drawing import to_dot, to_mermaid

    moment = None if as_of is None else as_of.replace(tzinfo=UTC)

    async def query(queries: "QueryIdentities", _: "MakeDetails") -> "IdentityGraph | None":
        if moment is not None:
            return await queries.graph_as_of(contact_id, moment)
        return await queries.graph(contact_id)

    graph = run_query(query)
    if graph is None:
        when = "" if moment is None else " at that time"
        fail(1, f"CONTACT_ID must be the id of a contact; {contact_id} has no identity{when}")
    if dot or mermaid:
        draw = to_dot if dot else to_mermaid
        click.echo(draw(graph.links, [node.identifier for node in graph.nodes]))
        return
    rows = [
        (link.one.value, link.other.value, tell_reason(link), link.id, link.seen_at) for link in graph.links
    ]
    write_answer(to_graph_answer(graph, moment), is_json, ("one", "other", "by", "id", "seen at"), rows)
    if graph.weakest is not None and not is_json and sys.stdout.isatty():
        value, leaving = graph.weakest.identifier.value, graph.weakest.leaving
        click.echo(f"Without {value}, {leaving:,} of {graph.total_contacts:,} contacts would leave.")
