"""Real processes of the service, and raw requests to them."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.integration.conftest import eventually

COMMAND = [sys.executable, "-m", "identity_adapters"]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def environment(**settings):
    """The environment without any setting of this machine's, and these; nobody waits for a drain."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith("IDENTITY_") and k != "DB_CONNECTION_STRING"
    }
    return kept | {"IDENTITY_DRAIN": "0"} | {name: str(value) for name, value in settings.items()}


class Service:
    """A running service."""

    def __init__(self, process, port, log):
        self.process = process
        self.port = port
        self.log = log

    def output(self):
        return self.log.read_text()

    def request(self, method, path, body=None, headers=None):
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, body, content_type="application/json"):
        """Status and decoded body of an answer to ``POST /identify``."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if content_type is None else {"Content-Type": content_type}
        status, _, answer = self.request("POST", "/identify", raw, headers)
        return status, json.loads(answer)

    def identify(self, email=None, phone_number=None):
        """The consolidated contact of a customer."""
        status, answer = self.post({"email": email, "phoneNumber": phone_number})
        assert status == 200, answer
        return answer["contact"]

    def is_live(self):
        assert self.process.poll() is None, self.output()
        try:
            return self.request("GET", "/health/live")[0] == 200
        except OSError:
            return False

    def family(self):
        """The service and all processes that it started."""
        service = psutil.Process(self.process.pid)
        return [service, *service.children(recursive=True)]

    def workers(self):
        """The processes that serve, where there are several."""
        found = []
        for process in self.family()[1:]:
            with suppress(psutil.NoSuchProcess):  # one that has ended is looked at no more
                if "spawn_main" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def stop(self, by=signal.SIGTERM):
        """Have it stop; its exit code."""
        self.process.send_signal(by)
        return self.process.wait(60)


@contextmanager
def service(folder, *options, **settings):
    """A service that answers, and is stopped in the end; it runs in the folder."""
    port = free_port()
    log = Path(folder) / "service.log"
    with log.open("a") as output:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", str(port), *options],
            cwd=folder,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    running = Service(process, port, log)
    try:
        eventually(running.is_live, within=60)
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def run(*arguments, cwd, **settings):
    """A command that ends by itself."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
