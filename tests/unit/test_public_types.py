"""The public names fit together as a type checker sees them: mypy checks this module too."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest

from identity_adapters.batching import IdentifyInBatches
from identity_adapters.memory import DryRunRepository, InMemoryContactRepository
from identity_adapters.offload import offload
from identity_adapters.postgres import (
    Database,
    PostgresChangeFeed,
    PostgresContactRepository,
    PostgresIdentityReader,
    PostgresSightings,
    create_engine,
)
from identity_core import (
    ChangeFeed,
    ContactDetails,
    ContactRepository,
    Contradiction,
    Decide,
    Decision,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Identity,
    IdentityReader,
    Note,
    Offload,
    QueryIdentities,
    Revise,
    Ruled,
    RuleOnIdentities,
    Ruling,
    Sightings,
    Verdict,
    WriteSet,
    reconcile,
    repair,
)


def adapters_of_the_ports(
    database: Database,
) -> tuple[list[ContactRepository], list[IdentityReader], list[ChangeFeed], list[Sightings]]:
    memory = InMemoryContactRepository()
    return (
        [memory, DryRunRepository(memory), PostgresContactRepository(database)],
        [memory, PostgresIdentityReader(database)],
        [memory, PostgresChangeFeed(database)],
        [memory, PostgresSightings(database)],
    )


def test_every_adapter_implements_its_ports() -> None:
    from sqlalchemy import make_url

    database = Database(create_engine(make_url("postgresql+psycopg://nobody@/nothing")))
    repositories, readers, feeds, sightings = adapters_of_the_ports(database)
    assert all(hasattr(one, "transact") for one in repositories)
    assert all(hasattr(one, "find") for one in readers)
    assert all(hasattr(one, "changes") for one in feeds)
    assert all(hasattr(one, "record_seen") for one in sightings)


def test_a_service_of_ones_own_can_be_typed() -> None:
    async def use() -> tuple[Identity, str]:
        repository = InMemoryContactRepository(clock=lambda: datetime(2020, 1, 1, tzinfo=UTC))
        run: Offload = offload
        identify = IdentifyContacts(repository, offload=run)
        queries = QueryIdentities(repository, offload=run)
        identity: Identity = await identify(ContactDetails(email="doc@hillvalley.edu", phone_number="555"))
        identified = await IdentifyInBatches(identify)(ContactDetails(phone_number="555"))
        assert identified.identity == identity
        explanation = await queries.explain(Identifier(IdentifierKind.EMAIL, "doc@hillvalley.edu"), 1)
        assert explanation is not None
        events, cursor = await repository.changes()
        assert [recorded.event.kind.value for recorded in events] == ["created"]
        return identity, cursor

    identity, cursor = asyncio.run(use())
    assert (identity.primary_contact_id, cursor) == (1, "1")


def test_every_decision_fits_the_port() -> None:
    batch = [ContactDetails(email="doc@hillvalley.edu")]
    decide: Decide = partial(reconcile, batch)
    restore_links: Revise[Decision] = repair
    repository: ContactRepository = InMemoryContactRepository()
    assert len(asyncio.run(repository.transact(batch, decide)).writes.created) == 1
    assert asyncio.run(repository.revise(batch[0].identifiers, restore_links)).writes == WriteSet()


def test_rulings_can_be_typed() -> None:
    async def use() -> list[Ruled]:
        repository = InMemoryContactRepository()
        run: Offload = offload
        details = ContactDetails(email="doc@hillvalley.edu", phone_number="555")
        await IdentifyContacts(repository)(details)
        rule = RuleOnIdentities(repository, repository, offload=run)
        note = Note("marty", "a typo")
        assert details.pair is not None
        foretold: Ruled = await rule.undo(details.pair, note, dry_run=True)
        undone = await rule.undo(details.pair, note, plan=foretold.plan)
        ruling: Ruling = await rule.find_undone(details.pair)
        one, other = details.identifiers
        with pytest.raises(Contradiction) as refused:
            await rule.pin(one, other, Verdict.SAME, note)
        assert refused.value.ruling_id == ruling.id
        return [foretold, undone, await rule.restore(ruling, note)]

    assert [len(ruled.identities) for ruled in asyncio.run(use())] == [2, 2, 1]
