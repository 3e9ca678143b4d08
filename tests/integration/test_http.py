"""What a client sees: real requests to a real process."""

import json
import re
import socket
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from identity_core import EventKind, LinkPrecedence, LinkReason, Outcome, Verdict
from tests.support.openapi import checked
from tests.support.processes import service

EMAIL_SHAPE = "must have exactly one @ between two non-empty parts"
UNSTORABLE = "must not have control characters or lone surrogates"
INVISIBLE = "must not have invisible characters"
MISSING = "must have an email, a phone number or both"


@pytest.fixture(scope="module")
def running(tmp_path_factory, make_database):
    folder = tmp_path_factory.mktemp("http")
    with service(folder, DB_CONNECTION_STRING=make_database()) as one:
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


def test_one_address_is_one_customer_however_it_is_typed(running):
    contact = running.identify("zoë@müller.example", "555-0177")
    assert contact["emails"] == ["zoë@müller.example"]
    for typed in (
        "Zoe\N{COMBINING DIAERESIS}@MU\N{COMBINING DIAERESIS}LLER.example",
        "zoë@xn--mller-kva.example",
    ):
        assert running.identify(typed) == contact
        assert running.identify(typed, "555-0177") == contact


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
        ({"email": "a\N{ZERO WIDTH SPACE}@x"}, [("email", INVISIBLE)]),
        ({"phoneNumber": "5\N{RIGHT-TO-LEFT OVERRIDE}5"}, [("phoneNumber", INVISIBLE)]),
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


TOO_LARGE = {"field": "body", "reason": "must have at most 65536 bytes"}


def test_huge_bodies_are_refused(running):
    too_large = [b"[" * 100_000, b'{"email": "' + b"a" * 10_000_000 + b'@x"}']
    for body in too_large:
        status, answer = running.post(body)
        assert (status, answer["errors"]) == (
            413,
            [{"field": "body", "reason": "must have at most 65536 bytes"}],
        )


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
    "path",
    [
        "/nothing",
        "/identify/more",
        "/openapi.json/x",
        "/assets/../app.py",
        "/assets/nothing.js",
        "/assets/README.md",
        "/assets/swagger-ui.LICENSE",
        "/assets/swagger-ui.html",
        "/assets/%00",
        "/assets/" + 5_000 * "a",
    ],
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


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        ("POST", "/identify", {"email": "x", "phoneNumber": "abc"}, ["email", "phoneNumber"]),
        ("POST", "/preview", {"email": 1, "phoneNumber": -1}, ["email", "phoneNumber"]),
        ("POST", "/lookup", {"email": "a@b@x", "phoneNumber": "9" * 21}, ["email", "phoneNumber"]),
        ("POST", "/lookup", {"email": "x", "phoneNumber": "1"}, ["email"]),
        ("POST", "/explain", {}, ["one", "other"]),
        (
            "POST",
            "/explain",
            {"one": {"email": "x"}, "other": {"contactId": "1"}},
            ["one.email", "other.contactId"],
        ),
        ("POST", "/explain", {"one": {"phoneNumber": " "}, "other": 5}, ["one.phoneNumber", "other"]),
        ("GET", "/identities/x?limit=0&asOf=then&after=x", None, ["contactId", "after", "limit", "asOf"]),
        ("GET", "/identities/-1/history?limit=1001&after=x", None, ["contactId", "after", "limit"]),
        ("GET", "/identities/-1/graph?asOf=then", None, ["contactId", "asOf"]),
        ("GET", "/changes?limit=x&wait=nan", None, ["limit", "wait"]),
        ("GET", "/rulings?limit=x&after=-1", None, ["after", "limit"]),
        ("GET", "/pins?limit=1001&after=x", None, ["after", "limit"]),
        ("POST", "/undo?dryRun=x", {"contactId": "1"}, ["contactId", "reason", "dryRun"]),
        ("POST", "/undo", {"email": "x", "phoneNumber": "abc", "reason": "x"}, ["email", "phoneNumber"]),
        ("POST", "/restore", {"rulingId": "1", "reason": "a\nb", "plan": 1}, ["rulingId", "reason", "plan"]),
        ("POST", "/split", {"one": {"email": "x"}, "reason": 5}, ["one.email", "other", "reason"]),
        ("POST", "/pins", {"verdict": "maybe"}, ["one", "other", "verdict", "reason"]),
        ("DELETE", "/pins/x?dryRun=maybe", None, ["id", "dryRun"]),
        ("GET", "/held?limit=101&after=x", None, ["after", "limit"]),
        ("POST", "/held/x/accept?dryRun=x", {}, ["id", "dryRun", "reason"]),
        ("POST", "/held/x/reject", {"reason": "x", "plan": 1}, ["id", "plan"]),
        (
            "PUT",
            "/rules",
            {"blocked": {"emails": ["a@x", "x"], "presets": ["x"]}, "limits": {"valuesPerIdentity": 0}},
            ["blocked.emails[1]", "blocked.presets[0]", "limits.valuesPerIdentity", "reason"],
        ),
        (
            "PUT",
            "/rules",
            {"blocked": {}, "reason": "x", "version": -1, "plan": 1},
            ["limits", "version", "plan"],
        ),
        (
            "POST",
            "/rules/preview",
            {"blocked": {"phoneNumbers": ["abc"]}, "limits": {"valuesPerIdentity": "1"}},
            ["blocked.phoneNumbers[0]", "limits.valuesPerIdentity"],
        ),
    ],
)
def test_every_field_that_is_wrong_is_named(running, method, path, body, fields):
    status, _, answer = running.request(method, path, None if body is None else json.dumps(body))
    problem = json.loads(answer)
    assert status == 400
    assert [error["field"] for error in problem["errors"]] == fields
    assert all(error["reason"].startswith("must ") for error in problem["errors"])
    assert all(field in problem["detail"] for field in fields)


