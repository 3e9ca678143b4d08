"""Failures: the database errors that are nobody's mistake, and what callers are told about them.

The server's own messages are never passed on, because they quote values.
"""

import psycopg
from attrs import frozen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from identity_core import RepositoryBusy, RepositoryUnavailable


@frozen
class Failure:
    """A database error that is nobody's mistake.

    Attributes:
        reason: what callers are told.
        passes: whether an immediate retry may help.
        is_of_details: whether other details may succeed.
    """

    reason: str
    passes: bool = False
    is_of_details: bool = False

    def to_error(self) -> RepositoryUnavailable:
        """The error that callers get."""
        return (RepositoryBusy if self.is_of_details else RepositoryUnavailable)(self.reason)


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_SQLSTATE = {
    "40001": Failure("too many transactions changed the same rows", passes=True),  # serialization_failure
    "40P01": Failure("too many transactions waited for each other", passes=True),  # deadlock_detected
    "23505": Failure("another program wrote the same row", passes=True),  # unique_violation
    "57P01": Failure("the database is shutting down", passes=True),  # admin_shutdown
    "57P02": Failure("the database crashed", passes=True),  # crash_shutdown
    "57P03": Failure("the database is starting up", passes=True),  # cannot_connect_now
    "55P03": Failure("the database was locked for too long", is_of_details=True),  # lock_not_available
    "57014": Failure("the database took too long", is_of_details=True),  # query_canceled
    "22P05": Failure("the database is not in UTF8 and cannot hold these details", is_of_details=True),
    "25006": Failure("the database is read-only"),  # read_only_sql_transaction
    "42P01": Failure("the database is not migrated"),  # undefined_table
}
_BY_CLASS = {
    "08": Failure("the connection to the database was lost", passes=True),  # connection_exception
    "28": Failure("the database refuses the user or the password"),
    "53": Failure("the database is out of disk, memory or connections"),  # insufficient_resources
    "58": Failure("the database has a system error"),
}
_NO_CONNECTION = Failure("the database cannot be reached", passes=True)
_NO_FREE_CONNECTION = Failure("all connections to the database are in use")
TOO_MUCH = Failure("these details match too many contacts to be read together", is_of_details=True)
NO_ANSWER = Failure("the database does not answer")


def classify(error: psycopg.Error | DBAPIError | PoolTimeoutError) -> Failure | None:
    """The failure that an error is; None if it is a mistake in the program."""
    if isinstance(error, PoolTimeoutError):
        return _NO_FREE_CONNECTION
    cause = error.orig if isinstance(error, DBAPIError) else error
    sqlstate: str | None = getattr(cause, "sqlstate", None)
    if sqlstate is None:
        is_lost = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return _NO_CONNECTION if is_lost else None
    return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2])
