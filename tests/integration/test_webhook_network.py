"""What an endpoint and whoever chooses its URL can do to the service, over real sockets."""

import asyncio
import json
import socket
import ssl
import struct
import threading
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network

import pytest
import svix.webhooks
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from identity_adapters.webhooks import client as clients
from identity_adapters.webhooks import network
from identity_adapters.webhooks.client import Answer, DeliveryFailed, WebhookClient
from identity_adapters.webhooks.signing import derive_secret, format_secret, new_salts, sign
from identity_adapters.webhooks.webhook import Target
from tests.support.waiting import PATIENCE

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
ENDLESS = 64 << 20
"""More than all buffers between two processes hold."""


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request):
    """Runs on the loop of Python, and on that of the service."""
    return request.param


class Endpoint:
    """A server of a test: what it is sent, and by how many connections."""

    def __init__(self, respond, tls):
        self._respond = respond
        self.tls = tls
        self.connections = 0
        self.requests = []
        self.asked = asyncio.Event()
        self.closed = asyncio.Queue()
        self.sent = 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            await self._respond(self, reader, writer)
            await reader.read()  # until the client closes the connection
        except (OSError, EOFError):
            pass
        finally:
            self.closed.put_nowait(True)
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

    async def read_request(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((first, headers, body))
        self.asked.set()

    async def stream(self, writer, piece):
        """Send something until the client has enough, or has taken far too much."""
        while self.sent < ENDLESS:
            writer.write(piece)
            self.sent += len(piece)
            await writer.drain()


@asynccontextmanager
async def endpoint(respond, host="127.0.0.1", port=0, tls=None):
    served = Endpoint(respond, tls)
    server = await asyncio.start_server(served.serve, host, port, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


@asynccontextmanager
async def client_of(url, *, networks=LOOPBACK, **options):
    client = WebhookClient(Target(url, allows_http=True, networks=networks), PATIENCE, **options)
    try:
        yield client
    finally:
        await client.aclose()


def answer(text):
    """Answers every request with the same."""

    async def respond(served, reader, writer):
        while True:
            await served.read_request(reader)
            writer.write(text.replace("\n", "\r\n").encode())

    return respond


OK = answer("HTTP/1.1 204 No Content\n\n")


async def post(url, **options):
    async with client_of(url, **options) as client:
        return await client.post({}, b"{}")


async def fail(url, **options):
    with pytest.raises(DeliveryFailed) as raised:
        await post(url, **options)
    assert str(raised.value) == raised.value.reason
    return raised.value.reason


async def expect_no_connection(canary, host="127.0.0.1"):
    """Nobody has connected to it: connections are accepted in order, and this one comes first."""
    assert canary.connections == 0
    _, writer = await asyncio.open_connection(host, canary.port)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(canary.closed.get(), PATIENCE)
    assert canary.connections == 1


@pytest.fixture
def names(monkeypatch):
    """What the resolver says of names; a list of lists is said one after the other. Also all it was asked."""
    said, asked = {}, []

    def look_up(host, port):
        asked.append(host)
        found = said[host].pop(0) if isinstance(said[host][0], list) else said[host]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]

    monkeypatch.setattr(network, "look_up", look_up)
    said["asked"] = asked
    return said


LOCAL_FORMS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0177.0.0.1", "017700000001", "0x7f.1", "0x7f000001",
    "0x7F.0.0.0x1", "localhost", "LocalHost", "0", "0.0.0.0", "１２７.0.0.1", "[::1]", "[0:0::1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::]",
]  # fmt: skip
OTHER_FORMS = [
    "localhost.", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[::127.0.0.1]", "[fe80::1]", "[fec0::1]",
    "[fd00::1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[ff02::1]", "10.0.0.1", "192.168.1.1", "172.16.0.1",
    "169.254.169.254", "2852039166", "100.100.100.200", "168.63.129.16", "255.255.255.255", "224.0.0.1",
]  # fmt: skip


def test_no_form_of_a_private_address_is_connected_to(run):
    async def body():
        async with endpoint(OK) as canary:
            for host in LOCAL_FORMS + OTHER_FORMS:
                reasons = {"address not allowed"}
                if host.endswith("."):  # not every resolver knows it
                    reasons.add("name not found")
                assert await fail(f"http://{host}:{canary.port}/", networks=()) in reasons, host
            await expect_no_connection(canary)

    run(body())


