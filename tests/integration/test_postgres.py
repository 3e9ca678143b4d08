import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import settings

from identity_adapters.batching import IdentifyInBatches
from identity_adapters.postgres import PostgresAuditTrail, PostgresSightings, verify
from identity_adapters.postgres.database import execute
from identity_core import (
    Contact,
    ContactDetails,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Note,
    QueryIdentities,
    RepositoryBusy,
    RuleSet,
    WriteSet,
    import_contacts,
)
from identity_core.testing import (
    AccessConformance,
    ChangeFeedConformance,
    ContactRepositoryConformance,
    ErasureConformance,
    IdentityMachine,
    IdentityReaderConformance,
    RuleConformance,
    RulingConformance,
    RulingMachine,
    SightingsConformance,
    SuppressionConformance,
)
from tests.support.databases import connect, emptied_repository_on, repository_on


class TestConformance(ContactRepositoryConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    def empty_repository(self):
        return emptied_repository_on(self.url)


class TestConformanceInColumns(TestConformance):
    @pytest.fixture(autouse=True)
    def _all_in_columns(self, monkeypatch):
        monkeypatch.setattr("identity_adapters.postgres.loader.FEW_CONTACTS", 0)


class TestReaderConformance(IdentityReaderConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    @asynccontextmanager
    async def empty_reader(self):
        async with emptied_repository_on(self.url) as repository:
            yield repository, repository


class TestRulingConformance(RulingConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    @asynccontextmanager
    async def empty_reader(self):
        async with emptied_repository_on(self.url) as repository:
            yield repository, repository


class TestSuppressionConformance(SuppressionConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    @asynccontextmanager
    async def empty_ports(self):
        async with emptied_repository_on(self.url, suppression_key=b"k" * 32) as repository:
            yield repository, repository, PostgresAuditTrail(repository.database)


class TestRuleConformance(RuleConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    @asynccontextmanager
    async def empty_ports(self):
        async with emptied_repository_on(self.url) as repository:
            yield repository, repository, repository

    def other_repository(self, repository):
        return repository_on(self.url)


class TestAccessConformance(AccessConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    @asynccontextmanager
    async def empty_trail(self):
        async with emptied_repository_on(self.url) as repository:
            yield repository, repository, repository, repository


class TestErasureConformance(ErasureConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    @asynccontextmanager
    async def empty_store(self):
        async with emptied_repository_on(self.url) as repository:
            yield repository, repository, repository, repository, repository


class TestSightingsConformance(SightingsConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    @asynccontextmanager
    async def empty_sightings(self):
        async with emptied_repository_on(self.url) as repository:
            yield repository, repository, repository, PostgresSightings(repository.database)


class TestFeedConformance(ChangeFeedConformance):
    @pytest.fixture(autouse=True)
    def _database(self, url):
        self.url = url

    @asynccontextmanager
    async def empty_feed(self):
        async with emptied_repository_on(self.url) as repository:
            yield repository, repository


def test_what_several_touch_is_bounded_beside_one_large_identity(url, monkeypatch):
    monkeypatch.setattr("identity_adapters.postgres.loader.MAX_CONTACTS", 5)

    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            for number in range(8):
                await identify(ContactDetails("large@x", str(number)))
                await identify(ContactDetails("also@x", str(100 + number)))
            with_one = [ContactDetails("large@x", "8"), ContactDetails("b@x", "1000"), ContactDetails("c@x")]
            batch = [*with_one, ContactDetails("also@x", "108")]
            with pytest.raises(RepositoryBusy, match="these details match too many contacts"):
                await repository.load(batch)
            with pytest.raises(RepositoryBusy, match="these details match too many contacts"):
                await identify.decide(batch)
            assert [*map(len, (await repository.load(with_one)).identities)] == [8]
            assert len((await identify.decide(with_one))[0].identity.phone_numbers) == 9
            large, *others, also = await asyncio.gather(*map(IdentifyInBatches(identify), batch))
            assert [len(one.identity.phone_numbers) for one in (large, also)] == [9, 9]
            assert [other.identity.emails for other in others] == [("b@x",), ("c@x",)]

    asyncio.run(body())


def test_what_several_read_as_columns_is_bounded_beside_one_large_identity(url, monkeypatch):
    monkeypatch.setattr("identity_adapters.postgres.loader.FEW_CONTACTS", 0)
    monkeypatch.setattr("identity_adapters.postgres.loader.MAX_CONTACTS_IN_COLUMNS", 7)

    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            batch = [ContactDetails("large@x", "7"), ContactDetails("also@x", "17"), ContactDetails("b@x")]
            for number in range(8):
                await identify(ContactDetails("large@x", str(number)))
                await identify(ContactDetails("also@x", str(10 + number)))
            await identify(batch[2])
            loaded = await repository.load_columns(batch[1:])
            assert sorted(len(columns.ids) for columns in loaded.columns) == [1, 8]
            with pytest.raises(RepositoryBusy, match="these details match too many contacts"):
                await repository.load_columns(batch)
            answers = await asyncio.gather(*map(IdentifyInBatches(identify), batch))
            assert [len(one.identity.phone_numbers) for one in answers] == [8, 8, 0]

    asyncio.run(body())


@pytest.fixture
def made(monkeypatch):
    """What contacts were made of that were read from the database."""
    values_of_contacts = []

    def counted(*values):
        values_of_contacts.append(values)
        return Contact(*values)

    monkeypatch.setattr("identity_adapters.postgres.rows.Contact", counted)
    return values_of_contacts


def test_many_requests_for_one_large_identity_read_it_a_few_times(url, monkeypatch, made):
    monkeypatch.setattr("identity_adapters.postgres.loader.MAX_CONTACTS", 50)

    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            await identify.many([ContactDetails("large@x", str(number)) for number in range(100)])
            made.clear()
            details = [ContactDetails("large@x", str(number)) for number in range(60)]
            await asyncio.gather(*map(IdentifyInBatches(identify), details))
            assert len(made) <= 5 * 100

    asyncio.run(body())


def test_what_an_import_reads_for_a_row_does_not_grow_with_an_identity(url, monkeypatch, made, size):
    rows = size(4_000, 100_000)
    monkeypatch.setattr("identity_adapters.postgres.loader.MAX_CONTACTS", rows // 4)
    monkeypatch.setattr("identity_adapters.postgres.loader.MAX_CONTACTS_IN_BULK", rows // 4)

    async def details():
        for number in range(rows):
            yield ContactDetails("shared@x", str(10**9 + number))

    async def body():
        async with repository_on(url) as repository:
            report = await import_contacts(repository, details(), batch_size=rows // 25)
            assert (report.created, report.linked) == (1, rows - 1)
            assert len(made) <= 6 * rows

    asyncio.run(body())


@pytest.mark.parametrize(("number", "statements"), [(1, 1), (119, 1), (120, 2)])
def test_known_details_are_read_in_one_statement_unless_they_match_many_contacts(
    url, monkeypatch, number, statements
):
    executed = []

    async def counted(connection, statement, values):
        executed.append(statement)
        return await execute(connection, statement, values)

    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            await identify.many([ContactDetails("a@x", str(n)) for n in range(number)])
            monkeypatch.setattr("identity_adapters.postgres.loader.execute", counted)
            assert len((await identify(ContactDetails("a@x"))).phone_numbers) == number
            assert len(executed) == statements

    asyncio.run(body())


def test_known_details_of_a_large_identity_are_answered_without_an_object_for_each_contact(url, made):
    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            await identify.many([ContactDetails("large@x", str(number)) for number in range(2000)])
            made.clear()
            known = await identify(ContactDetails("large@x", "1999"))
            assert known.phone_numbers == (*map(str, range(2000)),)
            assert made == []
            with connect(url) as connection:
                connection.execute("UPDATE contacts SET linked_id = 2 WHERE id = 3")
            assert await identify(ContactDetails("large@x", "2")) == known
            assert len(made) == 2000, "a secondary of a secondary is found among contacts alone"

    asyncio.run(body())


@pytest.mark.parametrize("number", [999, 1000, 1001, 2000, 2500])
def test_large_identities_come_whole(url, number):
    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            await identify.many([ContactDetails("a@x", str(n)) for n in range(number)])
            await identify(ContactDetails("b@x", "10000"))
            identity = await identify(ContactDetails("b@x", "1"))
            assert identity == await identify(ContactDetails("b@x"))
            assert identity.phone_numbers == (*map(str, range(number)), "10000")
            assert identity.secondary_contact_ids == tuple(range(2, number + 2))

    asyncio.run(body())


def test_of_a_large_identity_no_more_is_read_than_a_page(url, made):
    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            await identify.many([ContactDetails("large@x", str(n)) for n in range(2000)])
            for of in (1234, ContactDetails("large@x"), ContactDetails("large@x", "1999")):
                made.clear()
                [page] = await QueryIdentities(repository).pages(of, limit=10)
                assert (page.total_contacts, page.total_emails, page.total_phone_numbers) == (2000, 1, 2000)
                assert [contact.id for contact in page.contacts] == list(range(1, 11))
                assert len(made) <= 11

    asyncio.run(body())


def test_the_machine_runs_on_postgres_too(url):
    class Machine(IdentityMachine):
        def empty_repository(self):
            return emptied_repository_on(url)

    case = Machine.TestCase
    case.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
    case().runTest()


PARTS = """
INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at)
SELECT n, n || '@example.org', CASE WHEN n > 5000 THEN '5550199' ELSE '5550100' END,
    CASE WHEN n > 1 THEN 1 END, CASE WHEN n > 1 THEN 'secondary' ELSE 'primary' END, '2020-01-31 12:00Z'
FROM generate_series(1, 7000) n
"""


def test_parts_of_a_large_identity_are_read_without_the_rest(url):
    """Of 7,000 contacts, 5,000 share one phone number and the others one that is not blocked."""

    class Seen:
        writes = WriteSet()

        def __init__(self, parts, *_):
            self.parts = parts

    async def body():
        async with emptied_repository_on(url) as repository:
            with connect(url) as connection:
                connection.execute(PARTS)
            rules = RuleSet(phone_numbers=["5550100"])
            await repository.put(rules, Note("somebody", "because"))

            async def read(*numbers):
                values = [Identifier(IdentifierKind.EMAIL, f"{n}@example.org") for n in numbers]
                return (await repository.revise_parts(1, values, Seen)).parts

            small = await read(7, 8)
            assert sorted(contact.id for contact in small.contacts) == [7, 8]
            assert small.unread == frozenset()
            large = await read(6000, 9)
            assert len(large.contacts) < 5_000
            assert Identifier(IdentifierKind.PHONE_NUMBER, "5550199") in large.unread
            assert {contact.id for contact in large.contacts} > {9, 6000}

    asyncio.run(body())


def test_the_machine_of_rulings_runs_on_postgres_too(url):
    class Machine(RulingMachine):
        @asynccontextmanager
        async def empty_ports(self):
            async with emptied_repository_on(url) as repository:
                yield repository, repository, repository, repository, repository
                assert verify(url) == []

    case = Machine.TestCase
    case.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
    case().runTest()


def test_the_feed_is_read_in_many_answers_without_reading_it_again_for_each(url, sql):
    """Otherwise whoever is far behind would fall back ever more."""
    add = """
        INSERT INTO contact_events (happened_at, kind, primary_id, absorbed_ids, moved_ids, transaction_id)
        SELECT now(), 'created', 1, '{}', '{}', pg_current_xact_id() FROM generate_series(1, 2000)
    """
    read = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'contact_events'"

    async def follow():
        async with repository_on(url) as repository:
            sql(add)
            cursor = await repository.seek(None)
            sql(add)
            ids = []
            [(before,)] = sql(read)
            while len(ids) < 2000:
                events, cursor = await repository.changes(cursor, limit=20)
                ids += [one.id for one in events]
            await repository.database.fetch("SELECT pg_stat_force_next_flush()", {})
            return ids, sql(read)[0][0] - before

    ids, tuples = asyncio.run(follow())
    assert ids == [*range(2001, 4001)]
    assert 0 < tuples < 10_000


def test_the_feed_finds_the_next_event_however_far_away_its_id_is(url, sql):
    async def follow():
        async with repository_on(url) as repository:
            cursor = await repository.bound(await repository.seek(None))
            sql("""
                INSERT INTO contact_events (id, happened_at, kind, primary_id, absorbed_ids, moved_ids)
                OVERRIDING SYSTEM VALUE
                SELECT power(10, n), now(), 'created', 1, '{}', '{}' FROM generate_series(0, 15) n
            """)
            _, cursor = await repository.changes(cursor)
            ids = []
            while (answer := await repository.changes(cursor, limit=2))[0]:
                ids += [one.id for one in answer[0]]
                cursor = answer[1]
            return ids

    assert asyncio.run(follow()) == [10**n for n in range(16)]
