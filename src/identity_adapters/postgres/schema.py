"""Migration of a new database, or of an existing one with a table `contacts`."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.pool import NullPool

_logger = logging.getLogger(__name__)

MIGRATION_LOCK = 0x6D69_6772_6174_6521
"""The key of the advisory lock that lets one process migrate at a time."""

VERSION_TABLE = "identity_schema_version"


_MIGRATIONS = Path(__file__).parent / "migrations"
_REVISIONS = frozenset(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


class SchemaUnusable(Exception):
    """The database, or its table `contacts`, is unsuitable; nothing was changed."""


class SchemaOutdated(Exception):
    """The database has no schema or that of an older version; the text says what to do."""


def migrate(url: URL) -> None:
    """Migrate the database to the schema of this version. Any number of processes may do so at once.

    An existing table `contacts` is adopted: none of its rows is rewritten, and other programs may
    continue to write to it meanwhile. The schema of a newer version is left unchanged; schemas only
    grow, so this version works with it.

    Args:
        url: of the form ``postgresql+psycopg://…``.

    Raises:
        SchemaUnusable: an existing table `contacts` lacks required columns, or emails cannot be compared
            in the encoding of the database.
        sqlalchemy.exc.DBAPIError: the database cannot be reached, or rejects a statement.
    """
    from alembic import command  # slow to import, and most commands do not need it
    from alembic.config import Config

    with _connect(url) as connection:
        _acquire_lock(connection)
        _check_encoding(connection)
        if not _REVISIONS.issuperset(_read_revisions(connection)):
            _logger.warning("the database has the schema of a newer version; it is left unchanged")
        else:
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        _adopt_events(connection)


# What the migration 0009 found was written by this server, unless its transactions are in the future.
_FORGET_TRANSACTIONS = """
UPDATE contact_events SET transaction_id = NULL
WHERE transaction_id IS NOT NULL AND (
    EXISTS (SELECT FROM contact_server) OR transaction_id >= pg_snapshot_xmax(pg_current_snapshot())
)
"""


def _adopt_events(connection: Connection) -> None:
    """Forget the transactions of events that were restored from another server.

    Transactions are numbered by each server. By the numbers of another one, events that are new would be
    taken for old ones, and restored ones for events that are yet to come.
    """
    server, numbered_by = connection.execute(
        text(
            "SELECT (SELECT system_identifier FROM pg_control_system()),"
            " (SELECT system_identifier FROM contact_server)"
        )
    ).one()
    if server != numbered_by:
        connection.execute(text(_FORGET_TRANSACTIONS))
        connection.execute(text("DELETE FROM contact_server"))
        connection.execute(text("INSERT INTO contact_server VALUES (:server)"), {"server": server})
    connection.commit()


def check_schema(url: URL) -> None:
    """Check that the database has the schema of this version or of a newer one.

    Args:
        url: as for `migrate`.

    Raises:
        SchemaOutdated: it has no schema, or that of an older version.
        sqlalchemy.exc.DBAPIError: the database cannot be reached, or rejects a statement.
    """
    with _connect(url) as connection:
        revisions = _read_revisions(connection)
    if not revisions:
        raise SchemaOutdated("the database is not migrated; run 'identity migrate' first")
    if revisions <= _REVISIONS - {max(_REVISIONS)}:
        raise SchemaOutdated("the database has the schema of an older version; run 'identity migrate' first")


def _connect(url: URL) -> Connection:
    return create_engine(url, poolclass=NullPool, hide_parameters=True).connect()


def _read_revisions(connection: Connection) -> set[str]:
    """Read the revision of the database; none if it was never migrated."""
    found: set[str] = set()
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}) is not None:
        found.update(connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")))
    connection.rollback()
    return found


def _check_encoding(connection: Connection) -> None:
    encoding, width = connection.execute(
        text(
            "SELECT getdatabaseencoding(), pg_encoding_max_length(pg_char_to_encoding(getdatabaseencoding()))"
        )
    ).one()
    connection.rollback()
    if encoding != "UTF8" and width > 1:
        raise SchemaUnusable(f"the encoding of the database must be UTF8 or single-byte, not {encoding}")


def build_indexes(table: str, indexes: Mapping[str, str]) -> None:
    """Build indexes in a migration.

    Other programs may write to the table meanwhile. An interrupted build leaves an invalid index, which
    is built again.

    Args:
        table: the table.
        indexes: the indexed expressions by the names of the indexes.
    """
    from alembic import op

    connection = op.get_bind()
    with op.get_context().autocommit_block():
        for name, indexed in indexes.items():
            is_valid = connection.scalar(
                text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": name}
            )
            if is_valid is False:
                op.execute(f"DROP INDEX CONCURRENTLY {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {indexed}")


def _acquire_lock(connection: Connection) -> None:
    # The lock is polled, because a concurrent index build waits for every running statement, including
    # one that waits for this lock.
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}).scalar():
        connection.rollback()
        time.sleep(0.1)
    connection.rollback()
