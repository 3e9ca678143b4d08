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
    help="What it may be used for; several times for several.",
)
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
def new_key_command(name: str, scopes: tuple[str, ...], is_json: bool) -> None:
    """Make an API key for whoever NAME is, and show it once.

    What is to be open_container of it does not tell what it is.
    """
    if not re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII):
        fail(2, "NAME must have letters, digits, dots, dashes and underscores alone")
    secret, key = generate_key(name, [*map(Scope, scopes)])
    if is_json:
        click.echo(json.dumps({"key": secret, "entry": key.entry}))
        return
    click.echo(f"The key, for whoever uses it; it is not shown again:\n{secret}\n")
    click.echo(f"Its entry in IDENTITY_API_KEYS, where commas stand between several:\n{key.entry}")
