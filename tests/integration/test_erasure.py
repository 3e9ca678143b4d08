"""Erasing over HTTP, on the command line and after a restore: nothing is left, and nobody else goes."""

import json
import os
import re

import pytest

from identity_adapters.embedded import packaged_programs
from identity_adapters.postgres import verify
from tests.support.databases import connect, new_database, plain
from tests.support.openapi import checked
from tests.support.processes import run, service
from tests.support.waiting import wait_until

JSON = {"Content-Type": "application/json"}
MARKED = {
    "emails": ["marked1@planted.example", "marked2@planted.example", "märked3@planted.example"],
    "numbers": ["7771230001", "7771230002", "7771230003", "7771230004"],
}
MARKS = re.compile(rb"planted|xn--mrked3|777[ ()./-]*123[ ()./-]*000", re.IGNORECASE)
PROGRAMS = {"PATH": f"{packaged_programs()}:{os.environ['PATH']}"}


def ask(running, method, path, body=None):
    """The status and the answer of a request."""
    status, _, answer = running.request(method, path, None if body is None else json.dumps(body), JSON)
    return status, json.loads(answer)


def rule(running, path, **body):
    status, answer = ask(running, "POST", path, {"reason": "a test", **body})
    assert status == 200, answer
    return answer


def plant(running, url):
    """Plant marked values wherever there is a place for them, beside those of others."""
    one, two, three = MARKED["emails"]
    numbers = MARKED["numbers"]
    # Contacts, and evidence that counts.
    for details in [(one, numbers[0]), (two, numbers[0]), (two, numbers[1]), (one, numbers[1])]:
        running.identify(*details)
    running.identify(three, numbers[2])
    # Details of others, who share nothing with the person that counts.
    for details in [("a@x", "1"), ("b@x", "2"), ("c@x", "3"), ("d@x", "4")]:
        running.identify(*details)
    # Rulings in force and ended, pairs that are undone, held by a pin and given back, and deleted contacts.
    rule(running, "/pins", one={"email": one}, other={"email": "b@x"}, verdict="different")
    running.identify(one, "2")
    ended = rule(running, "/pins", one={"email": "c@x"}, other={"email": two}, verdict="different")
    [id] = ended["rulingIds"]
    assert ask(running, "DELETE", f"/pins/{id}?reason=wrong")[0] == 200
    rule(running, "/pins", one={"email": one}, other={"email": "a@x"}, verdict="different")
    running.identify(one, "1")
    rule(running, "/undo", email=two, phoneNumber=numbers[1])
    rule(running, "/undo", email=one, phoneNumber=numbers[0])
    rule(running, "/restore", email=one, phoneNumber=numbers[0])
    # What people wrote about others.
    note = f"<{one.upper()}> called from {numbers[0][:3]}-{numbers[0][3:6]} {numbers[0][6:]}"
    rule(running, "/pins", one={"email": "c@x"}, other={"email": "d@x"}, verdict="different", reason=note)
    # Rules that were in force, and those that are.
    for emails in ([two, "noise@x"], ["noise@x"]):
        rules = {"blocked": {"emails": emails, "phoneNumbers": [numbers[3]]}, "limits": {}, "reason": note}
        assert ask(running, "PUT", "/rules", rules)[0] == 200
        wait_until(lambda: ask(running, "GET", "/rules")[1]["isSettled"])
    running.identify(two, numbers[3])
    running.identify("d@x", numbers[3])
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO contacts (email, phone_number, link_precedence, deleted_at)"
            " VALUES ('marked1@planted.example ', '(777) 123-0003', 'primary', now())"
        )
        connection.execute(
            "INSERT INTO contact_last_seen VALUES ('email', %s, '2024-01-01')", (MARKED["emails"][0],)
        )


def dump(url, folder, *options):
    """Everything in a database, as text or for a restore."""
    file = folder / "dump"
    done = run(
        "postgres",
        "pg_dump",
        f"--file={file}",
        *options,
        cwd=folder,
        DB_CONNECTION_STRING=plain(url),
        **PROGRAMS,
    )
    assert done.returncode == 0, done.stderr
    return file


def find_marks(text):
    return sorted({found[0] for found in MARKS.finditer(text)})


def collect_changes(running):
    """The whole feed, as it was sent."""
    _, _, answer = running.request("GET", "/changes?limit=1000")
    return answer


