"""Which contacts belong to one customer: a pure domain library.

- `identity_core.model`: the values.
- `identity_core.rules`: the decisions; `reconcile` opens with the theory of operation.
- `identity_core.queries`: what can be asked about an identity.
- `identity_core.ports`: what adapters implement.
- `IdentifyContacts`, `QueryIdentities` and `import_contacts` are the use cases.
"""

from identity_core.errors import (
    IdentityError,
    InvalidCursor,
    InvalidDetails,
    RepositoryBusy,
    RepositoryOverloaded,
    RepositoryUnavailable,
)
from identity_core.identify import IdentifyContacts
from identity_core.import_contacts import ImportReport, import_contacts
from identity_core.model.contact import Contact, LinkPrecedence
from identity_core.model.decision import Decision, Identified, Outcome, Preview, WriteSet
from identity_core.model.details import ContactDetails
from identity_core.model.events import Event, EventKind, RecordedEvent
from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.identity import Identity
from identity_core.model.page import Page
from identity_core.model.snapshot import Snapshot
from identity_core.ports import ChangeFeed, ContactRepository, Decide, IdentityReader, Offload
from identity_core.queries.explain import Explanation, Link, LinkReason, WeakestLink, explain
from identity_core.queries.history import as_of
from identity_core.queries.pages import cut_page
from identity_core.query import QueryIdentities
from identity_core.rules.preview import preview
from identity_core.rules.reconcile import find_known, reconcile
from identity_core.rules.repair import repair

__all__ = [
    "ChangeFeed",
    "Contact",
    "ContactDetails",
    "ContactRepository",
    "Decide",
    "Decision",
    "Event",
    "EventKind",
    "Evidence",
    "Explanation",
    "Identified",
    "Identifier",
    "IdentifierKind",
    "IdentifyContacts",
    "Identity",
    "IdentityError",
    "IdentityReader",
    "ImportReport",
    "InvalidCursor",
    "InvalidDetails",
    "Link",
    "LinkPrecedence",
    "LinkReason",
    "Offload",
    "Outcome",
    "Page",
    "Preview",
    "QueryIdentities",
    "RecordedEvent",
    "RepositoryBusy",
    "RepositoryOverloaded",
    "RepositoryUnavailable",
    "Snapshot",
    "WeakestLink",
    "WriteSet",
    "as_of",
    "cut_page",
    "explain",
    "find_known",
    "import_contacts",
    "preview",
    "reconcile",
    "repair",
]
