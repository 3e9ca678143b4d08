"""``identity statistics``."""

import click

from identity_adapters.cli.output import json_option, write_answer


@click.command("statistics")
@json_option
def statistics_command(is_json: bool) -> None:
    """Count everything that is recorded."""
    from identity_adapters.cli.database import open_container
    from identity_adapters.container import run
    from identity_adapters.postgres import check_schema

    with open_container() as container:
        check_schema(container.database_url())
        answer = run(container, container.statistics()())
    rows = [
        ("contacts", answer.contacts),
        ("identities", answer.identities),
        ("contacts of the largest identity", answer.largest_identity),
        ("merges", answer.merges),
        ("splits", answer.splits),
        ("pairs held by limits, which wait", answer.waiting_pairs),
        ("pairs held by pins", answer.held_pairs),
        ("blocked pairs", answer.blocked_pairs),
        ("undone pairs", answer.undone_pairs),
        ("pins", answer.pins),
        ("version of the rules", answer.rules_version),
        ("in line with the rules", "yes" if answer.is_settled else "not yet"),
        ("counted at", answer.counted_at),
    ]
    write_answer(answer, is_json, ("", "number"), rows)
