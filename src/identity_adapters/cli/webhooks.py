"""``identity webhooks``."""

import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from identity_adapters.cli import fail
from identity_adapters.cli.output import format_table, json_option, write_answer
from identity_adapters.cli.rule import confirm

if TYPE_CHECKING:
    from identity_adapters.api.webhooks import WebhookRecord, WebhooksAnswer
    from identity_adapters.webhooks.manage import EndpointTest, ManageWebhooks
    from identity_adapters.webhooks.webhook import Network, Target, Webhook

T = TypeVar("T")

KINDS = (
    "created", "linked", "merged", "corroborated", "repaired", "held", "released", "undone", "restored",
    "pinned", "unpinned", "split", "erased",
)  # fmt: skip
"""The values of `EventKind`, whose module is slow to import."""

WIDTH = 60
"""The number of characters of a URL or a description in a list."""

_id = click.argument("id", type=click.IntRange(0, 2**63 - 1))
_START = "beginning, end, a time in ISO 8601, or a cursor of the feed."


@click.group("webhooks")
def webhooks_group() -> None:
    """Send the events of all identities to endpoints of other systems."""


@webhooks_group.command("add")
@click.argument("url")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="A kind of events to send; else all."
)
@click.option("--description", default="", help="What you call it.")
@click.option(
    "--from", "start", default="end", show_default=True, metavar="START", help=f"Where it starts: {_START}"
)
@click.option("--allow-http", is_flag=True, help="Allow an endpoint without TLS.")
@click.option(
    "--allow-network", "networks", multiple=True, metavar="CIDR", help="A private network it may be in."
)
@json_option
def add_command(
    url: str,
    kinds: Sequence[str],
    description: str,
    start: str,
    allow_http: bool,
    networks: Sequence[str],
    is_json: bool,
) -> None:
    """Add a webhook, which sends events to URL, and write its secret.

    The secret is shown this once. Private networks are those that the internet does not reach.
    """

    async def add(manage: "ManageWebhooks") -> "tuple[WebhookRecord, str]":
        target = _make_target(url, kinds, description, allow_http, networks)
        return await _show_secret(manage, await manage.add(target, start))

    record, secret = _run(add)
    _write_secret(record, secret, is_json, f"Webhook {record.id} is added")


