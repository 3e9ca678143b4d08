"""Signatures by Standard Webhooks (https://www.standardwebhooks.com), and the secrets that make them.

A secret is made of the key of the service and a salt. The database keeps the salts alone, so a copy of it
signs nothing.
"""

import hmac
import secrets as random
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime

from identity_adapters.webhooks.webhook import Salts

SALT_BYTES = 16


def identify_key(key: bytes) -> bytes:
    """The id of a key, which tells it from other keys and reveals nothing else about it."""
    return _digest(key, b"identity webhook key")[:8]


def new_salts(key: bytes) -> Salts:
    """Draw what a new secret is made of."""
    return Salts(identify_key(key), random.token_bytes(SALT_BYTES))


def derive_secret(key: bytes, salt: bytes) -> bytes:
    """Make the secret of a salt: 32 bytes, that nobody can make without the key."""
    return _digest(key, b"identity webhook secret\0" + salt)


def format_secret(secret: bytes) -> str:
    """Write a secret as receivers configure it.

    >>> format_secret(bytes(32))
    'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
    """
    return "whsec_" + b64encode(secret).decode()


def sign_with_all(key: bytes, salts: Salts, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Make the headers of a message of a webhook, with a signature for each secret that is in use then."""
    return sign([derive_secret(key, salt) for salt in salts.list_in_use(at)], message_id, at, body)


def sign(secrets: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Make the headers of a message, with one signature for each secret.

    >>> from datetime import UTC
    >>> headers = sign([bytes(32)], "msg_1", datetime(2026, 1, 1, tzinfo=UTC), b"{}")
    >>> for name, value in headers.items():
    ...     print(f"{name}: {value}")
    webhook-id: msg_1
    webhook-timestamp: 1767225600
    webhook-signature: v1,...
    """
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            f"v1,{b64encode(_digest(secret, content)).decode()}" for secret in secrets
        ),
    }


def _digest(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")
