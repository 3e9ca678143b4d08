"""PostgreSQL adapters of all ports, and the migration, verification and repair of databases."""

from identity_adapters.postgres.audit import PostgresAuditTrail
from identity_adapters.postgres.census import Census, take_census
from identity_adapters.postgres.database import Database
from identity_adapters.postgres.engine import create_engine
from identity_adapters.postgres.feed import PostgresChangeFeed
from identity_adapters.postgres.reader import PostgresIdentityReader
from identity_adapters.postgres.repository import PostgresContactRepository
from identity_adapters.postgres.rows import EmailForms
from identity_adapters.postgres.rule_book import PostgresRuleBook
from identity_adapters.postgres.schema import SchemaOutdated, SchemaUnusable, check_schema, migrate
from identity_adapters.postgres.sightings import PostgresSightings
from identity_adapters.postgres.verify import RepairReport, Violation, repair_database, verify
from identity_adapters.postgres.webhooks import PostgresWebhooks

__all__ = [
    "Census",
    "Database",
    "EmailForms",
    "PostgresAuditTrail",
    "PostgresChangeFeed",
    "PostgresContactRepository",
    "PostgresIdentityReader",
    "PostgresRuleBook",
    "PostgresSightings",
    "PostgresWebhooks",
    "RepairReport",
    "SchemaOutdated",
    "SchemaUnusable",
    "Violation",
    "check_schema",
    "create_engine",
    "migrate",
    "repair_database",
    "take_census",
    "verify",
]
