"""A first load: a whole history at once, into a database that is empty."""

import asyncio
import csv
import json
import random
import re
import signal
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity_adapters.cli.first_load import load_first
from identity_adapters.embedded import embedded_database, packaged_programs
from identity_adapters.files.batches import to_batches
from identity_adapters.files.sorting import SortedDetails
from identity_adapters.postgres import migrate, verify
from identity_adapters.postgres.locks import GLOBAL_LOCK
from identity_adapters.postgres.statements.first_load import LOCK_TABLES
from identity_adapters.times import parse_time
from identity_core import ContactDetails, Note, import_contacts
from identity_core.testing import contact_details, moments, rule_sets
from tests.integration.test_embedded import servers
from tests.support.databases import connect, emptied_repository_on, plain, repository_on
from tests.support.processes import kill, run, service, start
from tests.support.recorded import recorded_in
from tests.support.waiting import PATIENCE, wait_until

UNICODE = st.sampled_from(["ß@x.example", "straße@x.example", "i̇@x.example", "σς@x.example", "c:\\q\"'@x"])
HISTORIES = st.lists(
    st.one_of(
        contact_details(seen_at=moments(5) | st.none()),
        st.builds(ContactDetails, UNICODE, st.none() | st.just("5550101"), moments(5)),
    ),
    max_size=30,
)


def import_one_by_one(url, details):
    """Import details as into a database that is not empty; the report."""

    async def run():
        async with repository_on(url) as repository:
            in_order = SortedDetails(to_batches(details))
            try:

                async def read():
                    for one in in_order:
                        yield one

                return await import_contacts(repository, read(), batch_size=7)
            finally:
                in_order.close()

    return asyncio.run(run())


def import_at_once(url, details, **options):
    in_order = SortedDetails(to_batches(details))
    try:
        return load_first(url, in_order, is_dry_run=False, **options)
    finally:
        in_order.close()


async def empty(url, rules=None):
    """Empty a database, and put rules in force."""
    async with emptied_repository_on(url) as repository:
        if rules is not None:
            await repository.put(rules, Note("a test", "to see"))


def compare(urls, details, rules=None):
    """What each of two databases has recorded: imported one after the other, and at once."""

    for url in urls:
        asyncio.run(empty(url, rules))
    assert import_at_once(urls[1], details) == import_one_by_one(urls[0], details)
    with connect(urls[0]) as one, connect(urls[1]) as other:
        return recorded_in(one), recorded_in(other)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(details=HISTORIES)
def test_everything_is_recorded_as_if_it_had_come_one_after_the_other(pair_of_urls, details):
    in_turn, at_once = compare(pair_of_urls, details)
    assert at_once == in_turn
    assert verify(pair_of_urls[1]) == []


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(details=HISTORIES, rules=rule_sets())
def test_rules_apply(pair_of_urls, details, rules):
    in_turn, at_once = compare(pair_of_urls, details, rules)
    for one, other in zip(map(without_ids, in_turn[:2]), map(without_ids, at_once[:2]), strict=True):
        assert other == one
    assert sorted(kind for kind, *_ in at_once[2]) == sorted(kind for kind, *_ in in_turn[2])
    assert verify(pair_of_urls[1]) == []


def without_ids(rows):
    """Rows, each with the values of those that its ids stand for: rules change which ids are given first."""
    values = {row[0]: row[1:3] for row in rows}
    return sorted(
        map(
            str,
            ([values.get(one, one) if at in (0, 3) else one for at, one in enumerate(row)] for row in rows),
        )
    )


def made_orders(number, seed=7):
    """Orders in no order, of customers that come back with other values."""
    draw = random.Random(seed)
    for _ in range(number):
        customer = int(draw.paretovariate(0.7)) % (number // 2)
        email = f"{customer}.{draw.randrange(3)}@example.org" if draw.random() > 0.1 else ""
        phone_number = str(10**9 + 10 * customer + draw.randrange(3)) if draw.random() > 0.1 else ""
        yield email or "known@example.org", phone_number, FIRST + timedelta(minutes=draw.randrange(10**6))


JSON = {"Content-Type": "application/json"}
FIRST = datetime(2015, 1, 1, tzinfo=UTC)


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("email", "phoneNumber", "createdAt"), *rows])


