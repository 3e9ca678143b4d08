"""The use case that changes: identify customers by the details they gave."""

from collections.abc import Sequence
from functools import partial

from identity_core.errors import Blocked, Suppressed
from identity_core.model.decision import Decision, Identified, Outcome, WriteSet
from identity_core.model.details import ContactDetails
from identity_core.model.identity import Identity
from identity_core.ports import ContactRepository, Offload, run_inline
from identity_core.rules.late import record_pair
from identity_core.rules.reconcile import KeptApart, find_known, reconcile


class IdentifyContacts:
    """Links details with what is known, and answers the identity they belong to.

    Details that add nothing new are answered from what was read, without any lock; most details
    are of that kind. Only the others are decided under the repository's exclusive access.

    Args:
        repository: where the contacts are kept.
        offload: runs the decision about very large identities.

    >>> import asyncio
    >>> from identity_core import ContactDetails, IdentifyContacts
    >>> from identity_adapters.memory import InMemoryContactRepository
    >>> identify = IdentifyContacts(InMemoryContactRepository())
    >>> identity = asyncio.run(identify(ContactDetails(email="doc@hillvalley.edu", phone_number="555-0123")))
    >>> identity.primary_contact_id, identity.phone_numbers
    (1, ('5550123',))
    """

    def __init__(self, repository: ContactRepository, *, offload: Offload = run_inline) -> None:
        self._repository = repository
        self._offload = offload

    async def __call__(self, details: ContactDetails) -> Identity:
        """Identify one customer: link the details, and return the identity.

        Raises:
            Blocked: all values of the details are blocked.
            Suppressed: one of them was erased on request and is kept out.
            RepositoryUnavailable: try again later; it is safe to.
        """
        [identity] = await self.many([details])
        return identity

    async def many(self, batch: Sequence[ContactDetails]) -> list[Identity]:
        """Identify a batch, as if the details came one after the other.

        The whole batch costs as many round trips to the repository as one of the details.
        Each identity is as it was at some moment after the call.

        Raises:
            Blocked: all values of some of the details are blocked; the others are identified all the same.
            Suppressed: a value of some of the details is kept out; likewise.
            RepositoryUnavailable: try again later; it is safe to.
        """
        identified = await self.with_outcomes(batch)
        for details, one in zip(batch, identified, strict=True):
            if one.outcome is Outcome.BLOCKED:
                raise Blocked(details.identifiers[0].kind)
            if one.outcome is Outcome.SUPPRESSED:
                raise Suppressed(one.ignored or details.identifiers[0].kind)
        return [one.identity for one in identified]

    async def with_outcomes(self, batch: Sequence[ContactDetails]) -> list[Identified]:
        """Identify a batch as `many` does, and tell what became of each of the details.

        Raises:
            RepositoryUnavailable: try again later; it is safe to.
        """
        known = await self.find_known(batch)
        unknown = [details for details, identified in zip(batch, known, strict=True) if identified is None]
        decided = iter(await self.decide(unknown) if unknown else ())
        return [identified if identified is not None else next(decided) for identified in known]

    async def find_known(self, batch: Sequence[ContactDetails]) -> list[Identified | None]:
        """The first half of `with_outcomes`: answers details that add nothing new; None for the others.

        Raises:
            RepositoryUnavailable: try again later; it is safe to.
        """
        snapshot = await self._repository.load_columns(batch)
        return await self._offload(snapshot.size, find_known, batch, snapshot)

    async def decide(self, batch: Sequence[ContactDetails]) -> list[Identified]:
        """The second half of `with_outcomes`: decides on details and persists the decision.

        Raises:
            RepositoryUnavailable: try again later; it is safe to.
        """
        decision = await decide(self._repository, batch)
        return list(map(Identified, decision.identities, decision.outcomes, decision.ignored))


async def decide(repository: ContactRepository, batch: Sequence[ContactDetails]) -> Decision:
    """Decide on details and persist the decision, also where pins keep apart what they would join.

    Raises:
        RepositoryUnavailable: try again later; it is safe to.
    """
    decisions: list[Decision] = []
    while batch:
        try:
            decisions.append(await repository.transact(batch, partial(reconcile, batch)))
            batch = ()
        except KeptApart as kept_apart:
            details = batch[kept_apart.position]
            if kept_apart.position:
                decisions.append(await decide(repository, batch[: kept_apart.position]))
            await repository.revise(details.identifiers, partial(record_pair, details))
            batch = batch[kept_apart.position :]
    return decisions[0] if len(decisions) == 1 else _concatenate(decisions)


def _concatenate(decisions: Sequence[Decision]) -> Decision:
    """One decision about details that were decided one part after the other; its writes are left out."""
    return Decision(
        WriteSet(),
        tuple(identity for decision in decisions for identity in decision.identities),
        tuple(outcome for decision in decisions for outcome in decision.outcomes),
        sum(decision.corroborated for decision in decisions),
        tuple(ignored for decision in decisions for ignored in decision.ignored),
    )
