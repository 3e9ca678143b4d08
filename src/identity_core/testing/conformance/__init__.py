"""What every adapter of the ports must do, as tests that pytest collects."""

from identity_core.testing.conformance.access import AccessConformance
from identity_core.testing.conformance.erasure import ErasureConformance
from identity_core.testing.conformance.feed import ChangeFeedConformance
from identity_core.testing.conformance.reader import IdentityReaderConformance
from identity_core.testing.conformance.repository import ContactRepositoryConformance
from identity_core.testing.conformance.rules import RuleConformance
from identity_core.testing.conformance.rulings import RulingConformance
from identity_core.testing.conformance.sightings import SightingsConformance
from identity_core.testing.conformance.suppression import SuppressionConformance

__all__ = [
    "AccessConformance",
    "ChangeFeedConformance",
    "ContactRepositoryConformance",
    "ErasureConformance",
    "IdentityReaderConformance",
    "RuleConformance",
    "RulingConformance",
    "SightingsConformance",
    "SuppressionConformance",
]
