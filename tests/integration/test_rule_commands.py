"""The commands of rules and of what limits hold: what they show, ask, do and refuse."""

import json

import pytest

from identity_adapters.postgres import verify
from tests.support.databases import plain
from tests.support.processes import run

pytestmark = pytest.mark.slow

ORDERS = """email,phone_number,created_at
lorraine@x,1000,2020-01-01
george@x,1000,2020-01-02
marty@x,1000,2020-01-03
marty@x,2000,2020-01-04
"""
SHOP = '[blocked]\nphone_numbers = ["1000"]\n'
ONE_EMAIL = "[limits]\nemails_per_phone_number = 1\n"
WHY = ("--reason", "a till")


@pytest.fixture
def identity(tmp_path, url):
    """Runs a command on a database in which a shop's own number joined three customers."""

    def run_command(*arguments, code=0, input=None):
        done = run(*arguments, cwd=tmp_path, input=input, DB_CONNECTION_STRING=plain(url))
        assert done.returncode == code, done.stderr
        return done

    (tmp_path / "orders.csv").write_text(ORDERS)
    run_command("import", "orders.csv")
    yield run_command
    assert verify(url) == []


@pytest.fixture
def rules(tmp_path):
    """Writes a file of rules."""

    def write(text):
        (tmp_path / "rules.toml").write_text(text)
        return "rules.toml"

    return write


def ask(identity, *arguments):
    """The JSON that a command writes."""
    return json.loads(identity(*arguments, "--json").stdout)


def customers(identity):
    """The emails and phone numbers of each identity."""
    lines = identity("export").stdout.splitlines()
    contacts = [json.loads(line)["contact"] for line in lines]
    return sorted(sorted(one["emails"] + one["phoneNumbers"]) for one in contacts)


JOINED = [["1000", "2000", "george@x", "lorraine@x", "marty@x"]]
PARTED = [["2000", "marty@x"], ["george@x"], ["lorraine@x"]]


def test_without_rules_an_empty_file_is_shown(identity):
    done = identity("rules", "show")
    assert done.stdout == ""
    assert done.stderr == "No rules were ever put in force.\n"


def test_apply_shows_what_changes_and_does_it_when_it_is_told_so(identity, rules):
    file = rules(SHOP + 'presets = ["reserved-domains"]\none_digit = true\n' + ONE_EMAIL)
    refused = identity("rules", "apply", file, code=1, input="n\n")
    assert refused.stdout == ""
    assert "nothing was changed" in refused.stderr
    assert customers(identity) == JOINED
    plan = ask(identity, "rules", "preview", file)["plan"]
    done = identity("rules", "apply", file, *WHY, "--by", "doc", input="y\n")
    shown, _, asked = done.stderr.partition("Do this?")
    assert asked
    assert shown.splitlines() == [
        "Blocks:",
        "  1000",
        "  phone numbers that repeat one digit",
        "  preset reserved-domains",
        "limit                    before  after",
        "emails_per_phone_number  none    1",
        "Identities: 1 before, 3 after.",
        "1 would come apart, 0 would become one with others.",
        "Pairs: 3 would be blocked, 0 no longer blocked, 0 held, 0 no longer held.",
        "The affected identities by size:",
        "contacts  before  after",
        "1         0       2",
        "2         0       1",
        "3-5       1       0",
        "6-10      0       0",
        "11-100    0       0",
        "over 100  0       0",
        "The most affected:",
        "primary  contacts  parts         becomes one with  because of (pairs)",
        "1        4         3 of 2, 1, 1                    1000 (3), george@x (1), lorraine@x (1),"
        " marty@x (1)",
        f"Plan: {plan}",
    ]
    first, last = done.stdout.splitlines()
    assert first.startswith("Version 1 of the rules was put in force by doc at ")
    assert first.endswith(": a till")
    assert last == "Everything recorded is in line with it."
    assert customers(identity) == PARTED


def test_the_same_file_comes_out_and_changes_nothing(identity, rules, tmp_path):
    identity("rules", "apply", rules(SHOP + ONE_EMAIL), "--yes")
    shown = identity("rules", "show")
    assert shown.stdout == f"{SHOP}\n{ONE_EMAIL}"
    assert "rules.toml" in shown.stderr
    again = identity("rules", "apply", "-", input=shown.stdout)
    assert "Do this?" not in again.stderr
    assert again.stdout.startswith("Version 1 of the rules")


