"""What every adapter of the ports must do, as tests that pytest collects."""

from identity_core.testing.conformance.feed import ChangeFeedConformance
from identity_core.testing.conformance.reader import IdentityReaderConformance
from identity_core.testing.conformance.repository import ContactRepositoryConformance
from identity_core.testing.conformance.rules import RuleConformance
from identity_core.testing.conformance.rulings import RulingConformance

__all__ = [
    "ChangeFeedConformance",
    "ContactRepositoryConformance",
    "IdentityReaderConformance",
    "RuleConformance",
    "RulingConformance",
]
