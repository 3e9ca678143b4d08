"""An embedded PostgreSQL server, used if no other database is configured.

It is a full and durable PostgreSQL, installed from a package on PyPI. Its data are in one folder. It
listens on a Unix socket that only its owner can reach, never on the network. It belongs to the process
that started it and ends with this process, however the process ends. Other processes on the same folder
use the same server.
"""

from identity_adapters.embedded.cluster import as_unprivileged_user, packaged_programs
from identity_adapters.embedded.database import embedded_database, is_owned
from identity_adapters.embedded.errors import EmbeddedDatabaseUnavailable

__all__ = [
    "EmbeddedDatabaseUnavailable",
    "as_unprivileged_user",
    "embedded_database",
    "is_owned",
    "packaged_programs",
]
