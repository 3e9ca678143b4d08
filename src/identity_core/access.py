"""The use case that hands out what is known of a person."""

from identity_core.ports import AuditTrail, IdentityReader, Offload, run_inline
from identity_core.queries.disclose import Disclosure, disclose, find_person
from identity_core.read_dossier import read_dossier
from identity_core.rules.erase import Target


class AccessIdentities:
    """Hands out everything on record of a person, and records that it did.

    The target is a value, or the id of any contact; either names the whole identity that it belongs to.

    Args:
        reader: where identities are read.
        trail: keeps who got what.
        offload: runs the work on very large identities.

    >>> import asyncio
    >>> from identity_core import AccessIdentities, ContactDetails, IdentifyContacts
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> repository = InMemoryContactRepository()
    >>> identity = asyncio.run(IdentifyContacts(repository)(ContactDetails("doc@hillvalley.edu", "555-0123")))
    >>> access = AccessIdentities(repository, repository)
    >>> disclosure = asyncio.run(access(identity.primary_contact_id, "marty"))
    >>> [known.value.value for known in disclosure.values]
    ['doc@hillvalley.edu', '5550123']
    """

    def __init__(self, reader: IdentityReader, trail: AuditTrail, *, offload: Offload = run_inline) -> None:
        self._reader = reader
        self._trail = trail
        self._offload = offload

    async def __call__(self, target: Target, by: str | None = None) -> Disclosure:
        """Read everything on record of a target. It is returned only once that is recorded.

        Args:
            target: a value, or the id of a contact.
            by: who gets it; None if nobody says.

        Raises:
            NotRecorded: nothing is on record of it.
            Erased: the contact was erased.
            RepositoryUnavailable: it cannot be read, or recorded, for now.
        """
        dossier, scope, _ = await read_dossier(self._reader, target, self._offload)
        size = dossier.record.size
        person = await self._offload(size, find_person, dossier, scope)
        contacts = [*person.contacts, *(one.contact for one in person.deleted)]
        events = await self._reader.events(contacts)
        disclosure = await self._offload(size, disclose, dossier, person, events)
        await self._trail.record_access(person.contact_ids, by)
        return disclosure
