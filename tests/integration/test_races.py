"""Several processes on one database, hundreds of clients, and details made to collide."""

from contextlib import ExitStack

import pytest

from tests.support.clients import Load, adversarial, check
from tests.support.databases import plain
from tests.support.processes import service

pytestmark = pytest.mark.slow


def test_no_race_makes_a_duplicate_or_loses_anything(tmp_path, url, size):
    details = adversarial(size(20_000, 1_000_000))
    with ExitStack() as stack:
        running = []
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            one = service(folder, "--workers", "2", DB_CONNECTION_STRING=plain(url))
            running.append(stack.enter_context(one))
        load = Load([one.port for one in running], details).wait()
    assert load.statuses == {200: len(details)}
    check(url, details)