@pytest.mark.slow
def test_nothing_is_left_of_a_person_nor_after_a_restore(tmp_path, server, url):
    ledger = tmp_path / "ledger.jsonl"
    here = {
        "DB_CONNECTION_STRING": plain(url),
        "IDENTITY_ERASURE_LEDGER": ledger,
        "IDENTITY_ACCESS_LOG": "yes",
        "IDENTITY_LOG_LEVEL": "debug",
    }
    with service(tmp_path, **here) as running:
        plant(running, url)
        assert len(find_marks(dump(url, tmp_path).read_bytes())) > 3
        backup = dump(url, tmp_path, "--format=custom").rename(tmp_path / "backup")
        receipts = [
            erase(running, email=MARKED["emails"][0]),
            erase(running, email=MARKED["emails"][2]),
            erase(running, phoneNumber=MARKED["numbers"][3]),
        ]
        assert find_marks(dump(url, tmp_path).read_bytes()) == []
        assert find_marks(collect_changes(running)) == []
        assert [event["kind"] for event in json.loads(collect_changes(running))["events"]].count(
            "erased"
        ) == 2
        for id in receipts[0]["contactIds"]:
            for path in (
                f"/identities/{id}",
                f"/identities/{id}/history",
                f"/identities/{id}/graph",
                f"/identities/{id}?asOf=2026-01-01T00:00:00Z",
            ):
                status, answer = ask(running, "GET", path)
                assert (status, answer["title"]) == (410, "Gone"), path
        for email in MARKED["emails"]:
            assert ask(running, "POST", "/lookup", {"email": email}) == (200, {"identities": []})
        others = [ask(running, "POST", "/lookup", {"email": f"{one}@x"})[1] for one in "abcd"]
        assert [len(found["identities"]) for found in others] == [1, 1, 1, 1]
        assert find_marks(running.request("GET", "/metrics")[2]) == []
    assert find_marks(running.output().encode()) == []
    assert find_marks(ledger.read_bytes()) == []
    assert [json.loads(line)["id"] for line in ledger.read_bytes().splitlines()] == [
        one["id"] for one in receipts
    ]
    assert verify(url) == []

    restored = new_database(server)
    there = {"DB_CONNECTION_STRING": plain(restored), **PROGRAMS}
    done = run("postgres", "pg_restore", "--exit-on-error", "--dbname=", backup, cwd=tmp_path, **there)
    assert done.returncode == 0, done.stderr
    before = run("verify", "--erased", ledger, cwd=tmp_path, **there)
    assert before.returncode == 1
    assert "Something is left of the erased" in before.stdout
    assert len(find_marks(dump(restored, tmp_path).read_bytes())) > 3
    for expected in (3, 0):
        replayed = run("erase", "--replay", ledger, cwd=tmp_path, **there)
        assert (replayed.returncode, replayed.stderr) == (0, "")
        assert replayed.stdout == f"Erased again what was left of {expected} erasures.\n"
    assert find_marks(dump(restored, tmp_path).read_bytes()) == []
    after = run("verify", "--erased", ledger, cwd=tmp_path, **there)
    assert (after.returncode, after.stdout) == (0, "All invariants hold.\nNothing is left of the erased.\n")
    with service(tmp_path, **there) as running:
        assert ask(running, "GET", f"/identities/{receipts[0]['contactIds'][0]}")[0] == 410
        newest = running.identify("new@x")["primaryContactId"]
        assert newest > max(one["id"] for one in receipts)
        assert [ask(running, "POST", "/lookup", {"email": f"{one}@x"})[1] for one in "abcd"] == others


def erase(running, **target):
    """Erase somebody as a dry run foretold; the receipt."""
    status, foretold = ask(running, "POST", "/erase?dryRun=true", target)
    assert (status, foretold["receipt"]) == (200, None), foretold
    status, answer = ask(running, "POST", "/erase", target | {"plan": foretold["preview"]["plan"]})
    assert (status, answer["preview"]) == (200, None), answer
    receipt = answer["receipt"]
    assert receipt["contactIds"] == sorted(contact["id"] for contact in foretold["preview"]["contacts"])
    assert receipt["leftToDo"]
    return receipt


