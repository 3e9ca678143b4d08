"""Batches that write take few round trips, and fail as if each statement had been awaited."""

import asyncio
import logging
import select

import psycopg
import pytest

from identity_adapters.postgres import Database, create_engine, statements
from identity_adapters.postgres.database import pipelined_transaction
from identity_adapters.postgres.repository import MAX_PIPELINED
from identity_core import ContactDetails, IdentifyContacts, Limits, Note, RepositoryUnavailable, RuleSet
from identity_core.testing import violations
from tests.support.databases import connect, repository_on
from tests.support.proxy import counted_round_trips
from tests.support.waiting import PATIENCE, wait_until

BACKENDS = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE application_name = 'identity' AND datname = current_database() ORDER BY pid"
)
WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    " AND application_name = 'identity'"
)

FAIL = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE disk_full USING MESSAGE = 'no room for ' || NEW.email; END $$;
"""
FAIL_ON_INSERT = (
    FAIL + "CREATE TRIGGER failing BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION fail()"
)
FAIL_ON_COMMIT = (
    FAIL + "CREATE CONSTRAINT TRIGGER failing AFTER INSERT ON contacts"
    " INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()"
)


def batch(*keys):
    return [ContactDetails(*key) for key in keys]


@pytest.fixture
def nothing_logged(caplog):
    """Checks that the driver logs nothing, since it quotes the server."""
    caplog.set_level(logging.INFO, "psycopg")
    yield
    assert [record for record in caplog.get_records("call") if record.name.startswith("psycopg")] == []


@pytest.mark.parametrize(
    ("written", "kinds"),
    [
        (batch(("c@x", "3")), ["created"]),
        (batch(("a@x", "3"), ("c@x", "4"), ("d@x", "5")), ["linked", "created", "created"]),
        (batch(("a@x", "2")), ["merged"]),
        (batch(("a@x", "2"), ("b@x", "7"), ("c@x", "8")), ["merged", "linked", "created"]),
    ],
)
def test_a_batch_that_writes_takes_two_round_trips(url, sql, tmp_path, written, kinds):
    async def body():
        async with counted_round_trips(tmp_path, url.query["host"]) as trips:
            proxied = url.set(query={"host": str(tmp_path)})
            async with repository_on(proxied, pool_size=1) as repository:
                identify = IdentifyContacts(repository)
                await identify.decide(batch(("a@x", "1"), ("b@x", "2")))
                sql("TRUNCATE contact_events")
                before = trips.count
                await identify.decide(written)
                return trips.count - before

    assert asyncio.run(body()) == 2
    assert [kind for (kind,) in sql("SELECT kind FROM contact_events ORDER BY id")] == kinds


def test_known_details_take_one_round_trip(url, tmp_path):
    async def body():
        async with counted_round_trips(tmp_path, url.query["host"]) as trips:
            proxied = url.set(query={"host": str(tmp_path)})
            async with repository_on(proxied, pool_size=1) as repository:
                identify = IdentifyContacts(repository)
                await identify.decide(batch(("a@x", "1")))
                await identify.find_known(batch(("a@x", "1")))
                before = trips.count
                await identify.find_known(batch(("a@x", "1")))
                return trips.count - before

    assert asyncio.run(body()) == 1


def test_the_largest_batch_in_a_pipeline_creates_no_more_contacts_than_it_can_insert(url, sql):
    async def body():
        async with repository_on(url) as repository:
            await repository.put(RuleSet(limits=Limits(values_per_identity=1)), Note("a test", "to see"))
            await IdentifyContacts(repository).decide(
                batch(*((f"{n}@x", str(n)) for n in range(MAX_PIPELINED)))
            )

    asyncio.run(body())
    assert sql("SELECT count(*) FROM contacts") == [(2 * MAX_PIPELINED,)]


@pytest.mark.parametrize("failing", [FAIL_ON_INSERT, FAIL_ON_COMMIT], ids=["insert", "commit"])
@pytest.mark.usefixtures("nothing_logged")
def test_a_statement_that_fails_writes_nothing_and_leaves_its_connection_usable(url, sql, failing):
    async def body():
        async with repository_on(url, pool_size=1) as repository:
            identify = IdentifyContacts(repository)
            await identify.decide(batch(("a@x", "1"), ("b@x", "2")))
            backends = sql(BACKENDS)
            sql(failing)
            with pytest.raises(RepositoryUnavailable, match="out of disk"):
                await identify.decide(batch(("a@x", "2"), ("c@x", "3")))
            sql("DROP TRIGGER failing ON contacts")
            assert sql("SELECT email FROM contacts ORDER BY id") == [("a@x",), ("b@x",)]
            [merged, _] = await identify.decide(batch(("a@x", "2"), ("c@x", "3")))
            assert merged.identity.emails == ("a@x", "b@x")
            assert sql(BACKENDS) == backends

    asyncio.run(body())


@pytest.mark.usefixtures("nothing_logged")
def test_a_decision_that_fails_writes_nothing_and_leaves_its_connection_usable(url, sql):
    def fail(*_):
        raise ZeroDivisionError

    async def body():
        async with repository_on(url, pool_size=1) as repository:
            identify = IdentifyContacts(repository)
            await identify.decide(batch(("a@x", "1")))
            backends = sql(BACKENDS)
            with pytest.raises(ZeroDivisionError):
                await repository.transact(batch(("a@x", "2")), fail)
            await identify.decide(batch(("a@x", "2")))
            assert sql(BACKENDS) == backends

    asyncio.run(body())


async def wait_for_a_lock(sql):
    return await asyncio.to_thread(wait_until, lambda: sql(WAITING))


@pytest.mark.usefixtures("nothing_logged")
def test_a_call_that_is_cancelled_while_it_waits_for_a_lock_leaves_its_connection_usable(url, sql):
    async def body():
        async with repository_on(url, pool_size=1) as repository:
            identify = IdentifyContacts(repository)
            await identify.decide(batch(("a@x", "1")))
            backends = sql(BACKENDS)
            with connect(url) as other:
                other.execute("BEGIN")
                other.execute("SELECT FROM contacts FOR UPDATE")
                call = asyncio.create_task(identify.decide(batch(("a@x", "2"))))
                await wait_for_a_lock(sql)
                call.cancel()
                await asyncio.wait([call])
                assert call.cancelled()
                assert await asyncio.to_thread(wait_until, lambda: sql(WAITING) == [])
            await identify.decide(batch(("a@x", "3")))
            assert sql("SELECT phone_number FROM contacts ORDER BY id") == [("1",), ("3",)]
            assert sql(BACKENDS) == backends

    asyncio.run(body())


@pytest.mark.usefixtures("nothing_logged")
def test_a_connection_that_is_lost_while_it_waits_for_a_lock_is_no_failure(url, sql):
    async def body():
        async with repository_on(url, pool_size=1) as repository:
            identify = IdentifyContacts(repository)
            await identify.decide(batch(("a@x", "1")))
            with connect(url) as other:
                other.execute("BEGIN")
                other.execute("SELECT FROM contacts FOR UPDATE")
                call = asyncio.create_task(identify.decide(batch(("a@x", "2"))))
                [(lost,)] = await wait_for_a_lock(sql)
                sql("SELECT pg_terminate_backend(%s)", lost)
                await asyncio.to_thread(wait_until, lambda: sql(WAITING) not in ([], [(lost,)]))
            [identified] = await call
            assert identified.identity.phone_numbers == ("1", "2")
            assert violations(await repository.load(batch(("a@x", "1"))), batch(("a@x", "1"))) == []

    asyncio.run(body())


@pytest.mark.usefixtures("nothing_logged")
def test_a_failure_that_arrives_while_a_pipeline_ends_is_raised_itself(url):
    async def body():
        engine = create_engine(url)
        with connect(url) as other:
            other.execute("SELECT pg_advisory_lock(1)")
            async with Database(engine).connection() as connection:
                execute = connection.execute

                async def execute_and_await_the_failure(statement, **options):
                    await execute(statement, **options)
                    if statement is statements.COMMIT:
                        other.execute("SELECT pg_advisory_unlock(1)")
                        select.select([connection.fileno()], [], [], PATIENCE)

                connection.execute = execute_and_await_the_failure
                with pytest.raises(psycopg.errors.DivisionByZero):
                    async with pipelined_transaction(connection):
                        await execute("SELECT 1 / length(CAST(pg_advisory_lock(1) AS text))")
                assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        await engine.dispose()

    asyncio.run(body())
