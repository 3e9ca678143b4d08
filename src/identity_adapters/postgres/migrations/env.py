"""The environment in which Alembic applies the migrations for `identity_adapters.postgres.schema`."""

from alembic import context

from identity_adapters.postgres.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