def test_nobody_to_ask_is_a_no(identity, rules):
    done = identity("rules", "apply", rules(SHOP), code=1)
    assert done.stderr.endswith("nothing was changed; --yes does not ask\n")
    assert customers(identity) == JOINED


def test_a_preview_foretells_what_apply_does(identity, rules, tmp_path):
    file = rules(SHOP)
    foretold = ask(identity, "rules", "preview", file, "--affected", "affected.txt")
    assert (foretold["identitiesBefore"], foretold["identitiesAfter"], foretold["blocked"]) == (1, 3, 3)
    assert (tmp_path / "affected.txt").read_text() == "1\n"
    assert customers(identity) == JOINED
    identity("rules", "apply", file, "--yes", "--plan", foretold["plan"])
    assert customers(identity) == PARTED
    back = ask(identity, "rules", "preview", rules(""), "--affected", "affected.txt")
    assert (back["identitiesBefore"], back["identitiesAfter"], back["merged"]) == (3, 1, 3)
    assert len((tmp_path / "affected.txt").read_text().splitlines()) == 3


def test_the_lines_of_suggestions_are_a_file_that_does_what_they_foretell(identity, rules):
    [first, second] = ask(identity, "rules", "suggest")["suggestions"]
    assert (first["value"], first["parts"], first["leavingContacts"]) == ({"phoneNumber": "1000"}, 3, 2)
    assert second["value"] == {"email": "marty@x"}
    shown = identity("rules", "suggest", "--limit", "1").stdout
    table, _, lines = shown.partition("To block them, keep the lines of those that many people share:\n")
    assert table.splitlines()[1].split() == ["phone", "number", "1000", "3", "0", "1", "4", "3", "2"]
    assert lines == SHOP
    identity("rules", "apply", rules(lines), "--yes")
    assert customers(identity) == PARTED
    assert [one["value"] for one in ask(identity, "rules", "suggest")["suggestions"]] == []


def test_a_plan_is_stale_when_what_it_was_made_of_changed(identity, rules, tmp_path):
    file = rules(SHOP)
    plan = ask(identity, "rules", "preview", file)["plan"]
    (tmp_path / "more.csv").write_text("email,phone_number\nbiff@x,1000\n")
    identity("import", "more.csv")
    stale = identity("rules", "apply", file, "--yes", "--plan", plan, code=1)
    assert "nothing was changed, because the record is no longer what was shown" in stale.stderr
    plan = ask(identity, "rules", "preview", file)["plan"]
    identity("rules", "apply", rules(ONE_EMAIL), "--yes")
    identity("rules", "apply", rules(SHOP), "--yes", "--plan", plan, code=1)
    assert identity("rules", "show").stdout == ONE_EMAIL
    assert len(customers(identity)) == 1


def test_explain_names_what_keeps_a_pair_from_counting(identity, rules, tmp_path):
    identity("rules", "apply", rules(ONE_EMAIL), "--yes")
    (tmp_path / "late.csv").write_text("email,phone_number\ndoc@x,1000\n")
    identity("import", "late.csv")
    done = identity("explain", "doc@x", "1000", code=1)
    assert "Links that are held do not count." in done.stderr
    [link] = json.loads(identity("explain", "doc@x", "1000", "--json", code=1).stdout)["chain"]
    assert (link["reason"], link["heldBy"]) == ("held", "emailsPerPhoneNumber")
    identity("rules", "apply", rules(SHOP), "--yes")
    done = identity("explain", "lorraine@x", "george@x", code=1)
    assert "Links that are blocked do not count." in done.stderr
    chain = json.loads(identity("explain", "lorraine@x", "george@x", "--json", code=1).stdout)["chain"]
    assert [(link["reason"], "heldBy" in link) for link in chain] == 2 * [("blocked", False)]


def test_unblocking_gives_back_what_was(identity, rules):
    applied = ask(identity, "rules", "apply", rules(SHOP), *WHY, "--yes")
    assert applied["blocked"]["phoneNumbers"] == ["1000"]
    assert (applied["version"], applied["isSettled"], applied["reason"]) == (1, True, "a till")
    assert customers(identity) == PARTED
    done = identity("rules", "apply", rules(""), input="y\n")
    assert "No longer blocks:\n  1000\n" in done.stderr
    assert customers(identity) == JOINED
    shown = ask(identity, "rules", "show")
    assert (shown["version"], shown["blocked"]["phoneNumbers"]) == (2, [])


