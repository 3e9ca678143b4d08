"""Running a ruling: what it would do, whether to make it, and what it did."""

import getpass
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from identity_adapters.cli import fail
from identity_adapters.cli.output import format_table

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_adapters.container import Container
    from identity_core import (
        Contradiction,
        Identifier,
        Link,
        Note,
        QueryIdentities,
        Ruled,
        RuleOnIdentities,
    )

T = TypeVar("T")

Rule = Callable[..., Coroutine[Any, Any, "Ruled"]]
"""A method of `RuleOnIdentities` with everything but the note, `dry_run` and `plan`."""

CONTACTS_SHOWN = 20
"""How many contacts of each identity are listed."""


def find_user() -> str | None:
    """The name of the user of the system; None if there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def ruling_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every ruling has."""
    for option in (
        click.option("--json", "is_json", is_flag=True, help="Write the JSON of the HTTP answer."),
        click.option("--plan", metavar="TOKEN", help="The plan of a dry run: rule on that record alone."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Show what would happen, and write nothing."),
        click.option(
            "--by", metavar="NAME", default=find_user, show_default="your user name", help="Who decided."
        ),
        click.option("--reason", required=True, help="Why; it is recorded."),
    ):
        command = option(command)
    return command


def pair_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a pair."""
    number = click.IntRange(1, 2**63 - 1)
    for option in (
        click.option("--event-id", type=number, metavar="N", help="An event that the pair caused."),
        click.option("--evidence-id", type=number, metavar="N", help="The evidence of the pair."),
        click.option("--contact-id", type=number, metavar="N", help="The contact of the pair."),
        click.option("--phone-number", metavar="P", help="The phone number of the pair."),
        click.option("--email", metavar="E", help="The email of the pair."),
    ):
        command = option(command)
    return command


async def find_pair(
    rule: "RuleOnIdentities",
    make_details: "MakeDetails",
    *,
    email: str | None,
    phone_number: str | None,
    contact_id: int | None,
    evidence_id: int | None,
    event_id: int | None,
) -> tuple[str, str]:
    """The pair that the options name.

    Raises:
        InvalidDetails: the email or the phone number is invalid.
        NotRecorded: there is no such pair.
    """
    from identity_core import InvalidDetails

    if email is None or phone_number is None:
        return await rule.find_pair(id=contact_id or evidence_id, event_id=event_id)
    pair = make_details(email, phone_number).pair
    if pair is None:
        raise InvalidDetails("pair", "must have an email and a phone number")
    return pair


def check_one_way(email: str | None, phone_number: str | None, *ids: int | None) -> None:
    """Check that the options name a pair or a ruling in one way."""
    ways = [id for id in ids if id is not None]
    if (email is None) != (phone_number is None):
        raise click.UsageError("--email and --phone-number go together")
    if len(ways) + (email is not None) != 1:
        raise click.UsageError("Name what it is about in one way: by email and phone number, or by one id")


async def find_values(
    queries: "QueryIdentities", make_details: "MakeDetails", one: str, other: str
) -> "tuple[Identifier, Identifier]":
    """The values that the arguments ONE and OTHER name.

    Raises:
        InvalidDetails: one of them is invalid, or both are one value.
        NotRecorded: there is no such contact.
    """
    from identity_adapters.api.rulings import find_ends
    from identity_adapters.cli.arguments import parse_identifier

    ends = (parse_identifier(name, text, make_details) for name, text in (("ONE", one), ("OTHER", other)))
    return await find_ends(queries, *ends)


def parse_name(by: str | None) -> str | None:
    """Parse the option that says who it is.

    Raises:
        InvalidDetails: it cannot be recorded.
    """
    return None if by is None else _parse_text("--by", by)


def make_note(reason: str, by: str | None) -> "Note":
    """Make a note of the options.

    Raises:
        InvalidDetails: one of them cannot be recorded.
    """
    from identity_core import Note

    return Note(parse_name(by), _parse_text("--reason", reason))


def _parse_text(option: str, text: str) -> str:
    from identity_adapters.api.rulings import parse_reason
    from identity_core import InvalidDetails

    try:
        return parse_reason(text)
    except InvalidDetails as error:
        raise InvalidDetails(option, error.reason) from None


def run_rulings(work: "Callable[[Container], T]", failure: int = 1) -> T:
    """Do work with rulings on the configured database; errors end the command with a message.

    Args:
        work: what to do.
        failure: the exit code of errors.
    """
    from identity_adapters.cli.database import open_container
    from identity_adapters.postgres import check_schema
    from identity_core import (
        Contradiction,
        Erased,
        InvalidDetails,
        NotRecorded,
        StalePlan,
        Suppressed,
    )

    try:
        with open_container(failure) as container:
            check_schema(container.database_url())
            return work(container)
    except (InvalidDetails, NotRecorded, Suppressed) as error:
        fail(failure, f"{_SUBJECTS.get(error.field, error.field)} {error.reason}")
    except Erased as error:
        fail(failure, str(error))
    except StalePlan:
        fail(failure, "nothing was changed, because the record is no longer what was shown; run it again")
    except Contradiction as error:
        fail(failure, _describe_contradiction(error))


_SUBJECTS = {
    "contactId": "the contact",
    "email": "the email",
    "eventId": "the event",
    "one": "ONE",
    "other": "OTHER",
    "pair": "the pair",
    "phone_number": "the phone number",
    "pin": "the pin",
    "ruling": "the ruling",
}
"""How messages name what errors are about."""


def rule(
    choose: "Callable[[Container, MakeDetails], Coroutine[Any, Any, Rule]]",
    *,
    reason: str,
    by: str | None,
    dry_run: bool,
    yes: bool,
    plan: str | None,
    is_json: bool,
) -> None:
    """Run a ruling: show what it would do, ask, and do it.

    Args:
        choose: finds out what to rule.
        reason: why.
        by: who decided.
        dry_run: whether to show it only.
        yes: whether not to ask.
        plan: the plan of an earlier dry run.
        is_json: whether the answer is written as JSON.
    """
    from identity_adapters.container import run

    def work(container: "Container") -> "tuple[Ruled, bool]":
        note = make_note(reason, by)

        async def decide(*, dry_run: bool, plan: str | None) -> "Ruled":
            chosen = await choose(container, container.make_details())
            return await chosen(note, dry_run=dry_run, plan=plan)

        if dry_run or yes:
            return run(container, decide(dry_run=dry_run, plan=plan)), False
        foretold = run(container, decide(dry_run=True, plan=plan))
        if _changes(foretold):
            click.echo(_describe(foretold, is_applied=False), err=True)
            confirm()
        return run(container, decide(dry_run=False, plan=foretold.plan)), _changes(foretold)

    ruled, is_shown = run_rulings(work)
    if is_json:
        import msgspec

        from identity_adapters.api.rulings import to_ruling_answer

        click.echo(msgspec.json.encode(to_ruling_answer(ruled, is_applied=not dry_run)))
    else:
        click.echo(_describe(ruled, is_applied=not dry_run, is_brief=is_shown))


def confirm() -> None:
    """Ask whether to go on; end the command if the answer is no."""
    try:
        is_confirmed = click.confirm("Do this?", err=True)
    except click.Abort:  # there is nobody to ask
        is_confirmed = False
    if not is_confirmed:
        fail(1, "nothing was changed; --yes does not ask")


def _changes(ruled: "Ruled") -> bool:
    return bool(ruled.writes.rulings or ruled.writes.withdrawals)


def _describe(ruled: "Ruled", *, is_applied: bool, is_brief: bool = False) -> str:
    """Describe what a ruling did, or would do."""
    if not _changes(ruled):
        return "There is nothing to do: it is so already."
    lines = [*_describe_rulings(ruled, is_applied)]
    if not is_brief:
        lines += [*_describe_identities(ruled, is_applied)]
    return "\n".join(lines)


def _describe_rulings(ruled: "Ruled", is_applied: bool) -> Iterator[str]:
    """Describe the rulings, each in a line."""
    from identity_core import Verdict

    phrases = {
        Verdict.UNDONE: ("Undoes", "Undid", "the link between {} and {}"),
        Verdict.SAME: ("Pins", "Pinned", "{} and {} together"),
        Verdict.DIFFERENT: ("Pins", "Pinned", "{} and {} apart"),
        Verdict.INHERITED: ("Restores", "Restored", "the inherited link between {} and {}"),
    }
    for ruling in ruled.writes.rulings:
        *verbs, phrase = phrases[ruling.verdict]
        id = f" (ruling {ruling.id})" if is_applied else ""
        yield f"{verbs[is_applied]} {phrase.format(ruling.one.value, ruling.other.value)}{id}."
    for withdrawal in ruled.writes.withdrawals:
        yield f"{'Ended' if is_applied else 'Ends'} ruling {withdrawal.ruling_id}."
    moved = len(ruled.moved_ids)
    yield f"{'Moved' if is_applied else 'Moves'} {moved:,} contact{'' if moved == 1 else 's'}."


def _describe_identities(ruled: "Ruled", is_applied: bool) -> Iterator[str]:
    """Describe the identities after a ruling, what it undoes, and what joins the values all the same."""
    before = ", ".join(map(str, ruled.primaries_before)) or "none"
    after = ", ".join(_name_contact(contacts[0].id) for contacts in ruled.identities)
    yield f"Primary contacts before: {before}; after: {after}."
    rows: list[Sequence[Any]] = []
    for contacts in ruled.identities:
        primary = _name_contact(contacts[0].id)
        rows += [
            (primary, _name_contact(one.id), one.email, one.phone_number) for one in contacts[:CONTACTS_SHOWN]
        ]
        if len(contacts) > CONTACTS_SHOWN:
            rows.append((primary, f"and {len(contacts) - CONTACTS_SHOWN:,} more", None, None))
    yield format_table(("primary", "contact", "email", "phone number"), rows)
    if ruled.undone:
        order = ", the weakest first" if len(ruled.undone) > 1 else ""
        yield f"It {'undid' if is_applied else 'undoes'}{order}:"
        yield _format_chain(ruled.undone)
    if ruled.chain:
        yield f"The two {'are' if is_applied else 'stay'} one customer all the same, because of:"
        yield _format_chain(ruled.chain)


def _name_contact(contact_id: int) -> str:
    return str(contact_id) if contact_id else "new"


def _format_chain(chain: "Iterable[Link]") -> str:
    steps = [(link.one.value, link.other.value, link.reason, link.id, link.seen_at) for link in chain]
    return format_table(("from", "to", "by", "id", "seen at"), steps)


def _describe_contradiction(error: "Contradiction") -> str:
    """Describe a contradiction, the chain that shows it, and the cut that would part the two."""
    about = "" if error.ruling_id is None else f" (ruling {error.ruling_id})"
    lines = [f"{error.reason}{about}"]
    if error.chain:
        lines += ["The chain that shows it:", _format_chain(error.chain)]
    if error.cut:
        lines += ["A split would undo:", _format_chain(error.cut)]
    return "\n".join(lines)
