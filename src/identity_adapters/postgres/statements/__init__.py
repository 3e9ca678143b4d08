"""Every SQL statement of the ports, in the syntax of psycopg.

Lists are JSON: an array of values, or of objects that become rows. So a statement is the same for one
and for a thousand details, and PostgreSQL can keep its plan. PostgreSQL also keeps a plan that it made
while the tables were new and empty, until they are analysed. So each row is looked up by a subquery of
its own, which OFFSET 0 keeps from being inlined: then only the index can serve it. In a join, the
planner may prefer to read a whole small table.
"""

from identity_adapters.postgres.statements.census import CENSUS, READ_TABLES
from identity_adapters.postgres.statements.history import (
    CHANGES,
    CHANGES_SINCE,
    CURRENT_SNAPSHOT,
    EVENT,
    EVENTS,
    EVIDENCE,
    ONE_SNAPSHOT,
)
from identity_adapters.postgres.statements.identities import (
    CONTACTS_WITH_IDS,
    COUNT_OTHERS,
    CREATED_AT,
    EMAIL,
    FIND,
    HAS_PINS,
    HUBS,
    HUBS_OF_CONTACT,
    LINEAGE,
    LOAD,
    LOAD_COLUMNS,
    LOAD_TO_DECIDE,
    LOAD_WITH_BLOCKED,
    LOAD_WITH_LIMITS,
    PAGES,
    PARTS,
    PHONE_NUMBER,
)
from identity_adapters.postgres.statements.locks import (
    BEGIN,
    COMMIT,
    LOCK_GLOBALLY,
    LOCK_IDENTIFIERS,
    LOCK_PRIMARIES,
    NOW_AND_IDS,
    TRY_LOCK,
)
from identity_adapters.postgres.statements.rules import (
    COUNT_IDENTITIES,
    HOMES,
    LARGEST,
    LAST_ID,
    MOST_SHARED,
    PUT_RULES,
    RULES_IN_FORCE,
    SETTLE_RULES,
    UNSETTLED,
    UNSETTLED_RETROACTIVELY,
    WAITING,
    WEIGH,
)
from identity_adapters.postgres.statements.rulings import (
    EVIDENCE_ABOUT,
    PAIR,
    PINS_APART,
    RULE,
    RULINGS,
    RULINGS_ABOUT,
)
from identity_adapters.postgres.statements.writes import COPY_CONTACTS, COPY_EVENTS, INSERT, UPDATE

# Returns nothing; fails if the tables do not exist.
CHECK = "SELECT FROM contacts, contact_evidence, contact_events, contact_rulings, contact_rules LIMIT 0"

REPLANNED = frozenset([UPDATE, RULE, CENSUS, MOST_SHARED, LARGEST, WEIGH])
"""The statements that are planned on each execution."""

__all__ = [
    "BEGIN",
    "CENSUS",
    "CHANGES",
    "CHANGES_SINCE",
    "CHECK",
    "COMMIT",
    "CONTACTS_WITH_IDS",
    "COPY_CONTACTS",
    "COPY_EVENTS",
    "COUNT_IDENTITIES",
    "COUNT_OTHERS",
    "CREATED_AT",
    "CURRENT_SNAPSHOT",
    "EMAIL",
    "EVENT",
    "EVENTS",
    "EVIDENCE",
    "EVIDENCE_ABOUT",
    "FIND",
    "HAS_PINS",
    "HOMES",
    "HUBS",
    "HUBS_OF_CONTACT",
    "INSERT",
    "LARGEST",
    "LAST_ID",
    "LINEAGE",
    "LOAD",
    "LOAD_COLUMNS",
    "LOAD_TO_DECIDE",
    "LOAD_WITH_BLOCKED",
    "LOAD_WITH_LIMITS",
    "LOCK_GLOBALLY",
    "LOCK_IDENTIFIERS",
    "LOCK_PRIMARIES",
    "MOST_SHARED",
    "NOW_AND_IDS",
    "ONE_SNAPSHOT",
    "PAGES",
    "PAIR",
    "PARTS",
    "PHONE_NUMBER",
    "PINS_APART",
    "PUT_RULES",
    "READ_TABLES",
    "REPLANNED",
    "RULE",
    "RULES_IN_FORCE",
    "RULINGS",
    "RULINGS_ABOUT",
    "SETTLE_RULES",
    "TRY_LOCK",
    "UNSETTLED",
    "UNSETTLED_RETROACTIVELY",
    "UPDATE",
    "WAITING",
    "WEIGH",
]
