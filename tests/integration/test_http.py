"""What a client sees: real requests to a real process."""

import json
import re
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from tests.integration.documented import checked
from tests.integration.processes import service

EMAIL_SHAPE = "must have exactly one @ between two non-empty parts"
UNSTORABLE = "must not have control characters or lone surrogates"
MISSING = "must have an email, a phone number or both"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("http")
    with service(folder, IDENTITY_DATA_DIR=folder / "data") as one:
        yield checked(one)


def test_an_answer_has_exactly_the_consolidated_contact(running):
    status, headers, body = running.request(
        "POST",
        "/identify",
        json.dumps({"email": "Lorraine@HillValley.edu", "phoneNumber": "123-456"}),
        {"Content-Type": "application/json"},
    )
    assert (status, headers["content-type"]) == (200, "application/json")
    first = json.loads(body)["contact"]["primaryContactId"]
    assert json.loads(body) == {
        "contact": {
            "primaryContactId": first,
            "emails": ["lorraine@hillvalley.edu"],
            "phoneNumbers": ["123456"],
            "secondaryContactIds": [],
        }
    }
    contact = running.identify("mcfly@hillvalley.edu", 123456)
    assert contact == {
        "primaryContactId": first,
        "emails": ["lorraine@hillvalley.edu", "mcfly@hillvalley.edu"],
        "phoneNumbers": ["123456"],
        "secondaryContactIds": [first + 1],
    }
    for details in [("mcfly@hillvalley.edu", None), (None, "123456"), ("lorraine@hillvalley.edu", "123456")]:
        assert running.identify(*details) == contact


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8", None])
def test_json_is_read_however_it_is_announced(running, content_type):
    assert running.post({"email": "announced@x"}, content_type)[0] == 200


def test_other_members_and_nulls_are_ignored(running):
    assert running.post({"email": "other@x", "phoneNumber": None, "name": {"first": ["x"]}})[0] == 200


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, [("email", MISSING), ("phoneNumber", MISSING)]),
        ({"email": None, "phoneNumber": None}, [("email", MISSING), ("phoneNumber", MISSING)]),
        ({"email": " ", "phoneNumber": ""}, [("email", MISSING), ("phoneNumber", MISSING)]),
        ({"Email": "a@x"}, [("email", MISSING), ("phoneNumber", MISSING)]),
        ({"email": "x"}, [("email", EMAIL_SHAPE)]),
        ({"email": 5}, [("email", "must be text")]),
        ({"email": True}, [("email", "must be text")]),
        ({"email": ["a@x"]}, [("email", "must be text")]),
        ({"email": {"a": "b"}, "phoneNumber": "1"}, [("email", "must be text")]),
        ({"email": "a@" + "b" * 254}, [("email", "must have at most 255 characters")]),
        ({"email": "a\0@x"}, [("email", UNSTORABLE)]),
        ({"email": "a\x1b@x"}, [("email", UNSTORABLE)]),
        ({"phoneNumber": "call me"}, [("phoneNumber", "must not have letters")]),
        ({"phoneNumber": "+"}, [("phoneNumber", "must have a digit")]),
        ({"phoneNumber": "5\0"}, [("phoneNumber", UNSTORABLE)]),
        ({"phoneNumber": "1" * 21}, [("phoneNumber", "must have at most 20 characters")]),
        ({"phoneNumber": 10**25}, [("phoneNumber", "must have at most 20 characters")]),
        ({"phoneNumber": -5}, [("phoneNumber", "must not be negative")]),
        ({"phoneNumber": 123456.0}, [("phoneNumber", "must be text or a whole number")]),
        ({"phoneNumber": True}, [("phoneNumber", "must be text or a whole number")]),
        ({"phoneNumber": [1]}, [("phoneNumber", "must be text or a whole number")]),
    ],
)
def test_bad_details_are_refused_with_field_and_reason(running, body, errors):
    status, answer = running.post(body)
    assert status == 400
    assert answer["title"] == "Bad Request"
    assert answer["status"] == 400
    assert [(error["field"], error["reason"]) for error in answer["errors"]] == errors
    assert errors[0][1] in answer["detail"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b'{"email": "a@x"', "is not valid JSON"),
        (b"email=a%40x", "is not valid JSON"),
        (b'{"email": NaN}', "is not valid JSON"),
        (b'{"phoneNumber": 1e999}', "is not valid JSON"),
        (b'{"phoneNumber": ' + b"9" * 5000 + b"}", "is not valid JSON"),
        (b'{"email": "\\ud800@x"}', "is not valid JSON"),
        (b'{"email": "a\x00@x"}', "is not valid JSON"),
        (b'{"email": "a\xff@x"}', "is not valid UTF-8"),
        (b'\xef\xbb\xbf{"email": "a@x"}', "is not valid JSON"),
        (b"[" * 60_000, "is nested too deeply"),
        (b'{"email": ' * 6_000, "is nested too deeply"),
        (b"[]", "must be a JSON object"),
        (b'"a@x"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"5", "must be a JSON object"),
    ],
)
def test_what_is_no_json_object_is_refused(running, body, reason):
    status, answer = running.post(body)
    assert status == 400
    [error] = answer["errors"]
    assert error["field"] == "body"
    assert error["reason"].startswith(reason)


