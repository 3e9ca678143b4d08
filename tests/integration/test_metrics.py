"""What Prometheus is told."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from identity_adapters.embedded import embedded_database
from tests.support.databases import connect, plain
from tests.support.processes import kill, service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def scraped(running):
    """Each sample by its name and labels."""
    status, headers, body = running.request("GET", "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def requests(samples, operation="identify"):
    """How many requests had each outcome."""
    name = "identity_request_duration_seconds_count"
    return {key[2]: value for key, value in samples.items() if key[:2] == (name, operation)}


def told(running, **expected):
    return lambda: expected.items() <= requests(scraped(running)).items()


@pytest.mark.parametrize("options", [(), ("--workers", "3")])
def test_it_counts_requests_by_outcome_over_all_processes(tmp_path, url, options):
    with service(tmp_path, *options, DB_CONNECTION_STRING=plain(url)) as running:
        for details in [("a@x", "1"), ("b@x", "2"), ("a@x", "2"), ("a@x", "3")]:
            running.identify(*details)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: running.identify("a@x"), range(50)))
            list(pool.map(lambda _: running.post({"email": "no email"}), range(20)))
        expected = {"created": 2, "merged": 1, "linked": 1, "known": 50, "rejected": 20}
        wait_until(told(running, **expected))
        samples = scraped(running)
        name = "identity_request_duration_seconds_bucket"
        buckets = [value for key, value in samples.items() if {name, "identify", "known"} <= set(key)]
        assert buckets == sorted(buckets)
        assert buckets[-1] == 50
        assert samples["identity_batch_size_sum", "read"] == 54
        assert samples["identity_batch_size_sum", "write"] == 4
        assert samples["identity_waiting_requests",] == 0
        most = 10 * len(running.workers() or [running])
        wait_until(lambda: scraped(running)["identity_pool_connections_max",] == most)


def test_a_worker_that_was_killed_is_counted_on_but_holds_nothing_any_more(tmp_path, url):
    with service(tmp_path, "--workers", "2", DB_CONNECTION_STRING=plain(url)) as running:
        for _ in range(20):
            running.identify("a@x")
        wait_until(lambda: scraped(running)["identity_pool_connections_max",] == 20)
        kill(running.workers()[0])
        wait_until(lambda: running.output().count("Application startup complete") == 3)
        wait_until(lambda: scraped(running)["identity_pool_connections_max",] == 20)
        wait_until(lambda: sum(requests(scraped(running)).values()) == 20)


def test_it_tells_how_the_identity_graph_is(tmp_path, url):
    settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_COUNT_EVERY": "0.01"}
    with service(tmp_path, **settings) as running:
        for number in range(30):
            running.identify("large@x", str(number))
        for number in range(5):
            running.identify(f"{number}@x")
        running.identify("0@x", "1")

        def has_counted():
            samples = scraped(running)
            return (samples.get(("identity_contacts",)), samples.get(("identity_merges",))) == (35, 1)

        wait_until(has_counted)
        samples = scraped(running)
        assert samples["identity_identities",] == 5
        largest = [samples["identity_largest_identity_contacts", str(rank)] for rank in range(1, 6)]
        assert largest == [31, 1, 1, 1, 1]


def test_what_rules_hold_and_block_is_counted(tmp_path, url):
    settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_COUNT_EVERY": "0.01"}
    rules = {
        "blocked": {"phoneNumbers": ["9*"]},
        "limits": {"emailsPerPhoneNumber": 1, "phoneNumbersPerEmail": 2},
        "reason": "a test",
    }
    expected = {
        ("identity_rules_version",): 1,
        ("identity_rules_settled",): 1,
        ("identity_blocked_pairs",): 2,
        ("identity_held_pairs",): 0,
        ("identity_pairs_held_by_limit", "emails_per_phone_number"): 2,
        ("identity_pairs_held_by_limit", "phone_numbers_per_email"): 1,
        ("identity_pairs_held_by_limit", "values_per_identity"): 0,
        ("identity_pairs_held_by_limit", "values_on_smaller_side"): 0,
    }
    with service(tmp_path, **settings) as running:
        running.identify("a@x", "9")
        wait_until(lambda: scraped(running).get(("identity_rules_version",)) == 0)
        assert running.request("PUT", "/rules", json.dumps(rules))[0] == 200
        # A pair that is to be blocked counts for the limits until it is.
        settled = {("identity_rules_version",): 1, ("identity_rules_settled",): 1}
        wait_until(lambda: settled.items() <= scraped(running).items())
        for details in [("b@x", "99"), ("a@x", "1"), ("b@x", "1"), ("c@x", "1"), ("a@x", "2"), ("a@x", "3")]:
            running.identify(*details)
        wait_until(lambda: expected.items() <= scraped(running).items())


def test_nothing_is_counted_where_nobody_wants_it(tmp_path, url):
    settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_COUNT_EVERY": "0"}
    with service(tmp_path, **settings) as running:
        running.identify("a@x")
        assert ("identity_contacts",) not in scraped(running)


def test_what_was_shed_and_what_could_not_be_answered_are_told_apart(tmp_path, url):
    settings = {
        "DB_CONNECTION_STRING": plain(url),
        "IDENTITY_MAX_WAITING": "1",
        "IDENTITY_MAX_BATCH": "1",
        "IDENTITY_LOCK_TIMEOUT": "1",
    }
    with service(tmp_path, **settings) as running, connect(url) as other:
        running.identify("a@x", "1")
        with other.transaction(), ThreadPoolExecutor(32) as pool:
            other.execute("SELECT * FROM contacts FOR UPDATE")
            statuses = list(
                pool.map(lambda n: running.post({"email": "a@x", "phoneNumber": n})[0], range(100, 132))
            )
        assert set(statuses) == {503}

        def refused():
            counted = requests(scraped(running))
            return counted.get("shed", 0), counted.get("unavailable", 0)

        wait_until(lambda: sum(refused()) == 32)
        assert 0 not in refused()


def test_retries_are_counted_by_their_cause(tmp_path):
    data = tmp_path / "data"
    with (
        embedded_database(data) as url,
        connect(url) as other,
        service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running,
    ):
        running.identify("a@x")
        mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'identity'"
        other.execute(mine)
        running.identify("a@x")
        causes = {key[1] for key in scraped(running) if key[0] == "identity_retries_total"}
        assert causes <= {"the database is shutting down", "the database cannot be reached"}
        assert causes


def test_metrics_are_answered_while_the_database_is_away(tmp_path):
    with ExitStack() as serving:
        with embedded_database(tmp_path / "data") as url:
            settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_COUNT_EVERY": "0.01"}
            running = serving.enter_context(service(tmp_path, **settings))
            running.identify("a@x")
        wait_until(told(running, created=1))
        wait_until(lambda: "the census failed" in running.output())
