"""Details with blocked and held values over HTTP, on contacts in memory."""

import pytest

from identity_core import IdentifierKind


def identify(service, email=None, phone_number=None):
    """The outcome, the ignored member and the emails; the preview foretells all of it."""
    foretold = service.ask("POST", "/preview", {"email": email, "phoneNumber": phone_number})
    contact, headers = service.identify(email, phone_number)
    answer = headers["identity-outcome"], headers.get("identity-ignored"), contact["emails"]
    assert (foretold["outcome"], foretold["ignored"], foretold["contact"]["emails"]) == answer
    return answer


def test_details_with_one_blocked_value_are_answered_by_the_other(service):
    service.put(blocked={"emails": ["till@x"], "phoneNumbers": ["5*"]})
    assert identify(service, "a@x", "55") == ("created", "phoneNumber", ["a@x"])
    assert identify(service, "a@x", "55") == ("known", "phoneNumber", ["a@x"])
    assert identify(service, "till@x", "1") == ("created", "email", [])
    assert identify(service, "b@x", "1") == ("linked", None, ["b@x"])
    assert service.blocked == [
        IdentifierKind.PHONE_NUMBER, IdentifierKind.PHONE_NUMBER, IdentifierKind.EMAIL
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/identify", "/preview"])
def test_details_that_are_blocked_whole_are_refused(service, path):
    service.put(blocked={"emails": ["till@x"], "phoneNumbers": ["5*"]})
    for body, fields in {
        ("till@x", None): ["email"],
        (None, "555"): ["phoneNumber"],
        ("till@x", "555"): ["email", "phoneNumber"],
    }.items():
        answer = service.client.post(path, json=dict(zip(("email", "phoneNumber"), body, strict=True)))
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["identity-outcome"] == "blocked"
        problem = answer.json()
        assert problem["errors"] == [
            {"field": field, "reason": "is blocked and identifies nobody"} for field in fields
        ]
        assert problem["detail"] == f"{' and '.join(fields)}: is blocked and identifies nobody"
    counted = ["email", "phone_number", "email", "phone_number"] if path == "/identify" else []
    assert service.blocked == counted
    assert service.ask("GET", "/changes")["events"] == []


def test_details_that_a_limit_holds_are_answered_by_their_email(service):
    service.put(limits={"emailsPerPhoneNumber": 1})
    assert identify(service, "a@x", "1") == ("created", None, ["a@x"])
    assert identify(service, "b@x", "1") == ("held", "phoneNumber", ["b@x"])
    assert identify(service, "b@x", "1") == ("held", "phoneNumber", ["b@x"])
    assert service.blocked == []
