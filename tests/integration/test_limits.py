"""What a client may cost before there is a request."""

import json
import socket
from contextlib import ExitStack, suppress

import psutil
import pytest

from tests.support.processes import service
from tests.support.waiting import PATIENCE, wait_until

BODY = b'{"email": "a@x"}'
WHOLE = b"POST /identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture(scope="module")
def running(tmp_path_factory, make_database):
    """A service with little room."""
    folder = tmp_path_factory.mktemp("limits")
    settings = {
        "IDENTITY_MAX_HEADER_SIZE": 2048,
        "IDENTITY_MAX_CONNECTIONS": 5,
        "IDENTITY_MAX_BODY_SIZE": 2048,
    }
    with service(folder, DB_CONNECTION_STRING=make_database(), **settings) as one:
        yield one


@pytest.fixture(scope="module")
def impatient(tmp_path_factory, make_database):
    """A service that waits for clients for a short time."""
    folder = tmp_path_factory.mktemp("impatient")
    settings = {"IDENTITY_REQUEST_TIMEOUT": 2, "IDENTITY_KEEP_ALIVE": 1, "IDENTITY_WRITE_TIMEOUT": 1}
    with service(folder, DB_CONNECTION_STRING=make_database(), **settings) as one:
        yield one


def connection_to(running):
    return socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE)


def answers(connection):
    """All that is answered until the service closes the connection, as (status, body)."""
    received = b""
    while part := connection.recv(65536):
        received += part
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        [length] = [
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        ]
        found.append((int(head.split()[1]), json.loads(rest[:length])))
        received = rest[length:]
    return found


def test_a_request_has_to_arrive_whole_in_time(impatient):
    for part in (b"P", WHOLE[:30], WHOLE[:-1]):
        with connection_to(impatient) as connection:
            connection.sendall(part)
            [(status, problem)] = answers(connection)
            assert (status, problem["detail"]) == (408, "the request must arrive within 2 s")


def test_trickling_does_not_help(impatient):
    with connection_to(impatient) as connection:
        connection.settimeout(0.1)
        received = b""
        for number in range(1000):
            try:
                connection.sendall(
                    b"POST /identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n{"
                    if not number
                    else b" "
                )
                received = connection.recv(1000)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if received:
                break
        assert number < 999
        assert received.startswith(b"HTTP/1.1 408") or not received


def test_a_connection_that_nothing_comes_on_is_closed(impatient):
    with connection_to(impatient) as connection:
        assert answers(connection) == []
    with connection_to(impatient) as connection:
        connection.sendall(WHOLE)
        assert [status for status, _ in answers(connection)] == [200]
    with connection_to(impatient) as connection:
        connection.sendall(WHOLE + b"\r\n")
        assert [status for status, _ in answers(connection)][:1] == [200]


def test_a_slow_client_whose_request_comes_in_parts_is_answered(running):
    whole = WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connection_to(running) as connection:
        for part in (whole[:10], whole[10:40], whole[40:-3], whole[-3:]):
            connection.sendall(part)
        assert [status for status, _ in answers(connection)] == [200]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 3000),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: %s\r\n\r\n" % (b"a" * 3000),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        + b"".join(b"A%d: a\r\n" % number for number in range(500))
        + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: %s" % (b"a" * 100_000),
        b"POST /identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16\r\nA: %s\r\n\r\n%s"
        % (b"a" * 3000, BODY),
    ],
)
def test_a_head_that_is_too_large_is_refused(running, head):
    with connection_to(running) as connection:
        connection.sendall(head)
        [(status, problem)] = answers(connection)
        assert (status, problem["detail"]) == (431, "path and headers must have at most 2048 bytes")


def test_who_still_sends_when_the_answer_comes_can_read_it(running):
    with connection_to(running) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nA: %s" % (b"a" * 3000))
        wait_until(lambda: connection.recv(65536, socket.MSG_PEEK).endswith(b"}"))
        for _ in range(3):
            connection.sendall(b"a" * 100_000)
        [(status, _)] = answers(connection)
        assert status == 431


def test_a_head_just_within_the_limit_and_a_large_body_are_fine(running):
    headers = {"A": "a" * 1800, "Content-Type": "application/json"}
    body = json.dumps({"email": "a@x", "other": "a" * 1900})
    assert running.request("POST", "/identify", body, headers)[0] == 200
    status, _, answer = running.request("POST", "/identify", "{" + 3000 * " " + "}", headers)
    assert (status, json.loads(answer)["errors"]) == (
        413,
        [{"field": "body", "reason": "must have at most 2048 bytes"}],
    )
    chunked = iter([b"{", b" " * 3000, b"}"])
    assert running.request("POST", "/identify", chunked, headers)[0] == 413


def test_more_clients_than_there_may_be_are_refused_until_others_leave(running):
    with ExitStack() as stack:
        connected = [stack.enter_context(connection_to(running)) for _ in range(5)]
        for connection in connected:
            connection.sendall(WHOLE)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        with connection_to(running) as refused:
            [(status, problem)] = answers(refused)
            assert (status, problem["detail"]) == (503, "too many clients are connected")

    def is_answered():
        with suppress(OSError):
            return running.post({"email": "a@x"})[0] == 200

    wait_until(is_answered)


def test_what_is_no_http_is_refused_with_a_problem_document(running):
    with connection_to(running) as connection:
        connection.sendall(b"\x16\x03\x01 no http\r\n\r\n")
        assert answers(connection) == [
            (400, {"title": "Bad Request", "status": 400, "detail": "the request is not valid HTTP"})
        ]


@pytest.mark.parametrize("offered", [b"foo", b"websocket", b"h2c"])
def test_an_offer_to_upgrade_is_ignored_and_hides_no_request(impatient, offered):
    head = b"POST /identify HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: %s\r\n" % offered
    hidden = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = b'{"email": "a@x", "other": "%s"}' % hidden.replace(b"\r\n", b"\\r\\n")
    with connection_to(impatient) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body))
        for part in (body[:30], body[30:]):
            connection.sendall(part)
        assert [status for status, _ in answers(connection)] == [200]
    with connection_to(impatient) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(hidden), hidden))
        [(status, problem)] = answers(connection)
        assert (status, problem["errors"][0]["field"]) == (400, "body")


def test_a_request_that_was_answered_early_still_has_to_arrive_in_time(impatient):
    refused = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    with connection_to(impatient) as connection:
        connection.sendall(refused)
        assert [status for status, _ in answers(connection)] == [404]


def test_a_request_needs_one_host(running):
    for hosts in (b"", b"Host: localhost\r\nHost: localhost\r\n"):
        with connection_to(running) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\n%s\r\n" % hosts)
            [(status, problem)] = answers(connection)
            assert (status, problem["detail"]) == (400, "an HTTP/1.1 request must have one Host header")
    with connection_to(running) as connection:
        connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
        assert [status for status, _ in answers(connection)] == [421]


def test_who_reads_no_answers_costs_little_and_not_for_long(impatient):
    memory = psutil.Process(impatient.process.pid).memory_info
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20_000
    with connection_to(impatient) as connection:
        connection.sendall(WHOLE)  # what a first request costs once
        assert connection.recv(1000)
    before = memory().rss
    largest = 0
    with ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(connection_to(impatient))
            connection.settimeout(0.2)
            with suppress(OSError):
                connection.sendall(asked)
            largest = max(largest, memory().rss)
            assert impatient.is_live()
        # All of them are sent away, though not one of them has closed its connection.
        wait_until(lambda: len(psutil.Process(impatient.process.pid).net_connections("tcp")) <= 2)
    assert largest - before < 20_000_000
