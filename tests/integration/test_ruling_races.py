"""Rulings against hundreds of clients on several processes, some of which are killed."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count

import pytest

from identity_adapters.postgres import verify
from tests.support.clients import Load, check_acknowledged, identities, partition
from tests.support.processes import kill, services
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ONE, OTHER = "one@example.org", "other@example.org"


def rule(running, operation, **body):
    """Rule over HTTP, again and again while the service is not there; the status and the answer."""
    made = json.dumps({"reason": "a test", **body})

    def is_answered():
        with suppress(OSError):
            status, _, answer = running.request("POST", operation, made, {"Content-Type": "application/json"})
            return None if status >= 500 else (status, json.loads(answer))
        return None

    return wait_until(is_answered)


def joining(number):
    """Details that would join the two emails, each by a phone number of its own."""
    return [(email, str(10**6 + n)) for n in range(number) for email in (ONE, OTHER)]


def pin_apart(running):
    """Pin the two emails apart; split them where somebody has joined them already."""
    while True:
        pin = {"one": {"email": ONE}, "other": {"email": OTHER}}
        status, _ = rule(running, "/pins", verdict="different", **pin)
        if status == 409:
            status, _ = rule(running, "/split", **pin)
        if status in (200, 201):
            return


def test_what_a_pin_keeps_apart_is_never_joined(tmp_path, url, size):
    details = joining(size(1_500, 50_000))
    with services(tmp_path, url) as running:
        load = Load([one.port for one in running], details, may_be_held=True)
        load.has_gone_on()
        pin_apart(running[1])
        for _ in range(3):
            load.has_gone_on()
            known = identities(url)
            assert OTHER not in known[ONE]
        assert load.wait().statuses == {200: len(details)}
    assert verify(url) == []
    assert OTHER not in identities(url)[ONE]
    check_acknowledged(url, load)


def test_what_a_pin_keeps_apart_stays_so_when_processes_are_killed(tmp_path, url, size):
    details = joining(size(1_500, 50_000))
    with services(tmp_path, url, number=1, workers=2) as [running]:
        load = Load([running.port], details, may_be_held=True)
        load.has_gone_on()
        kill(wait_until(running.workers)[0])
        pin_apart(running)
        for _ in range(2):
            load.has_gone_on()
            kill(wait_until(running.workers)[0])
        load.wait()
        assert Load([running.port], load.unacknowledged, may_be_held=True).wait().statuses.keys() <= {200}
    assert verify(url) == []
    assert OTHER not in identities(url)[ONE]
    check_acknowledged(url, load)


def test_an_undo_against_details_that_merge(tmp_path, url, size):
    sides = [[f"{side}{n}@example.org" for n in range(20)] for side in "ab"]
    bridge = (sides[0][0], "2000")
    rounds = size(1_000, 20_000)
    details = [
        pair
        for n in range(rounds)
        for pair in ((sides[0][n % 20], f"1{n % 37:03d}"), (sides[1][n % 20], f"2{n % 37:03d}"), bridge)
    ]
    with services(tmp_path, url) as running:
        load = Load([one.port for one in running], details, may_be_held=True)
        load.has_gone_on()
        pair = {"email": bridge[0], "phoneNumber": bridge[1]}
        for n in count():
            status, _ = rule(running[n % 2], "/restore" if n % 2 else "/undo", **pair)
            assert status == 200
            if n % 2 == 0 and n >= 10 and load.is_over():
                break
            load.has_gone_on(by=50)
        assert load.wait().statuses == {200: len(details)}
        rule(running[0], "/undo", **pair)
        assert verify(url) == []
        known = identities(url)
        assert known[sides[0][0]].isdisjoint(known[sides[1][0]])
        assert {*sides[0]} <= known[sides[0][0]]
        assert {*sides[1]} <= known[sides[1][0]]
        rule(running[0], "/restore", **pair)
        assert len(partition(url)[0]) == 1
    assert verify(url) == []
    check_acknowledged(url, load)


def test_two_splits_of_one_identity(tmp_path, url):
    emails = [f"{n}@example.org" for n in range(12)]
    with services(tmp_path, url) as running, ThreadPoolExecutor(8) as pool:
        for n, email in enumerate(emails):
            for step in (0, 1, 3):
                running[0].identify(email, str(1000 + (n + step) % len(emails)))

        def split(n):
            ends = {"one": {"email": emails[n]}, "other": {"email": emails[(n + 5) % len(emails)]}}
            return rule(running[n % 2], "/split", **ends)[0], emails[n], emails[(n + 5) % len(emails)]

        answers = list(pool.map(split, range(8)))
    assert {status for status, *_ in answers} <= {200, 409}
    known = identities(url)
    assert all(known[one] is not known[other] for _, one, other in answers)
    assert verify(url) == []
