"""However requests arrive on a connection, the application gets them one at a time, as they were sent."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from identity_adapters.http.protocol import BoundedProtocol, Bounds

BOUNDS = Bounds(header_size=500, connections=10, request_timeout=60, write_timeout=60)


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.packets = []
        self.is_closed = False
        self.is_ended = False
        self.is_paused = False

    def write(self, data):
        assert not self.is_closed
        assert not self.is_ended
        self.packets.append(data)

    @property
    def written(self):
        return b"".join(self.packets)

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.is_ended = True

    def get_write_buffer_size(self):
        return 0

    def close(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        self.is_paused = True

    def resume_reading(self):
        self.is_paused = False


class Application:
    """Answers each request with its body, and keeps what it got."""

    def __init__(self):
        self.seen = []
        self.in_flight = 0

    async def __call__(self, scope, receive, send):
        self.in_flight += 1
        assert self.in_flight == 1
        body, message = b"", {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        await asyncio.sleep(0)
        self.seen.append((scope["method"], scope["path"], body, {name for name, _ in scope["headers"]}))
        self.in_flight -= 1
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def protocol_of(application, state=None):
    config = Config(application, http=BoundedProtocol, ws="none", lifespan="off", log_config=None)
    return BoundedProtocol(BOUNDS, config=config, server_state=state or ServerState(), app_state={})


async def turn():
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def sent(pieces, answer=None):
    """What the application got, and the transport, after pieces of a connection have arrived."""

    async def run():
        application, transport = answer or Application(), Transport()
        protocol = protocol_of(application)
        protocol.connection_made(transport)
        for piece in pieces:
            while transport.is_paused:
                await turn()
            if transport.is_closed:
                break
            protocol.data_received(piece)
            await turn()
        await turn()
        protocol.connection_lost(ConnectionResetError())
        return application, transport

    return asyncio.run(run())


def framed(body, sizes):
    """A body in chunks of some sizes."""
    chunks = []
    for size in sizes:
        if chunk := body[:size]:
            chunks.append(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            body = body[size:]
    if body:
        chunks.append(b"%X;extension=1\r\n%s\r\n" % (len(body), body))
    return b"".join(chunks)


@st.composite
def requests(draw):
    """A request as it is sent, and as the application should get it."""
    body = draw(
        st.binary(max_size=60) | st.sampled_from([b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\n" * 40])
    )
    path = draw(st.sampled_from(["/identify", "/a%20b", "/"]))
    upgrade = draw(
        st.sampled_from(
            [
                b"",
                b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
                b"UPGRADE: websocket\r\nconnection: keep-alive, upgrade\r\n",
                b"Upgrade: foo\r\nConnection: Upgrade\r\nUpgrade: bar\r\n",
            ]
        )
    )
    head = b"POST %s HTTP/1.1\r\nHost: x\r\n%s" % (path.encode(), upgrade)
    match draw(st.sampled_from(["length", "chunked", "none"])):
        case "length":
            whole = b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)
        case "chunked":
            trailer = draw(st.sampled_from([b"", b"Authorization: Bearer x\r\n"]))
            chunks = framed(body, draw(st.lists(st.integers(1, 9), max_size=5)))
            whole = b"%sTransfer-Encoding: chunked\r\n\r\n%s0\r\n%s\r\n" % (head, chunks, trailer)
        case "none":
            body, whole = b"", head + b"\r\n"
    return whole, ("POST", path.replace("%20", " "), body)


@given(st.lists(requests(), min_size=1, max_size=5), st.lists(st.integers(1, 60), max_size=12))
def test_requests_are_answered_one_at_a_time_however_they_arrive(requests, sizes):
    stream = b"".join(whole for whole, _ in requests)
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    application, transport = sent([*filter(None, pieces), *([stream] if stream else [])])

    assert [got for *got, _ in application.seen] == [list(expected) for _, expected in requests]
    assert transport.written.count(b"HTTP/1.1 200 OK\r\n") >= len(requests)
    assert not transport.is_closed
    for *_, names in application.seen:
        assert not names & {b"authorization", b"upgrade"}


def test_what_is_sent_ahead_is_not_read_ahead():
    async def run():
        held = asyncio.Event()

        async def application(scope, receive, send):
            await held.wait()

        transport = Transport()
        state = ServerState()
        protocol = protocol_of(application, state)
        protocol.connection_made(transport)
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        await turn()
        assert len(state.tasks) == 1
        assert transport.is_paused
        held.set()
        protocol.connection_lost(None)
        await turn()

    asyncio.run(run())


def test_a_request_that_was_answered_early_has_its_bounds_all_the_same():
    async def answer_early(scope, receive, send):
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n"
    _, transport = sent([head, b"12", b"345678", head, b"12345678"], answer_early)
    assert transport.written.count(b"HTTP/1.1 401") == 2
    _, transport = sent([head, b"12345678GET / HTTP/1.1\r\nA: %s" % (b"a" * 500)], answer_early)
    assert [line for line in transport.written.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")] == [
        b"HTTP/1.1 401 Unauthorized",
        b"HTTP/1.1 431 Request Header Fields Too Large",
    ]


def answer(*parts, headers=(), then=None):
    """An application that reads the request, answers in parts, and then may fail."""

    async def application(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for position, part in enumerate(parts, start=1):
            more = position < len(parts) or then is not None
            await send({"type": "http.response.body", "body": part, "more_body": more})
        if then is not None:
            raise then

    return application


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_head", "application", "packets"),
    [
        (b"GET", answer(b"all of it", headers=[(b"content-length", b"9")]), [b"all of it"]),
        (b"GET", answer(b"", headers=[(b"content-length", b"0")]), [b"\r\n\r\n"]),
        (b"GET", answer(b"a part", b"the rest"), [b"6\r\na part\r\n", b"8\r\nthe rest\r\n0\r\n\r\n"]),
        (b"HEAD", answer(b"", headers=[(b"content-length", b"9")]), [b"\r\n\r\n"]),
        (b"GET", answer(then=ValueError()), [b"\r\n\r\n"]),
        (b"GET", answer(b"a part", then=ValueError()), [b"6\r\na part\r\n"]),
    ],
)
def test_the_head_of_a_response_is_sent_with_the_first_part_of_the_body(request_head, application, packets):
    _, transport = sent([b"%s / HTTP/1.1\r\nHost: x\r\n\r\n" % request_head], application)
    assert transport.packets[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.packets[0].endswith(packets[0])
    assert transport.packets[1:] == packets[1:]


def test_a_client_is_told_to_send_its_body_before_the_response():
    head = b"%sContent-Length: 4\r\nExpect: 100-continue\r\n\r\n" % POST
    _, transport = sent([head, b"body"])
    told, response = transport.packets
    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert response.endswith(b"body")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 500)], 431),
        ([b"GET / HTTP/1.1\r\n", *[b"A: aaaaaaaaaaaaaaaaaaaaaa\r\n"] * 30], 431),
        (
            [
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                *[b"1;%s\r\na\r\n" % (b"e" * 400)] * 3,
            ],
            400,
        ),
        (
            [
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                *[b"A: aaaaaaaaaaaaaa\r\n"] * 50,
            ],
            400,
        ),
        ([b"%sContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % POST], 400),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\naa"], 400),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na"], 400),
        ([b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"], 400),
        ([b"GET / HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\r\n\r\n"], 400),
        ([b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n"], 400),
        ([b"no http\r\n\r\n"], 400),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400),
    ],
)
def test_what_is_too_large_or_wrong_is_refused_and_nothing_after_it_is_read(pieces, status):
    application, transport = sent([*pieces, b"GET /after HTTP/1.1\r\nHost: x\r\n\r\n"])
    assert transport.is_ended
    assert not transport.is_closed, "else the answer could be lost to a client that still sends"
    assert transport.written.startswith(b"HTTP/1.1 %d " % status)
    assert transport.written.count(b"HTTP/1.1 ") == 1
    assert "/after" not in [path for _, path, *_ in application.seen]
