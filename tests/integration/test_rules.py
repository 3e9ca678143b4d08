"""Rules, as clients see them: real requests to real processes."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from identity_adapters.postgres import verify
from tests.support.databases import plain
from tests.support.openapi import checked
from tests.support.processes import kill, service
from tests.support.waiting import wait_until


@pytest.fixture
def running(tmp_path, url):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as one:
        yield checked(one)
        assert verify(url) == []
        assert "Traceback" not in one.output()


def ask(running, method, path, body=None, expect=200):
    status, _, answer = running.request(method, path, None if body is None else json.dumps(body))
    assert status == expect, (path, body, answer)
    return json.loads(answer)


def put(running, expect=200, **rules):
    return ask(running, "PUT", "/rules", {"blocked": {}, "limits": {}, "reason": "a test"} | rules, expect)


def settle(running):
    wait_until(lambda: ask(running, "GET", "/rules")["isSettled"])


def identify(running, email=None, phone_number=None):
    """The outcome, the ignored member and the contact."""
    body = json.dumps({"email": email, "phoneNumber": phone_number})
    status, headers, answer = running.request("POST", "/identify", body)
    assert status == 200, answer
    return headers["identity-outcome"], headers.get("identity-ignored"), json.loads(answer)["contact"]


def count_identities(running, emails):
    return len({identify(running, email)[2]["primaryContactId"] for email in emails})


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_who_is_held_together_by_a_blocked_value_comes_apart_and_back(tmp_path, url, workers):
    emails = [f"{number}@x" for number in range(50)]
    with service(tmp_path, *workers, DB_CONNECTION_STRING=plain(url)) as running:
        checked(running)
        for number, email in enumerate(emails):
            running.identify(email, "555")
            running.identify(email, str(1_000 + number))
        assert count_identities(running, emails) == 1
        before = identify(running, emails[0])[2]

        answer = put(running, blocked={"phoneNumbers": ["5?5"]}, version=0)
        assert (answer["version"], answer["reason"]) == (1, "a test")
        settle(running)
        assert count_identities(running, emails) == 50
        for email in emails:
            outcome, ignored, contact = identify(running, email, "555")
            assert (outcome, ignored, contact["emails"]) == ("known", "phoneNumber", [email])

        put(running)
        settle(running)
        after = identify(running, emails[0])[2]
        assert {name: sorted(after[name]) for name in ("emails", "phoneNumbers")} == {
            name: sorted(before[name]) for name in ("emails", "phoneNumbers")
        }
        assert after["primaryContactId"] == before["primaryContactId"]
    assert verify(url) == []


def test_rules_apply_at_once_in_all_processes(tmp_path, url):
    with service(tmp_path, "--workers", "3", DB_CONNECTION_STRING=plain(url)) as running:
        running.identify("a@x", "1")
        with ThreadPoolExecutor(8) as pool:
            for version in range(10):
                is_blocked = version % 2 == 0
                put(running, blocked={"emails": ["till@x"] if is_blocked else []}, version=version)
                body = json.dumps({"email": "till@x", "phoneNumber": "2"})
                answers = [
                    pool.submit(running.request, "POST", "/identify", body, {"Connection": "close"})
                    for _ in range(24)
                ]
                ignored = {answer.result()[1].get("identity-ignored") for answer in answers}
                assert ignored == {"email"} if is_blocked else "email" not in ignored


def test_of_two_who_replace_the_same_rules_one_succeeds(running):
    limits = [{"valuesPerIdentity": number} for number in range(10, 18)]

    def replace(limit):
        body = {"blocked": {}, "limits": limit, "reason": "a race", "version": 0}
        return running.request("PUT", "/rules", json.dumps(body))[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = [*pool.map(replace, limits)]
    assert sorted(statuses) == [200] + [409] * 7
    in_force = ask(running, "GET", "/rules")
    assert (in_force["version"], in_force["limits"]["valuesPerIdentity"]) == (1, 10 + statuses.index(200))


def preview(running, expect=200, **rules):
    return ask(running, "POST", "/rules/preview", {"blocked": {}, "limits": {}} | rules, expect)


def test_rules_do_what_their_preview_foretold(running):
    emails = [f"{number}@x" for number in range(150)]
    for email in emails:
        running.identify(email, "555")
    running.identify("alone@x", "1")
    rules = {"blocked": {"phoneNumbers": ["555"]}}
    foretold = preview(running, **rules)
    assert (foretold["identitiesBefore"], foretold["identitiesAfter"]) == (2, 151)
    assert (foretold["split"], foretold["blocked"]) == (1, 150)
    assert [(one["before"], one["after"]) for one in foretold["sizes"]] == [
        (0, 150), (0, 0), (0, 0), (0, 0), (0, 0), (1, 0)
    ]  # fmt: skip
    [affected] = foretold["mostAffected"]
    assert (affected["parts"], affected["contactsOfParts"]) == (150, [1] * 20)
    assert affected["reasons"][0] == {"value": {"phoneNumber": "555"}, "pairs": 150}
    assert ask(running, "GET", "/rules")["version"] == 0
    assert preview(running, **rules)["plan"] == foretold["plan"]

    running.identify("more@x", "555")
    problem = put(running, 409, **rules, plan=foretold["plan"])
    assert problem["type"].endswith(":stale-plan")
    foretold = preview(running, **rules)
    running.identify("alone@x", "2")  # it has nothing to do with the rules
    put(running, **rules, plan=foretold["plan"], version=0)
    settle(running)
    assert count_identities(running, emails) == 150
    back = preview(running)
    assert (back["identitiesBefore"], back["identitiesAfter"]) == (152, 2)
    assert (back["merged"], back["unblocked"]) == (151, 151)


def test_blocking_what_is_suggested_does_what_was_foretold(running):
    for number in range(30):
        running.identify(f"{number}@x", "555")
        running.identify(f"{number}@x", str(1_000 + number % 20))
    [first, second] = ask(running, "GET", "/rules/suggestions?limit=2")["suggestions"]
    assert (first["value"], first["partners"], first["totalContacts"]) == ({"phoneNumber": "555"}, 30, 50)
    assert second["leavingContacts"] < first["leavingContacts"]
    before = identify(running, "0@x")[2]["primaryContactId"]
    put(running, blocked={"phoneNumbers": ["555"]})
    settle(running)
    emails = [f"{number}@x" for number in range(30)]
    assert count_identities(running, emails) == first["parts"] == 20
    assert first["primaryContactId"] == before
    after = ask(running, "GET", "/rules/suggestions")["suggestions"]
    assert {"phoneNumber": "555"} not in [one["value"] for one in after]
    ask(running, "GET", "/rules/suggestions?limit=51", expect=400)


def test_a_preview_lets_others_have_their_turn(running):
    for number in range(200):
        for email in ("a", "b"):
            running.identify(f"{email}{number}@x", str(1_000 + number))
    with ThreadPoolExecutor(8) as pool:
        previews = [pool.submit(preview, running, blocked={"phoneNumbers": ["1*"]}) for _ in range(4)]
        for number in range(100):
            found = ask(running, "POST", "/lookup", {"email": f"a{number}@x"})["identities"]
            assert len(found) == 1
        [plan] = {foretold.result()["plan"] for foretold in previews}
    assert len(plan) == 24


def test_details_that_are_blocked_whole_are_refused_and_counted(tmp_path, url):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        checked(running)
        put(running, blocked={"emails": ["*@till.example"], "oneDigit": True})
        body = {"email": "Till@till.example", "phoneNumber": "000-000"}
        for path in ("/identify", "/preview"):
            problem = ask(running, "POST", path, body, 422)
            assert [error["field"] for error in problem["errors"]] == ["email", "phoneNumber"]
            assert {error["reason"] for error in problem["errors"]} == {"is blocked and identifies nobody"}
        assert identify(running, "a@x", "0000")[:2] == ("created", "phoneNumber")
        assert (
            ask(running, "POST", "/preview", {"email": "a@x", "phoneNumber": "0000"})["ignored"]
            == "phoneNumber"
        )

        def counted():
            lines = running.request("GET", "/metrics")[2].decode().splitlines()
            return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

        expected = {
            'identity_blocked_values_total{field="email"}': "1.0",
            'identity_blocked_values_total{field="phone_number"}': "2.0",
            'identity_request_duration_seconds_count{operation="identify",outcome="blocked"}': "1.0",
        }
        wait_until(lambda: expected.items() <= counted().items())


def test_settling_goes_on_after_the_service_was_killed(tmp_path, url):
    emails = [f"{number}@x" for number in range(400)]
    settings = {"DB_CONNECTION_STRING": plain(url)}
    with service(tmp_path, **settings) as running:
        with ThreadPoolExecutor(16) as pool:
            [*pool.map(lambda email: running.identify(email, "555"), emails)]
        put(running, blocked={"phoneNumbers": ["555"]})
        kill(*running.family())
    with service(tmp_path, **settings) as running:
        settle(running)
        assert count_identities(running, emails) == len(emails)
    assert verify(url) == []


def test_pairs_that_a_limit_holds_are_accepted_and_rejected(running):
    put(running, limits={"emailsPerPhoneNumber": 2})
    for email in ("a@x", "b@x", "c@x", "d@x"):
        running.identify(email)
        outcome, ignored, contact = identify(running, email, "1")
        is_held = email > "b@x"
        assert (outcome == "held", ignored) == (is_held, "phoneNumber" if is_held else None)
        assert contact["emails"] == ([email] if is_held else ["a@x", "b@x"][: "ab".index(email[0]) + 1])
    accepted, rejected = ask(running, "GET", "/held")["held"]
    assert ask(running, "GET", f"/held?limit=1&after={accepted['id']}") == {"held": [rejected], "next": None}
    assert (accepted["email"], accepted["heldBy"], accepted["chain"]) == ("c@x", "emailsPerPhoneNumber", [])
    assert accepted["identityOfEmail"]["totalContacts"] == 1
    primary = identify(running, "a@x")[2]["primaryContactId"]
    assert accepted["identityOfPhoneNumber"]["primaryContactId"] == primary

    for held, action in ((accepted, "accept"), (rejected, "reject")):
        path = f"/held/{held['id']}/{action}"
        foretold = ask(running, "POST", f"{path}?dryRun=true", {"reason": "a test"})
        assert held["id"] in [pair["id"] for pair in ask(running, "GET", "/held")["held"]]
        done = ask(running, "POST", path, {"reason": "a test", "plan": foretold["plan"]})
        assert done == foretold | {"applied": True, "rulingIds": done["rulingIds"]}
        ask(running, "POST", path, {"reason": "a test"}, expect=404)
    assert ask(running, "GET", "/held") == {"held": [], "next": None}
    assert identify(running, "c@x", "1")[0] == "known"
    assert identify(running, "c@x")[2]["emails"] == ["a@x", "b@x", "c@x"]

    put(running, limits={"emailsPerPhoneNumber": 3})
    settle(running)
    assert identify(running, "d@x", "1")[0] == "held"


def test_retroactive_limits_are_applied_to_what_is_recorded_and_taken_back(running):
    emails = [f"{number}@x" for number in range(40)]
    for email in emails:
        running.identify(email, "1")
    before = identify(running, "0@x")[2]
    for retroactive, held in ((False, 0), (True, 37)):
        rules = {"limits": {"emailsPerPhoneNumber": 3}, "retroactive": retroactive}
        foretold = ask(running, "POST", "/rules/preview", {"blocked": {}} | rules)
        assert foretold["held"] == held
        put(running, **rules, plan=foretold["plan"])
        settle(running)
        assert len(ask(running, "GET", "/held")["held"]) == held
        assert count_identities(running, emails) == foretold["identitiesAfter"]
    assert identify(running, "0@x")[2]["emails"] == emails[:3]
    put(running)
    settle(running)
    assert identify(running, "0@x")[2] == before


def test_a_raised_limit_releases_what_it_held(running):
    put(running, limits={"phoneNumbersPerEmail": 1})
    for number in range(5):
        running.identify("a@x", str(number))
    assert len(ask(running, "GET", "/held")["held"]) == 4
    put(running, limits={"phoneNumbersPerEmail": 3})
    settle(running)
    assert len(ask(running, "GET", "/held")["held"]) == 2
    assert len(identify(running, "a@x")[2]["phoneNumbers"]) == 3
