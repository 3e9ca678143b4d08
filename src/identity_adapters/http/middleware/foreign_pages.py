"""Requests from web pages are rejected unless the page belongs to the service or to an allowed origin.

A browser sends requests on behalf of any open page, even to a service that only the browser's own machine
or network can reach. Three headers, which a page cannot set, identify such requests:

- `Sec-Fetch-Site` gives the relation of the page's site to the service (W3C, Fetch Metadata Request
  Headers).
- `Origin` names the origin of the page, at least if the request may write (the Fetch standard).
- `Host` is the host name of the requested URL. If an attacker's host name resolves to the service (DNS
  rebinding), the browser treats the page and the service as one origin, but `Host` has the attacker's name.

Clients other than browsers do not send the first two.
"""

from collections.abc import Awaitable, Callable, Collection
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from identity_adapters.http.problem import PROBLEM_JSON, encode_problem

ANY_HOST = "*"


def reject_foreign_pages(
    app: ASGIApp, *, allowed_origins: Collection[str], allowed_hosts: Collection[str] | None
) -> ASGIApp:
    """Wrap an application, so that requests from foreign pages are rejected.

    Args:
        app: the application.
        allowed_origins: origins whose pages may send requests, such as ``https://shop.example``.
        allowed_hosts: host names of the service besides those of the loopback interface; requests for
            other hosts are rejected. None to allow any host.
    """
    origins = frozenset(origin.encode() for origin in allowed_origins)
    is_own_host = None if allowed_hosts is None else _make_host_check(allowed_hosts)

    def application(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != ScopeType.HTTP:
            return app(scope, receive, send)
        host, origin, site = b"", None, None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        if is_own_host is not None and not is_own_host(host):
            return _reject(
                send,
                HTTPStatus.MISDIRECTED_REQUEST,
                "Host must be a name of the loopback interface or one of IDENTITY_ALLOWED_HOSTS",
            )
        is_from_page = origin is not None or site is not None
        if is_from_page and not (origin in origins or _is_allowed(scope, host, origin, site)):
            return _reject(
                send,
                HTTPStatus.FORBIDDEN,
                "Origin must be the service's own or one of IDENTITY_ALLOWED_ORIGINS",
            )
        return app(scope, receive, send)

    return application


def _is_allowed(scope: HTTPScope, host: bytes, origin: bytes | None, site: bytes | None) -> bool:
    """Whether a browser's request from a page is allowed."""
    if site is None:  # an old browser, or a service reached without TLS from another machine
        return origin is None or origin.partition(b"://")[2] == host
    if site in (b"same-origin", b"none"):
        return True
    headers = dict(scope["headers"])
    is_followed_link = (
        headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    )
    return is_followed_link and scope["method"] == "GET"


def _make_host_check(allowed: Collection[str]) -> Callable[[bytes], bool]:
    """Make a function that checks whether a `Host` names the service."""
    names = {name.lower() for name in allowed}

    @lru_cache(maxsize=100)
    def is_own(host: bytes) -> bool:
        text = host.decode("latin-1").lower()
        name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
        name = name.removesuffix(".")
        return (
            ANY_HOST in names
            or text in names
            or name in names
            or f".{name}".endswith(".localhost")
            or _is_loopback_address(name)
        )

    return is_own


def _is_loopback_address(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


async def _reject(send: Send, status: HTTPStatus, detail: str) -> None:
    body = encode_problem(status, detail)
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
