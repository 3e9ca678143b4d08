"""Which contacts belong to one customer: a pure domain library.

- `identity_core.model`: the values.
- `identity_core.rules`: the decisions; `reconcile` opens with the theory of operation.
- `identity_core.queries`: what can be asked about an identity.
- `identity_core.ports`: what adapters implement.
- `IdentifyContacts`, `QueryIdentities`, `RuleOnIdentities`, `ChangeRules`, `SuggestRules`,
  `AccessIdentities`, `EraseIdentities`, `EraseUnseen` and `import_contacts` are the use cases.
"""

from identity_core.access import AccessIdentities
from identity_core.change_rules import ChangeRules
from identity_core.erase import EraseIdentities, ErasurePreview
from identity_core.erase_unseen import EraseUnseen, RetentionReport
from identity_core.errors import (
    Blocked,
    CannotSuppress,
    Erased,
    IdentityError,
    InvalidCursor,
    InvalidDetails,
    LastSeenUnknown,
    NotRecorded,
    RepositoryBusy,
    RepositoryOverloaded,
    RepositoryUnavailable,
    StalePlan,
    StillReferenced,
    Suppressed,
)
from identity_core.identify import IdentifyContacts
from identity_core.import_contacts import ImportReport, import_contacts
from identity_core.model.contact import Contact, LinkPrecedence
from identity_core.model.decision import Decision, Identified, Outcome, Preview, WriteSet
from identity_core.model.details import ContactDetails
from identity_core.model.dossier import Dossier
from identity_core.model.erasure import Erasure, LedgerEntry, Leftover
from identity_core.model.events import Event, EventKind, RecordedEvent
from identity_core.model.evidence import Evidence, Standing
from identity_core.model.identifiers import Identifier, IdentifierKind
from identity_core.model.identity import NOBODY, Identity
from identity_core.model.lineage import DeletedContact, Lineage
from identity_core.model.link import Link, LinkReason
from identity_core.model.page import Page
from identity_core.model.record import Record
from identity_core.model.rule_set import Hold, Limits, RuleSet, RulesInForce, UnsettledLink
from identity_core.model.ruled import Contradiction, Ruled
from identity_core.model.rules_preview import AffectedIdentity, RulesPreview
from identity_core.model.ruling import Note, Ruling, Verdict, Withdrawal
from identity_core.model.snapshot import Snapshot
from identity_core.model.suggestion import SharedValue, Suggestion
from identity_core.model.unseen import Unseen
from identity_core.ports import (
    AuditTrail,
    ChangeFeed,
    ContactRepository,
    Decide,
    DecideInTurn,
    IdentityReader,
    Offload,
    Revise,
    RuleBook,
    Sightings,
)
from identity_core.queries.disclose import (
    DisclosedContact,
    DisclosedPair,
    DisclosedRuling,
    DisclosedValue,
    Disclosure,
    NamingRules,
)
from identity_core.queries.explain import Explanation, WeakestLink, explain
from identity_core.queries.graph import IdentityGraph, Node, WeakestValue, draw, draw_as_of
from identity_core.queries.history import as_of
from identity_core.queries.pages import cut_page
from identity_core.query import QueryIdentities
from identity_core.rule import RuleOnIdentities
from identity_core.rules.erase import WeakValue
from identity_core.rules.preview import preview
from identity_core.rules.reconcile import find_known, reconcile, reconcile_in_turn
from identity_core.rules.repair import repair
from identity_core.rules.resolve import Resolution, resolve
from identity_core.suggest_rules import SuggestRules

__all__ = [
    "NOBODY",
    "AccessIdentities",
    "AffectedIdentity",
    "AuditTrail",
    "Blocked",
    "CannotSuppress",
    "ChangeFeed",
    "ChangeRules",
    "Contact",
    "ContactDetails",
    "ContactRepository",
    "Contradiction",
    "Decide",
    "DecideInTurn",
    "Decision",
    "DeletedContact",
    "DisclosedContact",
    "DisclosedPair",
    "DisclosedRuling",
    "DisclosedValue",
    "Disclosure",
    "Dossier",
    "EraseIdentities",
    "EraseUnseen",
    "Erased",
    "Erasure",
    "ErasurePreview",
    "Event",
    "EventKind",
    "Evidence",
    "Explanation",
    "Hold",
    "Identified",
    "Identifier",
    "IdentifierKind",
    "IdentifyContacts",
    "Identity",
    "IdentityError",
    "IdentityGraph",
    "IdentityReader",
    "ImportReport",
    "InvalidCursor",
    "InvalidDetails",
    "LastSeenUnknown",
    "LedgerEntry",
    "Leftover",
    "Limits",
    "Lineage",
    "Link",
    "LinkPrecedence",
    "LinkReason",
    "NamingRules",
    "Node",
    "NotRecorded",
    "Note",
    "Offload",
    "Outcome",
    "Page",
    "Preview",
    "QueryIdentities",
    "Record",
    "RecordedEvent",
    "RepositoryBusy",
    "RepositoryOverloaded",
    "RepositoryUnavailable",
    "Resolution",
    "RetentionReport",
    "Revise",
    "RuleBook",
    "RuleOnIdentities",
    "RuleSet",
    "Ruled",
    "RulesInForce",
    "RulesPreview",
    "Ruling",
    "SharedValue",
    "Sightings",
    "Snapshot",
    "StalePlan",
    "Standing",
    "StillReferenced",
    "SuggestRules",
    "Suggestion",
    "Suppressed",
    "Unseen",
    "UnsettledLink",
    "Verdict",
    "WeakValue",
    "WeakestLink",
    "WeakestValue",
    "Withdrawal",
    "WriteSet",
    "as_of",
    "cut_page",
    "draw",
    "draw_as_of",
    "explain",
    "find_known",
    "import_contacts",
    "preview",
    "reconcile",
    "reconcile_in_turn",
    "repair",
    "resolve",
]
