"""For your own tests: Hypothesis strategies, a model, and a conformance suite for each port.

Needs the extra ``testing``.

A repository of yours is correct if it passes the conformance suite. In a test module:

>>> from contextlib import asynccontextmanager
>>> from identity_core.testing import ContactRepositoryConformance
>>> from identity_adapters.memory import InMemoryContactRepository
>>> class TestInMemoryContactRepository(ContactRepositoryConformance):
...     @asynccontextmanager
...     async def empty_repository(self):
...         yield InMemoryContactRepository()
"""

from identity_core.testing.conformance import (
    AccessConformance,
    ChangeFeedConformance,
    ContactRepositoryConformance,
    ErasureConformance,
    IdentityReaderConformance,
    RuleConformance,
    RulingConformance,
    SightingsConformance,
    SuppressionConformance,
)
from identity_core.testing.invariants import violations
from identity_core.testing.machine import IdentityMachine
from identity_core.testing.model import components, resolved
from identity_core.testing.rulings import RulingMachine
from identity_core.testing.strategies import (
    batches,
    contact_details,
    emails,
    identifiers,
    moments,
    phone_numbers,
    rule_sets,
)

__all__ = [
    "AccessConformance",
    "ChangeFeedConformance",
    "ContactRepositoryConformance",
    "ErasureConformance",
    "IdentityMachine",
    "IdentityReaderConformance",
    "RuleConformance",
    "RulingConformance",
    "RulingMachine",
    "SightingsConformance",
    "SuppressionConformance",
    "batches",
    "components",
    "contact_details",
    "emails",
    "identifiers",
    "moments",
    "phone_numbers",
    "resolved",
    "rule_sets",
    "violations",
]
