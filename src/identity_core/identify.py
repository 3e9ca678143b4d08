"""The use case: identify customers by the details they gave."""

import asyncio
from collections.abc import Sequence
from functools import partial

from identity_core.details import ContactDetails
from identity_core.identity import Identity
from identity_core.reconcile import reconcile, settled
from identity_core.repository import ContactRepository

LARGE = 1_000
"""From how many contacts on others get their turn while a snapshot is looked at."""


class IdentifyContacts:
    """Links details with what is known, and says whose they are.

    Details that teach nothing new are answered from what was read, without any lock; most
    are of that kind. Only the others are decided on under the repository's exclusive access.

    >>> import asyncio
    >>> from identity_core import ContactDetails, IdentifyContacts
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> identify = IdentifyContacts(InMemoryContactRepository())
    >>> identity = asyncio.run(identify(ContactDetails(email="doc@hillvalley.edu", phone_number="555-0123")))
    >>> identity.primary_contact_id, identity.phone_numbers
    (1, ('5550123',))
    """

    def __init__(self, repository: ContactRepository) -> None:
        self._repository = repository

    async def __call__(self, details: ContactDetails) -> Identity:
        """The identity of one customer, after the details were linked to it.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        [identity] = await self.many([details])
        return identity

    async def many(self, batch: Sequence[ContactDetails]) -> list[Identity]:
        """The identity of each of the details, as if they came one after the other.

        The whole batch costs as many round trips to the repository as one of the details.
        Each identity is as it was at some moment after the call.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        known = await self.known(batch)
        unsettled = [details for details, identity in zip(batch, known, strict=True) if identity is None]
        decided = iter(await self.decide(unsettled) if unsettled else ())
        return [identity if identity is not None else next(decided) for identity in known]

    async def known(self, batch: Sequence[ContactDetails]) -> list[Identity | None]:
        """The first half of `many`: identities of details that teach nothing new, None for the others.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        snapshot = await self._repository.load(batch)
        if snapshot.size < LARGE:
            return settled(batch, snapshot)
        return await asyncio.to_thread(settled, batch, snapshot)

    async def decide(self, batch: Sequence[ContactDetails]) -> Sequence[Identity]:
        """The second half of `many`: decides on details and has the outcome persisted.

        Raises:
            RepositoryUnavailable: ask again later; it is safe to.
        """
        decided = await self._repository.transact(batch, partial(reconcile, batch))
        return decided.identities
