"""What rules would do, and bringing what is recorded in line with them, also after an interruption."""

import asyncio
import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from identity_adapters.cli import main
from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    ChangeRules,
    ContactDetails,
    IdentifyContacts,
    Limits,
    Note,
    RepositoryUnavailable,
    RuleSet,
    SuggestRules,
    suggest_rules,
)


@pytest.fixture
def memory(monkeypatch):
    """A repository that the commands use, with rules in force that nothing is in line with."""
    repository = InMemoryContactRepository()
    for email in ("lorraine@x", "george@x"):
        asyncio.run(IdentifyContacts(repository)(ContactDetails(email, "1")))
    asyncio.run(repository.put(RuleSet(phone_numbers=["1"]), Note("doc", "a till")))
    container = SimpleNamespace(
        change_rules=lambda: ChangeRules(repository, repository),
        suggest_rules=lambda: SuggestRules(repository),
        make_details=lambda: ContactDetails,
        database_url=lambda: None,
    )

    @contextmanager
    def open_container(*_):
        yield container

    monkeypatch.setattr("identity_adapters.cli.database.open_container", open_container)
    monkeypatch.setattr("identity_adapters.container.run", lambda _, work: asyncio.run(work))
    monkeypatch.setattr("identity_adapters.postgres.check_schema", lambda _: None)
    return repository


SHOP = 'blocked.phone_numbers = ["1"]'


def invoke(command, *options, rules=SHOP):
    return CliRunner().invoke(main, ["rules", command, "-", *options], input=rules)


def apply():
    return invoke("apply")


def test_the_same_file_goes_on_with_what_was_interrupted(memory):
    assert "Not everything recorded yet is in line" in CliRunner().invoke(main, ["rules", "show"]).stderr
    done = apply()
    assert done.exit_code == 0
    assert "Do this?" not in done.output
    assert "Checked 2 rows" in done.stderr
    assert done.stdout.splitlines()[-1] == "Everything recorded is in line with it."
    rules = asyncio.run(memory.rules())
    assert (rules.version, rules.is_settled) == (1, True)


@pytest.mark.parametrize(
    ("error", "cause"),
    [(RepositoryUnavailable("it is locked"), "it is locked"), (KeyboardInterrupt(), "interrupted")],
)
def test_an_interruption_is_told_with_what_to_do(memory, monkeypatch, error, cause):
    def fail(*_):
        raise error

    monkeypatch.setattr(memory, "unsettled", fail)
    done = apply()
    assert done.exit_code == 1
    assert done.stderr.startswith(f"identity: {cause}; the rules are in force, and running the command again")


@pytest.fixture
def settled(memory):
    """The repository in line with the rules, with a customer of many orders."""
    asyncio.run(ChangeRules(memory, memory).settle())
    for number in range(30):
        asyncio.run(IdentifyContacts(memory)(ContactDetails(f"{number}@x", "2")))
    return memory


MORE = 'blocked.phone_numbers = ["1", "2"]'


def test_a_preview_shows_what_rules_would_do_and_writes_nothing(settled, tmp_path):
    file = tmp_path / "affected"
    shown = invoke("preview", "--affected", str(file), rules=MORE)
    assert shown.exit_code == 0, shown.output
    *lines, plan = shown.stdout.splitlines()
    assert lines == [
        "Identities: 3 before, 32 after.",
        "1 would come apart, 0 would become one with others.",
        "Pairs: 30 would be blocked, 0 no longer blocked, 0 held, 0 no longer held.",
        "The affected identities by size:",
        "contacts  before  after",
        "1         0       30",
        "2         0       0",
        "3-5       0       0",
        "6-10      0       0",
        "11-100    1       0",
        "over 100  0       0",
        "The most affected:",
        "primary  contacts  parts                            becomes one with  because of (pairs)",
        lines[-1],
    ]
    assert lines[-1].startswith(
        "3        30        30 of 1, 1, 1, 1, 1 and 25 more                    2 (30), "
    )
    assert file.read_text() == "3\n"
    assert plan == f"Plan: {json.loads(invoke('preview', '--json', rules=MORE).stdout)['plan']}"
    assert asyncio.run(settled.rules()).version == 1


def test_a_preview_of_the_rules_in_force_changes_nothing(settled):
    *lines, plan = invoke("preview").stdout.splitlines()
    assert lines == ["Identities: 3 before, 3 after.", "No identity would change."]
    assert plan.startswith("Plan: ")


def test_a_preview_shows_who_would_be_joined(settled):
    lines = invoke("preview", rules="").stdout.splitlines()
    assert "Identities: 3 before, 2 after." in lines
    assert "0 would come apart, 2 would become one with others." in lines
    assert "1        1         1      2                 1 (2), lorraine@x (1)" in lines


def test_a_file_that_cannot_be_written_ends_the_preview(settled, tmp_path):
    failed = invoke("preview", "--affected", str(tmp_path / "there" / "affected"), rules=MORE)
    assert failed.exit_code == 1
    assert "cannot be written: No such file or directory" in failed.stderr


