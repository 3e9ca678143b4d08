"""The evidence graph of an identity: over HTTP, on PostgreSQL, and by the command line."""

import json

import pytest

from tests.support.databases import plain
from tests.support.openapi import checked
from tests.support.processes import run, service
from tests.support.waiting import wait_until

MANY = """
INSERT INTO contacts (email, linked_id, link_precedence)
SELECT n || '@large', nullif(1, n), CASE WHEN n = 1 THEN 'primary' ELSE 'secondary' END
FROM generate_series(1, 50001) n
"""


class Shop:
    """A service, and what its customers and its support send."""

    def __init__(self, running):
        self.request = checked(running).request

    def send(self, method, path, body=None, expect=200):
        text = None if body is None else json.dumps(body)
        status, _, answer = self.request(method, path, text, {"Content-Type": "application/json"})
        assert status == expect, answer
        return json.loads(answer)

    def identify(self, *pairs):
        """Identify details one after the other; the primary of the last."""
        for pair in pairs:
            email, _, phone_number = pair.partition(" ")
            details = {"email": email, "phoneNumber": phone_number}
            answer = self.send("POST", "/identify", details)
        return answer["contact"]["primaryContactId"]

    def rule(self, path, **body):
        return self.send("POST", path, body | {"reason": "asked"})

    def put_rules(self, blocked=None, limits=None):
        self.send("PUT", "/rules", {"blocked": blocked or {}, "limits": limits or {}, "reason": "asked"})
        wait_until(lambda: self.send("GET", "/rules")["isSettled"])

    def last_event(self, id):
        return self.send("GET", f"/identities/{id}/history")["events"][-1]["happenedAt"]

    def graph(self, id, as_of=None):
        """The links, values of others, and the whole answer."""
        query = "" if as_of is None else f"?asOf={as_of}"
        answer = self.send("GET", f"/identities/{id}/graph{query}")
        values = [one.get("email") or one["phoneNumber"] for one in answer["values"]]
        links = {f"{values[one['one']]} {values[one['other']]}": one["reason"] for one in answer["links"]}
        others = {
            value
            for value, one in zip(values, answer["values"], strict=True)
            if not one.get("isMember", True)
        }
        return links, others, answer


@pytest.fixture
def shop(tmp_path, url):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        yield Shop(running)


def test_links_that_count_and_links_that_do_not_are_answered_with_their_reasons(shop):
    shop.put_rules(limits={"emailsPerPhoneNumber": 2})
    id = shop.identify("a@x 1")
    shop.identify("b@x 1", "c@x 1", "b@x 2", "d@x 3", "d@x 2")
    ruled = shop.rule("/undo", email="d@x", phoneNumber="2")
    pinned = shop.rule("/pins", one={"email": "a@x"}, other={"email": "d@x"}, verdict="different")
    kept = shop.rule("/pins", one={"email": "a@x"}, other={"phoneNumber": "9"}, verdict="same")
    shop.put_rules({"emails": ["e@x"]}, {"emailsPerPhoneNumber": 2})
    shop.identify("e@x 1")

    links, others, answer = shop.graph(id)
    assert links == {
        "a@x 1": "contact",
        "b@x 1": "contact",
        "b@x 2": "contact",
        "a@x 9": "pin",
        "c@x 1": "held",
        "d@x 2": "undone",
        "e@x 1": "blocked",
    }
    assert others == {"c@x", "d@x", "e@x"}
    assert answer["values"][:2] == [{"email": "a@x"}, {"phoneNumber": "1"}]
    assert {"email": "e@x", "isMember": False, "isBlocked": True} in answer["values"]
    [held] = [link for link in answer["links"] if link["reason"] == "held"]
    assert held["heldBy"] == "emailsPerPhoneNumber"
    [undone] = [link for link in answer["links"] if link["reason"] == "undone"]
    assert [undone["id"]] == ruled["rulingIds"]
    pins = [(pin["id"], pin["verdict"], pin["reason"]) for pin in answer["pins"]]
    assert pins == [(*pinned["rulingIds"], "different", "asked"), (*kept["rulingIds"], "same", "asked")]
    page = shop.send("GET", f"/identities/{id}")
    assert (answer["primaryContactId"], answer["totalContacts"]) == (id, page["totalContacts"])
    assert answer["weakest"]["leavingContacts"] == 2
    assert shop.graph(id, "2999-01-01T00:00:00Z")[2] == answer | {"asOf": "2999-01-01T00:00:00Z"}


