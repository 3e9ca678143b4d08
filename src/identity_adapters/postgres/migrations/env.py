"""What Alembic runs to apply the migrations; `identity_adapters.postgres.schema` calls it."""

from alembic import context

from identity_adapters.postgres.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