@pytest.fixture(scope="module")
def running(tmp_path_factory, make_database):
    with service(tmp_path_factory.mktemp("erasure"), DB_CONNECTION_STRING=make_database()) as one:
        yield checked(one)


def test_a_dry_run_tells_all_and_writes_nothing(running):
    for details in [("one@a", "101"), ("two@a", "101"), ("two@a", "102")]:
        running.identify(*details)
    preview = ask(running, "POST", "/erase?dryRun=true", {"email": "ONE@a"})[1]["preview"]
    assert preview["values"] == [
        {"email": "one@a"},
        {"email": "two@a"},
        {"phoneNumber": "101"},
        {"phoneNumber": "102"},
    ]
    assert [contact["email"] for contact in preview["contacts"]] == ["one@a", "two@a", "two@a"]
    assert preview["weakValues"] == [
        {
            "value": {"phoneNumber": "101"},
            "contacts": 1,
            "one": {"email": "one@a"},
            "other": {"email": "two@a"},
        }
    ]
    assert (preview["pairs"], preview["rulings"], preview["blocked"]) == ([], [], [])
    assert len(running.identify("one@a")["emails"]) == 2


def test_a_plan_is_for_the_person_that_it_was_made_of(running):
    running.identify("one@b", "201")
    plan = ask(running, "POST", "/erase?dryRun=true", {"email": "one@b"})[1]["preview"]["plan"]
    running.identify("one@b", "202")
    status, answer = ask(running, "POST", "/erase", {"email": "one@b", "plan": plan})
    assert (status, answer["type"]) == (409, "urn:problem-type:identity:stale-plan")
    assert len(running.identify("one@b")["phoneNumbers"]) == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("/erase", {}, 400, "body: must have exactly one of email, phoneNumber and contactId"),
        ("/erase", {"email": "a@x", "contactId": 1}, 400, "body: must have exactly one of"),
        ("/erase", {"email": "no email"}, 400, "email: must have exactly one @"),
        ("/erase", {"email": " "}, 400, "email: must not be blank"),
        ("/erase", {"contactId": "1"}, 400, "contactId: must be a whole number"),
        ("/erase", {"email": "a@x", "emial": "b@x"}, 400, "body: must have no members but"),
        ("/erase", {"email": "a@x", "dryRun": True}, 400, "dryRun: must be a parameter of the query"),
        ("/erase?dryrun=true", {"email": "a@x"}, 400, "query: must have no parameters but dryRun"),
        ("/erase", {"email": "a@x", "plan": 1}, 400, "plan: must be text"),
        ("/erase", {"email": "nobody@nowhere"}, 404, "email: is not on record"),
        ("/erase", {"phoneNumber": "999999"}, 404, "phoneNumber: is not on record"),
        ("/erase", {"contactId": 10**9}, 404, "contactId: does not exist"),
    ],
)
def test_what_is_asked_for_wrongly_erases_nobody(running, path, body, status, detail):
    answered, answer = ask(running, "POST", path, body)
    assert answered == status, answer
    assert answer["detail"].startswith(detail)


def test_an_erased_contact_is_gone_whoever_asks(running):
    id = running.identify("one@c", "301")["primaryContactId"]
    running.identify("other@c", "302")
    assert erase(running, contactId=id)["contactIds"] == [id]
    gone = {"title": "Gone", "status": 410, "detail": "this contact was erased; nothing else is known of it"}
    for path, body in [
        ("/erase", {"contactId": id}),
        ("/erase?dryRun=true", {"contactId": id}),
        ("/undo", {"contactId": id, "reason": "a test"}),
        ("/explain", {"one": {"contactId": id}, "other": {"email": "other@c"}}),
    ]:
        assert ask(running, "POST", path, body) == (410, gone), path


def test_where_another_table_refers_to_a_contact_nobody_is_erased(tmp_path, url, sql):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        id = running.identify("a@x", "1")["primaryContactId"]
        sql("CREATE TABLE orders (contact_id bigint REFERENCES contacts (id))")
        sql("INSERT INTO orders VALUES (%s)", id)
        status, answer = ask(running, "POST", "/erase", {"contactId": id})
        assert (status, answer["type"]) == (409, "urn:problem-type:identity:still-referenced")
        assert running.identify("a@x", "1")["primaryContactId"] == id
        sql("DELETE FROM orders")
        assert ask(running, "POST", "/erase", {"contactId": id})[0] == 200
