"""What a connection may cost before there is a request: bytes, seconds, and how many there are."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from attrs import frozen
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


@frozen
class Bounds:
    """What a client may cost.

    Attributes:
        header_size: bytes that path and headers of a request may have.
        connections: how many clients may be connected.
        request_timeout: seconds within which a request has to arrive whole.
    """

    header_size: int
    connections: int
    request_timeout: float


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's own, with bounds; it has one for what comes between two requests alone."""

    def __init__(self, bounds: Bounds, **parts: Any) -> None:
        super().__init__(**parts)
        self._bounds = bounds
        self._arrived = 0  # bytes of the request that is arriving
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients are connected", "Retry-After: 1")
        else:
            self._timer = self.loop.call_later(self._bounds.request_timeout, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._arrived += len(data)
        if self._arrived > self._bounds.header_size and self._has_large_head(data):
            self._refuse_head()
            return
        super().data_received(data)
        cycle = self._cycle
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            # All of it is here. Most requests arrive at once, and never need the timer.
            self._arrived = 0
            if self._timer is not None:
                self._stop_timer()
        elif not self.transport.is_closing():
            if self._arrived > self._bounds.header_size and not self._has_head():
                self._refuse_head()
            elif self._timer is None:
                self._timer = self.loop.call_later(self._bounds.request_timeout, self._give_up)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        self._refuse(HTTPStatus.BAD_REQUEST, "it is no HTTP request")

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # uvicorn says that there always is one

    def _has_head(self) -> bool:
        """Whether all headers of the request that is arriving are here."""
        return self._cycle is not None and self._cycle.more_body

    def _has_large_head(self, data: bytes) -> bool:
        """Whether the head ends in these data, beyond the bound."""
        end = data.find(b"\r\n\r\n")
        size = self._arrived - len(data) + end
        return end >= 0 and size > self._bounds.header_size and not self._has_head()

    def _refuse_head(self) -> None:
        most = self._bounds.header_size
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"path and headers have more than {most} bytes"
        )

    def _give_up(self) -> None:
        self._timer = None
        if self.scope is None:  # a connection made in advance, and not used
            self.transport.close()
        elif not self.transport.is_closing():
            within = f"{self._bounds.request_timeout:g} s"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"it did not arrive within {within}")

    def _refuse(self, status: HTTPStatus, detail: str, *headers: str) -> None:
        """Answer with a problem document, unless an answer was begun, and close the connection."""
        cycle = self._cycle
        if cycle is None or not cycle.response_started or (cycle.response_complete and not cycle.more_body):
            body = json.dumps({"title": status.phrase, "status": status, "detail": detail})
            head = [
                f"HTTP/1.1 {status.value} {status.phrase}",
                "Content-Type: application/problem+json",
                f"Content-Length: {len(body)}",
                "Connection: close",
                *headers,
            ]
            self.transport.write("\r\n".join([*head, "", body]).encode())
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