def test_a_private_address_is_connected_to_in_any_form_if_its_network_is_allowed(run):
    async def body():
        async with endpoint(OK) as served:
            for host in ("127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]"):
                url = f"http://{host}:{served.port}/"
                assert await post(url, networks=[ip_network("127.0.0.1/32")]) == Answer(204), host
                assert await fail(url, networks=[ip_network("127.0.0.2/31")]) == "address not allowed", host
                assert served.requests.pop()[1]["host"].endswith(f":{served.port}")
            assert served.connections == 5

    run(body())


def test_a_host_of_the_machine_itself_is_connected_to_if_all_its_addresses_are_allowed(run):
    async def body():
        async with endpoint(OK) as served:
            assert await post(f"http://localhost:{served.port}/") == Answer(204)

    run(body())


@pytest.mark.parametrize("private", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1"])
def test_a_name_with_one_private_address_is_refused_whole(names, private):
    async def body():
        async with endpoint(OK) as canary:
            for addresses in ([private], ["9.9.9.9", private], [private, "2620:fe::fe"]):
                names["hook.example"] = addresses
                url = f"http://hook.example:{canary.port}/"
                assert await fail(url, networks=()) == "address not allowed"
            await expect_no_connection(canary)

    asyncio.run(body())


def test_a_name_is_resolved_once_for_each_connection_and_that_address_connected_to(names):
    names["hook.example"] = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.2"]]
    allowed = [ip_network("127.0.0.2/32")]

    async def body():
        async with (
            endpoint(OK, "127.0.0.2") as served,
            endpoint(OK, "127.0.0.1", served.port) as canary,
            client_of(f"http://hook.example:{served.port}/", networks=allowed) as client,
        ):
            for _ in range(3):  # over one connection
                assert await client.post({}, b"{}") == Answer(204)
            assert names["asked"] == ["hook.example"]
            await client.aclose()
            with pytest.raises(DeliveryFailed, match=r"^address not allowed$"):
                await client.post({}, b"{}")
            assert names["asked"] == 2 * ["hook.example"]
            assert await client.post({}, b"{}") == Answer(204)
            assert served.connections == 2
            assert {headers["host"] for _, headers, _ in served.requests} == {f"hook.example:{served.port}"}
            await expect_no_connection(canary)

    asyncio.run(body())


def test_an_address_that_refuses_leaves_the_next_one(names):
    names["hook.example"] = ["127.0.0.2", "::1", "127.0.0.1"]
    names["gone.example"] = ["127.0.0.2", "127.0.0.3"]
    names["none.example"] = [[]]

    async def body():
        async with endpoint(OK) as served:
            assert await post(f"http://hook.example:{served.port}/") == Answer(204)
            assert await fail(f"http://gone.example:{served.port}/") == "connection refused"
            assert await fail(f"http://none.example:{served.port}/") == "name not found"

    asyncio.run(body())


def test_a_name_that_the_resolver_does_not_know_is_not_found(run, monkeypatch):
    def look_up(*_):
        raise socket.gaierror(socket.EAI_NONAME, "hook.example")

    monkeypatch.setattr(network, "look_up", look_up)

    async def body():
        assert await fail("http://hook.invalid/") == "name not found"

    run(body())


def test_names_that_do_not_resolve_keep_nobody_waiting(run, monkeypatch):
    ended = threading.Event()
    look_up = network.look_up

    def look_up_slowly(host, port):
        if host.endswith(".invalid"):
            ended.wait(PATIENCE)
        return look_up(host, port)

    monkeypatch.setattr(network, "look_up", look_up_slowly)

    async def body():
        async with endpoint(OK) as served:
            waiting = [asyncio.create_task(fail(f"http://{n}.invalid/")) for n in range(40)]
            assert await post(f"http://localhost:{served.port}/") == Answer(204)
            ended.set()
            assert {*await asyncio.gather(*waiting)} == {"name not found"}

    run(body())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(run, status):
    async def body():
        async with endpoint(OK) as canary:
            redirect = (
                f"HTTP/1.1 {status} Away\nLocation: http://127.0.0.1:{canary.port}/\nContent-Length: 0\n\n"
            )
            async with endpoint(answer(redirect)) as served:
                assert await post(f"http://127.0.0.1:{served.port}/") == Answer(status)
            await expect_no_connection(canary)

    run(body())


def test_proxies_of_the_environment_are_ignored(run, monkeypatch):
    async def body():
        async with endpoint(OK) as canary, endpoint(OK) as served:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
                monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{canary.port}")
            assert await post(f"http://127.0.0.1:{served.port}/") == Answer(204)
            assert await fail(f"http://10.0.0.1:{served.port}/", networks=()) == "address not allowed"
            await expect_no_connection(canary)

    run(body())


def test_a_request_is_what_receivers_expect_and_its_connection_is_used_again(run):
    first = "HTTP/1.1 200 OK\nSet-Cookie: a=b\nContent-Length: 2\n\nok"

    async def body():
        async with (
            endpoint(answer(first)) as served,
            client_of(f"http://127.0.0.1:{served.port}/hook?shop=1") as client,
        ):
            for number in range(3):
                assert await client.post({"webhook-id": str(number)}, b'{"a":1}') == Answer(200)
            assert served.connections == 1
            assert served.requests == [
                (
                    "POST /hook?shop=1 HTTP/1.1",
                    {
                        "host": f"127.0.0.1:{served.port}",
                        "user-agent": clients.USER_AGENT,
                        "content-type": "application/json",
                        "webhook-id": str(number),
                        "content-length": "7",
                    },
                    b'{"a":1}',
                )
                for number in range(3)
            ]

    run(body())


def test_of_all_answers_together_any_amount_is_read(run):
    async def body():
        head = f"HTTP/1.1 200 OK\nContent-Length: {60 << 10}\n\n"
        async with (
            endpoint(answer(head + (60 << 10) * "a")) as served,
            client_of(f"http://127.0.0.1:{served.port}/") as client,
        ):
            for _ in range(20):  # more than of one answer
                assert await client.post({}, b"{}") == Answer(200)
            assert served.connections == 1

    run(body())


async def answer_at_length(served, reader, writer):
    await served.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + bytes(70000))


