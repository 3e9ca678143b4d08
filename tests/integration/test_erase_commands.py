"""The commands that erase, that keep the ledger and that replay it: what they show, ask, do and refuse."""

import json

import pytest

from identity_adapters.postgres import verify
from tests.support.databases import plain
from tests.support.processes import run

pytestmark = pytest.mark.slow

ORDERS = """email,phone_number,created_at
a@x,1,2020-01-01
b@x,1,2020-01-02
c@x,3,2020-01-03
"""
NOT_A_LEDGER = "line 1 of the ledger is not an erasure"


@pytest.fixture
def identity(tmp_path, url):
    """Runs a command on a database with two persons."""

    def run_command(*arguments, code=0, **options):
        settings = {"DB_CONNECTION_STRING": plain(url), **options.pop("settings", {})}
        done = run(*arguments, cwd=tmp_path, **options, **settings)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    (tmp_path / "orders.csv").write_text(ORDERS)
    run_command("import", "orders.csv")
    yield run_command
    assert verify(url) == []


def count(sql):
    return sql("SELECT count(*) FROM contacts")[0][0]


def test_a_dry_run_shows_who_would_go(identity, sql):
    shown = identity("erase", "--email", "A@x", "--dry-run").stdout
    assert shown.startswith("Erases 2 contacts with these values:\n  a@x\n  b@x\n  1\n")
    assert "Warning: 1 alone joins " in shown
    preview = json.loads(identity("erase", "--email", "a@x", "--dry-run", "--json").stdout)["preview"]
    assert shown.endswith(f"Plan: {preview['plan']}\n")
    assert count(sql) == 3


def test_nobody_to_ask_is_a_no(identity, sql):
    identity("erase", "--email", "a@x", code=1, input="")
    assert count(sql) == 3


def test_a_plan_is_for_the_person_that_it_was_made_of(identity, sql):
    stale = identity("erase", "--email", "a@x", "--yes", "--plan", "of another time", code=1)
    assert "nothing was erased, because this person is no longer who was shown" in stale.stderr
    plan = json.loads(identity("erase", "--email", "a@x", "--dry-run", "--json").stdout)["preview"]["plan"]
    receipt = json.loads(identity("erase", "--contact", "1", "--yes", "--plan", plan, "--json").stdout)
    assert receipt["receipt"]["contactIds"] == [1, 2]
    again = identity("erase", "--contact", "1", "--yes", code=1)
    assert "nothing was erased: this contact was erased" in again.stderr
    assert count(sql) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--email", "nobody@x"], 1, "--email is not on record"),
        (["--phone-number", "999"], 1, "--phone-number is not on record"),
        (["--contact", "999"], 1, "--contact does not exist"),
        (["--email", "nobody"], 1, "--email must have exactly one @"),
        (["--email", "a@x", "--suppress"], 1, "keeping out needs the setting IDENTITY_SUPPRESSION_KEY"),
        ([], 2, "Name one of"),
        (["--email", "a@x", "--contact", "1"], 2, "Name one of"),
        (["--replay", "missing"], 2, "does not exist"),
        (["--replay", "orders.csv"], 1, f"orders.csv: {NOT_A_LEDGER}"),
    ],
)
def test_what_cannot_be_erased_is_named(identity, sql, arguments, code, message):
    assert message in identity("erase", *arguments, "--yes", code=code).stderr
    assert count(sql) == 3


def test_where_another_table_refers_to_a_contact_nobody_is_erased(identity, sql):
    sql("CREATE TABLE orders (contact_id bigint REFERENCES contacts (id))")
    sql("INSERT INTO orders VALUES (2)")
    assert "nothing was erased: " in identity("erase", "--email", "a@x", "--yes", code=1).stderr
    assert count(sql) == 3


def test_the_ledger_is_written_and_completed_and_checked(identity, tmp_path, sql):
    said = identity("erase", "--email", "a@x", "--yes", "--by", "marty").stdout
    assert said.startswith("Erased 2 contacts, ")
    assert "Contacts: 1, 2.\n" in said
    written = identity("ledger").stdout
    assert json.loads(written)["contactIds"] == [1, 2]
    for _ in range(2):
        identity("ledger", "--output", "ledger.jsonl")
        assert (tmp_path / "ledger.jsonl").read_text() == written
    assert "Nothing is left of the erased." in identity("verify", "--erased", "ledger.jsonl").stdout
    assert "again what was left of 0 erasures" in identity("erase", "--replay", "ledger.jsonl").stdout
    # As if a backup had brought them back.
    sql("INSERT INTO contacts (id, email, created_at, updated_at, link_precedence)"
        " VALUES (1, 'a@x', '2020-01-01', '2020-01-01', 'primary')")  # fmt: skip
    assert "contacts 1\n" in identity("verify", "--erased", "ledger.jsonl", code=1).stdout
    report = json.loads(identity("verify", "--erased", "ledger.jsonl", "--json", code=1).stdout)
    assert report["leftOfErased"] == [{"table": "contacts", "id": 1}]
    dry = identity("erase", "--replay", "ledger.jsonl", "--dry-run").stdout
    assert dry.startswith("Would erase again what was left of 1 erasure.")
    assert identity("erase", "--replay", "ledger.jsonl").stdout.startswith("Erased again what was left of 1")
    identity("verify", "--erased", "ledger.jsonl")


def test_what_is_no_ledger_is_named(identity, tmp_path):
    assert f"orders.csv: {NOT_A_LEDGER}" in identity("verify", "--erased", "orders.csv", code=2).stderr
    assert NOT_A_LEDGER in identity("ledger", "--output", "orders.csv", code=1).stderr
    missing = identity("ledger", "--output", "missing/ledger.jsonl", code=1)
    assert "missing/ledger.jsonl: No such file or directory" in missing.stderr


@pytest.mark.parametrize(
    ("ledger", "message"),
    [
        ("missing/ledger.jsonl", "names a file that cannot be written: No such file or directory"),
        ("orders.csv", f"names a file that is not a ledger: {NOT_A_LEDGER}"),
    ],
)
def test_the_service_does_not_start_without_its_ledger(identity, tmp_path, ledger, message):
    done = identity("serve", "--port", "0", code=1, settings={"IDENTITY_ERASURE_LEDGER": tmp_path / ledger})
    assert f"IDENTITY_ERASURE_LEDGER {message}" in done.stderr
