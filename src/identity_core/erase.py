"""The use case that erases: a person goes, and what is left is as if they had never come."""

from collections.abc import Callable, Set
from datetime import datetime
from functools import partial

from attrs import frozen

from identity_core.errors import RepositoryBusy, StalePlan
from identity_core.model.contact import Contact
from identity_core.model.dossier import Dossier
from identity_core.model.erasure import LedgerEntry, Leftover
from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import Identifier, to_identifiers
from identity_core.model.lineage import DeletedContact
from identity_core.model.ruling import Ruling
from identity_core.ports import AuditTrail, ContactRepository, IdentityReader, Offload, run_inline
from identity_core.read_dossier import read_dossier
from identity_core.rules.erase import (
    Erasing,
    Outdated,
    RulesNameValue,
    Scope,
    Target,
    WeakValue,
    erase,
    erase_again,
    find_leading,
    find_leading_of_all,
    find_weak_values,
)
from identity_core.rules.repair import repair

ATTEMPTS = 20
"""How often an erasure begins anew, because what is on record changed meanwhile."""


@frozen
class ErasurePreview:
    """What an erasure would remove.

    Attributes:
        plan: a token of the person; sent along with the erasure, it makes sure that they are still the same.
        values: their values, sorted.
        contacts: their live contacts, oldest first.
        deleted: their deleted contacts, in the order of ids.
        evidence: the pairs that no contact holds, whether they count or not, in the order of ids.
        rulings: those in force, in the order of ids.
        withdrawn: those that no longer are, in the order of ids.
        blocked: their values that the rules block, sorted; those that a pattern blocks are not among them.
        weak_values: single values that alone join emails, so that these may be of strangers.
    """

    plan: str
    values: tuple[Identifier, ...]
    contacts: tuple[Contact, ...]
    deleted: tuple[DeletedContact, ...]
    evidence: tuple[Evidence, ...]
    rulings: tuple[Ruling, ...]
    withdrawn: tuple[Ruling, ...]
    blocked: tuple[Identifier, ...]
    weak_values: tuple[WeakValue, ...]


