"""The command line without a database: its help, and the arguments that it rejects."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.cli import COMMANDS, main
from identity_adapters.cli.arguments import parse_identifier
from identity_adapters.cli.rule import find_user, make_note
from identity_core import ContactDetails, Identifier, IdentifierKind, InvalidDetails

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "command-line.md"
EXPECTED = "ONE must be an email, a phone number or contact:ID"


def test_every_command_is_listed_with_a_short_line_and_has_its_row_in_the_docs():
    listed = CliRunner().invoke(main, ["--help"]).output.partition("Commands:\n")[2]
    lines = dict(re.findall(r"^  (\w+)  +(\S.*)$", listed, re.MULTILINE))
    assert list(lines) == sorted(COMMANDS)
    assert all(line[0].isupper() for line in lines.values())
    for name in COMMANDS:
        assert f"| `identity {name}" in PAGE.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_found_by_its_name(name):
    command = main.get_command(click.Context(main), name)
    assert command.name == name
    assert CliRunner().invoke(main, [name, "--help"]).output.startswith("Usage: ")


def test_a_command_that_there_is_not_is_rejected():
    assert "No such command 'identifry'" in CliRunner().invoke(main, ["identifry"]).output


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("Doc@HillValley.edu", Identifier(IdentifierKind.EMAIL, "doc@hillvalley.edu")),
        ("contact:x@y", Identifier(IdentifierKind.EMAIL, "contact:x@y")),
        ("+1 (555) 01-23", Identifier(IdentifierKind.PHONE_NUMBER, "+15550123")),
        ("contact:7", 7),
    ],
)
def test_an_argument_of_explain_is_an_email_a_phone_number_or_a_contact(text, identifier):
    assert parse_identifier("ONE", text, ContactDetails) == identifier


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("marty", "; as a phone number it must not have letters"),
        ("Contact:7", "; as a phone number it must not have letters"),
        ("+", "; as a phone number it must have a digit"),
        ("1" * 21, "; as a phone number it must have at most 20 characters"),
        ("marty@", "; as an email it must have exactly one @ between two non-empty parts"),
        ("a@b@c", "; as an email it must have exactly one @ between two non-empty parts"),
        ("a\0@b", "; as an email it must not have control characters or lone surrogates"),
        ("contact:", ", where ID is the number of a contact"),
        ("contact:-7", ", where ID is the number of a contact"),
        (f"contact:{2**63}", ", where ID is the number of a contact"),
        (" ", ""),
    ],
)
def test_an_argument_of_explain_that_is_none_of_them_is_rejected_by_its_name(text, reason):
    with pytest.raises(InvalidDetails) as caught:
        parse_identifier("ONE", text, ContactDetails)
    assert str(caught.value) == EXPECTED + reason


@given(st.text() | st.text("@:+1 \0", max_size=30) | st.text().map("contact:{}".format))
def test_an_argument_of_explain_never_appears_in_a_message(text):
    for wrong in (f"{text}@@\N{SNOWMAN}", text.replace("@", "") + "x\N{SNOWMAN}"):
        with pytest.raises(InvalidDetails) as caught:
            parse_identifier("ONE", wrong, ContactDetails)
        assert str(caught.value).startswith(EXPECTED)
        assert "\N{SNOWMAN}" not in str(caught.value)


WHY = ("--reason", "a typo")
ONE_WAY = "Name what it is about in one way"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["undo", *WHY], ONE_WAY),
        (["undo", "--contact-id", "1"], "Missing option '--reason'"),
        (["undo", "--contact-id", "1", "--event-id", "2", *WHY], ONE_WAY),
        (["undo", "--email", "a@x", "--phone-number", "1", "--evidence-id", "2", *WHY], ONE_WAY),
        (["undo", "--email", "a@x", *WHY], "--email and --phone-number go together"),
        (
            ["undo", "--phone-number", "1", "--contact-id", "1", *WHY],
            "--email and --phone-number go together",
        ),
        (["undo", "--contact-id", "0", *WHY], "0 is not in the range"),
        (["restore", *WHY], ONE_WAY),
        (["restore", "--ruling-id", "1", "--contact-id", "1", *WHY], ONE_WAY),
        (["split", "a@x", *WHY], "Missing argument 'OTHER'"),
        (["pin", "a@x", "b@x", *WHY], "Give --same or --different"),
        (["pin", "--same", "a@x", *WHY], "Missing argument 'OTHER'"),
        (["pin", "remove", "a@x", *WHY], "'a@x' is not a valid integer range"),
        (["rulings", "import"], "Missing argument 'FILE'"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_a_ruling_that_is_not_said_in_full_or_said_twice_is_rejected(arguments, reason):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert reason in done.output


@pytest.mark.parametrize("text", ["", " ", "a\0b", "a\nb", "x" * 501])
def test_a_reason_or_a_name_that_cannot_be_recorded_is_rejected(text):
    with pytest.raises(InvalidDetails, match=r"^--reason must "):
        make_note(text, None)
    with pytest.raises(InvalidDetails, match=r"^--by must "):
        make_note("a typo", text)


def test_who_decided_is_the_user_of_the_system(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "marty")
    assert "[default: (your user name)]" in CliRunner().invoke(main, ["undo", "--help"]).output
    assert find_user() == "marty"


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_a_user_without_a_name_is_nobody(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr("getpass.getuser", fail)
    assert find_user() is None