MARK = "zqmarkqz"
marked = st.sampled_from(
    [MARK, f"{MARK}@x", f"1{MARK}", f"\0{MARK}", f"{MARK}é", f"%{MARK}", f'"<{MARK}>', f"{MARK}," * 20]
) | st.text(max_size=5).map(lambda text: text.encode("utf-8", "replace").decode() + MARK)
paths = st.sampled_from(
    [
        "/{}", "/identify", "/identify/{}", "/identify?{}={}", "/identify?dryRun={}", "/preview",
        "/lookup?{}",
        "/explain", "/identities/{}", "/identities/{}/history", "/identities/1/{}", "/identities/1?limit={}",
        "/identities/1?after={}&asOf={}", "/identities/1/history?after={}", "/changes?after={}",
        "/identities/{}/graph", "/identities/1/graph?asOf={}",
        "/changes?limit={}&wait={}", "/changes?{}=1&limit=0", "/health/{}", "/health/live?{}", "/metrics/{}",
        "/undo", "/undo?dryRun={}", "/restore?{}", "/split", "/split?{}={}", "/pins", "/pins?after={}",
        "/pins/{}", "/pins/{}?plan={}", "/pins/1?reason={}", "/pins/1?{}=1", "/rulings?limit={}",
        "/rules", "/rules?{}", "/rules/preview", "/rules/preview?{}", "/rules/{}",
        "/rules/suggestions?{}", "/rules/suggestions?limit={}",
        "/held?after={}", "/held/{}/accept", "/held/1/reject?{}={}",
        "/webhooks", "/webhooks?after={}", "/webhooks/{}", "/webhooks/1/replay", "/webhooks/1/rotate?{}={}",
        "/docs/{}", "/openapi.json/{}", "/assets/x{}", "/assets/{}/{}", "/explorer/{}",
    ]
)  # fmt: skip
marked_bodies = st.recursive(
    marked | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "email",
                    "phoneNumber",
                    "contactId",
                    "one",
                    "other",
                    "reason",
                    "plan",
                    "verdict",
                    "blocked",
                    "limits",
                    "emails",
                    "phoneNumbers",
                    "presets",
                    "url",
                    "kinds",
                    "description",
                    "start",
                    "to",
                    "allowHttp",
                ]
            )
            | marked,
            inner,
            max_size=3,
        )
    ),
).map(json.dumps)
header_names = st.sampled_from(
    ["Content-Type", "Accept", "Authorization", "Cookie", "Origin", "Referer", "User-Agent", f"X-{MARK}"]
)

