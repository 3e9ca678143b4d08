"""What a connection may cost: bytes, seconds, and how many there are.

Theory of operation
===================

uvicorn's protocol hands whatever arrives to its parser, so several requests can be under way on one
connection, and nothing can be said of how large the one that is arriving is. Here the parser gets one
request at a time: its head once that is whole, then its body and no byte more, and the next head when
the answer has been written. Each bound is then a bound on one thing:

- A head is refused as soon as more bytes than it may have wait for its end.
- What arrives behind a request waits unparsed, and reading pauses after the first piece of it.
- An answer that the client does not read keeps the next request waiting, so that one answer at limit
  waits to be sent.
- A single deadline holds, whatever the connection waits for: the rest of a request, the next request,
  or a client that reads on.

An offer to upgrade is left out of the head, which is parsed again (RFC 9110, 7.8: a server may ignore it).
The parser would take the body for the new protocol, and uvicorn what follows for the next request.
"""

import asyncio
import json
import re
from http import HTTPStatus
from math import inf
from typing import Any

import httptools
from attrs import frozen
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_END_OF_HEAD = b"\r\n\r\n"
_NO_METHOD = re.compile(rb"[^A-Z\r\n]")
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)

_FRAMING = 8
"""Bytes of framing that may come with each byte of a chunked body; a chunk of one byte has five."""


