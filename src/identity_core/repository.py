"""The port: what the use case needs of whoever keeps the contacts."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from identity_core.changes import Evidence, Reconciliation
from identity_core.contact import Contact
from identity_core.details import ContactDetails
from identity_core.history import Happening
from identity_core.page import Page
from identity_core.snapshot import Snapshot

Decide = Callable[[Snapshot, datetime, Iterator[int]], Reconciliation]
"""A pure function of a snapshot, the time and a supply of new ids, as `reconcile` is."""


class ContactRepository(Protocol):
    """Keeps contacts, evidence and events.

    `identity_core.testing` has the conformance suite that tells whether a repository does
    what is said here.
    """

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        """All that is known of some details: one consistent snapshot, and no lock.

        Returns:
            every identity that has a live contact with one of the emails or phone numbers,
            whole; and which of the pairs are on record as evidence.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
            RepositoryBusy: these details cannot; fewer of them may.
        """
        ...

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        """The live contacts of the identity that a contact belongs to, oldest first.

        The contact may be any that ever existed, a deleted one included. None if there never
        was one with this id.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        """A page of each identity that details touch, or of the one that a contact belongs to.

        However large the identities are, no more is made of them than the pages.

        Args:
            of: details, or the id of any contact that ever existed.
            after: the age (`Contact.age`) of the last contact seen; None for the first page.
            limit: how many contacts a page has at most.

        Returns:
            the pages, that of the identity with the oldest primary first; none for a contact
            that never was, or all of whose identity was deleted.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def evidence(self, contacts: Sequence[Contact]) -> list[Evidence]:
        """The evidence whose email one of some contacts holds, in the order of ids.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def happenings(
        self, contacts: Sequence[Contact], after: int = 0, limit: int | None = None
    ) -> list[Happening]:
        """The events of the identity that some contacts are, in the order of ids.

        Args:
            contacts: all of the identity.
            after: only those with larger ids.
            limit: how many at most.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[Happening], str]:
        """Events of all identities after some place, and the place after them.

        Who asks again and again, each time after the place before, is told of every event
        exactly once, and of none before those that it builds upon.

        Args:
            after: the place, as it was given; None for the beginning.
            limit: how many at most.

        Raises:
            InvalidPlace: no such place was ever given.
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Reconciliation:
        """Decide on some details while nobody else can change what they touch, and persist it.

        `decide` is given what `load` would return, the time, and ascending ids never given
        before, at least one for each of the details. All three are taken after nobody else
        can change, add to or join the identities touched. It may be called several times;
        what its last call returned is persisted, durably, all of it or nothing, and returned.
        An error that it raises comes through, and nothing is persisted.

        Raises:
            RepositoryUnavailable: it cannot be done for now; nothing is known to be persisted.
            RepositoryBusy: these details cannot; fewer of them may.
        """
        ...
