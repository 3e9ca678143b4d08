"""Limits of a connection: bytes, seconds, and the number of connections.

Theory of operation
===================

uvicorn's protocol passes all incoming bytes to its parser. So several requests can be in flight on one
connection, and the size of the incoming request is unknown. Here the parser gets one request at a time:
its head once the head is complete, then exactly the bytes of its body, and the next head after the
response has been written. Each limit then applies to a single thing:

- A head is rejected as soon as the bytes received without its end exceed the limit.
- Bytes that arrive after a request stay unparsed, and reading pauses after the first chunk of them.
- A response that the client does not read delays the next request, so at most one response waits to be
  sent.
- A single deadline applies to the event that the connection waits for: the rest of a request,
  the next request, or a client that reads.

An upgrade header is removed from the head, and the head is parsed again (RFC 9110, 7.8: a server may
ignore it). Otherwise the parser would treat the body as the new protocol, and uvicorn would treat the
bytes after it as the next request.
"""

import asyncio
import re
from http import HTTPStatus
from math import inf
from typing import Any

import httptools
from attrs import frozen
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from identity_adapters.http.problem import PROBLEM_JSON, encode_problem

_HEAD_OF_RESPONSE = tuple(f"HTTP/1.1 {first}".encode() for first in "2345")
_END_OF_HEAD = b"\r\n\r\n"
_NO_METHOD = re.compile(rb"[^A-Z\r\n]")
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)

_FRAMING = 8
"""Bytes of framing allowed per byte of a chunked body; a chunk of one byte has at least five."""


LINGER = 2.0
"""Seconds that a client whose request was rejected may take to read the answer and close the connection."""


@frozen
class Bounds:
    """The limits of a connection.

    Attributes:
        header_size: the maximum size of the path and the headers of a request, in bytes.
        connections: the maximum number of connected clients.
        request_timeout: seconds within which a complete request must arrive.
        write_timeout: seconds within which a client must read a part of the response.
    """

    header_size: int
    connections: int
    request_timeout: float
    write_timeout: float


