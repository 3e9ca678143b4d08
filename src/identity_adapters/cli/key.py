"""``identity key new``."""

import json
import re

import click

from identity_adapters.cli import fail
from identity_adapters.keys import Scope, generate_key


@click.group("key")
def key_group() -> None:
    """API keys."""


@key_group.command("new")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="A permission of the key; repeat it for several.",
)
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
def new_key_command(name: str, scopes: tuple[str, ...], is_json: bool) -> None:
    """Generate an API key for the user NAME, and show it once.

    The entry to configure does not reveal the key.
    """
    if not re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII):
        fail(2, "NAME must have 1 to 64 letters, digits, dots, dashes and underscores, and nothing else")
    secret, key = generate_key(name, [*map(Scope, scopes)])
    if is_json:
        click.echo(json.dumps({"key": secret, "entry": key.entry}))
        return
    click.echo(f"The key for its user; it is not shown again:\n{secret}\n")
    click.echo(f"Its entry for IDENTITY_API_KEYS, which is a comma-separated list:\n{key.entry}")
