"""Rulings, as clients see them: real requests to a real process."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from identity_adapters.keys import Scope, generate_key
from identity_adapters.postgres import verify
from tests.support.databases import plain
from tests.support.openapi import checked
from tests.support.processes import service
from tests.support.waiting import wait_until


@pytest.fixture
def running(tmp_path, url):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as one:
        yield checked(one)
        assert verify(url) == []
        assert "Traceback" not in one.output()


def ask(running, method, path, body=None, expect=200, **headers):
    sent = None if body is None else json.dumps(body)
    status, _, answer = running.request(method, path, sent, headers)
    assert status == expect, (path, body, answer)
    return json.loads(answer)


def rule(running, path, expect=200, **body):
    return ask(running, "POST", path, {"reason": "a test"} | body, expect)


def identities(running, *emails):
    """The primary and the values of the identity of each email."""
    found = {}
    for email in emails:
        for page in ask(running, "POST", "/lookup", {"email": email})["identities"]:
            values = {one[name] for one in page["contacts"] for name in ("email", "phoneNumber")} - {None}
            found[page["primaryContactId"]] = values
    return found


def outcome(running, email, phone_number):
    body = json.dumps({"email": email, "phoneNumber": phone_number})
    status, headers, answer = running.request("POST", "/identify", body)
    assert status == 200
    return headers["identity-outcome"], headers.get("identity-ignored"), json.loads(answer)["contact"]


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_typo_that_joined_two_customers_is_taken_back_for_good(tmp_path, url, workers):
    with service(tmp_path, *workers, DB_CONNECTION_STRING=plain(url)) as running:
        checked(running)
        running.identify("george@mcfly.example", "555-0100")
        running.identify("biff@tannen.example", "555-0199")
        before = identities(running, "george@mcfly.example", "biff@tannen.example")
        typo = ("biff@tannen.example", "555-0100")
        assert outcome(running, *typo)[0] == "merged"
        joined = identities(running, "george@mcfly.example")
        assert len(joined) == 1

        pair = {"email": typo[0], "phoneNumber": typo[1]}
        foretold = rule(running, "/undo?dryRun=true", **pair)
        assert identities(running, "george@mcfly.example") == joined
        undone = rule(running, "/undo", **pair, plan=foretold["plan"])
        assert undone == foretold | {"applied": True, "rulingIds": undone["rulingIds"]}
        assert identities(running, "george@mcfly.example", "biff@tannen.example") == before

        for _ in range(3):
            kind, ignored, contact = outcome(running, *typo)
            assert (kind, ignored) == ("held", "phoneNumber")
            assert (contact["emails"], contact["phoneNumbers"]) == (["biff@tannen.example"], ["5550199"])
        assert identities(running, "george@mcfly.example", "biff@tannen.example") == before

        assert rule(running, "/restore", **pair)["primariesAfter"] == [*joined]
        assert identities(running, "george@mcfly.example", "biff@tannen.example") == joined
        assert outcome(running, *typo)[:2] == ("known", None)
    assert verify(url) == []


def test_a_dry_run_writes_nothing(running, sql):
    for details in [("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("c@x", "2")]:
        running.identify(*details)
    pin = rule(running, "/pins", one={"email": "a@x"}, other={"email": "z@x"}, verdict="different")
    tables = [name for (name,) in sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    assert {"contacts", "contact_evidence", "contact_events"} < {*tables}

    def everything():
        return {name: sorted(map(str, sql(f"SELECT * FROM {name}"))) for name in tables}

    before = everything()
    rule(running, "/undo?dryRun=true", contactId=2)
    rule(running, "/split?dryRun=true", one={"email": "a@x"}, other={"email": "c@x"})
    ends = {"one": {"email": "a@x"}, "other": {"email": "new@x"}}
    rule(running, "/pins?dryRun=true", **ends, verdict="same")
    ask(running, "DELETE", f"/pins/{pin['rulingIds'][0]}?dryRun=true")
    rule(running, "/restore?dryRun=true", expect=404, contactId=2)
    assert everything() == before


def test_of_two_with_the_same_plan_one_succeeds(running):
    for details in [("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("c@x", "2")]:
        running.identify(*details)
    plan = rule(running, "/split?dryRun=true", one={"email": "a@x"}, other={"email": "c@x"})["plan"]
    bodies = [{"one": {"email": "a@x"}, "other": {"email": email}} for email in ("c@x", "b@x")] * 4

    def split(ends):
        body = json.dumps(ends | {"plan": plan, "reason": "a race"})
        status, _, answer = running.request("POST", "/split", body)
        return status, json.loads(answer)

    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(split, bodies)]
    assert sorted(status for status, _ in answers) == [200] + [409] * 7
    assert {answer["type"] for status, answer in answers if status == 409} == {
        "urn:problem-type:identity:stale-plan"
    }


def test_a_contradiction_shows_the_chain_and_what_a_split_would_undo(running):
    for details in [("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("c@x", "2")]:
        running.identify(*details)
    ends = {"one": {"email": "a@x"}, "other": {"email": "c@x"}}
    refused = rule(running, "/pins", expect=409, **ends, verdict="different")
    chain = ask(running, "POST", "/explain", ends)["chain"]
    assert refused["chain"] == chain
    assert rule(running, "/split?dryRun=true", **ends)["undone"] == refused["undo"]
    split = rule(running, "/split", **ends)
    assert split["undone"] == refused["undo"]
    explained = ask(running, "POST", "/explain", ends)
    assert not explained["isConnected"]
    assert [link["reason"] for link in explained["chain"]].count("undone") == 1
    assert explained["pinIds"] == [one["id"] for one in ask(running, "GET", "/pins")["rulings"]]
    refused = rule(running, "/pins", expect=409, **ends, verdict="same")
    assert [refused["rulingId"]] == explained["pinIds"]


def test_two_that_are_pinned_apart_are_never_joined(running):
    running.identify("a@x", "1")
    running.identify("b@x", "2")
    pin = rule(running, "/pins", one={"email": "a@x"}, other={"email": "b@x"}, verdict="different")
    assert outcome(running, "b@x", "1")[:2] == ("held", "phoneNumber")
    assert outcome(running, "a@x", "3")[0] == "linked"
    assert outcome(running, "b@x", "3")[:2] == ("held", "phoneNumber")
    assert len(identities(running, "a@x", "b@x")) == 2
    released = ask(running, "DELETE", f"/pins/{pin['rulingIds'][0]}?reason=one%20customer")
    assert released["primariesAfter"] == [1]
    kinds = [event["kind"] for event in ask(running, "GET", "/changes")["events"]]
    assert kinds[-5:] == ["released", "released", "unpinned", "unpinned", "merged"]
    assert outcome(running, "b@x", "1")[0] == "known"


def test_who_decided_is_the_name_of_the_key(tmp_path, url):
    made = {scope: generate_key(f"{scope}-key", [scope]) for scope in Scope}
    entries = ",".join(key.entry for _, key in made.values())
    with service(tmp_path, DB_CONNECTION_STRING=plain(url), IDENTITY_API_KEYS=entries) as running:
        checked(running)

        def bearer(scope):
            return {"Authorization": f"Bearer {made[scope][0]}"}

        body = {"one": {"email": "a@x"}, "other": {"email": "b@x"}, "verdict": "same", "reason": "family"}
        for scope in Scope:
            expect = 200 if scope is Scope.DECIDE else 403
            ask(running, "POST", "/pins", body, expect, **bearer(scope))
            ask(running, "DELETE", "/pins/99", None, 404 if scope is Scope.DECIDE else 403, **bearer(scope))
        [pin] = ask(running, "GET", "/pins", **bearer(Scope.READ))["rulings"]
        assert (pin["decidedBy"], pin["reason"]) == ("decide-key", "family")


def test_pages_of_other_sites_cannot_rule(running):
    running.identify("a@x", "1")
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    undo = {"contactId": 1, "reason": "x"}
    pin = {"one": {"email": "a@x"}, "other": {"email": "b@x"}, "verdict": "same", "reason": "x"}
    for path, body in {"/undo": undo, "/restore": undo, "/split": pin, "/pins": pin}.items():
        ask(running, "POST", path, body, 403, **headers)
    ask(running, "DELETE", "/pins/1", None, 403, **headers)
    ask(running, "GET", "/pins", None, 403, **headers)
    assert ask(running, "GET", "/rulings")["rulings"] == []


def test_history_and_as_of_hold_across_a_split(running):
    running.identify("a@x", "1")
    running.identify("b@x", "2")
    running.identify("b@x", "1")
    merged = ask(running, "GET", "/changes")["events"][-1]
    undone = rule(running, "/undo", eventId=merged["id"])
    split = ask(running, "GET", "/changes")["events"][-1]
    assert (split["kind"], split["rulingId"]) == ("split", undone["rulingIds"][0])
    for contact_id in (1, 2):
        then = ask(running, "GET", f"/identities/{contact_id}?asOf={merged['happenedAt']}")
        assert [contact["id"] for contact in then["contacts"]] == [1, 2]
        now = ask(running, "GET", f"/identities/{contact_id}?asOf={split['happenedAt']}")
        assert [contact["id"] for contact in now["contacts"]] == [contact_id]
        events = ask(running, "GET", f"/identities/{contact_id}/history")["events"]
        assert split["id"] in [event["id"] for event in events]
    events = ask(running, "GET", "/identities/1/history")["events"]
    about = {event["kind"]: event["details"] for event in events}
    assert about["merged"] == about["undone"] == {"email": "b@x", "phoneNumber": "1"}


class Follower:
    """Follows the feed, and knows nothing but ids."""

    def __init__(self):
        self.primaries = {}

    def apply(self, event):
        primary = event["primaryContactId"]
        self.primaries.setdefault(primary, primary)
        if event["contactId"] is not None:
            self.primaries[event["contactId"]] = primary
        for absorbed in event["absorbedPrimaryContactIds"]:
            for id, current in self.primaries.items():
                if current == absorbed:
                    self.primaries[id] = primary
            self.primaries[absorbed] = self.primaries[primary] = primary
        for moved in event["movedContactIds"]:
            self.primaries[moved] = primary


@pytest.mark.parametrize("seed", range(4))
def test_a_follower_who_only_knows_ids_ends_with_the_identities_of_the_service(running, sql, seed):
    draw = random.Random(seed)
    emails, numbers = [f"{name}@x" for name in "abcdef"], ["1", "2", "3", "4"]
    values = [{"email": email} for email in emails] + [{"phoneNumber": number} for number in numbers]
    statuses = []

    def post(path, **body):
        status, _, _ = running.request("POST", path, json.dumps(body | {"reason": "a test"}))
        assert status in (200, 400, 404, 409), running.output()
        statuses.append((path, status))

    for _ in range(120):
        pair = {"email": draw.choice(emails), "phoneNumber": draw.choice(numbers)}
        ends = dict(zip(("one", "other"), draw.sample(values, 2), strict=True))
        match draw.choice(["identify"] * 4 + ["undo", "restore", "split", "pin", "unpin"]):
            case "identify":
                running.identify(*pair.values())
            case "undo":
                post("/undo", **pair)
            case "restore":
                rulings = ask(running, "GET", "/rulings")["rulings"]
                post("/restore", **({"rulingId": draw.choice(rulings)["id"]} if rulings else pair))
            case "split":
                post("/split", **ends)
            case "pin":
                post("/pins", **ends, verdict=draw.choice(["same", "different"]))
            case "unpin":
                for pin in ask(running, "GET", "/pins?limit=1")["rulings"]:
                    ask(running, "DELETE", f"/pins/{pin['id']}")
    assert {(path, 200) for path in ("/undo", "/restore", "/split", "/pins")} <= set(statuses)

    follower, cursor = Follower(), ""
    while events := (page := ask(running, "GET", f"/changes?limit=7{cursor}"))["events"]:
        for event in events:
            follower.apply(event)
        cursor = f"&after={page['next']}"
    live = sql("SELECT id FROM contacts WHERE deleted_at IS NULL")
    assert {follower.primaries[id] for (id,) in live} <= {id for (id,) in live}
    for (id,) in live:
        assert ask(running, "GET", f"/identities/{id}")["primaryContactId"] == follower.primaries[id]


def test_rulings_are_counted(tmp_path, url):
    settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_COUNT_EVERY": "0.01"}
    with service(tmp_path, **settings) as running:
        running.identify("a@x", "1")
        running.identify("b@x", "1")
        rule(running, "/undo?dryRun=true", contactId=2)
        rule(running, "/undo", contactId=2)
        rule(running, "/undo", contactId=2)
        rule(running, "/restore", contactId=2)
        split = rule(running, "/split", one={"email": "a@x"}, other={"email": "b@x"})
        running.identify("b@x", "1")
        running.identify("b@x", "2")
        running.identify("a@x", "2")
        assert split["applied"]

        def counted():
            lines = running.request("GET", "/metrics")[2].decode().splitlines()
            return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

        expected = {
            'identity_rulings_total{kind="undo"}': "1.0",
            'identity_rulings_total{kind="restore"}': "1.0",
            'identity_rulings_total{kind="split"}': "1.0",
            'identity_request_duration_seconds_count{operation="identify",outcome="held"}': "2.0",
            "identity_splits": "2.0",
            "identity_undone_pairs": "1.0",
            "identity_held_pairs": "1.0",
            "identity_pins": "1.0",
        }
        wait_until(lambda: expected.items() <= counted().items())