def test_rules_are_applied_by_the_plan_of_a_preview(settled):
    plan = json.loads(invoke("preview", "--json", rules=MORE).stdout)["plan"]
    asyncio.run(IdentifyContacts(settled)(ContactDetails("biff@x", "2")))
    for options in (["--yes"], []):
        stale = invoke("apply", "--plan", plan, *options, rules=MORE)
        assert stale.exit_code == 1
        assert stale.stderr == (
            "identity: nothing was changed, because the record is no longer what was shown; run it again\n"
        )
    assert asyncio.run(settled.rules()).version == 1
    plan = json.loads(invoke("preview", "--json", rules=MORE).stdout)["plan"]
    done = invoke("apply", "--plan", plan, "--yes", rules=MORE)
    assert done.exit_code == 0, done.output
    assert asyncio.run(settled.rules()).version == 2
    again = invoke("apply", "--plan", plan, "--yes", rules=MORE)
    assert again.exit_code == 0


ONE_EMAIL = f"{SHOP}\nlimits.emails_per_phone_number = 1"


def test_limits_are_applied_to_what_is_recorded_if_they_are_retroactive(settled):
    invoke("apply", "--yes", rules=ONE_EMAIL)
    shown = invoke("preview", "--retroactive", rules=ONE_EMAIL).stdout
    assert "Pairs: 0 would be blocked, 0 no longer blocked, 29 held, 0 no longer held." in shown
    plan = shown.splitlines()[-1].removeprefix("Plan: ")
    assert (
        invoke("apply", "--plan", plan, rules=f"{ONE_EMAIL}\nlimits.values_per_identity = 9").exit_code == 1
    )
    done = invoke("apply", "--retroactive", "--plan", plan, "--yes", rules=ONE_EMAIL)
    assert done.exit_code == 0, done.output
    assert len(asyncio.run(settled.held())) == 29
    rules = asyncio.run(settled.rules())
    assert (rules.version, rules.retroactive, rules.is_settled) == (3, True, True)


def test_retroactive_limits_go_on_after_an_interruption_and_are_applied_again_afterwards(settled):
    rules = RuleSet(phone_numbers=["1"], limits=Limits(emails_per_phone_number=1))
    asyncio.run(settled.put(rules, Note("doc", "a till"), retroactive=True))
    for version in (2, 3):
        done = invoke("apply", "--retroactive", "--yes", rules=ONE_EMAIL)
        assert done.exit_code == 0, done.output
        assert asyncio.run(settled.rules()).version == version
        assert len(asyncio.run(settled.held())) == 29
    asyncio.run(settled.put(rules, Note("doc", "a till")))
    invoke("apply", "--retroactive", "--yes", rules=ONE_EMAIL)
    assert asyncio.run(settled.rules()).version == 5


def test_what_was_agreed_to_is_applied_or_nothing(settled, monkeypatch):
    def agree(*_, **__):
        asyncio.run(IdentifyContacts(settled)(ContactDetails("biff@x", "2")))
        return True

    monkeypatch.setattr("click.confirm", agree)
    stale = invoke("apply", rules=MORE)
    assert "Identities: 3 before, 32 after." in stale.stderr
    assert stale.stderr.endswith("because the record is no longer what was shown; run it again\n")
    assert asyncio.run(settled.rules()).version == 1


def suggest(*options):
    return CliRunner().invoke(main, ["rules", "suggest", *options])


@pytest.fixture
def shared(settled):
    """The repository with another value that two customers share, and one that looks like a pattern."""
    for email, number in (("?@x", "3"), ("?@x", "4"), ("doc@x", "4")):
        asyncio.run(IdentifyContacts(settled)(ContactDetails(email, number)))
    return settled


def test_suggestions_show_what_blocking_each_value_would_do_and_the_lines_that_block_them(shared):
    done = suggest()
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "kind          value  partners  merges  primary  contacts  parts  leaving",
        "phone number  2      30        0       3        30        30     29",
        "email         ?@x    2         0       33       3         2      1",
        "phone number  4      2         0       33       3         2      1",
        "To block them, keep the lines of those that many people share:",
        "[blocked]",
        "phone_numbers = [",
        '    "2",',
        '    "4",',
        "]",
    ]
    assert len(suggest("--limit", "1").stdout.splitlines()) == 5
    first, *_ = json.loads(suggest("--json").stdout)["suggestions"]
    assert (first["value"], first["leavingContacts"]) == ({"phoneNumber": "2"}, 29)


def test_suggestions_of_an_identity_that_is_too_large_say_so(shared, monkeypatch):
    monkeypatch.setattr(suggest_rules, "MAX_CONTACTS", 29)
    line = suggest("--limit", "1").stdout.splitlines()[1]
    assert line == "phone number  2      30        0       3        30        too large  too large"


def test_where_nothing_is_joined_nothing_is_suggested(memory):
    asyncio.run(ChangeRules(memory, memory).settle())
    assert suggest().stdout == "No value joins others.\n"