header_values = st.sampled_from([MARK, f"text/{MARK}", f"application/json; {MARK}"])


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["GET", "POST", "POST", "PUT", "DELETE", MARK.upper()]),
    paths,
    st.lists(marked, min_size=2, max_size=2),
    st.dictionaries(
        header_names, st.sampled_from([MARK, f"text/{MARK}", f"application/json; {MARK}"]), max_size=2
    ),
    marked_bodies | marked,
)
def test_no_error_repeats_anything_that_was_sent(running, method, path, values, headers, body):
    path = path.format(*(quote(value, safe="") for value in values))
    status, answered, content = running.request(method, path, body.encode(), headers)
    if status >= 400:
        assert MARK not in f"{answered}{content.decode()}".lower()
    assert status < 500


def test_no_log_repeats_what_was_sent(running):
    assert MARK not in running.output().lower()


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
        connection.sendall(b"POST /identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert running.post({"email": "undisturbed@x"})[0] == 200


def test_the_openapi_document_is_valid_and_complete(running):
    status, headers, body = running.request("GET", "/openapi.json")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/json")
    document = json.loads(body)
    validate(document)
    assert document["info"]["license"] == {"name": "MIT", "identifier": "MIT"}
    assert document["servers"] == [{"url": "/"}]
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }
    asked = {"identify", "preview", "lookup", "explain", "identity", "history", "graph", "changes"}
    listed = {"merges", "statistics"}
    ruled = {"undo", "restore", "split", "pin", "unpin", "pins", "rulings"}
    rules = {"rules", "suggest_rules", "preview_rules", "apply", "held", "accept", "reject"}
    privacy = {"access", "erase"}
    verbs = ("add", "pause", "resume", "replay", "rotate", "test", "remove")
    webhooks = {"webhook", "webhooks", *(f"{verb}_webhook" for verb in verbs)}
    about = {"live", "ready", "health", "metrics", "key"}
    assert operations.keys() == asked | listed | ruled | rules | privacy | webhooks | about
    for name, operation in operations.items():
        assert operation["summary"]
        assert operation["description"]
        assert tags.issuperset(operation["tags"])
        needs_key = name not in ("live", "ready", "health")
        assert operation["security"] == ([{"key": []}, {}] if needs_key else [])
        assert ("401" in operation["responses"]) == needs_key
        assert all(parameter["description"] for parameter in operation.get("parameters", []))
        for status, reference in operation["responses"].items():
            response = running.document.resolve(reference)
            assert response["description"]
            expected = {"Retry-After"} if status in ("429", "503") else set()
            expected |= {"WWW-Authenticate"} if status == "401" else set()
            if (name, status) == ("identify", "200"):
                expected |= {"Identity-Outcome", "Identity-Ignored"}
            expected |= {"Identity-Outcome"} if status == "422" and name != "graph" else set()
            # Before a request has arrived there is no id of it.
            expected |= set() if status in ("408", "431") else {"X-Request-ID"}
            assert response.get("headers", {}).keys() == expected


def test_what_generators_need_is_named_and_has_a_type(running):
    schemas = running.document.document["components"]["schemas"]
    assert schemas["ContactDetails"]["properties"].keys() == {"email", "phoneNumber"}
    assert schemas["ExplainRequest"]["properties"]["one"] == {
        "$ref": "#/components/schemas/IdentifierOrContact"
    }
    for name, kind in {
        "Outcome": Outcome,
        "EventKind": EventKind,
        "LinkReason": LinkReason,
        "LinkPrecedence": LinkPrecedence,
        "Verdict": Verdict,
    }.items():
        assert schemas[name]["type"] == "string"
        assert set(schemas[name]["enum"]) == set(kind)
    for schema in schemas.values():
        assert isinstance(schema["type"], str)
        for member in schema.get("properties", {}).values():
            assert "type" in member or "$ref" in member or {"type": "null"} in member["anyOf"]
    for path, operations in running.document.document["paths"].items():
        for operation in operations.values():
            named = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
            assert named == re.findall("{(.*?)}", path)
            for media in operation.get("requestBody", {}).get("content", {}).values():
                assert media["schema"].keys() == {"$ref"}
    assert schemas["ContactRecord"]["properties"]["email"] == {"type": ["string", "null"]}
    assert schemas["PreviewContact"]["properties"]["primaryContactId"] == {
        "type": ["integer", "null"], "format": "int64"
    }  # fmt: skip


