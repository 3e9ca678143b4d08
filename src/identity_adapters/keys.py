"""API keys: who may do what.

A key is 256 random bits, so a plain SHA-256 of it tells nothing of it: what slows down guessing is
for passwords, which people choose. Only the hash is configured.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from enum import StrEnum

from attrs import field, frozen


class Scope(StrEnum):
    """What a key may be used for."""

    IDENTIFY = "identify"
    READ = "read"
    ADMIN = "admin"


@frozen
class ApiKey:
    """A key, without what makes it one.

    Attributes:
        name: of whoever uses it; several may have one name, as while one takes over from the other.
        scopes: what it may be used for.
        hash: the SHA-256 of the key.
    """

    name: str
    scopes: frozenset[Scope]
    hash: bytes = field(repr=False)

    @classmethod
    def parse(cls, entry: str) -> "ApiKey":
        """A key out of its entry in the configuration.

        >>> key = ApiKey.parse("shop:identify+read:" + 64 * "0")
        >>> key.name, sorted(key.scopes)
        ('shop', [<Scope.IDENTIFY: 'identify'>, <Scope.READ: 'read'>])

        Raises:
            ValueError: it is not of the form name:scope+scope:hash.
        """
        try:
            name, scopes, digest = entry.split(":")
            key = cls(name, frozenset(map(Scope, scopes.split("+"))), bytes.fromhex(digest))
        except ValueError:
            key = None
        if key is None or not key.name or len(key.hash) != hashlib.sha256().digest_size:
            raise ValueError("must be of the form name:scope+scope:hash")
        return key

    def __str__(self) -> str:
        return f"{self.name} ({' '.join(sorted(self.scopes))})"

    @property
    def entry(self) -> str:
        """What `parse` takes."""
        return f"{self.name}:{'+'.join(sorted(self.scopes))}:{self.hash.hex()}"


def generate_key(name: str, scopes: Collection[Scope]) -> tuple[str, ApiKey]:
    """A key that nobody has had, as it is sent, and what is to be configured of it."""
    secret = "identity_" + secrets.token_urlsafe(32)
    return secret, ApiKey(name, frozenset(scopes), hashlib.sha256(secret.encode()).digest())


def find_key(secret: bytes, keys: Collection[ApiKey]) -> ApiKey | None:
    """Which of the keys was sent; it takes as long whichever it is."""
    sent = hashlib.sha256(secret).digest()
    found = None
    for key in keys:
        if hmac.compare_digest(key.hash, sent):
            found = key
    return found
