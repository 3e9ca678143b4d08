"""What the repository does among others, and when something fails."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import pytest
from sqlalchemy import make_url

from identity_adapters.postgres.locks import GLOBAL_LOCK, collect_identifiers, to_lock_keys
from identity_core import ContactDetails, IdentifyContacts, RepositoryUnavailable, reconcile
from identity_core.testing import violations
from tests.support.databases import connect, repository_on
from tests.support.waiting import PATIENCE, wait_until

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def _keys(batch):
    return to_lock_keys(collect_identifiers(batch))


def identify(url, *keys, **options):
    """Identify details one after the other; the last identity."""

    async def body():
        async with repository_on(url, **options) as repository:
            for key in keys:
                identity = await IdentifyContacts(repository)(ContactDetails(*key))
            return identity

    return asyncio.run(body())


def transact(url, batch, decide):
    """Decide on details in a transaction, as another process would."""

    async def body():
        async with repository_on(url) as repository:
            return await repository.transact(batch, decide)

    return asyncio.run(body())


def violations_of(url, *keys):
    async def body():
        batch = [ContactDetails(*key) for key in keys]
        async with repository_on(url) as repository:
            return violations(await repository.load(batch), batch)

    return asyncio.run(body())


def paused(batch, reached, go_on, snapshot, now, ids):
    """`reconcile`, but not before it is told to go on."""
    reached.set()
    assert go_on.wait(PATIENCE)
    return reconcile(batch, snapshot, now, ids)


@pytest.fixture
def meanwhile(url, sql):
    """Holds a transaction on some details open while others start; all results in order."""

    def run(first, *others):
        reached, go_on = Event(), Event()
        batch = [ContactDetails(*first)]
        with ThreadPoolExecutor() as pool:
            results = [pool.submit(transact, url, batch, partial(paused, batch, reached, go_on))]
            assert reached.wait(PATIENCE)
            for number, other in enumerate(others, start=1):
                results.append(pool.submit(identify, url, other))
                wait_until(lambda number=number: sql(WAITING) == [(number,)])
            go_on.set()
            return [result.result() for result in results]

    return run


def test_details_with_the_same_identifier_wait_for_each_other(meanwhile, url):
    _, second, third = meanwhile(("a@x", "1"), ("a@x", "1"), ("b@x", "1"))
    assert second.primary_contact_id == third.primary_contact_id
    assert violations_of(url, ("a@x", "1"), ("b@x", "1")) == []


def test_details_that_touch_one_identity_by_different_identifiers_wait_for_each_other(meanwhile, url):
    identify(url, ("a@x", "1"), ("b@x", "1"), ("c@x", "3"))
    # The first makes contact 3 and contact 1 one identity; the second adds to that of contact 3.
    _, added = meanwhile(("a@x", "3"), ("c@x", "9"))
    assert added.primary_contact_id == 1
    assert violations_of(url, ("a@x", "3"), ("b@x", "1"), ("c@x", "9")) == []


def test_a_contact_is_dated_after_what_its_transaction_waited_for(meanwhile, url, sql):
    meanwhile(("a@x", "1"), ("a@x", "2"))
    dates = sql("SELECT created_at FROM contacts ORDER BY id")
    assert dates == sorted(dates)
    assert sql("SELECT count(*) FROM contacts WHERE link_precedence = 'primary'") == [(1,)]


def test_strangers_do_not_wait_for_each_other(url):
    reached, go_on = Event(), Event()
    batch = [ContactDetails("a@x", "1")]
    with ThreadPoolExecutor() as pool:
        held = pool.submit(transact, url, batch, partial(paused, batch, reached, go_on))
        assert reached.wait(PATIENCE)
        assert identify(url, ("b@x", "2")).emails == ("b@x",)
        assert identify(url, ("b@x", "2")).emails == ("b@x",)
        go_on.set()
        held.result()


@pytest.mark.parametrize(("details", "locks"), [(3, 7), (500, 1)])
def test_the_number_of_locks_is_bounded(url, details, locks):
    batch = [ContactDetails(f"{n}@x", str(n)) for n in range(details)]

    def decide(snapshot, now, ids):
        with connect(url) as connection:
            held = connection.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE locktype = 'advisory' AND datname = current_database()"
            ).fetchone()
        assert held == (locks,)
        return reconcile(batch, snapshot, now, ids)

    transact(url, batch, decide)


def test_very_many_details_and_few_do_not_pass_each_other(url, sql):
    reached, go_on = Event(), Event()
    batch = [ContactDetails(f"{n}@x", str(n)) for n in range(500)]
    with ThreadPoolExecutor() as pool:
        held = pool.submit(transact, url, batch, partial(paused, batch, reached, go_on))
        assert reached.wait(PATIENCE)
        other = pool.submit(identify, url, ("0@x", "77777"))
        wait_until(lambda: sql(WAITING) == [(1,)])
        go_on.set()
        held.result()
        assert other.result().primary_contact_id == 1


def test_keys_of_locks_are_ascending_and_tell_emails_from_phone_numbers():
    keys = _keys([ContactDetails("1@1", "1"), ContactDetails("a@x", "1"), ContactDetails(None, "2")])
    assert len(keys) == 4
    assert keys == sorted(keys)
    assert GLOBAL_LOCK not in keys
    assert _keys([ContactDetails("1@1")]) != _keys([ContactDetails(None, "11")])


def test_a_database_that_asks_for_stricter_transactions_gets_none(url, meanwhile, sql):
    sql(f"ALTER DATABASE {url.database} SET default_transaction_isolation = 'serializable'")
    _, second = meanwhile(("a@x", "1"), ("a@x", "2"))
    assert second.phone_numbers == ("1", "2")


def test_a_lost_connection_is_no_failure(url):
    batch = [ContactDetails("a@x", "1")]
    calls = []

    def decide(snapshot, now, ids):
        calls.append(now)
        if len(calls) < 3:
            with connect(url) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        return reconcile(batch, snapshot, now, ids)

    transact(url, batch, decide)
    assert len(calls) == 3
    assert violations_of(url, ("a@x", "1")) == []


def test_connections_that_were_lost_while_idle_are_no_failure(url, sql):
    async def body():
        async with repository_on(url) as repository:
            for number in range(3):
                details = ContactDetails("a@x", str(number))
                await asyncio.gather(*(IdentifyContacts(repository)(details) for _ in range(5)))
                sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'identity'"
                )
            return await IdentifyContacts(repository)(ContactDetails("a@x"))

    assert len(asyncio.run(body()).phone_numbers) == 3


def test_a_deadlock_with_somebody_else_is_no_failure(url, sql):
    identify(url, ("a@x", "1"))
    [key] = _keys([ContactDetails("a@x")])
    with connect(url) as other, ThreadPoolExecutor() as pool:
        other.execute("BEGIN")
        other.execute("SELECT * FROM contacts FOR UPDATE")
        ours = pool.submit(identify, url, ("a@x", "2"))
        wait_until(lambda: sql(WAITING) == [(1,)])
        # It holds the lock on the email and waits for the row; now the row waits for the lock.
        other.execute(f"SELECT pg_advisory_xact_lock({key})")
        other.execute("COMMIT")
        assert ours.result().phone_numbers == ("1", "2")


def test_another_programs_row_with_the_next_id_is_no_failure(url, sql):
    sql("INSERT INTO contacts (id, email, link_precedence) VALUES (1, 'a@x', 'primary')")
    assert identify(url, ("b@x", "2")).primary_contact_id == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lock_timeout": 0.1}, "the database was locked for too long"),
        ({"statement_timeout": 0.1}, "the database took too long"),
    ],
)
def test_who_waits_too_long_is_told(url, sql, options, reason):
    identify(url, ("a@x", "1"))
    with connect(url) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM contacts FOR UPDATE")
        with pytest.raises(RepositoryUnavailable, match=reason):
            identify(url, ("a@x", "2"), **options)
        assert identify(url, ("a@x", "1")).phone_numbers == ("1",), "reading waits for nobody"
    assert identify(url, ("a@x", "2")).phone_numbers == ("1", "2")


def test_who_finds_no_free_connection_is_told(url):
    async def body():
        async with repository_on(url, pool_size=1, pool_timeout=0.1) as repository:
            async with repository.engine.connect():
                with pytest.raises(RepositoryUnavailable, match="all connections to the database are in use"):
                    await repository.load([ContactDetails("a@x")])
            await repository.load([ContactDetails("a@x")])

    asyncio.run(body())


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql+psycopg://identity@/postgres?host=/nonexistent", "the database cannot be reached"),
        ("postgresql+psycopg://identity@127.0.0.1:1/postgres", "the database cannot be reached"),
    ],
)
def test_a_database_that_is_away_is_told_of(address, reason, monkeypatch):
    monkeypatch.setattr("identity_adapters.postgres.database.RETRY_PERIOD", 0.2)
    with pytest.raises(RepositoryUnavailable, match=reason):
        identify(make_url(address), ("a@x", "1"))


def test_a_database_that_is_not_migrated_is_told_of(empty_url):
    with pytest.raises(RepositoryUnavailable, match="the database is not migrated"):
        identify(empty_url, ("a@x", "1"))


def test_events_are_on_record_in_order_and_hold_ids_only(url, sql):
    identify(url, ("a@x", "1"), ("a@x", "2"), ("b@x", "3"), ("b@x", "1"), ("a@x", "3"), ("a@x", "1"))
    assert sql(
        "SELECT kind, primary_id, contact_id, evidence_id, absorbed_ids FROM contact_events ORDER BY id"
    ) == [
        ("created", 1, 1, None, []),
        ("linked", 1, 2, None, []),
        ("created", 3, 3, None, []),
        ("merged", 1, None, 4, [3]),
        ("corroborated", 1, None, 5, []),
    ]
    assert sql("SELECT id, email, phone_number FROM contact_evidence ORDER BY id") == [
        (4, "b@x", "1"),
        (5, "a@x", "3"),
    ]