class EraseIdentities:
    """Erases persons: their contacts, and every pair, ruling and block that names one of their values.

    A target is a value, or the id of any contact. It is erased with the whole identity that it belongs to; a
    value that identifies nobody alone.

    Every method raises `RepositoryUnavailable` if it cannot be done for now.

    Args:
        repository: where the contacts are kept.
        reader: reads the same contacts.
        trail: keeps who was erased there.
        offload: runs the work on very large identities.
        on_erased: called with each erasure once it is persisted.

    >>> import asyncio
    >>> from identity_core import ContactDetails, EraseIdentities, IdentifyContacts
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> repository = InMemoryContactRepository()
    >>> identity = asyncio.run(IdentifyContacts(repository)(ContactDetails("doc@hillvalley.edu", "555-0123")))
    >>> erase = EraseIdentities(repository, repository, repository)
    >>> asyncio.run(erase(identity.primary_contact_id, "marty")).contact_ids
    (1,)
    >>> asyncio.run(repository.find(1))
    Traceback (most recent call last):
        ...
    identity_core.errors.Erased: this contact was erased
    """

    def __init__(
        self,
        repository: ContactRepository,
        reader: IdentityReader,
        trail: AuditTrail,
        *,
        offload: Offload = run_inline,
        on_erased: Callable[[LedgerEntry], None] = lambda _: None,
    ) -> None:
        self._repository = repository
        self._reader = reader
        self._trail = trail
        self._offload = offload
        self._on_erased = on_erased

    async def preview(self, target: Target) -> ErasurePreview:
        """Tell what erasing a target would remove; nothing is written.

        Raises:
            NotRecorded: nothing is on record of it.
            Erased: the contact was erased already.
        """
        dossier, scope, _ = await read_dossier(self._reader, target, self._offload)
        return await self._offload(dossier.record.size, _preview, dossier, scope)

    async def __call__(
        self,
        target: Target,
        by: str | None = None,
        *,
        plan: str | None = None,
        suppressed_until: datetime | None = None,
    ) -> LedgerEntry:
        """Erase a target, all of it or nothing.

        Args:
            target: a value, or the id of a contact.
            by: who erases; None if nobody says.
            plan: that of a preview; None for no matter who it is.
            suppressed_until: until when the values are kept out, in UTC; None if they may come back.

        Raises:
            NotRecorded: nothing is on record of it.
            Erased: the contact was erased already.
            StalePlan: the person is no longer who the plan was made of.
            StillReferenced: another table refers to their contacts.
            CannotSuppress: the values are to be kept out, and the repository has no key to do so.
        """
        alone = False
        for _ in range(ATTEMPTS):
            dossier, scope, is_in_line = await read_dossier(self._reader, target, self._offload)
            if not is_in_line:
                await self._repository.revise(find_leading_of_all(dossier), repair)
                continue
            if plan not in (None, scope.plan):
                raise StalePlan("the person is no longer who the plan was made of")
            decide = partial(
                erase,
                scope=scope,
                rules=dossier.record.rules,
                by=by,
                suppressed_until=suppressed_until,
                alone=alone,
            )
            leading = find_leading(scope, target)
            try:
                return await self._conclude(await self._repository.revise(leading, decide, alone=alone))
            except RulesNameValue:
                alone = True
            except Outdated:
                continue
        raise RepositoryBusy("what is on record of this person changes too often")

    async def erase_again(self, entry: LedgerEntry) -> bool:
        """Erase what a backup brought back of an erasure, and put the erasure on record again.

        What was written after the erasure stays, because its id may have been free again. Where a backup
        lacks several erasures, skip the ids of all of them first (`AuditTrail.skip_ids`).

        Returns:
            whether something was left.
        """
        await self._trail.skip_ids(entry.last_id)
        left = [one for one in await self._trail.find_left(entry) if not one.is_newer]
        if not left:
            await self._trail.adopt_erasure(entry)
            return False
        contacts = await self._find_contacts({one.id for one in left if one.table == "contacts"})
        blocked: set[Identifier] = set()
        if any(one.table == "contact_rules" for one in left):
            blocked = entry.find_blocked((await self._reader.dossier([])).rules)
        values = blocked.union(*(contact.identifiers for contact in contacts))
        for one in left:
            values |= await self._find_values_of(one)
        decide = partial(erase_again, contacts=contacts, blocked=blocked, entry=entry)
        await self._conclude(await self._repository.revise(values, decide, alone=True))
        return True

    async def _find_contacts(self, ids: Set[int]) -> list[Contact]:
        """The contacts with some ids, which may be deleted."""
        found: dict[int, Contact] = {}
        for id in sorted(ids):
            if id not in found and (lineage := await self._reader.lineage(id)) is not None:
                contacts = [*lineage.contacts, *(deleted.contact for deleted in lineage.deleted)]
                found.update((contact.id, contact) for contact in contacts if contact.id in ids)
        return [*found.values()]

    async def _find_values_of(self, one: Leftover) -> frozenset[Identifier]:
        """The values that evidence or a ruling in force names."""
        if one.table == "contact_evidence":
            pair = await self._reader.pair(one.id)
            return frozenset(() if pair is None else to_identifiers(*pair))
        rulings = await self._reader.rulings(one.id - 1, 1) if one.table == "contact_rulings" else ()
        return frozenset(value for ruling in rulings if ruling.id == one.id for value in ruling.values)

    async def _conclude(self, erasing: Erasing) -> LedgerEntry:
        [entry] = await self._trail.ledger(erasing.erasure.id - 1, 1)
        self._on_erased(entry)
        return entry


def _preview(dossier: Dossier, scope: Scope) -> ErasurePreview:
    record, values, rules = dossier.record, scope.values, dossier.record.rules
    return ErasurePreview(
        scope.plan,
        tuple(sorted(values)),
        scope.contacts,
        scope.deleted,
        tuple(piece for piece in record.evidence if not values.isdisjoint(piece.identifiers)),
        tuple(ruling for ruling in record.rulings if not values.isdisjoint(ruling.values)),
        tuple(ruling for ruling, _ in dossier.withdrawn if not values.isdisjoint(ruling.values)),
        tuple(sorted(value for value in values if rules.unblock([value]) is not rules)),
        find_weak_values(record, scope.contacts),
    )