def test_a_long_list_of_values_is_cut(identity, rules):
    values = ", ".join(f'"{number}"' for number in range(5000, 5050))
    done = identity("rules", "apply", rules(f"blocked.phone_numbers = [{values}]"), input="y\n")
    assert "  5019\n  and 30 more\n" in done.stderr


def test_a_wrong_file_is_refused_with_all_that_is_wrong(identity, rules, tmp_path):
    file = rules('[blocked]\nemail = []\nemails = [\n  "doc@hillvalley.edu",\n  "marty@",\n]\n')
    done = identity("rules", "apply", file, "--yes", code=2)
    assert done.stderr == (
        "identity: rules.toml cannot be used:\n"
        "line 2: blocked.email is unknown; there are emails, phone_numbers, one_digit, presets\n"
        "line 5: value 2 of blocked.emails must have exactly one @ between two non-empty parts\n"
    )
    assert (
        "there.toml cannot be read: No such file" in identity("rules", "apply", "there.toml", code=2).stderr
    )
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    assert "latin.toml must be UTF-8" in identity("rules", "apply", "latin.toml", code=2).stderr


@pytest.fixture
def held(identity, rules, tmp_path):
    """The ids of two pairs that a limit holds."""
    identity("rules", "apply", rules(ONE_EMAIL), "--yes")
    (tmp_path / "more.csv").write_text("email,phone_number\nbiff@x,1000\njennifer@x,2000\n")
    identity("import", "more.csv")
    listed = ask(identity, "held", "list")
    assert listed["next"] is None
    return [pair["id"] for pair in listed["held"]]


def test_held_pairs_are_listed_with_the_limit_and_the_identities(identity, held):
    [first] = ask(identity, "held", "list", "--limit", "1")["held"]
    assert (first["email"], first["phoneNumber"], first["id"]) == ("biff@x", "1000", held[0])
    assert first["heldBy"] == "emailsPerPhoneNumber"
    assert first["identityOfEmail"]["totalContacts"] == 1
    assert first["identityOfPhoneNumber"]["totalContacts"] == 4
    [second] = ask(identity, "held", "list", "--after", str(held[0]))["held"]
    assert second["id"] == held[1]


def test_accepted_pairs_count(identity, held):
    done = identity("held", "accept", str(held[0]), *WHY, input="y\n")
    assert "Pins biff@x and 1000 together.\n" in done.stderr
    assert "Pinned biff@x and 1000 together (ruling " in done.stdout
    assert customers(identity) == [
        ["1000", "2000", "biff@x", "george@x", "lorraine@x", "marty@x"],
        ["jennifer@x"],
    ]
    assert [pair["id"] for pair in ask(identity, "held", "list")["held"]] == [held[1]]


def test_rejected_pairs_never_count(identity, held, rules):
    identity("held", "reject", *map(str, held), *WHY, "--yes")
    assert ask(identity, "held", "list")["held"] == []
    identity("rules", "apply", rules(""), "--yes")
    assert customers(identity) == [*JOINED, ["biff@x"], ["jennifer@x"]]


def test_what_is_not_held_is_refused(identity, held):
    before = customers(identity)
    for command in ("accept", "reject"):
        done = identity("held", command, "999", *WHY, "--yes", code=1)
        assert done.stderr == "identity: the pair is not held by a limit\n"
    assert "nothing was changed" in identity("held", "accept", str(held[0]), *WHY, code=1).stderr
    plan = identity("held", "accept", *map(str, held), *WHY, "--yes", "--plan", "x", code=2)
    assert "--plan is of one pair" in plan.stderr
    assert customers(identity) == before


def test_raising_the_limit_gives_back_what_it_held(identity, held, rules):
    identity("rules", "apply", rules("[limits]\nemails_per_phone_number = 3\n"), "--yes")
    assert [pair["id"] for pair in ask(identity, "held", "list")["held"]] == [held[0]]
    identity("rules", "apply", rules(""), "--yes")
    assert ask(identity, "held", "list")["held"] == []
    assert len(customers(identity)) == 1
