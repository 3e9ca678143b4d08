import itertools
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.webhooks.retries import describe, is_accepted, is_gone, parse_retry_after, plan_delay

DAY = 86400
failures = st.integers(0, 10**9)
draws = st.floats(0, 1, exclude_max=True)
times = st.integers(946684800, 4102444800 * 10**6).map(
    lambda microseconds: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
)


@given(failures, draws)
def test_a_delay_doubles_up_to_ten_minutes_and_varies_by_half(count, draw):
    whole = next(
        (delay for delay, number in zip((2**n for n in range(10)), itertools.count(1)) if number >= count),
        600,
    )
    assert plan_delay(count, None, 0) == whole / 2
    assert whole / 2 <= plan_delay(count, None, draw) <= whole


@given(failures, st.floats(0, allow_nan=False), draws)
def test_a_delay_is_never_shorter_than_the_endpoint_asks_for_up_to_a_day(count, retry_after, draw):
    delay = plan_delay(count, retry_after, draw)
    assert delay == max(plan_delay(count, None, draw), min(retry_after, DAY))


@given(st.integers(100, 599))
def test_only_2xx_is_accepted(status):
    assert is_accepted(status) is (status // 100 == 2)
    assert is_gone(status) is (status == 410)
    assert describe(status) == (
        "redirect not followed" if status in (301, 302, 303, 307, 308) else f"status {status}"
    )


@given(st.integers(0), times)
def test_seconds_to_retry_after_are_taken_as_they_are_up_to_a_day(seconds, now):
    assert parse_retry_after(f" {seconds} ", now) == min(seconds, DAY)


@given(times, st.integers(-DAY * 400, DAY * 400), st.booleans())
def test_a_date_to_retry_after_counts_from_now_and_not_if_it_is_over(now, seconds, is_gmt):
    now = now.replace(microsecond=0)
    value = format_datetime(now + timedelta(seconds=seconds), usegmt=is_gmt)
    for written in (value, value.replace("+0000", "-0000")):
        assert parse_retry_after(written, now) == (seconds if seconds >= 0 else None)


@given(st.text() | st.text("0123456789 :,-+.GMTJanSu"), times)
def test_whatever_else_an_endpoint_asks_for_is_not_negative_and_no_error(value, now):
    assert (parse_retry_after(value, now) or 0) >= 0


@pytest.mark.parametrize("value", ["", "-1", "1.5", "soon", "1e3", "²", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_what_is_neither_seconds_nor_a_date_is_ignored(value):
    assert parse_retry_after(value, datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_hundreds_of_digits_are_no_error():
    assert parse_retry_after("9" * 5000, datetime(2026, 1, 1, tzinfo=UTC)) == DAY