@pytest.fixture
def imports(tmp_path):
    """Runs an import of ``orders.csv`` into a database."""

    def run_it(url, *options, **settings):
        return run(
            "import", "orders.csv", *options, cwd=tmp_path, DB_CONNECTION_STRING=plain(url), **settings
        )

    return run_it


def test_real_orders(orders, pair_of_urls, tmp_path, imports):
    (tmp_path / "orders.csv").symlink_to(orders)
    with orders.open(newline="") as file:
        details = [
            ContactDetails(row["email"], row["phoneNumber"], parse_time(row["createdAt"]))
            for row in csv.DictReader(file)
        ]
    in_turn, at_once = compare(pair_of_urls, details)
    assert at_once == in_turn
    asyncio.run(empty(pair_of_urls[1]))
    done = imports(pair_of_urls[1])
    assert "The database is empty: all rows are written at once." in done.stderr
    with connect(pair_of_urls[1]) as connection:
        assert recorded_in(connection) == in_turn


def test_the_planner_knows_what_was_written(tmp_path, url, sql, imports):
    write(tmp_path / "orders.csv", made_orders(100))
    imports(url)
    known = sql("SELECT DISTINCT tablename FROM pg_stats WHERE schemaname = 'public' ORDER BY tablename")
    assert [table for (table,) in known if table.startswith("contact")] == [
        "contact_events",
        "contact_evidence",
        "contacts",
    ]


def test_a_database_that_is_not_empty_is_imported_into_one_after_the_other(tmp_path, url, sql, imports):
    write(tmp_path / "orders.csv", made_orders(100))
    sql("INSERT INTO contacts (email, link_precedence) VALUES ('known@example.org', 'primary')")
    assert "all rows are written at once" not in imports(url).stderr
    assert verify(url) == []


def test_times_after_now_beside_rows_without_a_time(tmp_path, url, sql, imports):
    write(tmp_path / "orders.csv", [("a@x", "1", "2999-01-01"), ("b@x", "2", ""), ("a@x", "2", "")])
    assert "all rows are written at once" not in imports(url).stderr
    assert sql("SELECT email FROM contacts WHERE linked_id IS NULL") == [("b@x",)]
    assert verify(url) == []


ADOPTED = """
CREATE TABLE contacts (
    id SERIAL PRIMARY KEY, phone_number VARCHAR(20), email VARCHAR(255) CHECK (email <> 'nobody'),
    linked_id INTEGER CONSTRAINT to_primary REFERENCES contacts (id) ON DELETE SET NULL DEFERRABLE,
    link_precedence VARCHAR(10) NOT NULL, created_at TIMESTAMP NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP NOT NULL DEFAULT NOW(), deleted_at TIMESTAMP, note TEXT DEFAULT 'theirs'
);
CREATE INDEX idx_contacts_email ON contacts (email) WITH (fillfactor = 70);
CREATE INDEX kept ON contacts (upper(email)) WHERE deleted_at IS NULL;
COMMENT ON INDEX kept IS 'with a comment';
CREATE VIEW primaries AS SELECT id, email FROM contacts WHERE linked_id IS NULL GROUP BY id;
"""
REFERRING = "CREATE TABLE orders (contact_id INTEGER REFERENCES contacts (id))"


@pytest.mark.parametrize("more", ["", REFERRING], ids=["alone", "referred to"])
def test_what_others_made_stays_as_they_made_it(tmp_path, empty_url, sql, imports, more):
    write(tmp_path / "orders.csv", made_orders(500))
    sql(ADOPTED)
    sql(more or "SELECT")
    migrate(empty_url)
    before = schema(empty_url)
    assert "all rows are written at once" in imports(empty_url).stderr
    assert schema(empty_url) == before
    assert sql("SELECT DISTINCT note FROM contacts") == [("theirs",)]
    assert sql("SELECT count(*) > 10, count(DISTINCT id) = count(*) FROM primaries") == [(True, True)]
    assert verify(empty_url) == []


def schema(url):
    """Every definition of a database, in an order that does not depend on when things were made."""
    command = [packaged_programs() / "pg_dump", "--schema-only", plain(url)]
    dump = subprocess.run(command, check=True, capture_output=True, text=True)
    # PostgreSQL prints the same condition with other casts after it was made again.
    lines = (re.sub(r"::[a-z ]+(\[\])?|[()]", "", line) for line in dump.stdout.splitlines())
    return sorted(line for line in lines if "restrict" not in line)