def test_huge_bodies_are_refused(running):
    too_large = [b"[" * 100_000, b'{"email": "' + b"a" * 10_000_000 + b'@x"}']
    for body in too_large:
        status, answer = running.post(body)
        assert (status, answer["errors"]) == (413, [{"field": "body", "reason": "is too large"}])


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "application/json; charset=utf-16",
        "x",
    ],
)
def test_other_content_is_refused(running, content_type):
    status, answer = running.post({"email": "a@x"}, content_type)
    assert (status, answer["status"]) == (415, 415)
    assert answer["errors"] == [{"field": "body", "reason": "must be application/json in UTF-8"}]


@pytest.mark.parametrize(
    "path", ["/nothing", "/identify/more", "/assets/../app.py", "/assets/nothing.js", "/health"]
)
def test_unknown_paths_are_not_found(running, path):
    status, headers, body = running.request("GET", path)
    assert (status, headers["content-type"], json.loads(body)["status"]) == (
        404,
        "application/problem+json",
        404,
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
def test_unknown_methods_are_not_allowed(running, method):
    status, headers, _ = running.request(method, "/identify")
    assert (status, headers["content-type"]) == (405, "application/problem+json")
    assert "POST" in headers["allow"]


def test_an_answer_to_bad_input_does_not_repeat_it(running):
    for body in ({"email": "marked"}, {"phoneNumber": "marked"}, {"email": "marked" * 99 + "@x"}):
        assert "marked" not in json.dumps(running.post(body))
    assert "marked" not in json.dumps(running.post(b'{"email": "marked'))
    assert "marked" not in running.output()


@settings(max_examples=300, deadline=None)
@given(
    st.binary()
    | st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["email", "phoneNumber", "x"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_is_sent_is_answered_or_refused(running, body):
    status, answer = running.post(body)
    if status == 200:
        assert set(answer["contact"]) == {"primaryContactId", "emails", "phoneNumbers", "secondaryContactIds"}
    else:
        assert status in (400, 413)
        assert all(error["field"] and error["reason"] for error in answer["errors"])


def test_requests_that_are_no_http_do_not_disturb_others(running):
    for raw in [b"\x00\xff" * 100, b"GET\r\n\r\n", b"POST /identify HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]:
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(raw)
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(b"POST /identify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert running.post({"email": "undisturbed@x"})[0] == 200


def test_the_openapi_document_describes_request_answer_and_errors(running):
    status, headers, body = running.request("GET", "/openapi.json")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/json")
    document = json.loads(body)
    validate(document)
    operation = document["paths"]["/identify"]["post"]
    members = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert members["phoneNumber"]["type"] == ["string", "integer", "null"]
    assert set(operation["responses"]) == {"200", "400", "401", "403", "413", "415", "429", "500", "503"}
    assert set(document["components"]["schemas"]["ConsolidatedContact"]["required"]) == {
        "primaryContactId",
        "emails",
        "phoneNumbers",
        "secondaryContactIds",
    }


def test_the_openapi_document_describes_every_operation_with_examples_that_fit(running):
    examples = list(running.document.examples())
    assert len(examples) > 50
    for value, schema in examples:
        running.document.validate(value, schema)
    for operations in running.document.document["paths"].values():
        for operation in operations.values():
            assert {"operationId", "summary"} <= operation.keys()
            for response in operation["responses"].values():
                assert response["content"]
                if "security" in operation and operation["operationId"] != "metrics":
                    assert all(media["examples"] for media in response["content"].values())


def outcome_of(running, body, query=""):
    """Outcome and body of an answer to ``POST /identify``."""
    status, headers, answer = running.request("POST", f"/identify{query}", json.dumps(body))
    assert status == 200, answer
    return headers["identity-outcome"], json.loads(answer)


def test_an_answer_says_what_became_of_the_details(running):
    assert outcome_of(running, {"email": "outcome@x", "phoneNumber": "7001"})[0] == "created"
    assert outcome_of(running, {"email": "outcome@x"})[0] == "known"
    assert outcome_of(running, {"email": "outcome@x", "phoneNumber": "7002"})[0] == "linked"
    assert outcome_of(running, {"email": "other-outcome@x"})[0] == "created"
    assert outcome_of(running, {"email": "other-outcome@x", "phoneNumber": "7002"})[0] == "merged"


def test_a_dry_run_says_what_would_happen_and_nothing_does(running):
    first = running.identify("dry@x", "7101")["primaryContactId"]
    second = running.identify("other-dry@x", "7102")["primaryContactId"]
    third = running.identify("third-dry@x", "7102")["secondaryContactIds"][0]
    for _ in range(2):
        outcome, answer = outcome_of(running, {"email": "dry@x", "phoneNumber": "7102"}, "?dryRun=true")
        assert outcome == answer["outcome"] == "merged"
        assert answer == {
            "outcome": "merged",
            "contact": {
                "primaryContactId": first,
                "emails": ["dry@x", "other-dry@x", "third-dry@x"],
                "phoneNumbers": ["7101", "7102"],
                "secondaryContactIds": [second, third],
            },
            "absorbedPrimaryContactIds": [second],
            "movedContacts": 2,
        }
    _, answer = outcome_of(running, {"email": "dry@x", "phoneNumber": "7103"}, "?dryRun=true")
    assert answer["contact"]["secondaryContactIds"] == [None]
    _, answer = outcome_of(running, {"email": "new-dry@x"}, "?dryRun=true")
    assert (answer["outcome"], answer["contact"]["primaryContactId"]) == ("created", None)
    assert outcome_of(running, {"email": "new-dry@x"}, "?dryRun=false")[0] == "created"


@pytest.mark.parametrize("query", ["?dryRun=yes", "?dryRun=", "?dryRun=1"])
def test_a_dry_run_is_asked_for_clearly(running, query):
    status, _, answer = running.request("POST", f"/identify{query}", json.dumps({"email": "unclear@x"}))
    assert (status, json.loads(answer)["errors"]) == (
        400,
        [{"field": "dryRun", "reason": "must be true or false"}],
    )
    assert lookup(running, {"email": "unclear@x"}) == []


def lookup(running, body):
    status, _, answer = running.request("POST", "/lookup", json.dumps(body))
    assert status == 200, answer
    return json.loads(answer)["identities"]


def test_looking_up_answers_the_identities_touched(running):
    assert lookup(running, {"email": "sought@x"}) == []
    first = running.identify("sought@x", "7201")["primaryContactId"]
    second = running.identify("also-sought@x", "7202")["primaryContactId"]
    one, other = lookup(running, {"email": "Sought@x", "phoneNumber": "720-2"})
    assert (one["primaryContactId"], other["primaryContactId"]) == (first, second)
    [contact] = one["contacts"]
    assert contact.pop("createdAt").endswith("Z")
    assert contact == {
        "id": first, "email": "sought@x", "phoneNumber": "7201", "linkPrecedence": "primary"
    }  # fmt: skip
    assert (one["totalContacts"], one["totalEmails"], one["totalPhoneNumbers"], one["next"]) == (
        1,
        1,
        1,
        None,
    )
    assert lookup(running, {"phoneNumber": "7201"}) == [lookup(running, {"email": "sought@x"})[0]]
    status, _, answer = running.request("POST", "/lookup", json.dumps({"email": "no email"}))
    assert (status, json.loads(answer)["errors"][0]["field"]) == (400, "email")


def test_every_id_leads_to_its_identity_a_page_at_a_time(running):
    first = running.identify("paged@x", "7300")["primaryContactId"]
    for number in range(7301, 7325):
        running.identify("paged@x", str(number))
    last = running.identify("paged@x")["secondaryContactIds"][-1]
    shown, path = [], f"/identities/{last}?limit=10"
    while path:
        status, _, answer = running.request("GET", path)
        assert status == 200, answer
        page = json.loads(answer)
        assert (page["primaryContactId"], page["totalContacts"], page["totalPhoneNumbers"]) == (first, 25, 25)
        shown += page["contacts"]
        path = page["next"] and f"/identities/{last}?limit=10&after={page['next']}"
    assert [contact["phoneNumber"] for contact in shown] == [str(number) for number in range(7300, 7325)]
    assert [contact["linkPrecedence"] for contact in shown] == ["primary", *["secondary"] * 24]


def explained(running, one, other, expect=200):
    status, _, answer = running.request("POST", "/explain", json.dumps({"one": one, "other": other}))
    assert status == expect, answer
    return json.loads(answer)


def test_it_explains_why_two_are_one_customer(running):
    first = running.identify("why@x", "7401")["primaryContactId"]
    second = running.identify("also-why@x", "7402")["primaryContactId"]
    assert explained(running, {"email": "why@x"}, {"contactId": second}) == {
        "isConnected": False, "chain": [], "weakestLink": None
    }  # fmt: skip
    running.identify("also-why@x", "7401")
    answer = explained(running, {"email": "Why@x"}, {"phoneNumber": "740-2"})
    assert answer["isConnected"] is True
    assert [(link["other"], link["reason"]) for link in answer["chain"]] == [
        ({"phoneNumber": "7401"}, "contact"),
        ({"email": "also-why@x"}, "evidence"),
        ({"phoneNumber": "7402"}, "contact"),
    ]
    assert answer["chain"][0]["id"] == first
    weakest = answer["weakestLink"]
    assert weakest["identifier"] == {"phoneNumber": "7401"}
    assert (weakest["pairs"], weakest["contactsBefore"], weakest["contactsAfter"]) == (2, 1, 1)
    assert explained(running, {"contactId": first}, {"contactId": second})["isConnected"] is True


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (None, "one"),
        ([], "one"),
        ({}, "one"),
        ({"email": "a@x", "phoneNumber": "1"}, "one"),
        ({"name": "x"}, "one"),
        ({"contactId": "1"}, "one.contactId"),
        ({"contactId": True}, "one.contactId"),
        ({"contactId": -1}, "one.contactId"),
        ({"contactId": 2**63}, "one.contactId"),
        ({"email": "x"}, "email"),
    ],
)
def test_what_is_to_be_explained_is_named_clearly(running, one, field):
    problem = explained(running, one, {"email": "a@x"}, expect=400)
    assert field in problem["errors"][0]["field"]


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/identities/999999999", 404, None),
        ("/identities/99999999999999999999999999", 404, None),
        ("/identities/me@x", 404, None),
        ("/identities/1?after=nonsense", 400, "after"),
        ("/identities/1?after=99999999999999999999999.1", 400, "after"),
        ("/identities/1?limit=0", 400, None),
        ("/identities/1?limit=1001", 400, None),
        ("/identities/1?limit=x", 400, None),
    ],
)
def test_what_is_asked_for_wrongly_is_told_of(running, path, status, field):
    running.identify("one@x")
    answered, headers, answer = running.request("GET", path)
    problem = json.loads(answer)
    assert (answered, headers["content-type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    if field:
        assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_pages_load_nothing_from_elsewhere(running, page):
    status, headers, body = running.request("GET", page)
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]*)"', body.decode())
    assert loaded
    for path in loaded:
        assert path.startswith("/assets/")
        status, _, script = running.request("GET", path)
        assert status == 200
        assert len(script) > 10_000


def test_it_says_that_it_lives(running):
    assert running.request("GET", "/health/live")[0] == 200


def test_answers_are_checked_against_the_document(running):
    id = running.identify("documented@x")["primaryContactId"]
    lookup(running, {"email": "documented@x"})
    explained(running, {"email": "documented@x"}, {"contactId": id})
    running.request("GET", f"/identities/{id}")
    operations = {operation for operation, _ in running.document.checked}
    assert operations >= {"identify", "lookup", "explain", "identity"}
