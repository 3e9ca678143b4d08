"""Values that are kept out: only hashes of them are stored, with a key that the database does not have.

Emails and phone numbers are few enough to try them all, so a plain hash would hide nothing. Whoever has the
database without the key learns nothing; whoever has both can check a guess.
"""

import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from identity_adapters.postgres import statements
from identity_adapters.postgres.database import Connection, Cursor, receive, send
from identity_core import Identifier


def hash_value(identifier: Identifier, key: bytes) -> str:
    """The HMAC-SHA256 of a value and its kind, in hexadecimal digits."""
    return hmac.digest(key, f"{identifier.kind}\0{identifier.value}".encode(), "sha256").hex()


async def suppress(
    connection: Connection, identifiers: Iterable[Identifier], until: datetime, key: bytes
) -> None:
    """Keep values out until a time, and forget those whose time is over."""
    hashes = json.dumps([hash_value(identifier, key) for identifier in identifiers])
    expires_at = until.astimezone(UTC).replace(tzinfo=None)
    await send(connection, statements.SUPPRESS, {"hashes": hashes, "expires_at": expires_at})
    await send(connection, statements.PURGE_SUPPRESSIONS, {})


class SuppressedQuery:
    """The query of those of some values that are kept out, sent apart from receiving what it finds.

    Args:
        identifiers: the values.
        key: that of the hashes.
    """

    def __init__(self, identifiers: Iterable[Identifier], key: bytes) -> None:
        self._by_hash = {hash_value(identifier, key): identifier for identifier in identifiers}

    async def send(self, connection: Connection) -> Cursor:
        """Send it, and await its result unless it is in a pipeline."""
        return await send(connection, statements.SUPPRESSED, {"hashes": json.dumps([*self._by_hash])})

    async def receive(self, cursor: Cursor) -> frozenset[Identifier]:
        """Return the values that it found."""
        return frozenset(self._by_hash[hash] for (hash,) in await receive(cursor))