@frozen
class Bounds:
    """What a client may cost.

    Attributes:
        header_size: bytes that path and headers of a request may have.
        connections: how many clients may be connected.
        request_timeout: seconds within which a request has to arrive whole.
        write_timeout: seconds within which a client has to read some of what waits for it.
    """

    header_size: int
    connections: int
    request_timeout: float
    write_timeout: float


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds; its parser gets one request at a time."""

    def __init__(self, bounds: Bounds, **parts: Any) -> None:
        super().__init__(**parts)
        self._bounds = bounds
        self._arrived = b""  # not parsed yet
        self._is_in_flight = False  # whether a request is to be answered
        self._has_body = False  # whether body of the request is still to come
        self._body_left: int | None = None  # bytes of it; None for a chunked one
        self._framing_left = 0  # bytes that a chunked body may have beside its content
        self._unsent = 0  # bytes of answers that waited for the client when the deadline was set
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            self._reject(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients are connected", "Retry-After: 1")
        else:
            self._set_deadline(self._bounds.request_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = inf
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        is_first = not self._arrived and not self._has_body and not self._is_in_flight
        self._arrived = self._arrived + data if self._arrived else data
        self._parse()
        if self._is_in_flight and not self._has_body:  # limit requests arrive at once
            self._deadline = inf
        elif is_first and (self._arrived or self._has_body):
            self._set_deadline(self._bounds.request_timeout)

    def _parse(self) -> None:
        """Hand the parser as much of what arrived as it may have."""
        try:
            while self._arrived and not self.transport.is_closing():
                if self._has_body:
                    self._parse_body()
                elif self._is_in_flight or self.flow.write_paused:
                    self.flow.pause_reading()
                    return
                elif not self._parse_head():
                    return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # CONNECT goes on as an upgrade does
            self._reject(HTTPStatus.BAD_REQUEST, "it is no HTTP request")

    def _parse_head(self) -> bool:
        """Parse the head of a request, if it is whole."""
        arrived = self._arrived
        size = arrived.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        is_whole = size >= len(_END_OF_HEAD)
        if (size if is_whole else len(arrived)) > self._bounds.header_size:
            limit = self._bounds.header_size
            self._reject(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"path and headers have more than {limit} bytes"
            )
        elif is_whole:
            head, self._arrived = arrived[:size], arrived[size:]
            try:
                self.parser.feed_data(head)
            except httptools.HttpParserUpgrade:
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(_UPGRADE.sub(b"", head))
        elif _NO_METHOD.match(arrived):  # a client that speaks TLS is not kept waiting
            raise httptools.HttpParserError
        return is_whole

    def _parse_body(self) -> None:
        if self._body_left is not None:
            body, self._arrived = self._arrived[: self._body_left], self._arrived[self._body_left :]
            self._body_left -= len(body)
            self.parser.feed_data(body)
            if self._has_body and not self._body_left:
                raise httptools.HttpParserError("the body goes on behind its end")
            return
        # A chunked body ends with a line, so what ends with the line cannot hold what follows it.
        arrived, start = self._arrived, 0
        while self._has_body and start < len(arrived):
            end = arrived.find(b"\n", start) + 1 or len(arrived)
            self.parser.feed_data(arrived[start:end])
            self._framing_left -= end - start
            if self._framing_left < 0:
                self._reject(HTTPStatus.BAD_REQUEST, "its chunks are mostly framing")
                return
            start = end
        self._arrived = arrived[start:]

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        if self._has_body or self._is_in_flight:
            raise ValueError("the parser sees an end where the head told of none")
        hosts = 0
        body_left = None
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                body_left = int(value)
        if hosts != 1 and self.parser.get_http_version() == "1.1":  # RFC 9112, 3.2
            self._reject(HTTPStatus.BAD_REQUEST, "an HTTP/1.1 request must have one Host header")
            return
        super().on_headers_complete()
        self._is_in_flight = self._has_body = True
        self._body_left = body_left
        self._framing_left = self._bounds.header_size
        self.headers = []  # what a trailer holds is no header

    def on_body(self, body: bytes) -> None:
        self._framing_left += (1 + _FRAMING) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.transport.is_closing() or self.parser.should_upgrade():
            return
        self._has_body = False
        super().on_message_complete()
        if not self._is_in_flight:  # it was answered before all of it was here
            self._set_deadline(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        self._is_in_flight = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._set_deadline(self._bounds.write_timeout)
            return
        self.flow.resume_reading()
        if self._has_body:  # it was answered early, and has to arrive in time all the same
            return
        if self.transport.get_write_buffer_size():
            self._set_deadline(self._bounds.write_timeout)
        else:
            self._set_deadline(self._bounds.request_timeout if self._arrived else self.timeout_keep_alive)
        if self._arrived:
            self._parse()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_deadline(self._bounds.write_timeout)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._is_in_flight:
            self._deadline = inf
        else:
            self.flow.resume_reading()
            self._parse()

    def _set_deadline(self, seconds: float) -> None:
        """Give the client so many seconds, for whatever the connection waits for."""
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline = self.loop.time() + seconds
        # Most deadlines are over before their time comes. A timer that is early enough stays.
        if self._timer is not None:
            if self._timer.when() <= self._deadline:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        if self._deadline == inf:
            return
        if self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)
        elif unsent := self.transport.get_write_buffer_size():
            if unsent < self._unsent:
                self._set_deadline(self._bounds.write_timeout)
            else:
                self.transport.abort()
        elif self._has_body or self._arrived:
            within = f"{self._bounds.request_timeout:g} s"
            self._reject(HTTPStatus.REQUEST_TIMEOUT, f"it did not arrive within {within}")
        else:
            self.transport.close()

    def _reject(self, status: HTTPStatus, detail: str, *headers: str) -> None:
        """Answer with a problem document, unless an answer was begun, and close the connection."""
        if self.transport.is_closing():
            return
        is_begun = (self._has_body or self._is_in_flight) and self.cycle.response_started
        if not is_begun:
            body = json.dumps({"title": status.phrase, "status": status, "detail": detail})
            head = [
                f"HTTP/1.1 {status.value} {status.phrase}",
                "Content-Type: application/problem+json",
                f"Content-Length: {len(body)}",
                "Connection: close",
                *headers,
            ]
            self.transport.write("\r\n".join([*head, "", body]).encode())
        self._arrived = b""
        self.transport.close()
        self._set_deadline(self._bounds.write_timeout)
