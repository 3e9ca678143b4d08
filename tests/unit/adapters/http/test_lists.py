"""The latest merges, the statistics and the API key of a request, on contacts in memory."""

import pytest

from identity_adapters.keys import Scope, generate_key
from identity_core import RepositoryUnavailable
from tests.unit.adapters.http.serving import serving


@pytest.fixture
def merged(service):
    """Three merges, each by another pair."""
    for key in [("a@x", "1"), ("b@x", "2"), ("c@x", "3"), ("d@x", "4")]:
        service.identify(*key)
    for key in [("a@x", "2"), ("c@x", "4"), ("a@x", "3")]:
        service.identify(*key)
    return service


def test_merges_are_listed_page_by_page_the_latest_first(merged):
    answer = merged.ask("GET", "/merges")
    assert answer["next"] is None
    assert [one["details"] for one in answer["merges"]] == [
        {"email": "a@x", "phoneNumber": "3"},
        {"email": "c@x", "phoneNumber": "4"},
        {"email": "a@x", "phoneNumber": "2"},
    ]
    assert {one["kind"] for one in answer["merges"]} == {"merged"}
    assert [one["absorbedPrimaryContactIds"] for one in answer["merges"]] == [[3], [4], [2]]
    history = merged.ask("GET", "/identities/1/history")["events"]
    assert [one for one in history if one["kind"] == "merged"] == answer["merges"][::-1]
    first = merged.ask("GET", "/merges?limit=2")
    assert (first["merges"], first["next"]) == (answer["merges"][:2], answer["merges"][1]["id"])
    last = merged.ask("GET", f"/merges?limit=2&before={first['next']}")
    assert last == {"merges": answer["merges"][2:], "next": None}
    assert merged.ask("GET", "/merges?limit=3") == answer


def test_a_merge_without_details_on_record_has_none(merged):
    merged.ask("POST", "/erase", {"contactId": 1})
    answer = merged.ask("GET", "/merges")
    assert {one["details"] for one in answer["merges"]} == {None}


def test_there_may_be_no_merge(service):
    assert service.ask("GET", "/merges") == {"merges": [], "next": None}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "before=-1", "before=x", "limit=", f"before={2**63}"]
)
def test_a_wrong_page_of_merges_is_rejected(service, query):
    assert service.errors("GET", f"/merges?{query}", None) == [query.partition("=")[0]]


def test_statistics_are_told(service):
    answer = service.ask("GET", "/statistics")
    assert answer.pop("countedAt").endswith("Z")
    assert answer == {
        "contacts": 5,
        "identities": 2,
        "merges": 1,
        "splits": 0,
        "heldPairs": 0,
        "blockedPairs": 0,
        "undonePairs": 0,
        "waitingPairs": 1,
        "pins": 0,
        "largestIdentity": 4,
        "rulesVersion": 1,
        "isSettled": True,
    }
    assert service.errors("GET", "/statistics?limit=1", None) == ["query"]


def test_statistics_that_cannot_be_counted_are_unavailable(service, monkeypatch):
    async def fail():
        raise RepositoryUnavailable("the database does not answer")

    monkeypatch.setattr(service, "take_census", fail)
    problem = service.ask("GET", "/statistics", expect=503)
    assert problem["detail"].startswith("the database does not answer")


def test_without_keys_everybody_may_do_everything(service):
    assert service.ask("GET", "/key") == {"name": None, "scopes": sorted(Scope), "isRequired": False}
    headers = {"authorization": "Bearer of a key that nobody asked for"}
    assert service.ask("GET", "/key", **headers)["name"] is None
    assert service.errors("GET", "/key?x=1", None) == ["query"]


def test_a_key_is_told_its_name_and_its_scopes_whatever_they_are():
    made = [
        generate_key("shop", [Scope.IDENTIFY]),
        generate_key("support", [Scope.READ, Scope.DECIDE]),
        generate_key("all", Scope),
    ]
    with serving([key for _, key in made]) as service:
        for secret, key in made:
            answer = service.ask("GET", "/key", authorization=f"Bearer {secret}")
            assert answer == {"name": key.name, "scopes": sorted(key.scopes), "isRequired": True}
        for headers in ({}, {"authorization": "Bearer wrong"}):
            assert service.ask("GET", "/key", expect=401, **headers)["status"] == 401
