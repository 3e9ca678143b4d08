"""What can go wrong, as few errors as callers can tell apart.

An error never quotes an email or a phone number: its text may end in a log.
"""


class IdentityError(Exception):
    """The base of every error that this library raises on purpose."""


class InvalidDetails(IdentityError):
    """Details that cannot identify anybody.

    Attributes:
        field: ``email``, ``phone_number``, ``seen_at``, or ``details`` where they are
            wrong as a whole.
        reason: why, as the end of a sentence that starts with the field.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class InvalidPlace(IdentityError):
    """A place in the feed of changes that was never given."""


class RepositoryUnavailable(IdentityError):
    """The repository could not answer for now; nothing half-done is left behind.

    Whether a write took effect may be unknown. Sending the same details again is safe:
    doing it twice is doing it once.

    Attributes:
        reason: why, without personal values.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RepositoryBusy(RepositoryUnavailable):
    """What some details touch was locked, or took, for too long, or is too much at once.

    Others, or fewer, may fare better.
    """


class RepositoryOverloaded(RepositoryUnavailable):
    """Too many wait for the repository already; whoever came was sent away at once."""
