"""What requests about webhooks do, over a store in memory."""

import json

import pytest
from attrs import evolve

from identity_adapters.webhooks.client import Answer, DeliveryFailed
from tests.support.receivers import Received

URL = "https://warehouse.example/"


@pytest.fixture
def added(service):
    service.identify("a@x", "1")
    return service.ask("POST", "/webhooks", {"url": URL, "from": "beginning"}, 201)


def test_a_test_is_signed_with_all_secrets_in_use(service, added):
    rotated = service.ask("POST", "/webhooks/1/rotate")
    assert service.ask("POST", "/webhooks/1/test")["isAccepted"]
    [(target, *message)] = service.sent
    assert target.url == URL
    received = Received(*message)
    assert all(received.is_signed_with(secret) for secret in (added["secret"], rotated["secret"]))
    rotated = service.ask("POST", "/webhooks/1/rotate?keepHours=0")
    service.ask("POST", "/webhooks/1/test")
    assert Received(*service.sent[-1][1:]).is_signed_with(rotated["secret"])
    assert len(service.sent[-1][1]["webhook-signature"].split()) == 1
    assert json.loads(service.sent[-1][2])["type"] == "identity.test"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(299), (True, 299, None)),
        (Answer(302), (False, 302, "redirect not followed")),
        (Answer(503), (False, 503, "status 503")),
        (DeliveryFailed("timeout"), (False, None, "timeout")),
    ],
)
def test_a_test_tells_what_came_of_it(service, added, answer, expected):
    service.answer = answer
    tested = service.ask("POST", "/webhooks/1/test")
    assert (tested["isAccepted"], tested["status"], tested["failure"]) == expected
    assert service.ask("GET", "/webhooks/1")["failures"] == 0


def test_where_a_webhook_starts_is_where_it_goes_on(service, added):
    for start, number in {"beginning": 1, "end": 0, "2001-01-01": 1}.items():
        assert service.ask("POST", "/webhooks/1/replay", {"from": start})["pendingEvents"] == number
    cursor = service.ask("GET", "/changes")["next"]
    assert service.ask("POST", "/webhooks", {"url": URL, "from": cursor}, 201)["webhook"]["cursor"] == cursor
    assert [one["id"] for one in service.ask("GET", "/webhooks?limit=1&after=1")["webhooks"]] == [2]
    assert service.errors("POST", "/webhooks/1/replay", {"from": "soon"}) == ["from"]
    assert service.errors("POST", "/webhooks", {"url": URL, "allowHttp": True}) == ["allowHttp"]


def test_a_webhook_is_what_became_of_it(service, added):
    assert added["webhook"]["state"] == "active"
    service.webhooks.change(1, failures=2, wait=3.0, last_failure="timeout", is_leased=True)
    shown = service.ask("GET", "/webhooks/1")
    assert (shown["state"], shown["nextAttemptInSeconds"], shown["isDelivering"]) == ("failing", 3, True)
    paused = service.ask("POST", "/webhooks/1/pause")
    assert (paused["state"], paused["nextAttemptInSeconds"]) == ("paused", None)
    assert service.ask("POST", "/webhooks/1/resume")["state"] == "active"
    service.webhooks.change(1, salts=evolve(service.webhooks.kept[1].salts, key_id=b"another!"))
    assert not service.ask("GET", "/webhooks/1")["keyIsKnown"]
    assert "rotate" in service.ask("POST", "/webhooks/1/test", expect=400)["detail"]
    assert service.client.delete("/webhooks/1").status_code == 204
    assert service.errors("DELETE", "/webhooks/1", None, 404) == ["id"]
