"""Reads everything on record of a person, whom a value or a contact names."""

from identity_core.errors import NotRecorded
from identity_core.model.details import ContactDetails
from identity_core.model.dossier import Dossier
from identity_core.model.identifiers import Identifier
from identity_core.model.snapshot import Snapshot
from identity_core.ports import IdentityReader, Offload, run_inline
from identity_core.rules.erase import Scope, Target, foresee_scope


async def read_dossier(
    reader: IdentityReader, target: Target, offload: Offload = run_inline
) -> tuple[Dossier, Scope, bool]:
    """The dossier of all values that go with a target, whom that is, and whether all is as it should be.

    Args:
        reader: reads it.
        target: a value, or the id of any contact.
        offload: runs the work on very large identities.

    Raises:
        NotRecorded: nothing is on record of it, or the contact has no values.
        Erased: the contact was erased.
        RepositoryUnavailable: it cannot be read for now.
    """
    asked = await _find_values(reader, target)
    if not asked:
        raise NotRecorded("contactId", "has neither an email nor a phone number")
    while True:
        dossier = await reader.dossier(asked)
        scope, is_in_line = await offload(dossier.record.size, foresee_scope, dossier, target)
        if scope.values <= asked:
            break
        # Another program may have left a value in several identities.
        asked |= scope.values
    if not _has_any(dossier, target):
        raise NotRecorded(_name_field(target), "is not on record")
    return dossier, scope, is_in_line


async def _find_values(reader: IdentityReader, target: Target) -> set[Identifier]:
    """The values of the identity of a target, and the target if it is one."""
    if isinstance(target, Identifier):
        identities = (await reader.load([ContactDetails.of(target)])).identities
        live = {value for contacts in identities for one in contacts for value in one.identifiers}
        return {target, *(live or await _find_deleted_values(reader, target))}
    found = await reader.find(target)
    if found is None:
        raise NotRecorded("contactId", "does not exist")
    if not found:
        return await _find_values_with_dead(reader, target)
    return {value for contact in found for value in contact.identifiers}


async def _find_deleted_values(reader: IdentityReader, value: Identifier) -> set[Identifier]:
    """The values of identities that have a value and that another program deleted whole."""
    values: set[Identifier] = set()
    for one in (await reader.dossier([value])).deleted:
        if not await reader.find(one.contact.id):
            values |= await _find_values_with_dead(reader, one.contact.id)
    return values


async def _find_values_with_dead(reader: IdentityReader, contact_id: int) -> set[Identifier]:
    """The values of the identity of a contact that was deleted whole."""
    lineage = await reader.lineage(contact_id)
    deleted = () if lineage is None else [one.contact for one in lineage.deleted]
    identities = Snapshot.of(deleted).identities
    dead = next((c for c in identities if any(contact_id == one.id for one in c)), ())
    return {value for contact in dead for value in contact.identifiers}


def _has_any(dossier: Dossier, target: Target) -> bool:
    """Whether anything is on record of a target."""
    if not isinstance(target, Identifier):
        return True
    rules = [dossier.record.rules, *(version.rules for version in dossier.rules)]
    return (
        bool(dossier.deleted or dossier.withdrawn or dossier.last_seen)
        or target in {value for contact in dossier.record.contacts for value in contact.identifiers}
        or any(target in piece.identifiers for piece in dossier.record.evidence)
        or any(target in ruling.values for ruling in dossier.record.rulings)
        or any(one.unblock([target]) is not one for one in rules)
    )


def _name_field(target: Target) -> str:
    return target.kind if isinstance(target, Identifier) else "contactId"
