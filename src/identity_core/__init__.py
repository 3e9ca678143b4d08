"""Which contacts belong to one customer: a pure domain library.

`reconcile` holds the rules, `IdentifyContacts` is the use case, `ContactRepository` is the
port that it needs an adapter for.
"""

from identity_core.bulk import ImportReport, import_contacts
from identity_core.changes import (
    Changes,
    Event,
    EventKind,
    Evidence,
    Foresight,
    Identified,
    Outcome,
    Reconciliation,
)
from identity_core.contact import Contact, LinkPrecedence
from identity_core.details import ContactDetails
from identity_core.errors import (
    IdentityError,
    InvalidDetails,
    InvalidPlace,
    RepositoryBusy,
    RepositoryOverloaded,
    RepositoryUnavailable,
)
from identity_core.explain import Explanation, Identifier, Kind, Link, Reason, WeakestLink, explain
from identity_core.history import Happening, as_of
from identity_core.identify import IdentifyContacts
from identity_core.identity import Identity
from identity_core.mend import mend
from identity_core.page import Page, page
from identity_core.reconcile import foresee, reconcile, settled
from identity_core.repository import ContactRepository, Decide
from identity_core.snapshot import Snapshot

__all__ = [
    "Changes",
    "Contact",
    "ContactDetails",
    "ContactRepository",
    "Decide",
    "Event",
    "EventKind",
    "Evidence",
    "Explanation",
    "Foresight",
    "Happening",
    "Identified",
    "Identifier",
    "IdentifyContacts",
    "Identity",
    "IdentityError",
    "ImportReport",
    "InvalidDetails",
    "InvalidPlace",
    "Kind",
    "Link",
    "LinkPrecedence",
    "Outcome",
    "Page",
    "Reason",
    "Reconciliation",
    "RepositoryBusy",
    "RepositoryOverloaded",
    "RepositoryUnavailable",
    "Snapshot",
    "WeakestLink",
    "as_of",
    "explain",
    "foresee",
    "import_contacts",
    "mend",
    "page",
    "reconcile",
    "settled",
]
