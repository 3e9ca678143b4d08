"""The latest merges and the statistics, on PostgreSQL, over HTTP, and by the command line."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from identity_adapters.embedded import embedded_database
from tests.integration.test_looking import on_a_terminal
from tests.support.databases import connect, plain
from tests.support.openapi import checked
from tests.support.processes import run, service
from tests.support.waiting import wait_until

MERGES = [("b@x", "1"), ("d@x", "3"), ("a@x", "3")]
"""What joins the identities of four, one after the other."""

NUMBERS = {
    "contacts": 4, "identities": 1, "merges": 3, "splits": 0, "heldPairs": 0, "blockedPairs": 0,
    "undonePairs": 0, "waitingPairs": 0, "pins": 0, "largestIdentity": 4, "rulesVersion": 0,
    "isSettled": True,
}  # fmt: skip


@pytest.fixture
def settings(url):
    return {"DB_CONNECTION_STRING": plain(url)}


@pytest.fixture
def running(tmp_path, settings):
    with service(tmp_path, **settings) as one:
        for key in [("a@x", "1"), ("b@x", "2"), ("c@x", "3"), ("d@x", "4"), *MERGES]:
            one.identify(*key)
        yield checked(one)


def get(running, path, expect=200):
    status, _, answer = running.request("GET", path)
    assert status == expect, answer
    return json.loads(answer)


def post(running, path, body):
    status, _, answer = running.request("POST", path, json.dumps(body))
    assert status == 200, answer
    return json.loads(answer)


def details(answer):
    return [one["details"] and tuple(one["details"].values()) for one in answer["merges"]]


def test_merges_of_all_identities_are_listed_page_by_page(running):
    whole = get(running, "/merges")
    assert (details(whole), whole["next"]) == (MERGES[::-1], None)
    history = get(running, "/identities/1/history")["events"]
    assert [one for one in history if one["kind"] == "merged"] == whole["merges"][::-1]
    listed, path = [], "/merges?limit=2"
    while path:
        page = get(running, path)
        listed += page["merges"]
        path = page["next"] and f"/merges?limit=2&before={page['next']}"
    assert listed == whole["merges"]
    assert get(running, "/merges?before=0") == {"merges": [], "next": None}
    for wrong in ("limit=101", "before=-1", f"before={2**63}", "before=x"):
        assert get(running, f"/merges?{wrong}", 400)["errors"][0]["field"] == wrong.partition("=")[0]


def test_a_merge_has_its_details_while_they_are_recorded(running, sql):
    running.identify("jürgen@bücher.example", "9")
    running.identify("e@x", "8")
    running.identify("jürgen@bücher.example", "8")
    post(running, "/undo", {"email": "b@x", "phoneNumber": "1", "reason": "a typo"})
    expected = [("jürgen@bücher.example", "8"), *MERGES[::-1]]
    assert details(get(running, "/merges")) == expected
    # As another program may have stored it.
    sql("UPDATE contact_evidence SET email = 'jürgen@xn--bcher-kva.example' WHERE email LIKE 'jürgen%'")
    assert details(get(running, "/merges")) == expected
    # Other programs merge by a contact, and delete it.
    [(contact_id,)] = sql(
        "INSERT INTO contacts (email, phone_number, linked_id, link_precedence, deleted_at)"
        " VALUES (' F@x', '(7)', 1, 'secondary', now()) RETURNING id"
    )
    sql(
        "INSERT INTO contact_events (happened_at, kind, primary_id, contact_id, absorbed_ids)"
        " VALUES (now(), 'merged', 1, %s, '{}')",
        contact_id,
    )
    assert details(get(running, "/merges")) == [("f@x", "7"), *expected]
    post(running, "/erase", {"email": "e@x"})
    assert details(get(running, "/merges")) == [("f@x", "7"), None, *MERGES[::-1]]


def test_statistics_count_what_is_recorded(running, settings, tmp_path):
    # The command counts in a process of its own: the service would keep the numbers for a while.
    counted = json.loads(run("statistics", "--json", cwd=tmp_path, **settings).stdout)
    assert counted | NUMBERS == counted
    assert counted.pop("countedAt").endswith("Z")
    assert counted.keys() == NUMBERS.keys()

    rules = {"blocked": {"phoneNumbers": ["99*"]}, "limits": {"emailsPerPhoneNumber": 1}}
    assert running.request("PUT", "/rules", json.dumps(rules | {"reason": "a till"}))[0] == 200
    wait_until(lambda: get(running, "/rules")["isSettled"])
    for key in [("e@x", "5"), ("f@x", "5"), ("g@x", "999"), ("g@x", "6")]:
        running.identify(*key)
    ends = {"one": {"email": "a@x"}, "other": {"email": "b@x"}}
    post(running, "/split", ends | {"reason": "two customers"})
    expected = {
        "contacts": 8, "identities": 5, "merges": 3, "splits": 1, "heldPairs": 0, "blockedPairs": 1,
        "undonePairs": 1, "waitingPairs": 1, "pins": 1, "largestIdentity": 3, "rulesVersion": 1,
        "isSettled": True,
    }  # fmt: skip
    assert expected.items() <= get(running, "/statistics").items()
    told = json.loads(run("statistics", "--json", cwd=tmp_path, **settings).stdout)
    assert expected.items() <= told.items()


def test_those_who_ask_for_statistics_at_once_share_a_count(running, sql, empty_url):
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"

    def waiting_counts():
        return sql(waiting, empty_url.database)[0][0]

    with connect(empty_url) as other, ThreadPoolExecutor(100) as pool:
        asking = []

        def ask():
            asking.append(pool.submit(get, running, "/statistics"))
            return waiting_counts()

        other.execute("BEGIN; LOCK TABLE contact_events")
        wait_until(ask)  # as soon as the last count is too old
        began = len(asking)
        for _ in range(5):
            ask()
        assert running.identify("a@x")["primaryContactId"] == 1  # others go on meanwhile
        assert waiting_counts() == 1
        other.execute("COMMIT")
        answers = [one.result() for one in asking]
        assert answers[began:] == [answers[-1]] * 5


def test_statistics_that_cannot_be_counted_are_unavailable_until_they_can(tmp_path):
    with ExitStack() as serving:
        with embedded_database(tmp_path / "data") as url:
            running = checked(serving.enter_context(service(tmp_path, DB_CONNECTION_STRING=plain(url))))
            running.identify("a@x")
            wait_until(lambda: get(running, "/statistics")["contacts"] == 1)
        wait_until(lambda: running.request("GET", "/statistics")[0] == 503)
        assert get(running, "/merges", 503)["status"] == 503


def test_the_command_lists_merges(running, settings, tmp_path):
    def command(*arguments):
        done = run("merges", *arguments, cwd=tmp_path, **settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    whole = get(running, "/merges")
    assert command() == command("--json") == whole
    page = command("--limit", "1")
    assert page == get(running, "/merges?limit=1")
    assert command("--before", str(page["next"]))["merges"] == whole["merges"][1:]
    shown = on_a_terminal(tmp_path, ["merges"], **settings).splitlines()
    assert shown[0].split() == ["id", "time", "primary", "absorbed", "email", "phone", "number"]
    assert [line.split()[-4:] for line in shown[1:4]] == [
        ["1", "3", "a@x", "3"], ["3", "4", "d@x", "3"], ["1", "2", "b@x", "1"]
    ]  # fmt: skip
    assert run("merges", "--limit", "0", cwd=tmp_path, **settings).returncode == 2


def test_the_command_shows_statistics(running, settings, tmp_path):
    shown = on_a_terminal(tmp_path, ["statistics"], **settings).splitlines()
    rows = dict(line.rsplit("  ", 1) for line in shown[1:-1])
    numbers = {name.strip(): number for name, number in rows.items()}
    assert (numbers["contacts"], numbers["identities"], numbers["merges"]) == ("4", "1", "3")
    assert numbers["in line with the rules"] == "yes"
    assert shown[-1].startswith("counted at")
