"""The public names fit together as a type checker sees them: mypy checks this module too."""

import asyncio
from datetime import UTC, datetime

from identity_adapters.batching import IdentifyInBatches
from identity_adapters.memory import DryRunRepository, InMemoryContactRepository
from identity_adapters.offload import offload
from identity_adapters.postgres import (
    Database,
    PostgresChangeFeed,
    PostgresContactRepository,
    PostgresIdentityReader,
    create_engine,
)
from identity_core import (
    ChangeFeed,
    ContactDetails,
    ContactRepository,
    Decide,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Identity,
    IdentityReader,
    Offload,
    QueryIdentities,
    reconcile,
    repair,
)


def adapters_of_the_ports(
    database: Database,
) -> tuple[list[ContactRepository], list[IdentityReader], list[ChangeFeed]]:
    memory = InMemoryContactRepository()
    return (
        [memory, DryRunRepository(memory), PostgresContactRepository(database)],
        [memory, PostgresIdentityReader(database)],
        [memory, PostgresChangeFeed(database)],
    )


def test_every_adapter_implements_its_ports() -> None:
    from sqlalchemy import make_url

    database = Database(create_engine(make_url("postgresql+psycopg://nobody@/nothing")))
    repositories, readers, feeds = adapters_of_the_ports(database)
    assert all(hasattr(one, "transact") for one in repositories)
    assert all(hasattr(one, "find") for one in readers)
    assert all(hasattr(one, "changes") for one in feeds)


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
    decisions: list[Decide] = [
        lambda snapshot, now, ids: reconcile(batch, snapshot, now, ids),
        lambda snapshot, now, ids: repair(batch, snapshot, now, ids),
    ]
    repository: ContactRepository = InMemoryContactRepository()
    for decide in decisions:
        assert len(asyncio.run(repository.transact(batch, decide)).writes.deleted) == 0