class _WholeResponses:
    """A transport that sends the head of a response together with the first part of its body.

    uvicorn writes the two one after the other, and each packet takes a tenth of a request's processor time.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Keep the head, and send what was kept with anything else, nothing included."""
        if self._head is None and data.startswith(_HEAD_OF_RESPONSE):
            self._head = data
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif data:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        """Send what was kept, and close the connection once everything is sent."""
        self.write(b"")
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits; its parser gets one request at a time."""

    def __init__(self, bounds: Bounds, **parts: Any) -> None:
        super().__init__(**parts)
        self._bounds = bounds
        self._arrived = b""  # bytes that are not parsed yet
        self._is_in_flight = False  # whether a request waits for its response
        self._has_body = False  # whether the body is incomplete
        self._body_left: int | None = None  # bytes until its end; None for a chunked body
        self._framing_left = 0  # bytes of framing that a chunked body may still have
        self._is_rejected = False  # whether the rest of what arrives is dropped
        self._unsent = 0  # bytes of responses that were unsent when the deadline was set
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._bounds.connections:
            detail = "too many clients are connected"
            self._reject(HTTPStatus.SERVICE_UNAVAILABLE, detail, "Retry-After: 1", closes_at_once=True)
        else:
            self._set_deadline(self._bounds.request_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = inf
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_rejected:
            return
        is_first = not self._arrived and not self._has_body and not self._is_in_flight
        self._arrived = self._arrived + data if self._arrived else data
        self._parse()
        if self._is_in_flight and not self._has_body:  # most requests arrive in one piece
            self._deadline = inf
        elif is_first and (self._arrived or self._has_body):
            self._set_deadline(self._bounds.request_timeout)

    def _parse(self) -> None:
        """Feed the parser as many of the received bytes as it may have."""
        try:
            while self._arrived and not self.transport.is_closing():
                if self._has_body:
                    self._parse_body()
                elif self._is_in_flight or self.flow.write_paused:
                    self.flow.pause_reading()
                    return
                elif not self._parse_head():
                    return
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # CONNECT is handled like an upgrade
            self._reject(HTTPStatus.BAD_REQUEST, "the request is not valid HTTP")

    def _parse_head(self) -> bool:
        """Parse the head of a request if it is complete; return whether it is."""
        arrived = self._arrived
        size = arrived.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        is_whole = size >= len(_END_OF_HEAD)
        if (size if is_whole else len(arrived)) > self._bounds.header_size:
            limit = self._bounds.header_size
            self._reject(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"path and headers must have at most {limit} bytes",
            )
        elif is_whole:
            head, self._arrived = arrived[:size], arrived[size:]
            try:
                self.parser.feed_data(head)
            except httptools.HttpParserUpgrade:
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(_UPGRADE.sub(b"", head))
        elif _NO_METHOD.match(arrived):  # for example TLS, which never sends the end of a head
            raise httptools.HttpParserError
        return is_whole

    def _parse_body(self) -> None:
        if self._body_left is not None:
            body, self._arrived = self._arrived[: self._body_left], self._arrived[self._body_left :]
            self._body_left -= len(body)
            self.parser.feed_data(body)
            if self._has_body and not self._body_left:
                raise httptools.HttpParserError("the body continues after its end")
            return
        # A chunked body ends with a line break, so a piece up to a line break holds nothing after the body.
        arrived, start = self._arrived, 0
        while self._has_body and start < len(arrived):
            end = arrived.find(b"\n", start) + 1 or len(arrived)
            self.parser.feed_data(arrived[start:end])
            self._framing_left -= end - start
            if self._framing_left < 0:
                self._reject(HTTPStatus.BAD_REQUEST, "the chunks of the body must not be mostly framing")
                return
            start = end
        self._arrived = arrived[start:]

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        if self._has_body or self._is_in_flight:
            raise ValueError("the parser sees a head inside a request")
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
        self.cycle.transport = _WholeResponses(self.transport)  # type: ignore[assignment]
        self._is_in_flight = self._has_body = True
        self._body_left = body_left
        self._framing_left = self._bounds.header_size
        self.headers = []  # trailers are not headers

    def on_body(self, body: bytes) -> None:
        self._framing_left += (1 + _FRAMING) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_rejected or self.transport.is_closing() or self.parser.should_upgrade():
            return
        self._has_body = False
        super().on_message_complete()
        if not self._is_in_flight:  # the response was sent before the body was complete
            self._set_deadline(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        self.cycle.transport.write(b"")
        self._is_in_flight = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._set_deadline(self._bounds.write_timeout)
            return
        self.flow.resume_reading()
        if self._has_body:  # answered early; the body must still arrive in time
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
        """Set the deadline for the event that the connection waits for."""
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline = self.loop.time() + seconds
        # Most deadlines are replaced before they expire. A timer that fires early enough is kept.
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
            seconds = f"{self._bounds.request_timeout:g} s"
            self._reject(HTTPStatus.REQUEST_TIMEOUT, f"the request must arrive within {seconds}")
        else:
            self.transport.close()

    def _reject(self, status: HTTPStatus, detail: str, *headers: str, closes_at_once: bool = False) -> None:
        """Answer with a problem document, unless a response has started, and close the connection."""
        if self._is_rejected or self.transport.is_closing():
            return
        is_started = (self._has_body or self._is_in_flight) and self.cycle.response_started
        if not is_started:
            body = encode_problem(status, detail)
            head = [
                f"HTTP/1.1 {status.value} {status.phrase}",
                f"Content-Type: {PROBLEM_JSON}",
                f"Content-Length: {len(body)}",
                "Connection: close",
                *headers,
            ]
            self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self._arrived = b""
        if is_started or closes_at_once or not self.transport.can_write_eof():
            self.transport.close()
            self._set_deadline(self._bounds.write_timeout)
        else:
            self._drop_rest()

    def _drop_rest(self) -> None:
        """Close the connection when the client does, or soon, and drop what arrives until then.

        If it were closed while the client sends, the kernel would reset it, and the answer would be lost.
        """
        self._is_rejected = True
        if self._has_body or self._is_in_flight:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._has_body = self._is_in_flight = False
        self.flow.resume_reading()
        self.transport.write_eof()
        self._set_deadline(min(self._bounds.write_timeout, LINGER))
