"""The commands of rulings: what they show, ask, do and refuse, and what they export and import."""

import csv
import json
import random

import pytest
from click.testing import CliRunner

from identity_adapters.cli import main
from identity_adapters.postgres import verify
from tests.support.databases import plain
from tests.support.processes import run

pytestmark = pytest.mark.slow

ORDERS = """email,phone_number,created_at
lorraine@x,1,2020-01-01
george@x,2,2020-01-02
lorraine@x,2,2020-01-03
"""
TYPO = ("--email", "lorraine@x", "--phone-number", "2")
WHY = ("--reason", "a typo")


@pytest.fixture
def identity(tmp_path, url):
    """Runs a command on a database in which a typo joined two customers."""

    def run_command(*arguments, code=0, input=None):
        done = run(*arguments, cwd=tmp_path, input=input, DB_CONNECTION_STRING=plain(url))
        assert done.returncode == code, done.stderr
        return done

    (tmp_path / "orders.csv").write_text(ORDERS)
    run_command("import", "orders.csv")
    yield run_command
    assert verify(url) == []


def ask(identity, *arguments):
    """The JSON that a command writes."""
    return json.loads(identity(*arguments, "--json").stdout)


def emails(answer):
    return [[contact["email"] for contact in page["contacts"]] for page in answer["identities"]]


def customers(identity):
    """The emails and phone numbers of each identity."""
    lines = identity("export").stdout.splitlines()
    contacts = [json.loads(line)["contact"] for line in lines]
    return sorted(sorted(one["emails"] + one["phoneNumbers"]) for one in contacts)


JOINED = [["1", "2", "george@x", "lorraine@x"]]
PARTED = [["1", "lorraine@x"], ["2", "george@x"]]


def test_undo_shows_what_would_happen_and_does_it_when_it_is_told_so(identity):
    refused = identity("undo", *TYPO, *WHY, code=1, input="n\n")
    assert refused.stdout == ""
    assert "nothing was changed" in refused.stderr
    assert customers(identity) == JOINED
    done = identity("undo", *TYPO, *WHY, input="y\n")
    shown, _, asked = done.stderr.partition("Do this?")
    assert asked
    assert shown.splitlines() == [
        "Undoes the link between lorraine@x and 2.",
        "Moves 1 contact.",
        "Primary contacts before: 1; after: 1, 2.",
        "primary  contact  email       phone number",
        "1        1        lorraine@x  1",
        "2        2        george@x    2",
        "It undoes:",
        "from        to  by        id  seen at",
        "lorraine@x  2   evidence  3   2020-01-03 00:00:00",
    ]
    assert "Undid the link between lorraine@x and 2 (ruling " in done.stdout
    assert customers(identity) == PARTED


def test_nobody_to_ask_is_a_no(identity):
    done = identity("undo", *TYPO, *WHY, code=1)
    assert done.stderr.endswith("nothing was changed; --yes does not ask\n")
    assert customers(identity) == JOINED


def test_a_dry_run_foretells_what_the_ruling_does(identity):
    foretold = ask(identity, "undo", *TYPO, *WHY, "--dry-run")
    assert (foretold["applied"], foretold["movedContactIds"]) == (False, [2])
    assert customers(identity) == JOINED
    done = ask(identity, "undo", *TYPO, *WHY, "--yes", "--plan", foretold["plan"])
    assert done["applied"]
    assert foretold | {"applied": True, "rulingIds": done["rulingIds"]} == done


def test_a_plan_of_another_record_is_refused(identity):
    plan = ask(identity, "undo", *TYPO, *WHY, "--dry-run")["plan"]
    identity("undo", "--contact-id", "2", *WHY, "--yes")
    done = identity("undo", *TYPO, *WHY, "--yes", "--plan", plan, code=1)
    assert "nothing was changed, because the record is no longer what was shown" in done.stderr


