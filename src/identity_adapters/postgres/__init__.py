"""Contacts in PostgreSQL."""

from identity_adapters.postgres.engine import create_engine
from identity_adapters.postgres.repository import PostgresContactRepository
from identity_adapters.postgres.schema import SchemaUnusable, migrate

__all__ = ["PostgresContactRepository", "SchemaUnusable", "create_engine", "migrate"]
