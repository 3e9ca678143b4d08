"""Contacts in PostgreSQL."""

from identity_adapters.postgres.engine import create_engine
from identity_adapters.postgres.repository import PostgresContactRepository
from identity_adapters.postgres.schema import SchemaOutdated, SchemaUnusable, check_schema, migrate
from identity_adapters.postgres.verification import Mended, Violation, repair, verify

__all__ = [
    "Mended",
    "PostgresContactRepository",
    "SchemaOutdated",
    "SchemaUnusable",
    "Violation",
    "check_schema",
    "create_engine",
    "migrate",
    "repair",
    "verify",
]