def test_what_was_shown_is_what_is_done(identity, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DB_CONNECTION_STRING", plain(url))

    def meanwhile(*_, **__):
        identity("undo", "--contact-id", "2", *WHY, "--yes")
        return True

    monkeypatch.setattr("click.confirm", meanwhile)
    done = CliRunner().invoke(main, ["undo", *TYPO, *WHY])
    assert done.exit_code == 1
    assert "the record is no longer what was shown; run it again" in done.stderr
    assert customers(identity) == [["1", "2", "lorraine@x"], ["george@x"]]


def test_a_ruling_that_is_in_force_changes_nothing_and_asks_nothing(identity):
    identity("undo", *TYPO, *WHY, "--yes")
    done = identity("undo", *TYPO, *WHY)
    assert done.stdout == "There is nothing to do: it is so already.\n"
    assert "Do this?" not in done.stderr


@pytest.mark.parametrize("how", ["--evidence-id", "--contact-id", "--event-id"])
def test_a_pair_is_named_by_its_evidence_its_contact_or_its_event(identity, sql, how):
    [(evidence_id, event_id)] = sql("SELECT evidence_id, id FROM contact_events WHERE kind = 'merged'")
    id = {"--evidence-id": evidence_id, "--contact-id": 2, "--event-id": event_id}[how]
    undone = ask(identity, "undo", how, str(id), *WHY, "--yes")
    assert len(undone["identities"]) == 2
    pair = ["--contact-id", "2"] if how == "--contact-id" else TYPO
    assert ask(identity, "restore", *pair, *WHY, "--yes")["withdrawnRulingIds"] == undone["rulingIds"]
    assert customers(identity) == JOINED


def test_an_undone_pair_that_comes_again_is_held_and_restore_gives_it_back(identity):
    [ruling_id] = ask(identity, "undo", *TYPO, *WHY, "--yes")["rulingIds"]
    assert json.loads(identity("import", "orders.csv", "--json").stdout)["held"] == 1
    assert customers(identity) == PARTED
    assert "1  rows whose pair is held or undone" in identity("import", "orders.csv", "--dry-run").stdout
    done = identity("restore", "--ruling-id", str(ruling_id), *WHY, "--yes")
    assert f"Ended ruling {ruling_id}." in done.stdout
    assert customers(identity) == JOINED
    assert (
        "the ruling is not in force"
        in identity("restore", "--ruling-id", str(ruling_id), *WHY, code=1).stderr
    )
    assert "the pair is not undone" in identity("restore", *TYPO, *WHY, code=1).stderr


def test_what_still_joins_the_two_values_is_shown(identity, tmp_path):
    (tmp_path / "more.csv").write_text("email,phone_number\ngeorge@x,1\n")
    identity("import", "more.csv")
    done = identity("undo", *TYPO, *WHY, "--dry-run")
    assert "The two stay one customer all the same, because of:" in done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines()[-3:]] == [
        ["lorraine@x", "1"],
        ["1", "george@x"],
        ["george@x", "2"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["undo", "--email", "george@x", "--phone-number", "1"], "the pair was never seen together"),
        (["undo", "--contact-id", "999"], "the pair is not on record"),
        (["undo", "--event-id", "999"], "the event does not exist"),
        (["undo", "--email", "george", "--phone-number", "1"], "the email must have exactly one @"),
        (["undo", "--email", " ", "--phone-number", "1"], "the pair must have an email and a phone number"),
        (["split", "lorraine@x", "contact:999"], "OTHER is no live contact with a value"),
        (["split", "lorraine@x", "LORRAINE@x"], "OTHER must differ from one"),
        (["split", "lorraine@x", "marty@x"], "nothing joins the two"),
        (["pin", "remove", "999"], "the ruling is not in force"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_is_not_on_record_is_refused(identity, arguments, message):
    done = identity(*arguments, *WHY, "--yes", code=1)
    assert done.stdout == ""
    assert done.stderr.startswith(f"identity: {message}")


def test_split_shows_the_links_that_it_undoes_and_is_restored_by_its_pin(identity):
    shown = identity("split", "lorraine@x", "contact:2", *WHY, "--dry-run").stdout
    assert "Pins lorraine@x and george@x apart.\n" in shown
    _, _, undone = shown.partition("It undoes:\n")
    [_, link] = undone.splitlines()
    assert link.split()[2:4] == ["evidence", "3"]
    ruling_ids = ask(identity, "split", "lorraine@x", "contact:2", *WHY, "--yes")["rulingIds"]
    assert customers(identity) == PARTED
    [pin] = ask(identity, "pin", "list")["rulings"]
    assert (pin["verdict"], pin["reason"], pin["id"] in ruling_ids) == ("different", "a typo", True)
    refused = identity("restore", *TYPO, *WHY, "--yes", code=1)
    assert f"a pin keeps the two apart: remove it first (ruling {pin['id']})" in refused.stderr
    identity("restore", "--ruling-id", str(pin["id"]), *WHY, "--yes")
    assert customers(identity) == JOINED
    assert ask(identity, "pin", "list") == {"rulings": [], "next": None}


def test_pins_join_and_keep_apart_and_can_be_removed(identity):
    done = identity("pin", "lorraine@x", "marty@x", "--same", *WHY, "--by", "doc", "--yes")
    assert "Pinned lorraine@x and marty@x together (ruling " in done.stdout
    identity("pin", "add", "marty@x", "biff@x", "--different", *WHY, "--yes")
    pins = ask(identity, "pin", "list")["rulings"]
    assert [(pin["verdict"], pin["other"]["email"]) for pin in pins] == [
        ("same", "marty@x"),
        ("different", "biff@x"),
    ]
    assert pins[0]["decidedBy"] == "doc"
    refused = identity("pin", "biff@x", "1", "--same", *WHY, "--yes", code=1)
    assert f"a pin keeps the two apart: remove it first (ruling {pins[1]['id']})" in refused.stderr
    assert "lorraine@x" in refused.stderr
    assert "another" not in identity("pin", "remove", str(pins[1]["id"]), *WHY, "--yes").stderr
    identity("pin", "biff@x", "1", "--same", *WHY, "--yes")
    assert customers(identity) == [["1", "2", "biff@x", "george@x", "lorraine@x", "marty@x"]]


def test_what_is_joined_is_not_pinned_apart_but_the_cut_is_shown(identity):
    refused = identity("pin", "lorraine@x", "george@x", "--different", *WHY, "--yes", code=1)
    assert refused.stderr.startswith("identity: the two are joined: split them\n")
    _, _, cut = refused.stderr.partition("A split would undo:\n")
    assert [line.split()[2:4] for line in cut.splitlines()[1:]] == [["evidence", "3"]]


def test_explain_says_why_two_that_share_a_history_are_not_one(identity, tmp_path):
    identity("undo", *TYPO, *WHY, "--yes")
    done = identity("explain", "1", "george@x", code=1)
    assert [link["reason"] for link in json.loads(done.stdout)["chain"]] == ["contact", "undone", "contact"]
    assert done.stderr == "They are not one customer. Links that are undone do not count.\n"
    identity("pin", "1", "george@x", "--different", *WHY, "--yes")
    (tmp_path / "more.csv").write_text("email,phone_number\ngeorge@x,1\n")
    assert json.loads(identity("import", "more.csv", "--json").stdout)["held"] == 1
    [pin] = ask(identity, "pin", "list")["rulings"]
    done = identity("explain", "1", "george@x", "--mermaid", code=1)
    assert " -. held " in done.stdout
    assert done.stderr == (
        f"They are not one customer. Links that are held do not count. Pin {pin['id']} keeps them apart.\n"
    )


def test_explain_shows_a_pin_as_a_reason(identity):
    identity("pin", "lorraine@x", "marty@x", "--same", *WHY, "--yes")
    [link] = json.loads(identity("explain", "marty@x", "lorraine@x").stdout)["chain"]
    assert (link["reason"], link["id"]) == ("pin", ask(identity, "pin", "list")["rulings"][0]["id"])


def test_history_tells_of_rulings(identity):
    [ruling_id] = ask(identity, "undo", *TYPO, *WHY, "--yes")["rulingIds"]
    events = json.loads(identity("history", "2").stdout)["events"]
    assert [event["kind"] for event in events] == ["created", "split"]
    assert events[-1]["movedContactIds"] == [2]
    assert events[-1]["rulingId"] == ruling_id


def test_who_decided_is_on_record(identity):
    identity("undo", *TYPO, *WHY, "--by", "doc", "--yes")
    [line] = identity("rulings", "export").stdout.splitlines()
    ruling = json.loads(line)
    assert (ruling["decidedBy"], ruling["reason"], ruling["verdict"]) == ("doc", "a typo", "undone")


@pytest.fixture
def another(make_database, tmp_path):
    """Runs a command on another database."""
    settings = {"cwd": tmp_path, "DB_CONNECTION_STRING": make_database()}

    def run_command(*arguments, input=None):
        return run(*arguments, input=input, **settings)

    return run_command


def pairs(command):
    """All pairs on record, whether they count or not."""
    rows = csv.reader(command("export", "-", "--format", "csv", "--all-pairs").stdout.splitlines()[1:])
    return {f"{email},{number}" for _, email, number, *_ in rows if email and number}


@pytest.mark.parametrize("first", ["contacts", "rulings"])
def test_exported_contacts_and_rulings_make_the_same_identities(identity, another, tmp_path, first):
    identity("split", "lorraine@x", "george@x", *WHY, "--yes")
    identity("undo", "--contact-id", "2", *WHY, "--by", "doc", "--yes")
    identity("pin", "lorraine@x", "marty@x", "--same", *WHY, "--yes")
    identity("pin", "1", "biff@x", "--different", *WHY, "--yes")
    (tmp_path / "more.csv").write_text("email,phone_number\nbiff@x,1\n")
    assert json.loads(identity("import", "more.csv", "--json").stdout)["held"] == 1
    identity("export", "contacts.csv", "--all-pairs")
    assert identity("rulings", "export", "rulings.jsonl").stderr == "5 rulings\n"
    assert (tmp_path / "rulings.jsonl").stat().st_mode & 0o777 == 0o600
    imports = [("import", "contacts.csv"), ("rulings", "import", "rulings.jsonl")]
    for command in imports if first == "contacts" else imports[::-1]:
        done = another(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert customers(another) == customers(identity)
    assert another("verify").returncode == 0
    assert pairs(another) == pairs(identity) > {"biff@x,1"}
    taken = ("verdict", "one", "other", "decidedAt", "decidedBy", "reason")
    exported = [
        [json.loads(line) for line in command("rulings", "export").stdout.splitlines()]
        for command in (identity, another)
    ]
    ours, theirs = ([[ruling[name] for name in taken] for ruling in rulings] for rulings in exported)
    assert ours == theirs
    [pin_id] = {ruling["splitId"] for ruling in exported[1]} - {None}
    assert pin_id in {ruling["id"] for ruling in exported[1] if ruling["verdict"] == "different"}
    again = another("rulings", "import", "-", input=(tmp_path / "rulings.jsonl").read_text())
    assert again.returncode == 0
    assert "0  rulings imported\n        5  rulings that were in force already" in again.stdout


def test_rulings_in_any_order_come_to_the_same(identity, another, tmp_path):
    identity("split", "lorraine@x", "george@x", *WHY, "--yes")
    identity("pin", "george@x", "marty@x", "--same", *WHY, "--yes")
    lines = identity("rulings", "export").stdout.splitlines(keepends=True)
    random.shuffle(lines)
    another("import", "orders.csv")
    assert another("rulings", "import", "-", input="".join(lines)).returncode == 0
    assert customers(another) == customers(identity)


def test_rulings_that_contradict_others_are_left_out(identity, another):
    identity("undo", *TYPO, *WHY, "--yes")
    identity("pin", "lorraine@x", "george@x", "--different", *WHY, "--yes")
    exported = identity("rulings", "export").stdout
    for ruling in (("pin", *TYPO[1::2]), ("pin", "lorraine@x", "marty@x"), ("pin", "marty@x", "george@x")):
        assert another(*ruling, "--same", *WHY, "--yes").returncode == 0
    before = another("rulings", "export").stdout
    done = another("rulings", "import", "-", input=exported)
    assert done.returncode == 1
    assert "0  rulings imported" in done.stdout
    assert "2  rulings left out" in done.stdout
    reasons = [line.partition(" (")[0] for line in done.stderr.splitlines()]
    assert reasons == [f"line {n}: another ruling says the opposite" for n in (1, 2)]
    assert another("rulings", "export").stdout == before


WRONG = {
    "no JSON": "foo",
    "another answer": '{"contact": {}}',
    "no value": {"one": {}},
    "two values": {"one": {"email": "a@x", "phoneNumber": "1"}},
    "one value twice": {"one": {"phoneNumber": "1"}},
    "a wrong email": {"one": {"email": "a"}},
    "an unknown verdict": {"verdict": "perhaps"},
    "a blank reason": {"reason": " "},
    "a time without an offset": {"decidedAt": "2020-01-01T00:00:00"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_line_that_is_no_ruling_is_left_out_and_the_others_are_imported(identity, wrong):
    right = {
        "id": 7,
        "verdict": "different",
        "one": {"email": "Biff@x"},
        "other": {"phoneNumber": "1"},
        "decidedAt": "2020-01-01T01:00:00+01:00",
        "decidedBy": None,
        "reason": "they say so",
        "splitId": None,
    }
    lines = [wrong if isinstance(wrong, str) else json.dumps(right | wrong), "", json.dumps(right)]
    done = identity("rulings", "import", "-", input="\n".join(lines), code=1)
    assert done.stderr.startswith("line 1: ")
    [pin] = ask(identity, "pin", "list")["rulings"]
    assert pin == right | {"id": pin["id"], "one": {"email": "biff@x"}, "decidedAt": "2020-01-01T00:00:00Z"}


def test_a_file_that_cannot_be_read_or_written_is_named(identity):
    done = identity("rulings", "import", "no/file", code=2)
    assert done.stderr == "identity: no/file cannot be read: No such file or directory\n"
    done = identity("rulings", "export", "no/file", code=1)
    assert done.stderr == "identity: no/file cannot be written: No such file or directory\n"