def test_the_openapi_document_has_examples_that_fit(running):
    examples = list(running.document.examples())
    assert len(examples) > 50
    for value, schema in examples:
        running.document.validate(value, schema)


def outcome_of(running, body):
    """Outcome and body of an answer to ``POST /identify``."""
    status, headers, answer = running.request("POST", "/identify", json.dumps(body))
    assert status == 200, answer
    return headers["identity-outcome"], json.loads(answer)


def test_an_answer_says_what_became_of_the_details(running):
    assert outcome_of(running, {"email": "outcome@x", "phoneNumber": "7001"})[0] == "created"
    assert outcome_of(running, {"email": "outcome@x"})[0] == "known"
    assert outcome_of(running, {"email": "outcome@x", "phoneNumber": "7002"})[0] == "linked"
    assert outcome_of(running, {"email": "other-outcome@x"})[0] == "created"
    assert outcome_of(running, {"email": "other-outcome@x", "phoneNumber": "7002"})[0] == "merged"


def preview(running, body):
    status, headers, answer = running.request("POST", "/preview", json.dumps(body))
    assert status == 200, answer
    assert "identity-outcome" not in headers
    return json.loads(answer)


def test_a_preview_says_what_would_happen_and_nothing_does(running):
    first = running.identify("dry@x", "7101")["primaryContactId"]
    second = running.identify("other-dry@x", "7102")["primaryContactId"]
    third = running.identify("third-dry@x", "7102")["secondaryContactIds"][0]
    for _ in range(2):
        assert preview(running, {"email": "dry@x", "phoneNumber": "7102"}) == {
            "outcome": "merged",
            "ignored": None,
            "contact": {
                "primaryContactId": first,
                "emails": ["dry@x", "other-dry@x", "third-dry@x"],
                "phoneNumbers": ["7101", "7102"],
                "secondaryContactIds": [second, third],
            },
            "absorbedPrimaryContactIds": [second],
            "movedContacts": 2,
        }
    answer = preview(running, {"email": "dry@x", "phoneNumber": "7103"})
    assert answer["contact"]["secondaryContactIds"] == [None]
    answer = preview(running, {"email": "new-dry@x"})
    assert (answer["outcome"], answer["contact"]["primaryContactId"]) == ("created", None)
    assert outcome_of(running, {"email": "new-dry@x"})[0] == "created"


@pytest.mark.parametrize("query", ["dryRun=true", "dryRun=false", "dryRun=", "dryRun", "a=b&d%72yRun=1"])
def test_who_asks_for_a_dry_run_is_sent_to_the_preview_and_nothing_is_written(running, query):
    body = json.dumps({"email": "unclear@x"})
    status, _, answer = running.request("POST", f"/identify?{query}", body)
    [error] = json.loads(answer)["errors"]
    assert (status, error["field"]) == (400, "dryRun")
    assert "POST /preview" in error["reason"]
    assert lookup(running, {"email": "unclear@x"}) == []


