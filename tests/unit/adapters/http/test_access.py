"""Handing out what is known of a person over HTTP, on contacts in memory."""

import asyncio
import json
from datetime import UTC, datetime

import msgspec
import pytest

from identity_adapters.api.access import AccessAnswer, AccessDocument
from identity_adapters.keys import Scope, generate_key
from identity_core import (
    AccessIdentities,
    EraseIdentities,
    Identifier,
    IdentifierKind,
    Note,
    RepositoryUnavailable,
    RuleSet,
)
from tests.unit.adapters.http.serving import serving


def access(service, expect=200, **body):
    return service.ask("POST", "/access", body, expect)


@pytest.fixture
def family(service):
    """A mother, and her son who typed her phone number once; both are kept apart."""
    service.identify("lorraine@x", "1")
    service.identify("mcfly@x", "2")
    service.identify("mcfly@x", "1")
    ends = {"one": {"email": "lorraine@x"}, "other": {"email": "mcfly@x"}}
    service.rule("/split", ends | {"reason": "mcfly@x is the son of lorraine@x"})
    return service


def test_a_person_gets_all_that_is_on_record_of_them_and_nothing_of_others(family):
    answer = access(family, email="Lorraine@x")
    assert "mcfly" not in json.dumps(answer)
    assert [known["value"] for known in answer["values"]] == [{"email": "lorraine@x"}, {"phoneNumber": "1"}]
    assert all(not known["isBlocked"] and known["firstSeen"] for known in answer["values"])
    assert [(one["email"], one["phoneNumber"]) for one in answer["contacts"]] == [("lorraine@x", "1")]
    assert [(one["email"], one["phoneNumber"], one["standing"]) for one in answer["pairs"]] == [
        ("lorraine@x", "1", "counts"),
        (None, "1", "undone"),
    ]
    pin, undone = answer["decisions"]
    assert (pin["verdict"], pin["one"], pin["other"]) == ("different", {"email": "lorraine@x"}, None)
    assert (undone["verdict"], undone["one"], undone["other"]) == ("undone", None, {"phoneNumber": "1"})
    assert pin["reason"] == "[other person] is the son of lorraine@x"
    assert (pin["withdrawal"], answer["rules"]) == (None, [])
    assert [event["kind"] for event in answer["history"]] == [
        "created", "merged", "undone", "pinned", "split"
    ]  # fmt: skip


def test_a_value_and_each_contact_of_a_person_get_the_same(family):
    family.identify("lorraine@y", "1")
    answers = [access(family, **target) for target in (
        {"email": "lorraine@x"}, {"phoneNumber": 1}, {"contactId": 1}, {"contactId": 1, "email": None},
    )]  # fmt: skip
    for answer in answers:
        del answer["generatedAt"]
    assert answers == answers[:1] * 4
    assert [known["value"]["email"] for known in answers[0]["values"][:2]] == ["lorraine@x", "lorraine@y"]


def test_what_was_taken_back_and_rules_that_no_longer_apply_are_on_record(service):
    service.identify("a@x", "1")
    service.put(blocked={"emails": ["a@x", "*@till"]}, reason="a till")
    service.settle()
    service.put(reason="no till")
    service.settle()
    undone = service.rule("/undo", {"email": "a@x", "phoneNumber": "1"})
    service.rule("/restore", {"rulingId": undone["rulingIds"][0], "reason": "no typo"})
    answer = access(service, email="a@x")
    [decision] = answer["decisions"]
    assert (decision["reason"], decision["withdrawal"]["reason"]) == ("a typo", "no typo")
    [naming] = answer["rules"]
    assert (naming["version"], naming["values"], naming["reason"]) == (1, [{"email": "a@x"}], "a till")
    assert naming["appliedAt"] < naming["replacedAt"]
    assert [one["deletedAt"] is None for one in answer["contacts"]].count(False) >= 1


