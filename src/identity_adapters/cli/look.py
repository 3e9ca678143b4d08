"""``identity lookup``, ``identity explain`` and ``identity history``: what is known, and why."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

from identity_adapters.cli.database import configured, fail, repository_on
from identity_adapters.container import details_maker
from identity_adapters.http.look import (
    ExplainAnswer,
    HistoryAnswer,
    IdentityPage,
    LookupAnswer,
    Value,
    explained,
    shown,
    told,
)
from identity_adapters.postgres import migrate
from identity_core import ContactDetails, Identifier, IdentifyContacts, InvalidDetails, page
from identity_core.explain import identifiers_of

T = TypeVar("T")
MakeDetails = Callable[[Any, Any], ContactDetails]

as_json = click.option("--json", "is_json", is_flag=True, help="Write JSON, as HTTP answers it.")


def _asked(ask: Callable[[IdentifyContacts, MakeDetails], Awaitable[T]]) -> T:
    """What a question to the configured database is answered."""

    async def body() -> T:
        async with repository_on(settings, url) as repository:
            return await ask(IdentifyContacts(repository), details_maker(settings.default_region))

    try:
        with configured() as (settings, url):
            migrate(url)
            return asyncio.run(body())
    except InvalidDetails as error:
        fail(1, str(error))


def _write(
    answer: msgspec.Struct, is_json: bool, headings: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """An answer: for a person as a table, for a program as JSON."""
    if is_json or not sys.stdout.isatty():
        click.echo(msgspec.json.encode(answer))
        return
    table = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[number]) for row in table) for number in range(len(headings))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return "" if value is None else str(value)


@click.command("lookup")
@click.option("--email", help="An email of the customer.")
@click.option("--phone-number", help="A phone number of the customer.")
@click.option("--contact", "contact_id", type=click.IntRange(0, 2**63 - 1), help="The id of a contact.")
@as_json
def lookup_command(
    email: str | None, phone_number: str | None, contact_id: int | None, is_json: bool
) -> None:
    """Look a customer up, by an email, a phone number, both, or the id of any contact.

    Writes nothing to the database. Exit code 0: known. 1: not known.
    """

    async def ask(identify: IdentifyContacts, make_details: MakeDetails) -> list[IdentityPage]:
        if contact_id is not None:
            found = await identify.find(contact_id)
            identities = [found] if found else []
        else:
            identities = [*map(tuple, await identify.look_up(make_details(email, phone_number)))]
        return [shown(page(contacts, limit=len(contacts))) for contacts in identities]

    found = _asked(ask)
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
    _write(
        LookupAnswer(found), is_json, ("primary", "contact", "email", "phone number", "", "created at"), rows
    )
    sys.exit(0 if found else 1)


@click.command("explain")
@click.argument("one")
@click.argument("other")
@click.option("--dot", is_flag=True, help="Write a picture for Graphviz.")
@click.option("--mermaid", is_flag=True, help="Write a picture for Mermaid.")
@as_json
def explain_command(one: str, other: str, dot: bool, mermaid: bool, is_json: bool) -> None:
    """Explain why ONE and OTHER are one customer: an email, a phone number, or contact:ID.

    Shows the shortest chain of what was seen together, and its weakest link. Exit code 0: they
    are one customer. 1: they are not.
    """

    async def ask(identify: IdentifyContacts, make_details: MakeDetails) -> ExplainAnswer:
        return explained(await identify.explain(_sought(one, make_details), _sought(other, make_details)))

    answer = _asked(ask)
    steps = [
        (_text(link.one), _text(link.other), link.reason, link.id, link.seen_at) for link in answer.chain
    ]
    if dot:
        edges = [f'  "{a}" -- "{b}" [label="{reason} {id}"];' for a, b, reason, id, _ in steps]
        click.echo("\n".join(["graph {", *edges, "}"]))
    elif mermaid:
        names: dict[str, str] = {}
        for a, b, *_ in steps:
            for name in (a, b):
                names.setdefault(name, f'n{len(names)}["{name}"]')
        edges = [f"  {names[a]} -- {reason} {id} --- {names[b]}" for a, b, reason, id, _ in steps]
        click.echo("\n".join(["graph LR", *edges]))
    else:
        _write(answer, is_json, ("from", "to", "by", "id", "seen at"), steps)
        if answer.weakest_link is not None and not is_json and sys.stdout.isatty():
            weakest = answer.weakest_link
            click.echo(
                f"Without {_text(weakest.identifier)} they would be two customers, with"
                f" {weakest.contacts_before} and {weakest.contacts_after} contacts."
            )
    if not answer.is_connected:
        click.echo("They are not one customer.", err=True)
    sys.exit(0 if answer.is_connected else 1)


def _sought(asked: str, make_details: MakeDetails) -> Identifier | int:
    prefix, _, number = asked.partition(":")
    if prefix == "contact":
        if not number.isdecimal() or int(number) >= 2**63:
            raise InvalidDetails("contact", "must be followed by an id")
        return int(number)
    [identifier] = identifiers_of(make_details(asked, None) if "@" in asked else make_details(None, asked))
    return identifier


def _text(value: Value) -> str:
    return value.email or value.phone_number or ""


@click.command("history")
@click.argument("contact_id", type=click.IntRange(0, 2**63 - 1))
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]),
              help="Show the identity as it was then (UTC) instead.")  # fmt: skip
@as_json
def history_command(contact_id: int, as_of: datetime | None, is_json: bool) -> None:
    """Tell what happened to the identity of a contact, in order; or what it was at some time.

    Exit code 0: it is known. 1: there was no such contact.
    """

    async def ask(identify: IdentifyContacts, _: MakeDetails) -> IdentityPage | HistoryAnswer | None:
        if as_of is not None:
            contacts = await identify.as_of(contact_id, as_of.replace(tzinfo=UTC))
            return shown(page(contacts, limit=len(contacts))) if contacts else None
        found = await identify.history(contact_id)
        return None if found is None else told(found, len(found))

    answer = _asked(ask)
    if answer is None:
        fail(1, f"there was no contact {contact_id}")
    if isinstance(answer, IdentityPage):
        contacts = [(c.id, c.email, c.phone_number, c.link_precedence, c.created_at) for c in answer.contacts]
        _write(answer, is_json, ("contact", "email", "phone number", "", "created at"), contacts)
        return
    events = [
        (
            event.happened_at,
            event.kind,
            event.primary_contact_id,
            event.details and event.details.email,
            event.details and event.details.phone_number,
            ", ".join(map(str, event.absorbed_primary_contact_ids)),
        )
        for event in answer.events
    ]
    _write(answer, is_json, ("when", "what", "primary", "email", "phone number", "absorbed"), events)
