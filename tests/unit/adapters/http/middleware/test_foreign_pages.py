"""Which pages in a browser may ask the service, by what their browser says of them."""

import asyncio
import json

import pytest

from identity_adapters.http.middleware.foreign_pages import reject_foreign_pages

SHOP = "https://shop.example"


def status_of(headers, method="POST", allowed_origins=(), allowed_hosts=()):
    """The status that a request gets; 200 where it comes through."""
    answered = []

    async def application(scope, receive, send):
        answered.append(200)

    async def send(message):
        if message["type"] == "http.response.start":
            answered.append(message["status"])
            assert (b"content-type", b"application/problem+json") in message["headers"]
        else:
            assert json.loads(message["body"])["status"] == answered[0]

    scope = {
        "type": "http",
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    app = reject_foreign_pages(application, allowed_origins=allowed_origins, allowed_hosts=allowed_hosts)
    asyncio.run(app(scope, None, send))
    [status] = answered
    return status


def test_programs_that_are_no_browsers_come_through():
    assert status_of({"host": "localhost:8000", "content-type": "application/json"}) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "http://localhost:3000", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"origin": "https://localhost:8000.evil.example"},
        {"origin": "http://localhost"},
        {"origin": f"{SHOP}:444"},
        {"origin": "x"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_foreign_pages_are_refused(headers, method):
    assert status_of({"host": "localhost:8000"} | headers, method, allowed_origins=[SHOP]) == 403


def test_a_form_of_a_foreign_page_is_refused_but_a_link_on_it_may_be_followed():
    link = {
        "host": "localhost:8000",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    assert status_of(link, "GET") == 200
    assert status_of(link | {"origin": "http://evil.example"}, "POST") == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"},
        {"origin": "https://behind.a.proxy", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": "http://localhost:8000"},
        {"origin": SHOP, "sec-fetch-site": "cross-site"},
        {"origin": SHOP},
    ],
)
def test_pages_of_the_service_and_of_allowed_origins_come_through(headers):
    assert status_of({"host": "localhost:8000"} | headers, allowed_origins=[SHOP]) == 200


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "127.0.0.1:8000",
        "127.9.9.9",
        "[::1]",
        "[::1]:80",
        "a.localhost",
    ],
)
def test_the_service_is_asked_by_names_of_the_loopback_interface(host):
    assert status_of({"host": host}) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[::2]",
        "",
        "[",
        "é",
    ],
)
def test_and_by_no_other_unless_it_is_allowed(host):
    assert status_of({"host": host}) == 421
    assert status_of({"host": host}, allowed_hosts=["*"]) == 200
    assert status_of({"host": host}, allowed_hosts=None) == 200


def test_allowed_names_may_have_a_port():
    allowed = ["Identity.example", "other.example:8080"]
    for host, status in {
        "identity.example": 200,
        "identity.example:443": 200,
        "other.example:8080": 200,
        "other.example": 421,
        "localhost": 200,
    }.items():
        assert status_of({"host": host}, allowed_hosts=allowed) == status