@webhooks_group.command("list")
@click.option("--after", default=0, metavar="ID", type=click.IntRange(0, 2**63 - 1), help="Only larger ids.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000), help="How many.")
@json_option
def list_command(after: int, limit: int, is_json: bool) -> None:
    """List the webhooks, each with how far it is."""
    from identity_adapters.api.webhooks import describe_pending, to_webhooks_answer

    async def read(manage: "ManageWebhooks") -> "WebhooksAnswer":
        return await to_webhooks_answer(manage, await manage.webhooks(after, limit + 1), limit)

    answer = _run(read)
    rows = [
        (
            one.id,
            one.state,
            _shorten(one.url),
            _shorten(one.description),
            describe_pending(one),
            one.delivered_at,
            one.failures,
            one.last_failure if one.failures else None,
        )
        for one in answer.webhooks
    ]
    headings = ("id", "state", "url", "description", "pending", "delivered at", "failures", "last failure")
    write_answer(answer, is_json, headings, rows)


@webhooks_group.command("show")
@_id
@json_option
def show_command(id: int, is_json: bool) -> None:
    """Show a webhook with everything that is known of it, but its secret."""
    _write(_change(lambda manage: manage.get(id)), is_json)


@webhooks_group.command("pause")
@_id
@json_option
def pause_command(id: int, is_json: bool) -> None:
    """Pause a webhook. Nothing is lost meanwhile."""
    _write(_change(lambda manage: manage.pause(id)), is_json)


@webhooks_group.command("resume")
@_id
@json_option
def resume_command(id: int, is_json: bool) -> None:
    """Resume a webhook at once, whether it is paused or waits to be tried again."""
    _write(_change(lambda manage: manage.resume(id)), is_json)


@webhooks_group.command("replay")
@_id
@click.option("--from", "start", required=True, metavar="START", help=f"Where it goes on: {_START}")
@json_option
def replay_command(id: int, start: str, is_json: bool) -> None:
    """Send again from an earlier event on, or skip to a later one."""
    _write(_change(lambda manage: manage.replay(id, start)), is_json)


@webhooks_group.command("rotate")
@_id
@click.option(
    "--keep-hours",
    default=24.0,
    show_default=True,
    type=click.FloatRange(0, 8760),
    metavar="H",
    help="For how long messages are signed with the previous secret too.",
)
@json_option
def rotate_command(id: int, keep_hours: float, is_json: bool) -> None:
    """Give a webhook a new secret, and write it. It is shown this once."""

    async def rotate(manage: "ManageWebhooks") -> "tuple[WebhookRecord, str]":
        return await _show_secret(manage, await manage.rotate(id, keep_hours * 3600))

    record, secret = _run(rotate)
    _write_secret(record, secret, is_json, f"Webhook {id} has a new secret")


@webhooks_group.command("remove")
@_id
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove_command(id: int, yes: bool) -> None:
    """Remove a webhook. Shows it, and asks."""
    if not yes:
        record = _change(lambda manage: manage.get(id))
        click.echo(f"Removes webhook {id}, which sends to {record.url}", err=True)
        confirm()
    _run(lambda manage: manage.remove(id))
    click.echo(f"Webhook {id} is removed.")


@webhooks_group.command("test")
@_id
@json_option
def test_command(id: int, is_json: bool) -> None:
    """Send a message without events to the endpoint of a webhook, paused or not.

    Exit code 0: the endpoint accepted it. 1: it did not.
    """
    import msgspec

    from identity_adapters.api.webhooks import to_webhook_test_answer

    async def test(manage: "ManageWebhooks") -> "EndpointTest":
        return await manage.test(id)

    answer = to_webhook_test_answer(_run(test))
    if is_json:
        click.echo(msgspec.json.encode(answer))
    else:
        outcome = f"status {answer.status}" if answer.is_accepted else answer.failure
        is_accepted = "accepted" if answer.is_accepted else "did not accept"
        click.echo(f"The endpoint {is_accepted} the message: {outcome}, after {answer.seconds:g} s.")
    sys.exit(0 if answer.is_accepted else 1)


def _run(work: "Callable[[ManageWebhooks], Coroutine[Any, Any, T]]") -> T:
    """Do work with webhooks on the configured database; errors end the command with a message."""
    from identity_adapters.cli.database import open_container
    from identity_adapters.container import run
    from identity_adapters.postgres import check_schema
    from identity_adapters.webhooks.manage import NoWebhookKey, UnknownWebhook, WrongWebhookKey
    from identity_core import InvalidCursor, InvalidDetails

    try:
        with open_container() as container:
            check_schema(container.database_url())
            return run(container, work(container.webhooks()))
    except InvalidDetails as error:
        fail(1, f"{error.field} {error.reason}")
    except InvalidCursor:
        fail(1, f"--from must be {_START}")
    except (NoWebhookKey, UnknownWebhook, WrongWebhookKey) as error:
        fail(1, str(error))


def _change(work: "Callable[[ManageWebhooks], Awaitable[Webhook]]") -> "WebhookRecord":
    """Do work on a webhook; what it is then."""
    from identity_adapters.api.webhooks import to_webhook_record

    async def change(manage: "ManageWebhooks") -> "WebhookRecord":
        return await to_webhook_record(manage, await work(manage))

    return _run(change)


def _make_target(
    url: str, kinds: Sequence[str], description: str, allows_http: bool, networks: Sequence[str]
) -> "Target":
    """Make a target of the options.

    Raises:
        InvalidDetails: one of them is invalid.
    """
    from identity_adapters.api.webhooks import parse_description
    from identity_adapters.webhooks.network import InvalidUrl, check_url
    from identity_adapters.webhooks.webhook import Target
    from identity_core import EventKind, InvalidDetails

    try:
        check_url(url, allows_http=allows_http)
    except InvalidUrl as error:
        hint = " or, with --allow-http, http://" if error.reason.endswith("https://") else ""
        raise InvalidDetails("URL", f"{error.reason}{hint}") from None
    try:
        label = parse_description(description)
    except InvalidDetails as error:
        raise InvalidDetails("--description", error.reason) from None
    return Target(
        url, frozenset(map(EventKind, kinds)), label, allows_http, tuple(map(_parse_network, networks))
    )


def _parse_network(text: str) -> "Network":
    from ipaddress import ip_network

    from identity_core import InvalidDetails

    try:
        return ip_network(text)
    except ValueError:
        raise InvalidDetails("--allow-network", "must be a network such as 10.1.0.0/16") from None


async def _show_secret(manage: "ManageWebhooks", made: "tuple[Webhook, str]") -> "tuple[WebhookRecord, str]":
    from identity_adapters.api.webhooks import to_webhook_record

    webhook, secret = made
    return await to_webhook_record(manage, webhook), secret


def _write_secret(record: "WebhookRecord", secret: str, is_json: bool, change: str) -> None:
    """Write a secret, alone, to standard output."""
    import msgspec

    from identity_adapters.api.webhooks import WebhookSecretAnswer

    click.echo(f"{change}. Give its endpoint this secret, which is not shown again:", err=True)
    click.echo(msgspec.json.encode(WebhookSecretAnswer(record, secret)) if is_json else secret)


def _write(record: "WebhookRecord", is_json: bool) -> None:
    """Write a webhook: as a table to a terminal, else as JSON."""
    import msgspec

    if is_json or not sys.stdout.isatty():
        click.echo(msgspec.json.encode(record))
        return
    members = msgspec.structs.asdict(record)
    rows = [(name.replace("_", " "), _describe(value)) for name, value in members.items()]
    click.echo(format_table(("", ""), rows).lstrip("\n"))


def _shorten(text: str) -> str:
    """The beginning of a text, for a cell."""
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _describe(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value
