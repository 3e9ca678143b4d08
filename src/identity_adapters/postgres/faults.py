"""Which errors of the database are nobody's mistake, and what callers are told of them.

The server's own words are never passed on: they quote values.
"""

import psycopg
from attrs import frozen
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from identity_core import RepositoryBusy, RepositoryUnavailable


@frozen
class Fault:
    """An error that is nobody's mistake.

    Attributes:
        reason: what callers are told.
        passes: whether trying again at once may help.
        is_of_details: whether other details may fare better.
    """

    reason: str
    passes: bool = False
    is_of_details: bool = False

    def error(self) -> RepositoryUnavailable:
        """What callers get."""
        return (RepositoryBusy if self.is_of_details else RepositoryUnavailable)(self.reason)


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_SQLSTATE = {
    "40001": Fault("too many transactions changed the same rows", passes=True),  # serialization_failure
    "40P01": Fault("too many transactions waited for each other", passes=True),  # deadlock_detected
    "23505": Fault("another program wrote the same row", passes=True),  # unique_violation
    "57P01": Fault("the database is shutting down", passes=True),  # admin_shutdown
    "57P02": Fault("the database crashed", passes=True),  # crash_shutdown
    "57P03": Fault("the database is starting up", passes=True),  # cannot_connect_now
    "55P03": Fault("the database was locked for too long", is_of_details=True),  # lock_not_available
    "57014": Fault("the database took too long", is_of_details=True),  # query_canceled
    "22P05": Fault("the database is not in UTF8 and cannot hold these details", is_of_details=True),
    "25006": Fault("the database is read-only"),  # read_only_sql_transaction
    "42P01": Fault("the database is not migrated"),  # undefined_table
}
_BY_CLASS = {
    "08": Fault("the connection to the database was lost", passes=True),  # connection_exception
    "28": Fault("the database refuses the user or the password"),
    "53": Fault("the database is out of disk, memory or connections"),  # insufficient_resources
    "58": Fault("the database has a system error"),
}
_NO_CONNECTION = Fault("the database cannot be reached", passes=True)
_NO_FREE_CONNECTION = Fault("all connections to the database are in use")
TOO_MUCH = Fault("too much is known of these details to be looked at together", is_of_details=True)
NO_ANSWER = Fault("the database does not answer")


def fault(error: psycopg.Error | DBAPIError | PoolTimeoutError) -> Fault | None:
    """What kind of fault an error is; None if it is a mistake in the program."""
    if isinstance(error, PoolTimeoutError):
        return _NO_FREE_CONNECTION
    cause = error.orig if isinstance(error, DBAPIError) else error
    sqlstate: str | None = getattr(cause, "sqlstate", None)
    if sqlstate is None:
        is_lost = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return _NO_CONNECTION if is_lost else None
    return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2])
