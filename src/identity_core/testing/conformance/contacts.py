"""Contacts for the conformance suites, and ways to write them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from identity_core import (
    Contact,
    ContactDetails,
    ContactRepository,
    Decision,
    IdentifyContacts,
    LinkPrecedence,
    WriteSet,
)
from identity_core.testing.strategies import contact_details

PRIMARY, SECONDARY = LinkPrecedence.PRIMARY, LinkPrecedence.SECONDARY

A, B, C, D = (f"{letter}@example.org" for letter in "abcd")
LONGEST = ContactDetails("ß" * 250 + "@ü.at", "+" + "9" * 19)

of_any_subclass = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


@st.composite
def imperfect_contacts(draw: st.DrawFn) -> list[Contact]:
    """Contacts of few values and dates, linked in any way, also in circles."""
    details = draw(st.lists(contact_details(pool=4), max_size=10))
    links, ages = st.none() | st.integers(1, len(details)), st.integers(1, 3)
    return [contact(id, *one.key, draw(links), draw(ages)) for id, one in enumerate(details, start=1)]


def contact(
    id: int,
    email: str | None = None,
    phone_number: str | None = None,
    linked_id: int | None = None,
    age: int = 1,
) -> Contact:
    """A contact that is so many days old."""
    precedence = PRIMARY if linked_id is None else SECONDARY
    created_at = datetime(2020, 1, 31, tzinfo=UTC) - timedelta(days=age)
    return Contact(id, email, phone_number, linked_id, precedence, created_at)


async def seed(repository: ContactRepository, *contacts: Contact) -> None:
    """Write contacts as they are, right or not."""
    decision = Decision(WriteSet(created=contacts), ())
    batch = [ContactDetails(*contact.key) for contact in contacts]
    await repository.transact(batch, lambda snapshot, now, ids: decision)


async def identify(repository: ContactRepository, *keys: tuple[str | None, str | None]) -> None:
    """Identify details one after the other."""
    for key in keys:
        await IdentifyContacts(repository)(ContactDetails(*key))


async def identify_concurrently(repository: ContactRepository, batch: Sequence[ContactDetails]) -> list[int]:
    """Identify details concurrently; the ids of their primaries."""
    identities = await asyncio.gather(*map(IdentifyContacts(repository), batch))
    return [identity.primary_contact_id for identity in identities]
