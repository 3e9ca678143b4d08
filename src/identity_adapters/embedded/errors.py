"""The error of the embedded server."""


class EmbeddedDatabaseUnavailable(Exception):
    """The embedded server cannot run here; the text says why and what to do."""
