"""``identity config`` and ``identity key new``."""

import json
import re

import click

from identity_adapters.cli import fail
from identity_adapters.keys import Scope, new_key


@click.command("config")
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
@click.option(
    "--reference", "is_reference", is_flag=True, help="Write the table of all settings, in Markdown."
)
def config_command(is_json: bool, is_reference: bool) -> None:
    """Show every setting as it is in force, and where it came from; secrets are hidden."""
    from identity_adapters.settings import InvalidSetting, Settings, reference, shown

    if is_reference:
        click.echo(reference(), nl=False)
        return
    try:
        settings = list(shown(Settings.load()))
    except InvalidSetting as error:
        fail(1, str(error))
    if is_json:
        click.echo(json.dumps([setting._asdict() for setting in settings], indent=2))
        return
    widths = [max(map(len, column)) for column in zip(*settings, strict=True)]
    for setting in settings:
        cells = (cell.ljust(width) for cell, width in zip(setting, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


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

    What is to be configured of it does not tell what it is.
    """
    if not re.fullmatch(r"[\w.-]{1,64}", name, re.ASCII):
        fail(2, "NAME must have letters, digits, dots, dashes and underscores alone")
    secret, key = new_key(name, [*map(Scope, scopes)])
    if is_json:
        click.echo(json.dumps({"key": secret, "entry": key.entry}))
        return
    click.echo(f"The key, for whoever uses it; it is not shown again:\n{secret}\n")
    click.echo(f"Its entry in IDENTITY_API_KEYS, where commas stand between several:\n{key.entry}")
