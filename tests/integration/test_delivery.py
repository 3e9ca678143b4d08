"""Endpoints get everything, in the order of the feed, whatever is killed and however others behave."""

import json
import random
from collections import defaultdict
from contextlib import ExitStack
from operator import itemgetter

import pytest

from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import migrate
from tests.integration.test_crashes import plain, the_whole_server
from tests.support import receivers as behave
from tests.support.clients import Load, adversarial
from tests.support.openapi import Document
from tests.support.processes import kill, run, service, start
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

KEY = "a-key-of-a-test-that-is-long-enough-for-it"
SETTINGS = {"IDENTITY_WEBHOOK_KEY": KEY, "IDENTITY_WEBHOOK_TIMEOUT": "2"}
LOOPBACK = ("--allow-http", "--allow-network", "127.0.0.0/8")


class Desk:
    """Whoever manages the webhooks of a database, by the command line."""

    def __init__(self, folder, **settings):
        self._folder = folder
        self._settings = SETTINGS | settings
        self.secrets = {}
        self.log = folder / "deliver.log"

    def call(self, *arguments):
        done = run("webhooks", *arguments, cwd=self._folder, **self._settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def add(self, url, *options):
        """Its id."""
        added = self.call("add", url, *LOOPBACK, "--from", "beginning", *options, "--json")
        id = added["webhook"]["id"]
        self.secrets[id] = added["secret"]
        return id

    def deliver(self):
        """A process that delivers."""
        with self.log.open("a") as log:
            return start("deliver", cwd=self._folder, stderr=log, **self._settings)


def read_feed(running):
    """All events of a service, in the order of the feed."""
    events, cursor = [], None
    while True:
        path = "/changes" if cursor is None else f"/changes?after={cursor}"
        answer = json.loads(running.request("GET", path)[2])
        cursor = answer["next"]
        if not answer["events"]:
            return events
        events += answer["events"]


def show(running, id):
    """What a service says of a webhook."""
    return json.loads(running.request("GET", f"/webhooks/{id}")[2])


def wait_until_caught_up(running, id):
    """Wait until nothing is left of a webhook, however many events that takes."""
    while (shown := show(running, id))["lagSeconds"]:
        known = shown["deliveredEvents"]
        wait_until(lambda n=known: (now := show(running, id))["deliveredEvents"] > n or not now["lagSeconds"])


def check_everything_came(accepted, events, secret):
    """What an endpoint accepted is the feed, once messages that came again are left out, and in its order.

    The order is that of the ids among all events that touch an identity.

    Returns:
        how many messages came again.
    """
    bodies = {}
    for message in accepted:
        assert message.is_signed_with(secret)
        assert bodies.setdefault(message.id, message.body) == message.body, "an id stands for one content"
    delivered = [event for body in bodies.values() for event in json.loads(body)["data"]["events"]]
    assert sorted(delivered, key=itemgetter("id")) == sorted(events, key=itemgetter("id"))
    latest = defaultdict(int)
    for event in delivered:
        for id in (event["primaryContactId"], *event["absorbedPrimaryContactIds"]):
            assert latest[id] < event["id"], "an event comes after what it builds upon"
            latest[id] = event["id"]
    return len(accepted) - len(bodies)


def test_three_deliverers_and_ten_endpoints_of_which_anything_is_killed(tmp_path, size):
    """Deliverers and the database are killed again and again, and endpoints do all that endpoints do."""
    behaviours = {
        "slow": behave.accept_slowly,
        "flapping": behave.fail_now_and_then,
        "busy": behave.accept_some,
        "resetting": behave.reset_some,
        "endless": behave.answer_gigabytes,
        "gone": behave.be_gone,
        "hanging": behave.hang,
    }
    draw = random.Random(7)
    with ExitStack() as stack:
        data = tmp_path / "data"
        url = stack.enter_context(embedded_database(data))
        migrate(url)
        settings = {"DB_CONNECTION_STRING": plain(url)}
        running = stack.enter_context(service(tmp_path, **settings))
        endpoints = stack.enter_context(behave.receiving(**behaviours))
        desk = Desk(tmp_path, **settings)
        ids = {path: desk.add(endpoints.url(path)) for path in ("fast", *behaviours)}
        ids["merges"] = desk.add(endpoints.url("merges"), "--kind", "merged")
        ids["dead"] = desk.add("http://127.0.0.1:1/")
        processes = [desk.deliver() for _ in range(3)]
        stack.callback(lambda: kill_all(processes))
        load = Load([running.port], adversarial(size(4_000, 100_000), seed=19), clients=16)
        kills = size(6, 40)
        for number in range(kills):
            load.has_gone_on(size(500, 2_000))
            enough = len(endpoints.accepted["fast"])
            wait_until(lambda n=enough: load.is_over() or len(endpoints.accepted["fast"]) > n)
            victim = draw.randrange(len(processes))
            kill_all(processes[victim : victim + 1])
            processes[victim] = desk.deliver()
            if number % 3 == 1:
                kill(*the_whole_server(url, data))
                wait_until(lambda: running.request("GET", "/health/ready")[0] == 200)
        load.wait()
        events = read_feed(running)
        merges = [event for event in events if event["kind"] == "merged"]
        live = dict.fromkeys(("fast", "slow", "flapping", "busy", "resetting", "endless"), events)
        live["merges"] = merges
        for path in live:
            wait_until_caught_up(running, ids[path])
        for path, expected in live.items():
            again = check_everything_came(endpoints.accepted[path], expected, desk.secrets[ids[path]])
            if path != "resetting":
                assert again <= 2 * kills, "a kill costs a message at most"
        assert endpoints.requests["hanging"] > 0
        assert endpoints.requests["gone"] == 1
        gone = show(running, ids["gone"])
        assert (gone["state"], gone["pausedBecause"]) == ("paused", "gone")
        for path in ("dead", "hanging"):
            failing = show(running, ids[path])
            assert failing["state"] == "failing"
            assert failing["deliveredEvents"] == 0
        for process in processes:
            process.terminate()
            assert process.wait(PATIENCE) == 0
        assert not any(show(running, id)["isDelivering"] for id in ids.values()), "others may go on at once"
        check_log(desk.log.read_text(), desk, endpoints)


def test_the_service_delivers_as_well_and_tells_how_it_goes(tmp_path, url):
    desk = Desk(tmp_path, DB_CONNECTION_STRING=plain(url))
    with (
        behave.receiving(gone=behave.be_gone) as endpoints,
        service(tmp_path, DB_CONNECTION_STRING=plain(url), IDENTITY_DELIVER="yes", **SETTINGS) as running,
    ):
        ids = {path: desk.add(endpoints.url(path)) for path in ("orders", "gone")}
        for number in range(5):
            running.identify(f"{number}@x.com", "1")
        wait_until(lambda: show(running, ids["gone"])["state"] == "paused")
        wait_until(lambda: show(running, ids["orders"])["deliveredEvents"] == 5)
        events = read_feed(running)
        assert check_everything_came(endpoints.accepted["orders"], events, desk.secrets[ids["orders"]]) == 0
        document = Document(json.loads(running.request("GET", "/openapi.json")[2]))
        described = document.document["webhooks"]["identity.changed"]["post"]["requestBody"]["content"]
        for message in endpoints.accepted["orders"]:
            document.validate(message.content, described["application/json"]["schema"])
        metrics = running.request("GET", "/metrics")[2].decode()
        orders, gone = (f'webhook="{ids[path]}"' for path in ("orders", "gone"))
        assert f"identity_webhook_delivered_events_total{{{orders}}} 5.0" in metrics
        assert f'identity_webhook_requests_total{{outcome="failed",{gone}}} 1.0' in metrics
        assert f'identity_webhook_paused{{reason="gone",{gone}}} 1.0' in metrics
        assert f'identity_webhook_paused{{reason="gone",{orders}}} 0.0' in metrics
        assert f"identity_webhook_failures{{{gone}}} 1.0" in metrics
        assert f"identity_webhook_lag_seconds{{{orders}}}" in metrics
        assert running.stop() == 0
        check_log(running.output(), desk, endpoints)


def test_a_deliverer_starts_no_database_that_the_service_would_lose_with_it(tmp_path):
    settings = SETTINGS | {"IDENTITY_DATA_DIR": tmp_path / "data"}
    done = run("deliver", cwd=tmp_path, **settings)
    assert done.returncode == 1
    assert "the embedded database does not run: start identity serve first" in done.stderr
    assert not (tmp_path / "data").exists()
    desk = Desk(tmp_path, IDENTITY_DATA_DIR=tmp_path / "data")
    with service(tmp_path, **settings) as running:
        id = desk.add("https://orders.example/")
        deliverer = desk.deliver()
        wait_until(lambda: show(running, id)["isDelivering"])
        deliverer.terminate()
        assert deliverer.wait(PATIENCE) == 0
        running.identify("a@x.com", "1")


def check_log(log, desk, endpoints):
    """A log tells what was paused and why, and no value."""
    assert '"because": "gone"' in log
    assert not any(secret in log for secret in desk.secrets.values())
    assert f":{endpoints.port}" not in log


def kill_all(processes):
    for process in processes:
        process.kill()
        process.wait()
