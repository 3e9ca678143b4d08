"""Pairs that limits hold over HTTP, on contacts in memory."""

import asyncio
from datetime import UTC, datetime

import pytest

from identity_adapters.api.held import to_held_answer
from identity_adapters.api.rules import HeldBy
from identity_adapters.keys import Scope, generate_key
from identity_adapters.memory import InMemoryContactRepository
from identity_core import Evidence, Hold, QueryIdentities, Standing
from tests.unit.adapters.http.serving import serving


@pytest.fixture
def holding(service):
    """Two emails share a phone number, which is one more than the limit."""
    service.put(limits={"emailsPerPhoneNumber": 1})
    service.identify("a@x", "1")
    service.identify("a@x", "2")
    service.identify("b@x", "1")
    return service


def list_held(service):
    return service.ask("GET", "/held")["held"]


def test_a_held_pair_is_listed_with_both_identities(holding):
    [held] = list_held(holding)
    assert held.pop("seenAt") is not None
    assert held == {
        "id": held["id"],
        "email": "b@x",
        "phoneNumber": "1",
        "heldBy": "emailsPerPhoneNumber",
        "identityOfEmail": {"primaryContactId": 3, "totalContacts": 1},
        "identityOfPhoneNumber": {"primaryContactId": 1, "totalContacts": 2},
        "chain": [],
    }


def test_what_joins_the_two_without_the_pair_is_shown(holding):
    pin = {"one": {"email": "a@x"}, "other": {"email": "b@x"}, "verdict": "same"}
    holding.rule("/pins", pin)
    [held] = list_held(holding)
    assert held["identityOfEmail"] == held["identityOfPhoneNumber"]
    assert [link["reason"] for link in held["chain"]] == ["pin", "contact"]


def test_a_pair_whose_value_is_blocked_is_not_held(holding):
    holding.put(blocked={"emails": ["b@x"]}, limits={"emailsPerPhoneNumber": 1})
    holding.settle()
    assert list_held(holding) == []


def test_the_identity_of_a_value_that_no_contact_has_is_null():
    queries = QueryIdentities(InMemoryContactRepository())
    gone = Evidence(7, "gone@x", "1", datetime.now(UTC), Standing.HELD, Hold.VALUES_PER_IDENTITY)
    answer = asyncio.run(to_held_answer(queries, [gone], limit=1))
    [held] = answer.held
    assert (held.identity_of_email, held.identity_of_phone_number, held.chain) == (None, None, [])
    assert (held.held_by, answer.next) == (HeldBy.VALUES_PER_IDENTITY, None)


def test_an_accepted_pair_joins_its_values(holding):
    [held] = list_held(holding)
    path = f"/held/{held['id']}/accept"
    foretold = holding.rule(f"{path}?dryRun=true", {})
    assert (foretold["applied"], foretold["primariesAfter"]) == (False, [1])
    assert list_held(holding) == [held]
    accepted = holding.rule(path, {"plan": foretold["plan"]})
    assert accepted == foretold | {"applied": True, "rulingIds": accepted["rulingIds"]}
    assert list_held(holding) == []
    contact, headers = holding.identify("b@x", "1")
    assert (contact["emails"], headers["identity-outcome"]) == (["a@x", "b@x"], "known")
    [pin] = holding.ask("GET", "/pins")["rulings"]
    assert (pin["verdict"], pin["one"], pin["other"]) == ("same", {"email": "b@x"}, {"phoneNumber": "1"})
    assert holding.kinds == ["accept"]


def test_a_rejected_pair_never_counts(holding):
    [held] = list_held(holding)
    path = f"/held/{held['id']}/reject"
    foretold = holding.rule(f"{path}?dryRun=true", {})
    rejected = holding.rule(path, {"plan": foretold["plan"]})
    assert rejected == foretold | {"applied": True, "rulingIds": rejected["rulingIds"]}
    assert [link["reason"] for link in rejected["undone"]] == ["held"]
    assert list_held(holding) == []
    holding.put()
    holding.settle()
    assert holding.identify("b@x", "1")[1]["identity-outcome"] == "held"
    [ruling] = holding.ask("GET", "/rulings")["rulings"]
    assert (ruling["verdict"], ruling["reason"]) == ("undone", "a typo")
    assert holding.kinds == ["reject"]


def test_a_raised_limit_releases_what_it_held(holding):
    holding.put(limits={"emailsPerPhoneNumber": 2})
    holding.settle()
    assert list_held(holding) == []
    assert holding.identify("b@x")[0]["emails"] == ["a@x", "b@x"]


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_only_a_pair_that_is_held_is_accepted_or_rejected(holding, action):
    [held] = list_held(holding)
    for id in (0, 1, held["id"] + 1, 2**63 - 1):
        assert holding.errors("POST", f"/held/{id}/{action}", {"reason": "x"}, 404) == ["id"]
    holding.rule(f"/held/{held['id']}/{action}", {})
    assert holding.errors("POST", f"/held/{held['id']}/{action}", {"reason": "x"}, 404) == ["id"]


@pytest.mark.parametrize("action", ["accept", "reject"])
@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/held/x/{}?dryRun=yes", {"plan": 5}, ["id", "dryRun", "reason", "plan"]),
        ("/held/-1/{}", {"reason": "\n"}, ["id", "reason"]),
        ("/held/1/{}?dryrun=true", {"reason": "x"}, ["query"]),
        ("/held/1/{}", {"reason": "x", "id": 1}, ["body"]),
        ("/held/1/{}", {"reason": "x", "dryRun": True}, ["dryRun"]),
    ],
)
def test_what_is_wrong_is_named(holding, action, path, body, fields):
    assert holding.errors("POST", path.format(action), body) == fields
    assert holding.kinds == []


def test_a_pair_that_a_pin_keeps_apart_as_well_is_not_accepted(holding):
    pin = {"one": {"email": "a@x"}, "other": {"email": "b@x"}, "verdict": "different"}
    pin_id = holding.rule("/pins", pin)["rulingIds"][0]
    [held] = list_held(holding)
    for query in ("", "?dryRun=true"):
        problem = holding.rule(f"/held/{held['id']}/accept{query}", {}, expect=409)
        assert problem["type"] == "urn:problem-type:identity:contradiction"
        assert problem["rulingId"] == pin_id
    holding.rule(f"/held/{held['id']}/reject", {"plan": "of another time"}, expect=409)


def test_held_pairs_come_in_pages(service):
    service.put(limits={"emailsPerPhoneNumber": 1})
    for number in range(6):
        service.identify(f"{number}@x", "1")
    found, after = [], 0
    while after is not None:
        page = service.ask("GET", f"/held?limit=2&after={after}")
        assert len(page["held"]) <= 2
        found += page["held"]
        after = page["next"]
    assert [held["email"] for held in found] == [f"{number}@x" for number in range(1, 6)]
    assert service.errors("GET", "/held?limit=101&after=x", None) == ["after", "limit"]


def test_whoever_reads_sees_what_is_held_and_whoever_decides_rules_on_it():
    made = {scope: generate_key(f"the {scope} key", [scope]) for scope in Scope}
    bearer = {scope: {"Authorization": f"Bearer {secret}"} for scope, (secret, _) in made.items()}
    with serving([key for _, key in made.values()]) as service:
        for scope in Scope:
            service.ask("GET", "/held", None, 200 if scope is Scope.READ else 403, **bearer[scope])
            for action in ("accept", "reject"):
                expect = 404 if scope is Scope.DECIDE else 403
                service.rule(f"/held/1/{action}", {}, expect=expect, **bearer[scope])