async def announce_the_end(served, reader, writer):
    await served.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


async def close_after_the_answer(served, reader, writer):
    await served.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("respond", [answer_at_length, announce_the_end, close_after_the_answer])
def test_a_connection_that_is_closed_or_has_more_to_read_is_not_used_again(run, respond):
    async def body():
        async with endpoint(respond) as served, client_of(f"http://127.0.0.1:{served.port}/") as client:
            for connections in range(1, 4):
                assert await client.post({}, b"{}") == Answer(200)
                await asyncio.wait_for(served.closed.get(), PATIENCE)
                assert served.connections == connections

    run(body())


def test_an_endpoint_says_when_to_come_back_and_that_it_is_gone(run):
    async def body():
        soon = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
        found = []
        for lines in (
            "Retry-After: 7",
            "retry-after: 0",
            f"Retry-After: {soon}",
            f"Retry-After: {past}",
            "A: b",
        ):
            async with endpoint(answer(f"HTTP/1.1 429 Slow\n{lines}\nContent-Length: 0\n\n")) as served:
                found.append(await post(f"http://127.0.0.1:{served.port}/"))
        assert {one.status for one in found} == {429}
        seven, none, hour, *without = (one.retry_after for one in found)
        assert (seven, none, without) == (7, 0, [None, None])
        assert 0 <= hour <= 3600
        async with endpoint(answer("HTTP/1.1 410 Gone\nContent-Length: 0\n\n")) as served:
            assert await post(f"http://127.0.0.1:{served.port}/") == Answer(410)

    run(body())


