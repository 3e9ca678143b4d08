"""Endpoints of webhooks on a real socket, each of which behaves in its own way."""

import asyncio
import json
import threading
from collections import defaultdict
from contextlib import contextmanager
from itertools import count

from attrs import field, frozen
from standardwebhooks import Webhook, WebhookVerificationError


@frozen
class Received:
    """A message that an endpoint accepted."""

    headers: dict
    body: bytes = field(repr=False)

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def content(self):
        return json.loads(self.body)

    def is_signed_with(self, secret):
        """Whether one of its signatures is made with a secret."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


def answer(status, *headers, body=b""):
    """The bytes of an answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Receivers:
    """Endpoints: each path is one, which accepts everything unless it has a behaviour of its own.

    A behaviour is a coroutine of the number of the request, the writer of the connection, and a function that
    accepts the message; it writes the answer.

    Attributes:
        requests: how many requests each path got.
        accepted: what each path accepted, in this order.
        wrong: what went wrong in the endpoints themselves.
    """

    def __init__(self, behaviours):
        self.requests = defaultdict(int)
        self.accepted = defaultdict(list)
        self.wrong = []
        self._behaviours = behaviours
        self._connections = set()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    async def run(self, listens, ended):
        """Serve until the event is set."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        listens.set()
        await ended.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connect(self, reader, writer):
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")[:-2]
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                path = first.split(" ")[1].removeprefix("/")
                self.requests[path] += 1
                received = Received(headers, body)
                behave = self._behaviours.get(path, accept)
                await behave(
                    self.requests[path], writer, lambda p=path, r=received: self.accepted[p].append(r)
                )
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side went
        except Exception as error:  # noqa: BLE001 -- the test looks at it
            self.wrong.append(error)
        finally:
            writer.close()


@contextmanager
def receiving(**behaviours):
    """Endpoints that run in a thread of their own."""
    receivers = Receivers(behaviours)
    listens, loop, ended = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(receivers.run(listens, ended)))
    thread.start()
    listens.wait()
    try:
        yield receivers
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
    assert receivers.wrong == []


async def accept(_, writer, take):
    take()
    writer.write(answer(200))


async def accept_the_first(number, writer, take):
    """Keep every message, and accept the first."""
    take()
    writer.write(answer(200 if number == 1 else 500))


async def accept_slowly(_, writer, take):
    await asyncio.sleep(0.05)  # it is slow; nobody waits for it
    take()
    writer.write(answer(200))


async def fail_now_and_then(number, writer, take):
    if number % 16 in (1, 2, 9):
        writer.write(answer(500, body=b"x" * 1000))
    else:
        await accept(number, writer, take)


async def accept_some(number, writer, take):
    """It wants to be left alone for a second now and then."""
    if number % 16 == 3:
        writer.write(answer(429, "Retry-After: 1"))
    else:
        await accept(number, writer, take)


async def be_gone(_, writer, __):
    writer.write(answer(410))


async def hang(*_):
    await asyncio.Event().wait()


async def reset_some(number, writer, take):
    """It resets some connections before it has accepted, and some after."""
    if number % 16 == 1:
        writer.transport.abort()
        raise ConnectionResetError
    await accept(number, writer, take)
    if number % 16 == 9:
        await writer.drain()
        writer.transport.abort()
        raise ConnectionResetError


async def answer_gigabytes(_, writer, take):
    take()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    for _ in count():
        writer.write(bytes(65536))
        await writer.drain()
