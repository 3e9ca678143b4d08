"""Rules against hundreds of clients on several processes, some of which are killed."""

import json
from collections import Counter
from contextlib import suppress
from itertools import product
from random import Random

import pytest

from identity_adapters.postgres import verify
from tests.support.clients import Load, check_acknowledged, check_recorded, partition
from tests.support.databases import connect
from tests.support.processes import kill, services
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SHARED = "5550100"
LIMITS = {
    "phoneNumbersPerEmail": 3,
    "emailsPerPhoneNumber": 4,
    "valuesPerIdentity": 9,
    "valuesOnSmallerSide": 2,
}


def ask(running, method="GET", **rules):
    """Ask for the rules or put them, again and again while the service is not there."""
    body = json.dumps({"blocked": {}, "limits": {}, "reason": "a test", **rules}) if rules else None

    def is_answered():
        with suppress(OSError):
            status, _, answer = running.request(method, "/rules", body, {"Content-Type": "application/json"})
            assert status in (200, 503), answer
            return json.loads(answer) if status == 200 else None
        return None

    return wait_until(is_answered)


def read_counting_pairs(url):
    with connect(url) as connection:
        return connection.execute(
            "SELECT email, phone_number FROM contacts"
            " WHERE deleted_at IS NULL AND email IS NOT NULL AND phone_number IS NOT NULL"
            " UNION SELECT email, phone_number FROM contact_evidence WHERE standing = 'counts'"
        ).fetchall()


def check_limits(url):
    pairs = read_counting_pairs(url)
    assert max(Counter(email for email, _ in pairs).values()) <= LIMITS["phoneNumbersPerEmail"]
    assert max(Counter(number for _, number in pairs).values()) <= LIMITS["emailsPerPhoneNumber"]
    assert max(map(len, partition(url)[0])) <= LIMITS["valuesPerIdentity"]


def test_no_limit_is_ever_exceeded(tmp_path, url, size):
    emails = [f"{n}@example.org" for n in range(size(30, 200))]
    numbers = [str(1_000 + n) for n in range(size(30, 200))]
    details = Random(1).sample([*product(emails, numbers)], size(900, 30_000))
    with services(tmp_path, url) as running:
        ask(running[0], "PUT", limits=LIMITS)
        load = Load([one.port for one in running], details, may_be_held=True)
        while not load.is_over():
            load.has_gone_on()
            check_limits(url)
        assert load.wait().statuses == {200: len(details)}
    check_limits(url)
    assert verify(url) == []
    check_acknowledged(url, load)
    with connect(url) as connection:
        [(held,)] = connection.execute(
            "SELECT count(*) FROM contact_evidence WHERE hold IS NOT NULL"
        ).fetchall()
    assert held == len(details) - len(read_counting_pairs(url))


def test_a_value_is_blocked_and_unblocked_beside_everybody_who_sends_it(tmp_path, url, size):
    rounds = size(600, 20_000)
    details = [
        pair for n in range(rounds) for pair in ((f"{n}@example.org", SHARED), (f"{n}@example.org", str(n)))
    ]
    with services(tmp_path, url, number=1, workers=2) as [running]:
        load = Load([running.port], details, may_be_held=True)
        load.has_gone_on()
        ask(running, "PUT", blocked={"phoneNumbers": [SHARED]})
        load.has_gone_on(by=50)
        kill(wait_until(running.workers)[0])
        load.wait()
        again = Load([running.port], load.unacknowledged, may_be_held=True).wait()
        assert again.statuses.keys() <= {200}
        load.acknowledged += again.acknowledged
        wait_until(lambda: ask(running)["isSettled"])
        assert all(number != SHARED for _, number in read_counting_pairs(url))
        check_recorded(url, load)
        assert len(partition(url)[0]) == rounds
        assert verify(url) == []
        ask(running, "PUT", reason="no longer shared")
        kill(wait_until(running.workers)[0])
        wait_until(lambda: ask(running)["isSettled"])
        assert len(partition(url)[0]) == 1
    assert verify(url) == []
    check_acknowledged(url, load)


LARGE = """
INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at)
SELECT n, n || '@example.org', '5550100', CASE WHEN n > 1 THEN 1 END,
    CASE WHEN n > 1 THEN 'secondary' ELSE 'primary' END, '2020-01-31 12:00Z'
FROM generate_series(1, %(number)s) n
"""


def test_a_large_identity_comes_apart_and_together_again_though_workers_are_killed(tmp_path, url, size):
    number = size(1_100, 100_000)

    def read_contacts():
        with connect(url) as connection:
            return connection.execute(
                "SELECT id, email, phone_number, linked_id, link_precedence, created_at, deleted_at"
                " FROM contacts ORDER BY id"
            ).fetchall()

    def count_linked():
        with connect(url) as connection:
            [(linked,)] = connection.execute("SELECT count(linked_id) FROM contacts").fetchall()
        return linked

    with connect(url) as connection:
        connection.execute(LARGE, {"number": number})
        connection.execute("SELECT setval('contacts_id_seq', %s)", [number])
        connection.execute("ANALYZE contacts")
    before = read_contacts()
    with services(tmp_path, url, number=1, workers=2) as [running]:
        ask(running, "PUT", blocked={"phoneNumbers": [SHARED]})
        for share in size((0.6,), (0.9, 0.5)):
            wait_until(lambda share=share: count_linked() < share * number)
            for worker in wait_until(running.workers):
                kill(worker)
        wait_until(lambda: ask(running)["isSettled"])
        assert [row[1:4] for row in read_contacts()] == [(email, None, None) for _, email, *_ in before]
        assert verify(url) == []
        ask(running, "PUT", reason="no longer shared")
        for share in size((0.8,), (0.4, 0.7)):
            wait_until(lambda share=share: count_linked() > share * number)
            for worker in wait_until(running.workers):
                kill(worker)
        wait_until(lambda: ask(running)["isSettled"])
    assert read_contacts() == before
    assert verify(url) == []
