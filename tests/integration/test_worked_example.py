"""The worked example of how to keep strangers apart: what its page states of real orders."""

import csv
import json
import re
from itertools import islice
from pathlib import Path

import pytest

from identity_adapters.postgres import verify
from tests.support.databases import connect, plain
from tests.support.processes import run

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "keep-strangers-apart.md"
EXAMPLE = PAGE.read_text().partition("## A worked example")[2].partition("\n## ")[0]

LIMITS = [
    (int(limit), int(held), int(customers.replace(",", "")))
    for limit, held, customers in re.findall(r"^\| (\d+) \| (\d+) \| ([\d,]+) \|$", EXAMPLE, re.MULTILINE)
]
ROWS = re.findall(r"^ *(\d+)  (\S+@\S+)(?:   (counts|held.*))?$", EXAMPLE, re.MULTILINE)


@pytest.fixture
def identity(tmp_path, url):
    """Runs a command on a database of its own."""

    def run_command(*arguments):
        done = run(*arguments, cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run_command
    assert verify(url) == []


def write_limit(folder, limit):
    (folder / "rules.toml").write_text(f"[limits]\nphone_numbers_per_email = {limit}\n")
    return "rules.toml"


def count_customers(url):
    with connect(url) as connection:
        query = "SELECT count(*) FROM contacts WHERE linked_id IS NULL AND deleted_at IS NULL"
        return connection.execute(query).fetchone()[0]


def list_held(identity):
    held = json.loads(identity("held", "list", "--json"))["held"]
    assert {pair["heldBy"] for pair in held} <= {"phoneNumbersPerEmail"}
    return {(pair["email"], pair["phoneNumber"]): pair for pair in held}


def test_the_rows_are_those_of_the_file(orders):
    with orders.open(newline="") as file:
        lines = file.read().splitlines()
    pairs = [(row["email"], row["phoneNumber"]) for row in csv.DictReader(lines)]
    assert (len(pairs), len(set(pairs))) == (13_145, 1_567)
    assert len(ROWS) == 14
    for number, row, _ in ROWS:
        assert lines[int(number) - 1] == row
        pair = tuple(row.split(",")[:2])
        assert pairs.index(pair) == int(number) - 2, "it is the first of its pair"
    assert pairs.count(("dbdb51f5c26561@example.org", "307888774571")) == 344
    assert pairs.count(("ddff4c621145b1@example.org", "280682713903")) == 13


def test_what_is_suggested_is_what_the_preview_tells(identity, orders, url, tmp_path):
    identity("import", str(orders))
    assert count_customers(url) == 1_420
    shown = identity("rules", "suggest", "--limit", "4")
    row = re.compile(r"^(email|phone number) +(\S+) +(\d+) +(\d+) +\d+ +(\d+) +(\d+) +(\d+)$", re.MULTILINE)
    assert row.findall(shown) == row.findall(EXAMPLE) != []
    assert shown.partition("To block them")[2].strip() in EXAMPLE
    (tmp_path / "rules.toml").write_text('[blocked]\nemails = ["dbdb51f5c26561@example.org"]\n')
    foretold = identity("rules", "preview", "rules.toml").splitlines()
    for line in islice(foretold, 3):
        assert line in EXAMPLE
    [affected] = [line for line in foretold if "4 of 2, 1, 1, 1" in line]
    assert affected.partition("  ")[2][:80].strip() in EXAMPLE


@pytest.mark.parametrize(("limit", "held", "customers"), LIMITS)
def test_a_limit_holds_as_many_pairs_as_the_table_says(
    identity, orders, url, tmp_path, limit, held, customers
):
    identity("rules", "apply", write_limit(tmp_path, limit), "--yes")
    identity("import", str(orders))
    assert (len(list_held(identity)), count_customers(url)) == (held, customers)


def test_the_pairs_are_held_for_the_reasons_that_are_given_and_a_higher_limit_releases_them(
    identity, orders, url, tmp_path
):
    identity("rules", "apply", write_limit(tmp_path, 1), "--yes")
    identity("import", str(orders))
    held = list_held(identity)
    told = {tuple(row.split(",")[:2]): standing for _, row, standing in ROWS if standing}
    assert {pair for pair in told if pair in held} == {pair for pair in told if told[pair] != "counts"}
    sizes = [
        held[pair]["identityOfPhoneNumber"]["totalContacts"]
        for pair in (
            ("526d50a2150dce@example.org", "597292759159"),
            ("ddff4c621145b1@example.org", "280682713903"),
        )
    ]
    assert sizes == [1, 2]

    for line in islice(identity("rules", "preview", write_limit(tmp_path, 5)).splitlines(), 3):
        assert line in EXAMPLE
    identity("rules", "apply", write_limit(tmp_path, 2), "--yes")
    assert list_held(identity).keys() == {pair for pair in told if "limit of two" in told[pair]}
    identity("rules", "apply", write_limit(tmp_path, 5), "--yes")
    assert list_held(identity) == {}
    assert count_customers(url) == 1_420
