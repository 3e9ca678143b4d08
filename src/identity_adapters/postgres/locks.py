"""The advisory locks on identifiers, and the global lock that stands for all of them."""

import hashlib
from collections.abc import Iterable

from identity_core import ContactDetails, Identifier

MAX_IDENTIFIER_LOCKS = 256
"""How many identifiers a transaction locks one by one; with more it takes the global lock."""

GLOBAL_LOCK = 0x6964_656E_7469_7479
"""The key of the global lock."""

SETTLING_LOCK = 0x7365_7474_6C69_6E67
"""The key of the lock of whoever settles the rules."""

LAST_SEEN_LOCK = 0x6C61_7374_2073_6565
"""The key of the lock that recording when values were last seen shares, and erasing has alone."""


def collect_identifiers(batch: Iterable[ContactDetails]) -> set[Identifier]:
    """The identifiers of a batch, each once."""
    return {identifier for details in batch for identifier in details.identifiers}


def to_lock_keys(identifiers: Iterable[Identifier]) -> list[int]:
    """The keys of the locks on identifiers, ascending: 64 bits, spread by a hash."""
    return sorted(
        {
            int.from_bytes(
                hashlib.blake2b(value.encode(), digest_size=8, person=kind.encode()).digest(), signed=True
            )
            for kind, value in identifiers
        }
    )
