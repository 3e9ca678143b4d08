"""What is handed out of a person: on PostgreSQL, over HTTP, and by the command line."""

import http.client
import json
import stat
from contextlib import closing
from html.parser import HTMLParser

import pytest

from identity_adapters.keys import Scope, generate_key
from tests.support.databases import plain
from tests.support.openapi import checked
from tests.support.processes import run, service
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
ORDERS = """email,phone_number,created_at
lorraine@x,1,2020-01-01
mcfly@x,2,2020-01-02
mcfly@x,1,2020-01-03
"""
MEMBERS = ["generatedAt", "values", "contacts", "pairs", "decisions", "rules", "history"]
AUDIT = "SELECT action, done_by, contact_ids FROM contact_audit ORDER BY id"


@pytest.fixture
def identity(tmp_path, url):
    """Runs a command on a database in which mother and son were split."""

    def run_command(*arguments, code=0):
        done = run(*arguments, cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
        assert done.returncode == code, done.stderr
        return done

    (tmp_path / "orders.csv").write_text(ORDERS)
    run_command("import", "orders.csv")
    run_command("split", "lorraine@x", "mcfly@x", "--reason", "mcfly@x is her son", "--yes")
    return run_command


@pytest.fixture
def running(tmp_path, url, identity):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as one:
        yield checked(one)


def access(running, headers=(), **target):
    status, answered, body = running.request("POST", "/access", json.dumps(target), JSON | dict(headers))
    return status, answered, json.loads(body)


def test_a_person_gets_everything_over_http_and_on_the_command_line(identity, running, sql):
    status, headers, answer = access(running, email="Lorraine@x")
    assert (status, headers["content-type"], headers["cache-control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert [*answer] == MEMBERS
    assert "mcfly" not in json.dumps(answer)
    assert [(one["email"], one["phoneNumber"], one["standing"]) for one in answer["pairs"]] == [
        ("lorraine@x", "1", "counts"),
        (None, "1", "undone"),
    ]
    assert answer["values"][0]["firstSeen"] == "2020-01-01T00:00:00Z"
    assert [one["verdict"] for one in answer["decisions"]] == ["different", "undone"]

    written = json.loads(identity("access", "--phone-number", "1", "--json", "--by", "marty").stdout)
    assert written | {"generatedAt": None} == answer | {"generatedAt": None}
    text = identity("access", "--contact", "1", "--by", "marty").stdout
    assert text.startswith("What is on record of a person, on ")
    assert "other person  1             2020-01-03 00:00:00  undone\n" in text
    assert "[other person] is her son" in text
    assert sql(AUDIT) == [("accessed", None, [1]), ("accessed", "marty", [1]), ("accessed", "marty", [1])]


def test_the_user_name_is_recorded_unless_another_is_given(identity, sql):
    identity("access", "--contact", "1")
    [(action, by, ids)] = sql(AUDIT)
    assert (action, bool(by), ids) == ("accessed", True, [1])
    assert "--by must not be blank" in identity("access", "--contact", "1", "--by", " ", code=1).stderr
    assert len(sql(AUDIT)) == 1


@pytest.mark.parametrize("option", [(), ("--json",), ("--html",)])
def test_a_file_is_for_its_owner_alone(identity, tmp_path, option):
    path = tmp_path / "person"
    path.write_text("x" * 100_000)
    path.chmod(0o644)
    done = identity("access", "--email", "lorraine@x", *option, "--output", str(path))
    assert done.stdout == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "lorraine@x" in path.read_text()
    assert len(path.read_text()) < 100_000
    done = identity("access", "--email", "lorraine@x", "--output", str(tmp_path), code=1)
    assert done.stderr.endswith(f"{tmp_path} cannot be written: Is a directory\n")


def test_a_page_shows_what_another_program_wrote_and_runs_none_of_it(identity, sql):
    hostile = "<script>alert('\"')</script>&amp;@x"
    sql(
        "INSERT INTO contacts (email, phone_number, linked_id, link_precedence)"
        " VALUES (%s, '1', 1, 'secondary')",
        hostile,
    )
    page = identity("access", "--contact", "1", "--html").stdout
    elements, texts = [], []
    parser = HTMLParser(convert_charrefs=True)
    parser.handle_starttag = lambda tag, _: elements.append(tag)
    parser.handle_data = texts.append
    parser.feed(page)
    assert "script" not in elements
    assert hostile in texts


def test_who_is_not_on_record_or_was_erased_is_said(identity, running, sql):
    for target, field in (
        ({"email": "a@x"}, "email"),
        ({"phoneNumber": 9}, "phoneNumber"),
        ({"contactId": 99}, "contactId"),
    ):
        status, _, problem = access(running, **target)
        assert (status, [error["field"] for error in problem["errors"]]) == (404, [field])
    assert "the email is not on record" in identity("access", "--email", "a@x", code=1).stderr
    assert "the contact does not exist" in identity("access", "--contact", "99", code=1).stderr
    assert sql(AUDIT) == []
    identity("erase", "--email", "lorraine@x", "--yes")
    assert access(running, contactId=1)[0] == 410
    assert access(running, email="lorraine@x")[0] == 404
    assert "was erased" in identity("access", "--contact", "1", code=1).stderr
    assert access(running, email="mcfly@x")[2]["decisions"] == []


def test_nothing_is_handed_out_that_cannot_be_recorded(identity, running, sql):
    sql("ALTER TABLE contact_audit RENAME TO gone")
    status, _, problem = access(running, email="lorraine@x")
    assert (status, problem["detail"].partition(";")[0]) == (503, "the database is not migrated")
    done = identity("access", "--email", "lorraine@x", code=1)
    assert (done.stdout, "lorraine" in done.stderr) == ("", False)
    sql("ALTER TABLE gone RENAME TO contact_audit")
    assert access(running, email="lorraine@x")[0] == 200


def test_the_name_of_the_key_is_recorded(tmp_path, url, identity, sql):
    keys = {scope: generate_key(scope, [scope]) for scope in Scope}
    entries = ",".join(key.entry for _, key in keys.values())
    with service(tmp_path, DB_CONNECTION_STRING=plain(url), IDENTITY_API_KEYS=entries) as running:
        for scope, (secret, _) in keys.items():
            status, _, _ = access(running, {"Authorization": f"Bearer {secret}"}, contactId=1)
            assert status == (200 if scope is Scope.READ else 403)
        assert access(running, contactId=1)[0] == 401
    assert sql(AUDIT) == [("accessed", "read", [1])]


def test_a_large_identity_is_streamed(tmp_path, url, sql, size):
    number = size(20_000, 100_000)
    sql(
        "INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at)"
        " SELECT n, n || '@x', '1', CASE WHEN n > 1 THEN 1 END,"
        " CASE WHEN n > 1 THEN 'secondary' ELSE 'primary' END, '2020-01-01' FROM generate_series(1, %s) AS n",
        number,
    )
    sql("ANALYZE contacts")
    with (
        service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running,
        closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)) as connection,
    ):
        connection.request("POST", "/access", json.dumps({"phoneNumber": "1"}), JSON)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["transfer-encoding"]) == (200, "chunked")
        assert answer.headers["content-length"] is None
        body = json.loads(answer.read())
        assert [len(body[member]) for member in MEMBERS[1:]] == [number + 1, number, number, 0, 0, 0]
        assert [one["id"] for one in body["contacts"]] == [*range(1, number + 1)]
    assert len(sql("SELECT unnest(contact_ids) FROM contact_audit")) == number
