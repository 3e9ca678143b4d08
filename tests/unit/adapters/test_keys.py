import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.http.auth import RateLimit
from identity_adapters.keys import ApiKey, Scope, find_key, generate_key

scopes = st.sets(st.sampled_from(Scope), min_size=1)


@given(scopes)
def test_an_entry_tells_all_of_a_key_but_the_key(granted):
    secret, key = generate_key("shop", granted)
    assert ApiKey.parse(key.entry) == key
    assert secret not in key.entry
    assert secret not in repr(key)
    assert key.hash == hashlib.sha256(secret.encode()).digest()


@given(st.lists(scopes, max_size=4), st.data())
def test_a_key_is_found_by_itself_and_by_nothing_else(granted, data):
    made = [generate_key(f"client{number}", some) for number, some in enumerate(granted)]
    keys = [key for _, key in made]
    for secret, key in made:
        assert find_key(secret.encode(), keys) == key
    assert find_key(data.draw(st.binary(max_size=60)), keys) is None


def test_no_two_keys_are_the_same():
    assert len({generate_key("shop", [Scope.READ])[0] for _ in range(100)}) == 100


@given(
    st.floats(0.1, 100),
    st.lists(st.floats(0, 2), max_size=60),
)
def test_a_key_never_asks_more_often_than_its_rate_allows(rate, pauses):
    limit, now, granted = RateLimit(rate), 0.0, []
    for pause in pauses:
        now += pause
        wait = limit.wait("key", now)
        assert wait >= 0
        if not wait:
            granted.append(now)
    most_at_once = max(rate, 1)
    for number, first in enumerate(granted):
        for later, last in enumerate(granted[number:], start=1):
            assert later <= most_at_once + rate * (last - first) + 1e-6


@given(st.floats(0.1, 100), st.integers(1, 30))
def test_who_waits_as_long_as_told_is_welcome(rate, number):
    limit, now = RateLimit(rate), 0.0
    for _ in range(number):
        now += limit.wait("key", now)
        if wait := limit.wait("key", now):
            now += wait
            assert limit.wait("key", now) == 0
    assert limit.wait("another key", now) == 0


def test_an_entry_that_is_none_is_refused():
    for entry in ("", "shop", "shop:read", "shop:read:00", f"shop:all:{'0' * 64}", f"shop::{'0' * 64}"):
        with pytest.raises(ValueError, match="must have the form"):
            ApiKey.parse(entry)
