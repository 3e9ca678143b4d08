"""Deliveries of webhooks: how many events endpoints get, and how soon."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection

from sqlalchemy import URL

from benchmarks.servers import KEY, connect, create_database, run_service
from identity_adapters.postgres import migrate

EVENTS = 100_000
ENDPOINTS = 10
REQUESTS = 100
COMMAND = [sys.executable, "-m", "identity_adapters"]
ADD = ("--allow-http", "--allow-network", "127.0.0.0/8")
LOAD = """
INSERT INTO contact_events (happened_at, kind, primary_id, contact_id, absorbed_ids)
SELECT now(), 'created', n, n, '{}' FROM generate_series(1, %s) n
"""


class Endpoints:
    """Endpoints of this process that accept everything, as fast as they can.

    Attributes:
        port: where they listen.
        events: how many events each path got.
        arrived: set whenever there are more.
    """

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self.arrived = threading.Condition()
        self.port = 0
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def listening(self) -> Iterator[None]:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        yield
        self._loop.call_soon_threadsafe(self._loop.stop)
        thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the deliverer ended
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(size)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                with self.arrived:
                    self.events[path] = self.events.get(path, 0) + body.count(b'"kind"')
                    self.arrived.notify_all()
                await writer.drain()
        writer.close()

    def wait_for(self, paths: Sequence[str], events: int) -> None:
        """Wait until each path got so many events since it was forgotten."""
        with self.arrived:
            self.arrived.wait_for(lambda: all(self.events.get(path, 0) >= events for path in paths))

    def forget(self) -> None:
        self.events.clear()


def webhooks(server: URL) -> dict[str, dict[str, float]]:
    """Measure how many events are delivered in a second, and how many milliseconds after a customer came."""
    url = create_database(server, "webhooks")
    migrate(url)
    settings = {"IDENTITY_WEBHOOK_KEY": "a-key-of-a-benchmark-that-protects-nothing"}
    with connect(url) as connection:
        connection.execute(LOAD, [EVENTS])
        connection.execute("VACUUM ANALYZE")
    endpoints = Endpoints()
    measured: dict[str, dict[str, float]] = {}
    with endpoints.listening():
        paths = [f"/{n}" for n in range(ENDPOINTS)]
        ids = [
            _manage(url, settings, "add", f"http://127.0.0.1:{endpoints.port}{path}", *ADD) for path in paths
        ]
        for name, used, deliverers in (
            ("one endpoint, one deliverer", 1, 1),
            (f"{ENDPOINTS} endpoints, one deliverer", ENDPOINTS, 1),
            (f"{ENDPOINTS} endpoints, two deliverers", ENDPOINTS, 2),
        ):
            for id in ids[:used]:
                _manage(url, settings, "replay", id, "--from", "beginning")
                _manage(url, settings, "resume", id)
            endpoints.forget()
            with ExitStack() as stack:
                started = time.perf_counter()
                for _ in range(deliverers):
                    stack.enter_context(_deliver(url, settings))
                endpoints.wait_for(paths[:used], EVENTS)
                seconds = time.perf_counter() - started
            measured[name] = {"events/s": used * EVENTS / seconds}
            for id in ids[:used]:
                _manage(url, settings, "pause", id)
        _manage(url, settings, "resume", ids[0])
        endpoints.forget()
        with _deliver(url, settings), run_service(url) as (port, _):
            durations = [_time_arrival(port, endpoints, paths[0], n) for n in range(REQUESTS)]
        durations.sort()
        measured["milliseconds from the answer to arrival"] = {
            "p50": statistics.median(durations[3:]),
            "p99": durations[int(0.99 * len(durations))],
        }
    return measured


def _manage(url: URL, settings: Mapping[str, str], *arguments: str) -> str:
    """Run a command of webhooks; the id of the webhook."""
    done = subprocess.run(
        [*COMMAND, "webhooks", *arguments, "--json"],
        env=_environment(url, settings),
        capture_output=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    return str(answer.get("webhook", answer)["id"])


@contextmanager
def _deliver(url: URL, settings: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [*COMMAND, "deliver"], env=_environment(url, settings), stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _environment(url: URL, settings: Mapping[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        **settings,
        "DB_CONNECTION_STRING": url.render_as_string(hide_password=False),
    }


def _time_arrival(port: int, endpoints: Endpoints, path: str, n: int) -> float:
    """Identify a new customer, and measure the milliseconds until the endpoint knows."""
    before = endpoints.events.get(path, 0)
    client = HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {KEY}"}
    client.request("POST", "/identify", json.dumps({"email": f"{n}@new.example.org"}), headers)
    if client.getresponse().status != 200:
        raise RuntimeError("a customer was not identified")
    answered = time.perf_counter()
    client.close()
    endpoints.wait_for([path], before + 1)
    return 1000 * (time.perf_counter() - answered)
