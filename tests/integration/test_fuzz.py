"""Whatever is sent, by the service's own description or against it: no 5xx, no hang, no harm."""

import http.client
import json
import re
from contextlib import closing

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from identity_adapters.postgres import verify
from tests.support.databases import connect, new_database, plain
from tests.support.processes import service
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

lenient = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def running(tmp_path_factory, server, migrated):
    folder = tmp_path_factory.mktemp("fuzz")
    url = new_database(server, template=migrated)
    with service(folder, DB_CONNECTION_STRING=plain(url)) as one:
        one.database = url
        yield one
        assert "Traceback" not in one.output()
        assert "mistake" not in one.output()


@pytest.fixture
def database_of(running):
    """The URL of the database behind the service, to look at afterwards."""
    yield running.database
    assert verify(running.database) == []


def has_whole_number(body):
    """Whether a phone number of a body is a whole number."""
    inner = [body, *(body[name] for name in ("one", "other") if isinstance(body.get(name), dict))]
    return any(isinstance(one.get("phoneNumber"), int) for one in inner)


def test_its_own_description_holds_whatever_is_sent(running, database_of, size):
    description = schemathesis.openapi.from_url(f"http://127.0.0.1:{running.port}/openapi.json")
    # That an email has one @ between two parts, and the like, is more than the description says.
    beyond = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]
    cases = 0
    for operation in (result.ok() for result in description.get_all_operations()):
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=size(60, 2_500), deadline=None, database=None, suppress_health_check=lenient
            )
            @given(operation.as_strategy(generation_mode=mode))
            def sends(case):
                nonlocal cases
                # More is accepted than generators are told of: a phone number that is a whole number.
                assume(not (isinstance(case.body, dict) and has_whole_number(case.body)))
                cases += 1
                case.call_and_validate(timeout=PATIENCE, excluded_checks=beyond)

            if mode is schemathesis.GenerationMode.POSITIVE or operation.method == "post":
                sends()  # without a body there is nothing to send that the description forbids
    assert cases > size(120, 5_000)


names = st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"], exclude_characters=": "), min_size=1
)
values = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]))
headers = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Accept", "Content-Encoding", "X-Request-ID", "Cookie", "Host", "Expect"]
    )
    | names.filter(
        lambda name: name.lower() not in ("content-length", "transfer-encoding", "connection", "upgrade")
    ),
    values
    | st.sampled_from(["application/json", "application/json; charset=utf-8", "gzip", "*/*", "100-continue"]),
    max_size=4,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.emails(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["email", "phoneNumber"]) | st.text(), inner)
    ),
)
nearly_right = st.fixed_dictionaries(
    {}, optional={"email": st.text() | st.emails(), "phoneNumber": st.text("0123456789+ -")}
)
bodies = st.binary() | (anything | nearly_right).map(lambda value: json.dumps(value).encode())
paths = st.sampled_from(
    ["/identify"] * 8 + ["/", "/health/ready", "/docs", "/assets/x", "/openapi.json", "/x?email=a@x"]
)
methods = st.sampled_from(["POST"] * 6 + ["GET", "PUT", "HEAD", "OPTIONS", "TRACE", "BREW"])


def test_whatever_else_is_sent_is_answered(running, database_of, size):
    statuses = {}

    @settings(max_examples=size(400, 10_000), deadline=None, suppress_health_check=lenient)
    @given(methods, paths, headers, bodies)
    @example("POST", "/identify", {"Content-Type": "text/plain"}, b"{}")  # drawn rarely
    def sends(method, path, some_headers, body):
        with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)) as connection:
            connection.putrequest(method, path, skip_host="Host" in some_headers, skip_accept_encoding=True)
            for name, value in some_headers.items():
                connection.putheader(name.encode("latin-1"), value.encode("latin-1"))
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert answer.status < 500
        if answer.status >= 400 and answer.getheader("content-type", "").startswith(
            "application/problem+json"
        ):
            assert method == "HEAD" or json.loads(content)["status"] == answer.status

    sends()
    assert {200, 400, 404, 405, 415} <= statuses.keys()


TRICKS = [
    "'; DROP TABLE contacts; --@x",
    "a@x' OR '1'='1",
    'a@x"; SELECT pg_sleep(10); --',
    "{a@x,b@x}",
    "a@x\\",
    "%s%(email)s:email@x",
    "$1@x",
    "${jndi:ldap://x}@x",
    "<script>alert(1)</script>@x",
    "{{7*7}}@x",
    "NULL@NULL",
    "\N{PILE OF POO}@\N{PILE OF POO}",
]
REFUSED_TRICKS = [
    "a@x\r\nINFO:     forged",
    "a@x\nSet-Cookie: a=b",
    "\x1b[2Ja@x",
    "a@x\0b",
    "a\x08@x",
    "\N{RIGHT-TO-LEFT OVERRIDE}a@x",
    "a@x\N{LINE SEPARATOR}INFO: forged",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_in_an_email_are_nothing_but_an_email(running, database_of, trick):
    before = running.identify("bystander@x", "4242")
    email = trick if trick.count("@") == 1 else trick.replace("@", "") + "@x"
    contact = running.identify(email)
    assert contact["emails"] == [email.strip().lower()]
    assert running.identify("bystander@x", "4242") == before
    with connect(database_of) as connection:
        stored = connection.execute("SELECT email FROM contacts WHERE id = %s", [contact["primaryContactId"]])
        assert stored.fetchone() == (email.strip().lower(),)
    assert "forged" not in running.output()


@pytest.mark.parametrize("trick", REFUSED_TRICKS)
def test_tricks_with_characters_that_control_or_hide_leave_no_trace(running, database_of, trick):
    for details in ({"email": trick}, {"phoneNumber": trick}):
        status, answer = running.post(details)
        assert status == 400
        assert not re.search(r"forged|Set-Cookie|\x1b", json.dumps(answer))
    status, headers_of_answer, _ = running.request(
        "POST", "/identify", json.dumps({"email": trick}), {"X-Request-ID": "a", "X-Forwarded-For": "'; --"}
    )
    assert status == 400
    assert "Set-Cookie" not in headers_of_answer
    assert "forged" not in running.output()


@pytest.mark.parametrize("trick", ["1; DROP TABLE contacts", "1' OR '1'='1", "{1,2}", "$(reboot)1", "%s1"])
def test_tricks_in_a_phone_number_are_refused_or_nothing_but_its_digits(running, database_of, trick):
    status, answer = running.post({"phoneNumber": trick})
    if status == 200:
        assert all(number.isdigit() for number in answer["contact"]["phoneNumbers"])
    else:
        assert answer["errors"] == [{"field": "phoneNumber", "reason": "must not have letters"}]
