"""API keys and their scopes.

A key has 256 random bits, so its plain SHA-256 reveals nothing; slow hashes are for passwords, which people
choose. Only the hash is configured.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from enum import StrEnum

from attrs import field, frozen


class Scope(StrEnum):
    """A permission of a key."""

    IDENTIFY = "identify"
    READ = "read"
    DECIDE = "decide"
    ADMIN = "admin"
    ERASE = "erase"


@frozen
class ApiKey:
    """A configured key, without its secret.

    Attributes:
        name: the name of its user; two keys may share it, for example during a rotation.
        scopes: its permissions.
        hash: the SHA-256 of the secret.
    """

    name: str
    scopes: frozenset[Scope]
    hash: bytes = field(repr=False)

    @classmethod
    def parse(cls, entry: str) -> "ApiKey":
        """Parse the entry of a key in the configuration.

        >>> key = ApiKey.parse("shop:identify+read:" + 64 * "0")
        >>> key.name, sorted(key.scopes)
        ('shop', [<Scope.IDENTIFY: 'identify'>, <Scope.READ: 'read'>])

        Raises:
            ValueError: the entry does not have the form name:scope+scope:hash.
        """
        try:
            name, scopes, digest = entry.split(":")
            key = cls(name, frozenset(map(Scope, scopes.split("+"))), bytes.fromhex(digest))
        except ValueError:
            key = None
        if key is None or not key.name or len(key.hash) != hashlib.sha256().digest_size:
            raise ValueError("must have the form name:scope+scope:hash")
        return key

    def __str__(self) -> str:
        return f"{self.name} ({' '.join(sorted(self.scopes))})"

    @property
    def entry(self) -> str:
        """Its entry in the configuration."""
        return f"{self.name}:{'+'.join(sorted(self.scopes))}:{self.hash.hex()}"


def generate_key(name: str, scopes: Collection[Scope]) -> tuple[str, ApiKey]:
    """Generate a key.

    Returns:
        The secret that a client sends, and the key to configure.
    """
    secret = "identity_" + secrets.token_urlsafe(32)
    return secret, ApiKey(name, frozenset(scopes), hashlib.sha256(secret.encode()).digest())


def find_key(secret: bytes, keys: Collection[ApiKey]) -> ApiKey | None:
    """Find the key of a secret in constant time; None if there is none."""
    sent = hashlib.sha256(secret).digest()
    found = None
    for key in keys:
        if hmac.compare_digest(key.hash, sent):
            found = key
    return found
