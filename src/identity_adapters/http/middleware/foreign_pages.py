"""What pages in a browser may ask: nothing, unless they are the service's own or of an allowed origin.

A browser sends requests for whatever page is open in it, also to a service that only its own machine or
network can reach. Three headers, which a page cannot set, tell such requests from others:

- `Sec-Fetch-Site` says how the page's site relates to the service (W3C, Fetch Metadata Request Headers).
- `Origin` names the page's origin, at least wherever a request may write (the Fetch standard).
- `Host` is the name that the page asked for. A page whose own name is made to lead to the service (DNS
  rebinding) is of one origin with it for the browser, but gives its own name away.

Programs that are no browsers send neither of the first two.
"""

from collections.abc import Awaitable, Callable, Collection
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from identity_adapters.http.problems import PROBLEM_JSON, Problem

ANY_HOST = "*"


def reject_foreign_pages(
    app: ASGIApp, *, allowed_origins: Collection[str], allowed_hosts: Collection[str] | None
) -> ASGIApp:
    """The application, which is not asked by foreign pages.

    Args:
        app: the application.
        allowed_origins: origins whose pages may ask, such as ``https://shop.example``.
        allowed_hosts: names of the service beside those of the loopback interface; a request for any other
            is refused. None where any name will do.
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
                "Host must be a name of this machine's loopback interface, or one of IDENTITY_ALLOWED_HOSTS",
            )
        is_from_page = origin is not None or site is not None
        if is_from_page and not (origin in origins or _is_allowed(scope, host, origin, site)):
            return _reject(
                send,
                HTTPStatus.FORBIDDEN,
                "pages of this origin may not ask; IDENTITY_ALLOWED_ORIGINS names those that may",
            )
        return app(scope, receive, send)

    return application


def _is_allowed(scope: HTTPScope, host: bytes, origin: bytes | None, site: bytes | None) -> bool:
    """Whether the page that a browser tells of may ask."""
    if site is None:  # an old browser, or a service that is reached neither by TLS nor on its own machine
        return origin is None or origin.partition(b"://")[2] == host
    if site in (b"same-origin", b"none"):
        return True
    headers = dict(scope["headers"])
    is_followed_link = (
        headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    )
    return is_followed_link and scope["method"] == "GET"


def _make_host_check(allowed: Collection[str]) -> Callable[[bytes], bool]:
    """What tells whether a `Host` is a name of the service."""
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
    body = msgspec.json.encode(Problem(status.phrase, status, detail))
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
