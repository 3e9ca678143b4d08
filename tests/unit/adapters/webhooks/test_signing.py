import base64
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.webhooks.signing import derive_secret, format_secret, identify_key, new_salts, sign

keys = st.binary(min_size=32, max_size=64)
times = st.integers(946684800, 4102444800 * 10**6).map(
    lambda microseconds: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
)


def test_a_signature_is_the_one_that_svix_publishes():
    """Of the tests of its libraries, and so independent of the libraries that are installed here."""
    headers = sign(
        [base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(keys, keys, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_secret_depends_on_the_key_and_the_salt_alone(key, other_key, salt, other_salt):
    assert derive_secret(key, salt) == derive_secret(key, salt)
    assert (derive_secret(key, salt) == derive_secret(other_key, salt)) is (key == other_key)
    assert (derive_secret(key, salt) == derive_secret(key, other_salt)) is (salt == other_salt)
    assert (identify_key(key) == identify_key(other_key)) is (key == other_key)
    assert base64.b64decode(format_secret(derive_secret(key, salt)).removeprefix("whsec_")) == derive_secret(
        key, salt
    )


@given(keys)
def test_no_two_salts_are_the_same_and_they_tell_their_key(key):
    salts, others = new_salts(key), new_salts(key)
    assert salts.current != others.current
    assert salts.key_id == others.key_id == identify_key(key)
    assert salts.previous is None


@given(st.lists(keys, min_size=1, max_size=3), st.binary(), times)
def test_a_message_has_a_signature_of_each_secret_in_order(secrets, body, at):
    headers = sign(secrets, "msg", at, body)
    alone = [sign([secret], "msg", at, body)["webhook-signature"] for secret in secrets]
    assert headers["webhook-signature"].split(" ") == alone
    assert 0 <= at.timestamp() - int(headers["webhook-timestamp"]) < 1
