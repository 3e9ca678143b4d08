"""Failures: the database errors that no bug causes, and the reasons that callers get.

The server's own messages are never passed on, because they quote values.
"""

import psycopg
from attrs import frozen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from identity_core import RepositoryBusy, RepositoryUnavailable


@frozen
class Failure:
    """A database error that no bug causes.

    Attributes:
        reason: the reason that callers get.
        is_transient: whether an immediate retry may help.
        depends_on_details: whether other details may succeed.
    """

    reason: str
    is_transient: bool = False
    depends_on_details: bool = False

    def to_error(self) -> RepositoryUnavailable:
        """The error that callers get."""
        return (RepositoryBusy if self.depends_on_details else RepositoryUnavailable)(self.reason)


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_SQLSTATE = {
    # serialization_failure
    "40001": Failure("too many transactions changed the same rows", is_transient=True),
    # deadlock_detected
    "40P01": Failure("too many transactions waited for each other", is_transient=True),
    # unique_violation
    "23505": Failure("another program wrote the same row", is_transient=True),
    # admin_shutdown
    "57P01": Failure("the database is shutting down", is_transient=True),
    # crash_shutdown
    "57P02": Failure("the database crashed", is_transient=True),
    # cannot_connect_now
    "57P03": Failure("the database is starting up", is_transient=True),
    # lock_not_available
    "55P03": Failure("the database was locked for too long", depends_on_details=True),
    # query_canceled
    "57014": Failure("the database took too long", depends_on_details=True),
    # untranslatable_character
    "22P05": Failure("the database is not in UTF8 and cannot hold these details", depends_on_details=True),
    # read_only_sql_transaction
    "25006": Failure("the database is read-only"),
    # undefined_table
    "42P01": Failure("the database is not migrated"),
}
_BY_CLASS = {
    # connection_exception
    "08": Failure("the connection to the database was lost", is_transient=True),
    # invalid_authorization_specification
    "28": Failure("the database rejects the user or the password"),
    # insufficient_resources
    "53": Failure("the database is out of disk, memory or connections"),
    # system_error
    "58": Failure("the database has a system error"),
}
_NO_CONNECTION = Failure("the database cannot be reached", is_transient=True)
_NO_FREE_CONNECTION = Failure("all connections to the database are in use")
TOO_MANY_CONTACTS = Failure(
    "these details match too many contacts to be read together", depends_on_details=True
)
NO_ANSWER = Failure("the database does not answer")


def classify(error: psycopg.Error | DBAPIError | PoolTimeoutError) -> Failure | None:
    """Find the failure behind an error; None if the error is a bug."""
    if isinstance(error, PoolTimeoutError):
        return _NO_FREE_CONNECTION
    cause = error.orig if isinstance(error, DBAPIError) else error
    sqlstate: str | None = getattr(cause, "sqlstate", None)
    if sqlstate is None:
        is_lost = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return _NO_CONNECTION if is_lost else None
    return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2])
