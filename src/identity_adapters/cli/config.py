"""``identity config``."""

import json

import click

from identity_adapters.cli import fail


@click.command("config")
@click.option("--json", "is_json", is_flag=True, help="Write JSON.")
@click.option(
    "--reference", "is_reference", is_flag=True, help="Write the table of all settings, in Markdown."
)
def config_command(is_json: bool, is_reference: bool) -> None:
    """Show every setting with its value and its source; secrets are hidden."""
    from identity_adapters.settings import InvalidSetting, Settings, describe, render_reference

    if is_reference:
        click.echo(render_reference(), nl=False)
        return
    try:
        settings = list(describe(Settings.load()))
    except InvalidSetting as error:
        fail(1, str(error))
    if is_json:
        click.echo(json.dumps([setting._asdict() for setting in settings], indent=2))
        return
    widths = [max(map(len, column)) for column in zip(*settings, strict=True)]
    for setting in settings:
        cells = (cell.ljust(width) for cell, width in zip(setting, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
