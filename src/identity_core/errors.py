"""The errors: as few as callers need to tell apart.

No error quotes an email or a phone number, because its text may end in a log.
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


class Blocked(IdentityError):
    """Details that identify nobody, because all their values are blocked.

    Attributes:
        field: ``email`` or ``phone_number``.
        reason: why, as the end of a sentence that starts with the field.
    """

    def __init__(self, field: str) -> None:
        self.field = field
        self.reason = "is blocked and identifies nobody"
        super().__init__(f"{field} {self.reason}")


class Suppressed(IdentityError):
    """A value that was erased on request, and that is kept out since.

    Attributes:
        field: ``email`` or ``phone_number``; of a ruling, ``one`` or ``other``.
        reason: why, as the end of a sentence that starts with the field.
    """

    def __init__(self, field: str) -> None:
        self.field = field
        self.reason = "was erased on request and is kept out"
        super().__init__(f"{field} {self.reason}")


class CannotSuppress(IdentityError):
    """Values are to be kept out by a repository that has no key to do so; nothing was erased."""

    def __init__(self) -> None:
        super().__init__("nobody can be kept out without a key")


class Erased(IdentityError):
    """A contact that was erased, with the person that it belonged to."""

    def __init__(self) -> None:
        super().__init__("this contact was erased")


class StillReferenced(IdentityError):
    """Another table of the database refers to contacts that are to be erased; nothing was erased."""

    def __init__(self) -> None:
        super().__init__("another table of the database refers to contacts of this person")


class LastSeenUnknown(IdentityError):
    """It is not recorded when values were last seen, or not for as long as somebody asks."""


class InvalidCursor(IdentityError):
    """A cursor that the feed of changes never returned."""


class RepositoryUnavailable(IdentityError):
    """The repository cannot answer for now; nothing is left half-written.

    Whether a write took effect may be unknown. It is safe to send the same details again.

    Attributes:
        reason: why, without personal values.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RepositoryBusy(RepositoryUnavailable):
    """What some details match was locked or took for too long, or is too much for one batch.

    Other details, or fewer of them, may succeed.
    """


class RepositoryOverloaded(RepositoryUnavailable):
    """Too many callers wait for the repository already; this one was rejected at once."""


class NotRecorded(IdentityError):
    """What a ruling is about was never recorded.

    Attributes:
        field: which of the inputs.
        reason: why, as the end of a sentence that starts with the field.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class StalePlan(IdentityError):
    """The record is no longer what a plan was made of."""
