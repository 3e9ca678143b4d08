"""Restarts under load: who asks is always answered."""

import http.client
import json
import operator
import random
import select
import signal
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tests.support.databases import plain
from tests.support.processes import service
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

CLIENTS = 8
PAUSE = 0.01
"""Seconds between two requests of a client, for which the services have the processors."""


class Balancer:
    """What stands in front of some services: it asks who is ready, and sends requests to those alone."""

    def __init__(self):
        self.services = {}
        self.ready = set()
        self.asked = [0] * CLIENTS
        self.lost = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._probe)]
        self._threads += [threading.Thread(target=self._load, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _probe(self):
        while not self._stop.is_set():
            for name, one in list(self.services.items()):
                is_ready = False
                with suppress(OSError, http.client.HTTPException):
                    is_ready = one.request("GET", "/health/ready")[0] == 200
                (self.ready.add if is_ready else self.ready.discard)(name)
            time.sleep(0.05)

    def _load(self, number):
        chosen = random.Random(number)
        connections = {}
        while not self._stop.is_set():
            if not (ready := sorted(self.ready)):
                time.sleep(0.01)
                continue
            name = chosen.choice(ready)
            one = self.services[name]
            if name in connections and was_left(connections[name]):
                connections.pop(name).close()
            if name not in connections:
                connections[name] = http.client.HTTPConnection("127.0.0.1", one.port, timeout=PATIENCE)
            customer = f"{number}.{self.asked[number] // 10}@x"
            body = json.dumps({"email": customer, "phoneNumber": chosen.randrange(10**6)})
            try:
                connections[name].request("POST", "/identify", body, {"Content-Type": "application/json"})
                answer = connections[name].getresponse()
                answer.read()
                if answer.status != 200:
                    self.lost.append(answer.status)
                if answer.headers["connection"] == "close":
                    connections.pop(name).close()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{name}: {error!r}")
                connections.pop(name).close()
            self.asked[number] += 1
            time.sleep(PAUSE)
        for connection in connections.values():
            connection.close()

    def goes_on(self, requests=40):
        """Wait until each client was answered so many more times."""
        wanted = [asked + requests for asked in self.asked]
        wait_until(lambda: all(map(operator.ge, self.asked, wanted)))


def was_left(connection):
    """Whether the service has closed a connection; whoever keeps connections looks before using one again."""
    return bool(select.select([connection.sock], [], [], 0)[0])


def test_a_rolling_restart_under_load_loses_no_request(tmp_path, url):
    # It is stopped when the balancer has noticed, as a drain that is long enough does.
    settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_DRAIN": "600", "IDENTITY_KEEP_ALIVE": "600"}
    with ExitStack() as running, Balancer() as balancer:
        for name in ("one", "other"):
            balancer.services[name] = running.enter_context(service(tmp_path, **settings))
        wait_until(lambda: balancer.ready == {"one", "other"})
        for name in ("one", "other"):
            balancer.goes_on()
            balancer.services[name].process.send_signal(signal.SIGTERM)
            wait_until(lambda name=name: name not in balancer.ready)
            balancer.goes_on()
            assert balancer.services[name].stop() == 0
            balancer.goes_on()
            balancer.services[name] = running.enter_context(service(tmp_path, **settings))
            wait_until(lambda: balancer.ready == {"one", "other"})
        balancer.goes_on()
        for one in balancer.services.values():  # told once more they do not drain
            one.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not balancer.ready)
    assert balancer.lost == []


def test_workers_are_replaced_under_load_one_by_one(tmp_path, url):
    settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_DRAIN": "5", "IDENTITY_KEEP_ALIVE": "600"}
    with service(tmp_path, "--workers", "2", **settings) as running, Balancer() as balancer:
        balancer.services["one"] = running
        wait_until(lambda: balancer.ready)
        balancer.goes_on()
        before = {worker.pid for worker in running.workers()}
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: before.isdisjoint({worker.pid for worker in running.workers()}))
        wait_until(lambda: len(running.workers()) == 2)
        balancer.goes_on()
    assert balancer.lost == []


def test_workers_that_take_long_to_start_are_waited_for(tmp_path, url):
    """uvicorn takes a worker for stuck that says nothing for five seconds, unless it is told otherwise."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\nif 'spawn_main' in ' '.join(sys.orig_argv): time.sleep(7)\n"
    )
    settings = {"DB_CONNECTION_STRING": plain(url), "PYTHONPATH": tmp_path}
    with service(tmp_path, "--workers", "2", **settings) as running:
        before = {worker.pid for worker in running.workers()}
        assert "died" not in running.output()
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: before.isdisjoint({worker.pid for worker in running.workers()}))
        assert "aborting the restart" not in running.output()


def test_told_to_stop_it_says_so_first_and_goes_on_answering(tmp_path):
    settings = {"IDENTITY_DATA_DIR": tmp_path / "data", "IDENTITY_DRAIN": "600"}
    with service(tmp_path, **settings) as running:
        assert running.request("GET", "/health/ready")[0] == 200
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: running.request("GET", "/health/ready")[0] == 503)
        _, headers, answer = running.request("GET", "/health/ready")
        assert json.loads(answer)["detail"].startswith("the service is stopping")
        assert headers["connection"] == "close"
        assert running.request("GET", "/health/live")[0] == 200
        assert running.identify("a@x", "1")["primaryContactId"] == 1
        assert running.stop() == 0  # a second signal is not waited for


def test_who_interrupts_it_at_a_terminal_does_not_wait(tmp_path):
    settings = {"IDENTITY_DATA_DIR": tmp_path / "data", "IDENTITY_DRAIN": "600"}
    with service(tmp_path, **settings) as running:
        assert running.stop(signal.SIGINT) in (0, 130)