def run_out_of_time():
    """Put the clock of the loop forward, beyond every timeout; that of uvloop cannot be."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + 2 * PATIENCE


async def hang_at_once(served, reader, writer):
    await reader.read(1)
    run_out_of_time()


async def hang_in_the_headers(served, reader, writer):
    await served.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nA: b")
    run_out_of_time()


@pytest.mark.parametrize(
    ("scheme", "respond"), [("http", hang_at_once), ("http", hang_in_the_headers), ("https", hang_at_once)]
)
def test_an_endpoint_that_hangs_is_given_up_with_its_connection(scheme, respond):
    async def body():
        async with endpoint(respond) as served, client_of(f"{scheme}://127.0.0.1:{served.port}/") as client:
            for _ in range(2):
                with pytest.raises(DeliveryFailed, match=r"^timeout$"):
                    await client.post({}, b"{}")
                await asyncio.wait_for(served.closed.get(), PATIENCE)
            assert served.connections == 2

    asyncio.run(body())


async def hang(served, reader, writer):
    await served.read_request(reader)


def test_a_request_that_is_cancelled_leaves_no_connection(run):
    async def body():
        async with (
            endpoint(hang) as served,
            client_of(f"http://127.0.0.1:{served.port}/") as client,
        ):
            request = asyncio.create_task(client.post({}, b"{}"))
            await served.asked.wait()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            await asyncio.wait_for(served.closed.get(), PATIENCE)

    run(body())


def test_a_request_can_be_cancelled_at_any_step_and_the_next_one_is_answered(run):
    """httpcore may keep a connection that nobody uses; with one connection for all, that would be the end."""

    async def body():
        async with endpoint(OK) as served, client_of(f"http://127.0.0.1:{served.port}/") as client:
            for steps in range(40):
                request = asyncio.create_task(client.post({}, b"{}"))
                for _ in range(steps):
                    await asyncio.sleep(0)
                request.cancel()
                await asyncio.wait([request])
                async with asyncio.timeout(PATIENCE):
                    assert await client.post({}, b"{}") == Answer(204), steps
                await client.aclose()

    run(body())


async def close(served, reader, writer):
    await served.read_request(reader)
    writer.close()


async def reset(served, reader, writer):
    await served.read_request(reader)
    end = writer.get_extra_info("socket")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def send_nonsense(served, reader, writer):
    await served.read_request(reader)
    writer.write(b"SMTP ready\r\n\r\n")


@pytest.mark.parametrize(
    ("respond", "reason"),
    [(close, "connection lost"), (reset, "connection lost"), (send_nonsense, "invalid answer")],
)
def test_an_endpoint_that_breaks_off_or_talks_nonsense_has_failed(run, respond, reason):
    async def body():
        async with endpoint(respond) as served:
            assert await fail(f"http://127.0.0.1:{served.port}/") == reason
        assert await fail(f"http://127.0.0.1:{served.port}/") == "connection refused"

    run(body())


PIECES = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 204 \r\n", b"HTTP/1.1 101 Up\r\n", b"HTTP/1.1 100 \r\n",
    b"HTTP/1.1 999 \r\n",
    b"HTTP/2 200\r\n", b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n", b"Upgrade: h2c\r\n", b"Connection: close\r\n", b"Retry-After: \xff\r\n",
    b"\r\n", b"\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc", b"\x00", b" : \r\n",
]  # fmt: skip


def test_whatever_bytes_an_endpoint_answers_there_is_a_status_or_a_failure(run):
    @given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=9)).map(b"".join))
    def check(sent):
        async def respond(served, reader, writer):
            await served.read_request(reader)
            writer.write(sent)
            writer.close()

        async def body():
            async with endpoint(respond) as served:
                with suppress(DeliveryFailed):
                    answered = await post(f"http://127.0.0.1:{served.port}/")
                    assert b"%d" % answered.status in sent

        run(body())

    check()


def endless(head, piece):
    async def respond(served, reader, writer):
        await served.read_request(reader)
        writer.write(head)
        await served.stream(writer, piece)

    return respond


OK_LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK_LINE + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (endless(OK_LINE + b"Content-Length: 99999999999\r\n\r\n", bytes(1 << 16)), Answer(200)),
        (endless(CHUNKED, b"400\r\n" + bytes(1024) + b"\r\n"), Answer(200)),
        (endless(CHUNKED + b"0\r\n", b"A: b\r\n" * 1000), Answer(200)),
        (endless(OK_LINE, b"A: b\r\n" * 1000), "invalid answer"),
        (endless(OK_LINE + b"A: ", bytes(1 << 16)), "invalid answer"),
        (endless(b"", b"a" * (1 << 16)), "invalid answer"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), "invalid answer"),
    ],
    ids=["body", "chunks", "trailers", "headers", "header", "status line", "interim answers"],
)
def test_of_an_endless_answer_little_is_read(run, respond, expected):
    async def body():
        async with (
            endpoint(respond) as served,
            client_of(f"http://127.0.0.1:{served.port}/") as client,
        ):
            try:
                found = await client.post({}, b"{}")
            except DeliveryFailed as failure:
                found = failure.reason
            assert found == expected
            await asyncio.wait_for(served.closed.get(), PATIENCE)
            assert served.sent < ENDLESS

    run(body())


async def break_off_in_the_body(served, reader, writer):
    await served.read_request(reader)
    writer.write(OK_LINE + b"Content-Length: 10\r\n\r\nhalf")
    writer.close()


async def hang_in_the_body(served, reader, writer):
    await served.read_request(reader)
    writer.write(OK_LINE + b"Retry-After: 1\r\nContent-Length: 10\r\n\r\nhalf")


@pytest.mark.parametrize("respond", [break_off_in_the_body, hang_in_the_body])
def test_the_status_is_the_answer_whatever_comes_of_the_body(monkeypatch, respond):
    # It is read with the status, and all time is over before the body is.
    monkeypatch.setattr(clients, "parse_retry_after", lambda *_: run_out_of_time())

    async def body():
        async with endpoint(respond) as served, client_of(f"http://127.0.0.1:{served.port}/") as client:
            assert await client.post({}, b"{}") == Answer(200)
            await asyncio.wait_for(served.closed.get(), PATIENCE)

    asyncio.run(body())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The path of a certificate of hook.example, signed by itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hook.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hook.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_tls_is_by_the_name_and_not_by_the_address(names, certificate):
    for host in ("hook.example", "hook.example.", "other.example"):
        names[host] = ["127.0.0.1"]
    named = []
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    tls.sni_callback = lambda _, name, __: named.append(name)
    trusted = ssl.create_default_context(cafile=certificate)

    async def body():
        async with endpoint(OK, tls=tls) as served:
            for host in ("hook.example", "hook.example."):
                url = f"https://{host}:{served.port}/"
                assert await post(url, ssl_context=trusted) == Answer(204)
                assert await fail(url) == "TLS failed"  # it is not trusted
            for host in ("other.example", "127.0.0.1"):
                names["127.0.0.1"] = ["127.0.0.1"]
                url = f"https://{host}:{served.port}/"
                assert await fail(url, ssl_context=trusted) == "TLS failed"  # it is that of another
            assert named == 4 * ["hook.example"] + ["other.example", None]
            assert len(served.requests) == 2
        async with endpoint(send_nonsense_at_once) as served:
            assert await fail(f"https://hook.example:{served.port}/", ssl_context=trusted) == "TLS failed"

    asyncio.run(body())


async def send_nonsense_at_once(served, reader, writer):
    writer.write(b"HTTP/1.1 400 No TLS here\r\n\r\n")


@pytest.fixture(scope="module")
def secrets():
    """The secret before and after a rotation."""
    key = bytes(range(32))
    return [derive_secret(key, new_salts(key).current) for _ in range(2)]


async def deliver(secrets, at):
    """The headers and the body of a message, as an endpoint received them."""
    body = json.dumps({"type": "identity.changed", "data": {"events": []}}).encode()
    async with endpoint(OK) as served, client_of(f"http://127.0.0.1:{served.port}/") as client:
        await client.post(sign(secrets, "msg_1", at, body), body)
        [(_, headers, received)] = served.requests
    return received, headers


@pytest.mark.parametrize("library", [Webhook, svix.webhooks.Webhook], ids=["standardwebhooks", "svix"])
def test_libraries_of_receivers_verify_what_is_delivered_and_nothing_else(secrets, library):
    old, new = (library(format_secret(secret)) for secret in secrets)

    def deliver_now(secrets, **late):
        return asyncio.run(deliver(secrets, datetime.now(UTC) - timedelta(**late)))

    def is_refused(receiver, body, headers):
        with pytest.raises(WebhookVerificationError):
            receiver.verify(body, headers)
        return True

    body, headers = deliver_now(secrets[:1])
    old.verify(body, headers)
    assert is_refused(new, body, headers)
    assert is_refused(old, body.replace(b"changed", b"chanced"), headers)
    assert is_refused(old, body, headers | {"webhook-id": "msg_2"})
    renewed = headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    assert is_refused(old, body, renewed)

    old.verify(*deliver_now(secrets[:1], minutes=4))
    assert is_refused(old, *deliver_now(secrets[:1], minutes=6))  # delivered late, or again by somebody else
    assert is_refused(old, *deliver_now(secrets[:1], minutes=-6))

    during = deliver_now([secrets[1], secrets[0]])
    old.verify(*during)
    new.verify(*during)
    after = deliver_now(secrets[1:])
    new.verify(*after)
    assert is_refused(old, *after)
