"""A state machine that drives a repository and compares it with the model after every step."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from identity_core import ContactDetails, ContactRepository, IdentifyContacts, Snapshot
from identity_core.testing.invariants import violations
from identity_core.testing.model import components, partition
from identity_core.testing.strategies import batches, contact_details, moments

T = TypeVar("T")


class IdentityMachine(RuleBasedStateMachine):
    """Identifies customers in every way there is, on a repository that starts empty.

    Subclass it, define `empty_repository`, and hand ``TestCase`` of the subclass to
    pytest. Details come one by one, in batches, at once, again, and with times of their own.
    """

    def empty_repository(self) -> AbstractAsyncContextManager[ContactRepository]:
        """A repository without any contact, for one run."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.repository = self.run(self.stack.enter_async_context(self.empty_repository()))
        self.identify = IdentifyContacts(self.repository)
        self.acknowledged: list[ContactDetails] = []

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        return self.runner.run(coroutine)

    def snapshot(self) -> Snapshot:
        return self.run(self.repository.load(self.acknowledged))

    @rule(details=contact_details())
    def identify_one(self, details: ContactDetails) -> None:
        identity = self.run(self.identify(details))
        self.acknowledged.append(details)
        assert {*identity.emails, *identity.phone_numbers} in components(self.acknowledged)
        assert {*details.key} - {None} <= {*identity.emails, *identity.phone_numbers}

    @rule(batch=batches())
    def identify_batch(self, batch: list[ContactDetails]) -> None:
        self.run(self.identify.many(batch))
        self.acknowledged += batch

    @rule(batch=batches(seen_at=moments() | st.none()))
    def identify_dated_batch(self, batch: list[ContactDetails]) -> None:
        self.run(self.identify.many(batch))
        self.acknowledged += batch

    @rule(together=st.lists(contact_details(pool=3), max_size=6))
    def identify_concurrently(self, together: list[ContactDetails]) -> None:
        async def identify_all() -> None:
            await asyncio.gather(*map(self.identify, together))

        self.run(identify_all())
        self.acknowledged += together

    @precondition(lambda self: self.acknowledged)
    @rule()
    def repeat_everything(self) -> None:
        before = self.snapshot()
        self.run(self.identify.many(self.acknowledged))
        assert self.snapshot() == before

    @invariant()
    def matches_the_model(self) -> None:
        snapshot = self.snapshot()
        assert violations(snapshot, self.acknowledged) == []
        assert partition(snapshot) == components(self.acknowledged)
        for contacts in snapshot.identities:
            values = {value for contact in contacts for value in contact.key if value is not None}
            times = [d.seen_at for d in self.acknowledged if d.seen_at and values.intersection(d.key)]
            assert not times or contacts[0].created_at == min(times)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