def test_a_blocked_value_is_on_record_alone(service):
    service.put(blocked={"phoneNumbers": ["880"]})
    service.identify("a@x", "880")
    answer = access(service, phoneNumber="880")
    assert answer["values"][0] | {"firstSeen": None} == {
        "value": {"phoneNumber": "880"}, "firstSeen": None, "lastSeenMonth": None, "isBlocked": True
    }  # fmt: skip
    assert [(one["email"], one["phoneNumber"], one["standing"]) for one in answer["pairs"]] == [
        (None, "880", "blocked")
    ]
    assert [one["version"] for one in answer["rules"]] == [1]
    assert access(service, email="a@x")["pairs"][0]["phoneNumber"] is None


def test_who_got_what_is_recorded_before_it_is_handed_out(family, monkeypatch):
    access(family, email="lorraine@x")
    assert family.repository._accesses == [((1,), None)]

    async def fail(*_):
        raise RepositoryUnavailable("the disk is full")

    monkeypatch.setattr(family.repository, "record_access", fail)
    problem = access(family, 503, email="lorraine@x")
    assert "lorraine" not in json.dumps(problem)


def test_the_name_of_the_key_is_recorded_and_the_key_needs_the_scope_read():
    made = {scope: generate_key(f"key for {scope}", [scope]) for scope in Scope}
    with serving([key for _, key in made.values()]) as service:
        for scope, (secret, _) in made.items():
            expect = 404 if scope is Scope.READ else 403
            bearer = {"Authorization": f"Bearer {secret}"}
            service.ask("POST", "/access", {"email": "a@x"}, expect, **bearer)
        headers = {"Authorization": f"Bearer {made[Scope.IDENTIFY][0]}"}
        service.ask("POST", "/identify", {"email": "a@x"}, **headers)
        headers = {"Authorization": f"Bearer {made[Scope.READ][0]}"}
        service.ask("POST", "/access", {"email": "a@x"}, **headers)
        assert service.repository._accesses == [((1,), "key for read")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"email": None}, "body"),
        ({"email": "a@x", "phoneNumber": "1"}, "body"),
        ({"email": "a@x", "emial": None}, "body"),
        ({"email": "a"}, "email"),
        ({"email": " "}, "email"),
        ({"phoneNumber": "x"}, "phoneNumber"),
        ({"contactId": "1"}, "contactId"),
        ({"contactId": -1}, "contactId"),
    ],
)
def test_a_body_that_names_nobody_or_several_is_rejected(service, body, field):
    assert service.errors("POST", "/access", body) == [field]


def test_parameters_are_rejected(service):
    assert service.errors("POST", "/access?html=true", {"email": "a@x"}) == ["query"]


@pytest.mark.parametrize("member", ["email", "phoneNumber", "contactId"])
def test_who_is_not_on_record_is_named_by_the_field(service, member):
    value = {"email": "a@x", "phoneNumber": "1", "contactId": 1}[member]
    assert service.errors("POST", "/access", {member: value}, 404) == [member]
    assert service.repository._accesses == []


def test_a_contact_that_was_erased_is_gone(service):
    service.identify("a@x", "1")
    asyncio.run(EraseIdentities(*[service.repository] * 3)(1))
    problem = access(service, 410, contactId=1)
    assert (problem["title"], problem["status"]) == ("Gone", 410)
    assert service.errors("POST", "/access", {"email": "a@x"}, 404) == ["email"]


def test_the_document_is_the_answer_in_pieces(family, monkeypatch):
    """What is streamed is what a client is told to expect, wherever it is cut."""
    asyncio.run(family.repository.put(RuleSet(emails=["lorraine@x"]), Note(None, "a till")))
    target = Identifier(IdentifierKind.EMAIL, "lorraine@x")
    disclosure = asyncio.run(AccessIdentities(family.repository, family.repository)(target))
    document = AccessDocument(disclosure, datetime(2026, 1, 1, tzinfo=UTC))
    for chunk in (1, 2, 500):
        monkeypatch.setattr("identity_adapters.api.access.CHUNK", chunk)
        encoded = b"".join(document.encode())
        answer = msgspec.json.decode(encoded, type=AccessAnswer)
        assert msgspec.json.encode(answer) == encoded
        assert len(answer.rules) == 1
