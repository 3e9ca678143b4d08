"""Setting up the tables, in a new database or beside the `contacts` of an existing one."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.pool import NullPool

_logger = logging.getLogger(__name__)

MIGRATION_LOCK = 0x6D69_6772_6174_6521
"""The advisory lock that one process at a time migrates under."""

VERSION_TABLE = "identity_schema_version"


_MIGRATIONS = Path(__file__).parent / "migrations"
_REVISIONS = frozenset(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


class SchemaUnusable(Exception):
    """The database, or its `contacts` table, is of another kind; nothing was changed."""


class SchemaOutdated(Exception):
    """The database is not migrated, or to an older version's schema; the text says what to do."""


def migrate(url: URL) -> None:
    """Bring the database to the schema of this version. Any number of processes may at once.

    An existing `contacts` table is adopted as it is: no row of it is rewritten, and others may
    go on writing it meanwhile. The schema of a newer version is left as it is; schemas only grow, so
    that this version works with it.

    Args:
        url: of the form ``postgresql+psycopg://…``.

    Raises:
        SchemaUnusable: there is a table `contacts` that lacks what is needed, or the database
            has an encoding whose emails cannot be compared.
        sqlalchemy.exc.DBAPIError: the database cannot be reached, or refuses.
    """
    from alembic import command  # takes long to import, and most commands do without
    from alembic.config import Config

    with _connect(url) as connection:
        _acquire_lock(connection)
        _check_encoding(connection)
        if not _REVISIONS.issuperset(_read_revisions(connection)):
            _logger.warning("the database has the schema of a newer version, which is left as it is")
            return
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_schema(url: URL) -> None:
    """Nothing, if the database has the schema of this version, or of a newer one; nothing is changed.

    Args:
        url: as for `migrate`.

    Raises:
        SchemaOutdated: it has none, or an older version's.
        sqlalchemy.exc.DBAPIError: the database cannot be reached, or refuses.
    """
    with _connect(url) as connection:
        revisions = _read_revisions(connection)
    if not revisions:
        raise SchemaOutdated("the database is not migrated; run 'identity migrate' first")
    if revisions <= _REVISIONS - {max(_REVISIONS)}:
        raise SchemaOutdated("the database has an older version's schema; run 'identity migrate' first")


def _connect(url: URL) -> Connection:
    return create_engine(url, poolclass=NullPool, hide_parameters=True).connect()


def _read_revisions(connection: Connection) -> set[str]:
    """The migrations that the database is at: one, or none where it was never migrated."""
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
        raise SchemaUnusable(f"the encoding of the database is {encoding}; it must be UTF8, or of one byte")


def build_indexes(table: str, indexes: Mapping[str, str]) -> None:
    """Build indexes by their names, in a migration.

    Others may write the table meanwhile. An index that an interrupted build left behind is there, but
    not valid; it is built again.
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
    # Asked for again and again instead of waited for: an index that is built while others write
    # waits for every running statement, also for one that waits for this lock.
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}).scalar():
        connection.rollback()
        time.sleep(0.1)
    connection.rollback()