def test_who_does_not_own_the_tables_loads_them_with_their_indexes(tmp_path, url, sql, imports):
    write(tmp_path / "orders.csv", made_orders(500))
    sql("DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk")
    sql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO clerk")
    done = imports(url.set(username="clerk"))
    assert done.returncode == 0, done.stderr
    assert "all rows are written at once" in done.stderr
    assert verify(url) == []


def test_others_who_write_first_are_told_apart(tmp_path, url, sql, imports):
    write(tmp_path / "orders.csv", made_orders(500))
    with connect(url) as other, other.transaction():
        other.execute("INSERT INTO contacts (email, link_precedence) VALUES ('known@example.org', 'primary')")
        process = start("import", "orders.csv", cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
        wait_until(
            lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != [(0,)]
        )
    assert process.wait(PATIENCE) == 0
    assert sql("SELECT count(*) FROM contacts WHERE email = 'known@example.org'")[0][0] > 1
    assert verify(url) == []


def test_who_uses_the_tables_for_too_long_is_not_waited_for(tmp_path, url, sql, imports):
    write(tmp_path / "orders.csv", made_orders(50))
    with connect(url) as other, other.transaction():
        other.execute("SELECT FROM contacts")
        done = imports(url)
    assert done.returncode == 2
    assert "the database cannot be used: canceling statement due to lock timeout" in done.stderr
    assert sql("SELECT count(*) FROM contacts") == [(0,)]


def test_a_service_that_waits_says_so(tmp_path, url, sql):
    with (
        service(tmp_path, DB_CONNECTION_STRING=plain(url), IDENTITY_LOCK_TIMEOUT="0.2") as running,
        connect(url) as loading,
        loading.transaction(),
    ):
        loading.execute("SELECT pg_advisory_xact_lock(%s)", [GLOBAL_LOCK])
        loading.execute(LOCK_TABLES)
        status, _, body = running.request("POST", "/identify", '{"email": "a@x"}', JSON)
    assert status == 503
    assert json.loads(body)["detail"].startswith("the database was locked for too long")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["importer", "database"])
def test_killed_at_any_moment_it_leaves_nothing_or_everything(tmp_path, size, victim):
    rows = [*made_orders(size(10_000, 2_000_000))]
    write(tmp_path / "orders.csv", rows)
    folder = tmp_path / "server"
    with embedded_database(folder) as url:
        migrate(url)
        whole = None
        for moment in size((1, 4, 8), range(10)):
            process = start("import", "orders.csv", cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
            wait_for_statement(url, process, moment)
            if victim == "importer":
                process.send_signal(signal.SIGKILL)
            else:
                [postmaster] = servers(folder)
                kill(postmaster, *postmaster.children(recursive=True))
            process.wait(PATIENCE)
            with connect(wait_until_ready(url)) as connection:
                counts = connection.execute(COUNTS).fetchone()
                assert counts == (0, 0, 0) or counts == whole or whole is None
                connection.execute("TRUNCATE contacts, contact_evidence, contact_events")
            assert run("import", "orders.csv", cwd=tmp_path, DB_CONNECTION_STRING=plain(url)).returncode == 0
            with connect(url) as connection:
                counts = connection.execute(COUNTS).fetchone()
                assert whole in (None, counts)
                whole = counts
                assert verify(url) == []
                connection.execute("TRUNCATE contacts, contact_evidence, contact_events")


def wait_for_statement(url, process, number):
    """Wait until an import has been seen to run so many different statements, or has ended."""
    seen = set()
    running = (
        "SELECT query FROM pg_stat_activity WHERE application_name = 'identity' AND xact_start IS NOT NULL"
    )

    def is_seen():
        seen.update(connection.execute(running).fetchall())
        return len(seen) > number or process.poll() is not None

    with connect(url) as connection:
        wait_until(is_seen)


def wait_until_ready(url):
    def is_ready():
        with suppress(psycopg.OperationalError), connect(url) as connection:
            return connection.execute("SELECT true").fetchone()

    wait_until(is_ready)
    return url


COUNTS = """
SELECT (SELECT count(*) FROM contacts), (SELECT count(*) FROM contact_evidence),
    (SELECT count(*) FROM contact_events)
"""
