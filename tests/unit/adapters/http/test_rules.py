"""Rules over HTTP, on contacts in memory."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.api.rules import HeldBy, RuleLimits, is_pattern, parse_blocked_value
from identity_adapters.api.rules_preview import SIZES
from identity_adapters.domains import normalize_domains
from identity_adapters.keys import Scope, generate_key
from identity_core import ContactDetails, Hold, IdentifierKind, InvalidDetails, suggest_rules
from identity_core.model.presets import PRESETS
from tests.unit.adapters.http.serving import serving

NOTHING = {"emails": [], "phoneNumbers": [], "oneDigit": False, "presets": []}
NO_LIMITS = dict.fromkeys(
    ["phoneNumbersPerEmail", "emailsPerPhoneNumber", "valuesPerIdentity", "valuesOnSmallerSide"]
)


def test_there_are_no_rules_until_somebody_puts_them_in_force(service):
    assert service.ask("GET", "/rules") == {
        "blocked": NOTHING, "limits": NO_LIMITS, "version": 0, "appliedAt": None, "appliedBy": None,
        "reason": None, "isSettled": True,
    }  # fmt: skip


def test_rules_that_were_put_in_force_are_answered_as_they_are_spelled_in_details(service):
    blocked = {
        "emails": [" Test@Shop.example", "*@Example.org", "*.TEST", "no-?@x"],
        "phoneNumbers": ["+1 (555) 01-00", "+1 555 01*", "(0)800 ??"],
        "oneDigit": True,
        "presets": ["reserved-domains"],
    }
    answer = service.put(blocked=blocked, limits={"emailsPerPhoneNumber": 5, "valuesPerIdentity": None})
    assert answer["blocked"] == {
        "emails": ["*.test", "*@example.org", "no-?@x", "test@shop.example"],
        "phoneNumbers": ["+155501*", "+15550100", "0800??"],
        "oneDigit": True,
        "presets": ["reserved-domains"],
    }
    assert answer["limits"] == NO_LIMITS | {"emailsPerPhoneNumber": 5}
    assert (answer["version"], answer["reason"], answer["appliedBy"]) == (1, "a till", None)
    assert answer["appliedAt"] is not None
    assert service.ask("GET", "/rules") == answer
    assert service.changes == 1


def test_what_is_read_can_be_put_back(service):
    service.put(blocked={"emails": ["a@x", "*@y"], "oneDigit": True}, limits={"valuesPerIdentity": 9})
    read = service.ask("GET", "/rules")
    kept = {name: read[name] for name in ("blocked", "limits", "version")}
    again = service.put(**kept)
    assert (again["blocked"], again["limits"], again["version"]) == (read["blocked"], read["limits"], 2)


def test_rules_are_settled_in_the_background(service):
    service.identify("a@x", "1")
    service.identify("b@x", "1")
    assert service.put(blocked={"phoneNumbers": ["1"]})["isSettled"] is False
    service.settle()
    assert service.ask("GET", "/rules")["isSettled"] is True
    assert service.identify("b@x")[0]["emails"] == ["b@x"]
    service.put()
    service.settle()
    assert service.identify("b@x")[0]["emails"] == ["a@x", "b@x"]


def test_rules_of_another_version_are_not_replaced(service):
    service.put(version=0)
    problem = service.put(version=0, limits={"valuesPerIdentity": 1}, expect=409)
    assert problem["type"] == "urn:problem-type:identity:stale-plan"
    assert service.ask("GET", "/rules")["limits"] == NO_LIMITS
    service.put(version=1)
    service.put()
    assert service.ask("GET", "/rules")["version"] == 3
    assert service.changes == 3


def test_the_values_that_join_most_are_suggested_with_what_blocking_each_would_do(service):
    assert service.ask("GET", "/rules/suggestions") == {"suggestions": []}
    ids = [service.identify(email, "1")[0]["primaryContactId"] for email in ("a@x", "b@x", "c@x")]
    service.identify("c@x", "2")
    assert service.ask("GET", "/rules/suggestions") == {
        "suggestions": [
            {
                "value": {"phoneNumber": "1"}, "partners": 3, "merges": 0, "primaryContactId": ids[0],
                "totalContacts": 4, "parts": 3, "leavingContacts": 2,
            },
            {
                "value": {"email": "c@x"}, "partners": 2, "merges": 0, "primaryContactId": ids[0],
                "totalContacts": 4, "parts": 2, "leavingContacts": 1,
            },
        ]
    }  # fmt: skip
    [first] = service.ask("GET", "/rules/suggestions?limit=1")["suggestions"]
    foretold = preview(service, blocked={"phoneNumbers": ["1"]})["mostAffected"][0]
    assert (foretold["parts"], sum(foretold["contactsOfParts"][1:])) == (
        first["parts"],
        first["leavingContacts"],
    )


def test_of_an_identity_that_is_too_large_it_is_not_told_what_blocking_would_do(service, monkeypatch):
    monkeypatch.setattr(suggest_rules, "MAX_CONTACTS", 1)
    service.identify("a@x", "1")
    service.identify("b@x", "1")
    [one] = service.ask("GET", "/rules/suggestions")["suggestions"]
    assert (one["partners"], one["totalContacts"]) == (2, 2)
    assert (one["parts"], one["leavingContacts"]) == (None, None)


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "limit=many"])
def test_a_wrong_number_of_suggestions_is_refused(service, query):
    assert service.errors("GET", f"/rules/suggestions?{query}", None) == ["limit"]


def preview(service, **body):
    """What rules would do."""
    return service.ask("POST", "/rules/preview", {"blocked": {}, "limits": {}} | body)


def test_a_preview_tells_what_rules_would_do_and_writes_nothing(service):
    ids = [service.identify(email, "1")[0]["primaryContactId"] for email in ("a@x", "b@x", "b@x")]
    service.identify("b@x", "2")
    service.identify("c@x", "3")
    foretold = preview(service, blocked={"phoneNumbers": ["1"]})
    assert {name: foretold[name] for name in foretold if isinstance(foretold[name], int)} == {
        "identitiesBefore": 2, "identitiesAfter": 3, "split": 1, "merged": 0, "blocked": 2, "unblocked": 0,
        "held": 0, "released": 0,
    }  # fmt: skip
    assert [(one["minContacts"], one["maxContacts"]) for one in foretold["sizes"]] == [*SIZES]
    counted = [(one["before"], one["after"]) for one in foretold["sizes"]]
    assert counted == [(0, 1), (0, 1), (1, 0), (0, 0), (0, 0), (0, 0)]
    assert foretold["mostAffected"] == [
        {
            "primaryContactId": ids[0], "totalContacts": 3, "parts": 2, "contactsOfParts": [2, 1],
            "joined": 0, "joinedPrimaryContactIds": [],
            "reasons": [
                {"value": {"phoneNumber": "1"}, "pairs": 2},
                {"value": {"email": "a@x"}, "pairs": 1},
                {"value": {"email": "b@x"}, "pairs": 1},
            ],
        }
    ]  # fmt: skip
    assert service.ask("GET", "/rules")["version"] == 0
    assert service.identify("b@x")[0]["emails"] == ["a@x", "b@x"]
    assert service.changes == 0


def test_what_comes_together_again_is_foretold_too(service):
    for number in range(30):
        service.identify(f"{number}@x", "1")
    service.put(blocked={"phoneNumbers": ["1"]})
    service.settle()
    foretold = preview(service)
    assert (foretold["identitiesBefore"], foretold["identitiesAfter"]) == (30, 1)
    assert (foretold["split"], foretold["merged"], foretold["unblocked"]) == (0, 30, 30)
    [first, *others] = foretold["mostAffected"]
    assert len(others) == 19
    assert (first["parts"], first["joined"], len(first["joinedPrimaryContactIds"])) == (1, 29, 20)


def test_rules_with_the_plan_of_a_preview_do_what_was_foretold_or_nothing(service):
    service.identify("a@x", "1")
    service.identify("b@x", "1")
    blocked = {"phoneNumbers": ["1"]}
    plan = preview(service, blocked=blocked)["plan"]
    assert preview(service, blocked=blocked)["plan"] == plan
    service.identify("z@x", "9")
    service.identify("c@x", "1")
    problem = service.put(blocked=blocked, plan=plan, expect=409)
    assert problem["type"] == "urn:problem-type:identity:stale-plan"
    plan = preview(service, blocked=blocked)["plan"]
    service.put(limits={"valuesPerIdentity": 9})
    service.put(blocked=blocked, plan=plan, expect=409)
    assert service.ask("GET", "/rules")["version"] == 1
    plan = preview(service, blocked=blocked)["plan"]
    service.identify("z@x", "8")
    service.put(blocked={}, plan=plan, expect=409)
    assert service.put(blocked=blocked, plan=plan, version=1)["version"] == 2
    assert service.changes == 2


def test_limits_are_applied_to_what_is_recorded_if_they_are_retroactive(service):
    for email in ("a@x", "b@x", "c@x"):
        service.identify(email, "1")
    limits = {"emailsPerPhoneNumber": 1}
    assert preview(service, limits=limits)["held"] == 0
    foretold = preview(service, limits=limits, retroactive=True)
    assert (foretold["held"], foretold["split"], foretold["identitiesAfter"]) == (2, 1, 3)
    service.put(limits=limits, plan=foretold["plan"], expect=409)
    service.put(limits=limits)
    service.settle()
    assert service.ask("GET", "/held")["held"] == []
    plan = preview(service, limits=limits, retroactive=True)["plan"]
    service.put(limits=limits, retroactive=True, plan=plan)
    service.settle()
    held = service.ask("GET", "/held")["held"]
    assert [(one["email"], one["heldBy"]) for one in held] == [
        ("b@x", "emailsPerPhoneNumber"),
        ("c@x", "emailsPerPhoneNumber"),
    ]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["blocked", "limits"]),
        ({"blocked": {}, "limits": {}, "retroactive": "yes"}, ["retroactive"]),
        ({"blocked": {}, "limits": {}, "reason": "x"}, ["body"]),
        ({"blocked": {"emails": ["x"]}, "limits": {}}, ["blocked.emails[0]"]),
    ],
)
def test_what_is_wrong_with_rules_to_preview_is_named_by_its_path(service, body, fields):
    assert service.errors("POST", "/rules/preview", body) == fields
    valid = {"blocked": {}, "limits": {}}
    assert service.errors("POST", "/rules/preview?dryRun=true", valid) == ["query"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["blocked", "limits", "reason"]),
        ({"blocked": [], "limits": 5, "reason": " "}, ["blocked", "limits", "reason"]),
        ({"blocked": {}, "limits": {}, "reason": "x", "rules": {}}, ["body"]),
        ({"blocked": {}, "limits": {}, "reason": "x", "dryRun": True}, ["body"]),
        (
            {"blocked": {"email": []}, "limits": {"phone_numbers_per_email": 1}},
            ["blocked", "limits", "reason"],
        ),
        (
            {"blocked": {"emails": "a@x", "oneDigit": None}, "limits": {}, "reason": "x"},
            ["blocked.emails", "blocked.oneDigit"],
        ),
        (
            {"blocked": {"emails": ["a@x", "x", 5, " ", "*@a@b", "a\n*@x"]}, "limits": {}, "reason": "x"},
            [f"blocked.emails[{number}]" for number in range(1, 6)],
        ),
        (
            {
                "blocked": {"phoneNumbers": ["1", "abc", "5*x", 5, None, "1?" * 11]},
                "limits": {},
                "reason": "x",
            },
            [f"blocked.phoneNumbers[{number}]" for number in range(1, 6)],
        ),
        (
            {"blocked": {"oneDigit": "yes", "presets": ["tills", 5]}, "limits": {}, "reason": "x"},
            ["blocked.presets[0]", "blocked.presets[1]", "blocked.oneDigit"],
        ),
        (
            {
                "blocked": {},
                "limits": dict(zip(NO_LIMITS, [0, True, "5", 2**31], strict=True)),
                "reason": "x",
            },
            [f"limits.{name}" for name in NO_LIMITS],
        ),
        ({"blocked": {}, "limits": {}, "reason": "x", "version": -1, "plan": 5}, ["version", "plan"]),
    ],
)
def test_what_is_wrong_with_rules_is_named_by_its_path(service, body, fields):
    assert service.errors("PUT", "/rules", body) == fields
    assert service.ask("GET", "/rules")["version"] == 0
    assert service.changes == 0


def test_rules_have_no_parameters(service):
    body = {"blocked": {}, "limits": {}, "reason": "x"}
    assert service.errors("PUT", "/rules?dryRun=true", body) == ["query"]


def test_no_error_quotes_a_value(service):
    values = ["Secret", "secret@", "*@secret@x"]
    blocked = {"emails": values, "phoneNumbers": values, "presets": values, "secret": 1}
    for sent in (blocked, {name: blocked[name] for name in ("emails", "phoneNumbers", "presets")}):
        body = {"blocked": sent, "limits": {"secret": 1}, "reason": "x"}
        assert "secret" not in json.dumps(service.ask("PUT", "/rules", body, 400)).lower()


def test_rules_need_the_scope_admin_and_the_name_of_the_key_is_recorded():
    made = {scope: generate_key(f"the {scope} key", [scope]) for scope in Scope}
    body = {"blocked": {}, "limits": {}, "reason": "a till"}
    rules = None
    with serving([key for _, key in made.values()]) as service:
        for scope, (secret, _) in made.items():
            bearer = {"Authorization": f"Bearer {secret}"}
            expect = 200 if scope is Scope.ADMIN else 403
            service.ask("PUT", "/rules", body, expect, **bearer)
            read = service.ask("GET", "/rules", None, expect, **bearer)
            rules = read if scope is Scope.ADMIN else rules
            previewed = {name: body[name] for name in ("blocked", "limits")}
            service.ask("POST", "/rules/preview", previewed, expect, **bearer)
    assert rules["appliedBy"] == "the admin key"


def test_every_limit_has_one_name():
    names = {name.name.lower(): name.value for name in HeldBy if name is not HeldBy.UNCHECKED}
    assert names == dict(zip(RuleLimits.__struct_fields__, RuleLimits.__struct_encode_fields__, strict=True))
    assert {HeldBy.of(hold) for hold in Hold} == {*HeldBy}


def test_each_preset_can_be_named(service):
    assert service.put(blocked={"presets": [*PRESETS]})["blocked"]["presets"] == sorted(PRESETS)


def test_a_blocked_value_is_spelled_as_details_are():
    make_details = normalize_domains()
    parse = parse_blocked_value
    assert parse(IdentifierKind.EMAIL, "anna@XN--MLLER-KVA.example", make_details) == "anna@müller.example"
    assert parse(IdentifierKind.EMAIL, "*@XN--MLLER-KVA.example", make_details) == "*@müller.example"


@given(st.sampled_from(IdentifierKind), st.text("aA0@.*?+ -\t\u0301\u200b", max_size=40))
def test_parsing_a_blocked_value_again_changes_nothing(kind, text):
    try:
        value = parse_blocked_value(kind, text, ContactDetails)
    except InvalidDetails:
        return
    assert is_pattern(value) == is_pattern(text)
    assert parse_blocked_value(kind, value, ContactDetails) == value