def test_it_is_answered_as_it_was_before_and_after_an_undo_and_a_split(shop):
    shop.identify("a@x 1", "b@x 2")
    parted = shop.last_event(2)
    shop.identify("b@x 1")
    merged = shop.last_event(1)
    shop.rule("/undo", email="b@x", phoneNumber="1")
    undone = shop.last_event(2)
    shop.rule("/restore", email="b@x", phoneNumber="1")
    restored = shop.last_event(1)
    shop.rule("/split", one={"email": "a@x"}, other={"email": "b@x"})

    ours, theirs = {"a@x 1": "contact"}, {"b@x 2": "contact"}
    assert shop.graph(2, parted)[:2] == (theirs, set())
    assert shop.graph(2, merged)[:2] == (ours | theirs | {"b@x 1": "evidence"}, set())
    assert shop.graph(2, undone)[:2] == (theirs | {"b@x 1": "undone"}, {"1"})
    assert shop.graph(1, undone)[:2] == (ours | {"b@x 1": "undone"}, {"b@x"})
    assert shop.graph(1, restored) == shop.graph(2, restored)
    assert shop.graph(1, restored)[:2] == (ours | theirs | {"b@x 1": "evidence"}, set())
    links, others, answer = shop.graph(1)
    assert links | theirs == ours | theirs | {"b@x 1": "undone"}
    assert others == {"b@x"}
    assert [pin["verdict"] for pin in answer["pins"]] == ["different"]
    assert shop.graph(1, restored)[2]["pins"] == []


def test_who_is_not_there_or_too_large_is_not_drawn(shop, sql):
    shop.identify("a@x 1")

    def refuse(path, status):
        return shop.send("GET", path, expect=status)["detail"]

    assert refuse("/identities/9/graph", 404) == "contactId: no contact ever had this id"
    assert refuse("/identities/9/graph?asOf=2999-01-01", 400).startswith("asOf: ")
    assert refuse("/identities/9/graph?asOf=2999-01-01T00:00:00", 404) == (
        "contactId: no contact ever had this id"
    )
    assert refuse("/identities/1/graph?asOf=2001-01-01T00:00:00Z", 404) == (
        "contactId: no contact had this id at that time"
    )
    shop.send("POST", "/erase", {"email": "a@x"})
    assert refuse("/identities/1/graph", 410) == refuse("/identities/1/graph?asOf=2999-01-01T00:00:00Z", 410)
    sql("TRUNCATE contacts RESTART IDENTITY CASCADE")
    sql("TRUNCATE contact_events")
    sql(MANY)
    large = "contactId: has more than 50000 contacts, which are too many to draw"
    assert refuse("/identities/9/graph", 422) == large
    assert refuse("/identities/9/graph?asOf=2999-01-01T00:00:00Z", 422) == large
    sql("DELETE FROM contacts WHERE id <> 1")
    sql("UPDATE contacts SET deleted_at = now()")
    assert refuse("/identities/1/graph", 404) == "contactId: this contact and its whole identity were deleted"


def test_the_command_draws(shop, tmp_path, url):
    shop.identify("a@x 1", "b@x 1")
    shop.rule("/undo", email="b@x", phoneNumber="1")

    def draw(*arguments, expect=0):
        done = run("graph", *arguments, cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
        assert done.returncode == expect, done.stderr
        return done.stdout if expect == 0 else done.stderr

    assert json.loads(draw("1")) == json.loads(draw("1", "--json")) == shop.graph(1)[2]
    assert draw("1", "--mermaid").splitlines()[1:] == [
        '  n0["a@x"] -- contact 1 --- n1["1"]',
        '  n2["b@x"] -. undone 3 .- n1["1"]',
    ]
    assert '[label="undone 3", style=dashed]' in draw("1", "--dot")
    assert json.loads(draw("1", "--as-of", "2999-01-01"))["asOf"] == "2999-01-01T00:00:00Z"
    assert "9 has no identity" in draw("9", expect=1)
    assert "1 has no identity at that time" in draw("1", "--as-of", "2001-01-01", expect=1)
