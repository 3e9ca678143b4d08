"""What every request gets, even if it fails: an id, an outcome, a duration, and headers for browsers."""

import os
import re
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, TypeAlias

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from identity_adapters.http.state import KEY, OUTCOME, REQUEST_ID

Observe: TypeAlias = Callable[[str, str, float], None]
"""Called with an operation, its outcome, and seconds."""

_VALID_ID = re.compile(rb"[\w.:/=-]{1,128}", re.ASCII)
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

NO_SNIFFING = (b"x-content-type-options", b"nosniff")

# For responses without a caching header, which may hold personal values. They are JSON and text, which a
# browser does not run; the security headers of a page would cost every response 1 % of its time.
_DEFAULT_HEADERS = [(b"cache-control", b"no-store"), NO_SNIFFING]

_PROCESS = os.urandom(8).hex().encode()
_numbers = count(1)


def observe_requests(
    app: ASGIApp, observe: Observe, *, log: Callable[..., Any] | None, is_shutting_down: Callable[[], bool]
) -> ASGIApp:
    """Wrap an application, so that requests are observed and responses have an id; `HEAD` acts like `GET`.

    The id is the `X-Request-ID` of the request, else the trace id of its W3C `traceparent`, else a new one.

    Args:
        app: the application.
        observe: called for every request.
        log: logs every request; None for no logging.
        is_shutting_down: whether the service is stopping; then each connection is closed after a response.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # the server omits the body, because its own scope has HEAD
            scope = {**scope, "method": "GET"}
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        request_id = state[REQUEST_ID] = _find_request_id(scope["headers"])
        status = 500

        def send_with_id(message: Message) -> Any:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id)]
                for name, _ in headers:
                    if name == b"cache-control":
                        break
                else:
                    headers += _DEFAULT_HEADERS
                if is_shutting_down():
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            return send(message)

        try:
            await app(scope, receive, send_with_id)
        finally:
            handler = scope.get("route_handler")
            operation = getattr(handler, "operation_id", None) or "other"
            outcome = state.get(OUTCOME) or _to_outcome(status)
            seconds = time.perf_counter() - started
            observe(operation, outcome, seconds)
            if log is not None:
                log(
                    "request",
                    operation=operation,
                    outcome=outcome,
                    status=status,
                    milliseconds=round(1000 * seconds, 3),
                    request_id=request_id.decode(),
                    key=state.get(KEY),
                )

    return application


def _find_request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    trace_id = None
    for name, value in headers:
        if name == b"x-request-id" and _VALID_ID.fullmatch(value):
            return value
        if name == b"traceparent" and (traceparent := _TRACEPARENT.fullmatch(value)):
            trace_id = traceparent.group(1)
    return trace_id or b"%s%016x" % (_PROCESS, next(_numbers))


def _to_outcome(status: int) -> str:
    if status < 400:
        return "answered"
    return "rejected" if status < 500 else "failed"
