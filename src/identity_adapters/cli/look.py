"""``identity lookup``, ``identity explain`` and ``identity history``: what is known, and why."""

import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from identity_adapters.cli import fail

if TYPE_CHECKING:
    import msgspec

    from identity_adapters.api import HistoryAnswer, IdentityPage
    from identity_adapters.container import MakeDetails
    from identity_core import Explanation, Identifier, IdentifyContacts

T = TypeVar("T")

as_json = click.option("--json", "is_json", is_flag=True, help="Write JSON, as HTTP answers it.")


def _query(ask: "Callable[[IdentifyContacts, MakeDetails], Coroutine[Any, Any, T]]") -> T:
    """What a question to the configured database is answered."""
    from identity_adapters.cli.database import configured
    from identity_adapters.container import run
    from identity_adapters.postgres import check_schema
    from identity_core import InvalidDetails

    try:
        with configured() as container:
            check_schema(container.database_url())
            return run(container, ask(container.service(), container.make_details()))
    except InvalidDetails as error:
        fail(1, str(error))


def _write(
    answer: "msgspec.Struct", is_json: bool, headings: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """An answer: for a person as a table, for a program as JSON."""
    import msgspec

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
    from identity_adapters.api import LookupAnswer, shown
    from identity_core import page

    async def ask(identify: "IdentifyContacts", make_details: "MakeDetails") -> "list[IdentityPage]":
        if contact_id is not None:
            found = await identify.find(contact_id)
            identities = [found] if found else []
        else:
            identities = [*map(tuple, await identify.look_up(make_details(email, phone_number)))]
        return [shown(page(contacts, limit=len(contacts))) for contacts in identities]

    found = _query(ask)
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
    from identity_adapters.api import explained
    from identity_adapters.cli.graph import to_dot, to_mermaid

    async def ask(identify: "IdentifyContacts", make_details: "MakeDetails") -> "Explanation | None":
        ends = (
            _parse_identifier(name, text, make_details) for name, text in (("ONE", one), ("OTHER", other))
        )
        return await identify.explain(*ends)

    explanation = _query(ask)
    chain = () if explanation is None else explanation.chain
    if dot:
        click.echo(to_dot(chain))
    elif mermaid:
        click.echo(to_mermaid(chain))
    else:
        steps = [(link.one.value, link.other.value, link.reason, link.id, link.seen_at) for link in chain]
        _write(explained(explanation), is_json, ("from", "to", "by", "id", "seen at"), steps)
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
    """What an argument names: an email, a phone number, or a contact by its id."""
    from identity_core import InvalidDetails
    from identity_core.explain import identifiers_of

    is_email = "@" in text
    prefix, _, number = text.partition(":")
    expected = "must be an email, a phone number or contact:ID"
    if prefix == "contact" and not is_email:
        if not number.isdecimal() or int(number) >= 2**63:
            raise InvalidDetails(name, f"{expected}, where ID is the number of a contact")
        return int(number)
    try:
        [identifier] = identifiers_of(make_details(text, None) if is_email else make_details(None, text))
    except InvalidDetails as error:
        if error.field == "details":  # it is blank
            raise InvalidDetails(name, expected) from None
        kind = "an email" if is_email else "a phone number"
        raise InvalidDetails(name, f"{expected}; as {kind} it {error.reason}") from None
    return identifier


@click.command("history")
@click.argument("contact_id", type=click.IntRange(0, 2**63 - 1))
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]),
              help="Show the identity as it was then (UTC) instead.")  # fmt: skip
@as_json
def history_command(contact_id: int, as_of: datetime | None, is_json: bool) -> None:
    """Tell what happened to the identity of a contact, in order; or what it was at some time.

    Exit code 0: it is known. 1: there was no such contact.
    """
    from identity_adapters.api import IdentityPage, shown, told
    from identity_core import page

    async def ask(identify: "IdentifyContacts", _: "MakeDetails") -> "IdentityPage | HistoryAnswer | None":
        if as_of is not None:
            contacts = await identify.as_of(contact_id, as_of.replace(tzinfo=UTC))
            return shown(page(contacts, limit=len(contacts))) if contacts else None
        found = await identify.history(contact_id)
        return None if found is None else told(found, len(found))

    answer = _query(ask)
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