def test_other_parameters_of_a_query_are_ignored(running):
    status, _, _ = running.request("POST", "/identify?utm=x", json.dumps({"email": "query@x"}))
    assert status == 200


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
        "isConnected": False, "chain": [], "weakestLink": None, "pinIds": []
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
        ({"contactId": 1, "name": "x"}, "one"),
        ({"email": "x"}, "one.email"),
        ({"email": " "}, "one.email"),
        ({"phoneNumber": "x"}, "one.phoneNumber"),
        ({"email": None, "phoneNumber": None}, "one"),
    ],
)
def test_what_is_to_be_explained_is_named_clearly(running, one, field):
    problem = explained(running, one, {"email": "a@x"}, expect=400)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_members_that_are_null_are_absent_in_what_is_to_be_explained(running):
    running.identify("null@x")
    one = {"email": "null@x", "phoneNumber": None, "contactId": None}
    assert explained(running, one, one)["isConnected"] is True


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/identities/999999999", 404, "contactId"),
        ("/identities/999999999/history", 404, "contactId"),
        ("/identities/999999999/graph", 404, "contactId"),
        ("/identities/99999999999999999999999999", 400, "contactId"),
        ("/identities/me@x", 400, "contactId"),
        ("/identities/1?after=nonsense", 400, "after"),
        ("/identities/1?after=99999999999999999999999.1", 400, "after"),
        ("/identities/1?limit=0", 400, "limit"),
        ("/identities/1?limit=1001", 400, "limit"),
        ("/identities/1?limit=x", 400, "limit"),
        ("/identities/1?asOf=2001-01-01T00:00:00Z", 404, "contactId"),
        ("/identities/1/graph?asOf=2001-01-01T00:00:00Z", 404, "contactId"),
        ("/changes?after=x", 400, "after"),
        ("/changes?wait=61", 400, "wait"),
    ],
)
def test_what_is_asked_for_wrongly_is_told_of(running, path, status, field):
    running.identify("one@x")
    answered, headers, answer = running.request("GET", path)
    problem = json.loads(answer)
    assert (answered, headers["content-type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    [error] = problem["errors"]
    assert error["field"] == field
    assert problem["detail"] == f"{field}: {error['reason']}"


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_pages_load_nothing_from_elsewhere(running, page):
    status, headers, body = running.request("GET", page)
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    loaded = re.findall(r'(?:src|href|spec-url)="([^"]*)"', body.decode())
    assert loaded
    for path in set(loaded) - {"data:,"}:
        assert path.startswith(("/assets/", "/openapi.json"))
        assert running.request("GET", path)[0] == 200


def test_a_browser_keeps_no_answer_and_shows_no_page_in_another(running):
    for path in ("/docs", "/redoc"):
        _, headers, _ = running.request("GET", path)
        assert headers["cache-control"] == "no-cache"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "script-src 'unsafe-inline'" not in policy
    for path in ("/identities/1", "/changes", "/nothing", "/health/live", "/openapi.json"):
        _, headers, _ = running.request("GET", path)
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"] in ("application/json", "application/problem+json")
    _, headers, _ = running.request(
        "POST", "/identify", '{"email": "a@x"}', {"Origin": "http://evil.example"}
    )
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/assets/swagger-ui.css",
        "/explorer/app.js",
        "/health",
        "/health/ready",
        "/metrics",
        "/changes",
        "/x",
    ],
)
def test_head_is_answered_as_get_is_but_for_the_body(running, path):
    status, headers, body = running.request("GET", path)
    head_status, head_headers, head_body = running.request("HEAD", path)
    assert (head_status, head_body) == (status, b"")
    names = {"content-type", "cache-control", "location", "content-security-policy"} & {*headers}
    if path not in ("/metrics", "/changes"):
        names.add("content-length")
    for name in names:
        assert head_headers[name] == headers[name]
    assert body


def test_a_head_request_is_counted_as_what_it_asks_for(running):
    running.request("HEAD", "/health/live")
    _, _, metrics = running.request("GET", "/metrics")
    assert 'operation="live"' in metrics.decode()
    assert running.request("HEAD", "/identify")[0] == 405


def test_a_setting_turns_the_pages_off(tmp_path):
    with service(tmp_path, IDENTITY_DATA_DIR=tmp_path / "data", IDENTITY_PAGES="no") as other:
        for path in ("/docs", "/redoc", "/assets/swagger-ui.css"):
            assert other.request("GET", path)[0] == 404
        assert other.request("GET", "/openapi.json")[0] == 200
        assert other.request("GET", "/")[0] == 200


def test_it_says_that_it_lives(running):
    assert running.request("GET", "/health/live")[0] == 200


def test_answers_are_checked_against_the_document(running):
    id = running.identify("documented@x")["primaryContactId"]
    preview(running, {"email": "documented@x"})
    lookup(running, {"email": "documented@x"})
    explained(running, {"email": "documented@x"}, {"contactId": id})
    running.request("GET", f"/identities/{id}")
    operations = {operation for operation, _ in running.document.checked}
    assert operations >= {"identify", "preview", "lookup", "explain", "identity"}
