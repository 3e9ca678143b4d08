import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from threading import Event
from unicodedata import normalize

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from identity_adapters.postgres import (
    SchemaOutdated,
    SchemaUnusable,
    check_schema,
    migrate,
    schema,
    statements,
    verify,
)
from identity_core import ContactDetails, IdentifyContacts, RepositoryBusy
from tests.integration.test_adoption import EXISTING
from tests.support.databases import connect, new_database, plain, repository_on
from tests.support.processes import service
from tests.support.waiting import wait_until


def test_a_fresh_database_gets_wide_ids(url, sql):
    assert sql(
        "SELECT table_name, data_type FROM information_schema.columns"
        " WHERE column_name = 'id' AND table_schema = 'public' ORDER BY 1"
    ) == [
        ("contact_audit", "bigint"),
        ("contact_events", "bigint"),
        ("contact_evidence", "bigint"),
        ("contact_rulings", "bigint"),
        ("contact_webhooks", "bigint"),
        ("contacts", "bigint"),
    ]


def test_many_may_migrate_at_once_and_again(empty_url, sql):
    with ThreadPoolExecutor() as pool:
        list(pool.map(migrate, [empty_url] * 6))
    migrate(empty_url)
    assert sql("SELECT count(*) FROM identity_schema_version") == [(1,)]
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_what_was_on_record_before_is_composed_while_the_version_before_goes_on(url, sql):
    """As the version before left it: its index, and evidence as it was sent."""
    old = """CREATE INDEX idx_contacts_compared_email ON contacts (lower(btrim(email) COLLATE "C"))"""
    sql("DROP INDEX idx_contacts_compared_email_nfc")
    sql("UPDATE identity_schema_version SET version_num = '0002'")
    sql(old)
    pairs = [("é", "1"), ("ệ", "2"), ("ệ", "3"), ("a", "4")]
    spelled = ["e\u0301", "e\u0302\u0323", "e\u0323\u0302", "a"]
    number = count(1)
    for (_, phone_number), spelling in zip(pairs, spelled, strict=True):
        sql(
            "INSERT INTO contact_evidence VALUES (%s, %s, %s, now())",
            next(number),
            f"{spelling}@x",
            phone_number,
        )
    sql("INSERT INTO contact_evidence VALUES (5, 'é@x', '5', now()), (6, %s, '5', now())", "e\u0301@x")
    sql("INSERT INTO contact_evidence VALUES (7, %s, '6', now())", "e\u0323\u0302@x")
    sql("INSERT INTO contact_evidence VALUES (8, %s, '6', now())", "e\u0302\u0323@x")
    migrate(url)
    assert sql("SELECT email, phone_number FROM contact_evidence WHERE id < 6 ORDER BY id") == [
        *((f"{email}@x", phone_number) for email, phone_number in pairs),
        ("é@x", "5"),
    ]
    assert sql("SELECT email FROM contact_evidence WHERE id = 7") == [("ệ@x",)]
    indexes = sql("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%compared_email%' ORDER BY 1")
    assert indexes == [("idx_contacts_compared_email",), ("idx_contacts_compared_email_nfc",)]


def test_a_database_of_one_byte_a_character_is_worked_with(server):
    url = new_database(server, "LATIN1")
    migrate(url)
    batch = [
        ContactDetails("a@x", "1"),
        ContactDetails(normalize("NFD", "é@x"), "1"),
        ContactDetails("\N{CYRILLIC SMALL LETTER I}@x"),
    ]

    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            identities = [await identify(details) for details in batch[:2]]
            with pytest.raises(RepositoryBusy, match="is not in UTF8"):
                await identify(batch[2])
            return identities

    assert [identity.emails for identity in asyncio.run(body())] == [("a@x",), ("a@x", "é@x")]
    assert verify(url) == []


def test_a_database_of_another_encoding_is_refused_and_left_alone(server):
    url = new_database(server, "EUC_JP")
    with pytest.raises(SchemaUnusable, match="must be UTF8 or single-byte, not EUC_JP"):
        migrate(url)
    with connect(url) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall() == [(0,)]


def test_other_peoples_migrations_are_left_alone(empty_url, sql):
    sql("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
    sql("INSERT INTO alembic_version VALUES ('theirs')")
    migrate(empty_url)
    assert sql("SELECT * FROM alembic_version") == [("theirs",)]


def test_an_index_whose_build_was_interrupted_is_built_again(url, sql):
    index = "idx_contacts_compared_email_nfc"
    sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", index)
    sql("DELETE FROM identity_schema_version")
    migrate(url)
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


def test_others_may_write_while_the_indexes_are_built(empty_url, sql):
    sql(EXISTING)
    with connect(empty_url) as slow, ThreadPoolExecutor() as pool:
        slow.execute("BEGIN")
        slow.execute("INSERT INTO contacts (email, link_precedence) VALUES ('a@x', 'primary')")
        migrating = pool.submit(migrate, empty_url)
        building = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE%'"
        )
        wait_until(lambda: sql(building) == [(1,)])
        sql("SET lock_timeout = '10s'")
        sql("INSERT INTO contacts (email, link_precedence) VALUES ('b@x', 'primary')")
        assert not migrating.done()
        slow.execute("COMMIT")
        migrating.result()
    assert sql("SELECT count(*) FROM contacts") == [(2,)]


@pytest.mark.parametrize("email", ["1@x", "é@x"])
@pytest.mark.parametrize(
    "statement",
    [
        "LOAD",
        "LOAD_TO_DECIDE",
        "LOAD_WITH_LIMITS",
        "LOAD_WITH_BLOCKED",
        "LOCK_PRIMARIES",
        "UPDATE",
        "EVIDENCE",
        "EVIDENCE_ABOUT",
        "RULES_IN_FORCE",
        "UNSETTLED",
        "UNSETTLED_RETROACTIVELY",
        "WAITING",
        "RULINGS_ABOUT",
        "PINS_APART",
        "LINEAGE",
        "EVENTS",
        "RULE",
        "SUPPRESSED",
    ],
)
def test_rows_are_found_by_index_whatever_the_planner_knows(url, sql, statement, email):
    statement = getattr(statements, statement)
    values = {
        "details": json.dumps([{"email": email, "phone_number": "2"}]), "others": "[3]",
        "count": 1, "limit": 9,
        "altered": '[{"id": 1}]', "deleted": '[{"id": 1}]', "superseded": "[{}]", "now": datetime.now(UTC),
        "emails": json.dumps([email]), "numbers": '["2"]', "values": json.dumps([email]), "id": 1,
        "ids": "[1]", "after": 0, "asked_emails": json.dumps([email]), "asked_numbers": '["2"]', "paired": 3,
        "most": 5,
        "version": 1, "start": 0, "end": 9, "released": "[]", "email_patterns": '["a%"]',
        "number_patterns": "[]", "one_digit": True, "most_numbers": 2, "most_emails": 2, "most_values": 9,
        "rewritten": '[{"id": 1}]', "rulings": "[]", "withdrawals": '[{"ruling_id": 1}]',
        "hashes": '["00"]',
    }  # fmt: skip

    async def plan():
        async with repository_on(url) as repository, repository.database.connection() as connection:
            rows = await connection.execute(f"EXPLAIN {statement}", values)
            return "\n".join(step for (step,) in await rows.fetchall())

    # A plan that is made while the table is empty is kept while it grows.
    for number in (0, 100, 3000) if statement not in statements.REPLANNED else (3000,):
        sql(
            "INSERT INTO contacts (email, phone_number, link_precedence)"
            " SELECT n || '@x', n, 'primary' FROM generate_series(1, %s) n",
            number,
        )
        sql(
            "INSERT INTO contact_evidence SELECT id, email, phone_number, now(),"
            " (ARRAY['counts', 'undone', 'held', 'held', 'blocked'])[1 + mod(id, 5)],"
            " CASE mod(id, 5) WHEN 3 THEN 'values_per_identity' WHEN 4 THEN 'unchecked' END"
            " FROM contacts ON CONFLICT DO NOTHING"
        )
        sql(
            "INSERT INTO contact_rulings"
            " (id, verdict, one_kind, one, other_kind, other, decided_at, reason)"
            " SELECT id, CASE WHEN mod(id, 2) = 0 THEN 'different' ELSE 'undone' END, 'email', email,"
            " 'phone_number', phone_number, now(), 'a test' FROM contacts ON CONFLICT DO NOTHING"
        )
        sql(
            "INSERT INTO contact_events (happened_at, kind, primary_id, absorbed_ids)"
            " SELECT now(), 'created', id, '{}' FROM contacts"
        )
        sql(
            "INSERT INTO contact_rules (version, rules, released, settled_id, last_id, applied_at, reason)"
            " SELECT id, '{}', '{}', 0, 0, now(), 'a test' FROM contacts ON CONFLICT DO NOTHING"
        )
        sql(
            "INSERT INTO contact_suppressions"
            " SELECT decode(md5(CAST(id AS text)), 'hex'), now() FROM contacts ON CONFLICT DO NOTHING"
        )
        for _ in range(2):
            steps = asyncio.run(plan())
            for bad in ("Seq Scan", "Merge Join", "Hash Join"):
                assert bad not in steps, steps
            scans = re.findall(r"Index (?:Only )?Scan (?:using|on) \w+", steps)
            assert steps.count("Index Cond:") == len(scans), f"an index is read whole: {steps}"
            assert scans or "Index Scan Backward" in steps
            sql("ANALYZE")


@pytest.mark.parametrize("every", [1, 100, 10**6])
def test_the_latest_merges_are_found_by_their_index_whatever_the_planner_knows(url, sql, every):
    async def plan(before):
        async with repository_on(url) as repository, repository.database.connection() as connection:
            values = {"before": before, "limit": 21}
            rows = await connection.execute(f"EXPLAIN {statements.MERGES}", values)
            return "\n".join(step for (step,) in await rows.fetchall())

    sql(
        "INSERT INTO contact_events (happened_at, kind, primary_id, evidence_id, absorbed_ids)"
        " SELECT now(), CASE WHEN mod(n, %s) = 0 THEN 'merged' ELSE 'created' END, n, n, '{}'"
        " FROM generate_series(1, 9000) n",
        every,
    )
    assert statements.MERGES in statements.REPLANNED
    for before in (None, 8000, None, 8000):
        steps = asyncio.run(plan(before))
        assert "idx_contact_events_merged" in steps, steps
        for bad in ("Seq Scan", "contact_events_pkey", "Filter:"):
            assert bad not in steps, steps
        assert steps.count("Index Cond:") == steps.count("Index Scan") == 3
        sql("ANALYZE")
    if every == 1:  # of very many merges, only those of a page are read
        assert "Index Scan Backward using idx_contact_events_merged" in steps


def test_merges_get_their_index_while_others_write_events(empty_url, sql):
    migrate_to(empty_url, "0007")
    event = (
        "INSERT INTO contact_events (happened_at, kind, primary_id, absorbed_ids) VALUES (now(), %s, 1, '{}')"
    )
    sql(event, "merged")
    with connect(empty_url) as slow, ThreadPoolExecutor() as pool:
        slow.execute("BEGIN")
        slow.execute(event, ["merged"])
        migrating = pool.submit(migrate, empty_url)
        building = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE%%'"
        )
        wait_until(lambda: sql(building) == [(1,)])
        sql("SET lock_timeout = '10s'")
        sql(event, "created")
        slow.execute("COMMIT")
        migrating.result()
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_contact_events_merged'::regclass"
    assert sql(valid) == [(True,)]

    async def body():
        async with repository_on(empty_url) as repository:
            return await repository.merges()

    assert [(recorded.event.kind, details) for recorded, details in asyncio.run(body())] == [
        ("merged", None)
    ] * 2


def test_a_large_table_is_adopted_while_others_write_it(empty_url, sql, size):
    """Two replicas start at once on what another service writes all the time; then all again."""
    number = size(100_000, 1_000_000)
    sql(EXISTING)
    sql(
        "INSERT INTO contacts (email, phone_number, linked_id, link_precedence)"
        " SELECT n / 2 || '@x', n, CASE WHEN mod(n, 2) = 1 AND n > 1 THEN n - 1 END,"
        " CASE WHEN mod(n, 2) = 1 AND n > 1 THEN 'secondary' ELSE 'primary' END"
        f" FROM generate_series(1, {number}) n"
    )
    checksum = "SELECT count(*), sum(hashtext(c::text)::bigint) FROM contacts c WHERE id <= %s"
    before = sql(checksum, number)
    done, written = Event(), []

    def write():
        with connect(empty_url) as other:
            other.execute("SET lock_timeout = '10s'")
            while not done.is_set():
                other.execute("INSERT INTO contacts (email, link_precedence) VALUES ('new@x', 'primary')")
                written.append(other.execute("DELETE FROM contacts WHERE email = 'new@x'").rowcount)

    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(write) for _ in range(2)]
        try:
            for _ in range(2):
                list(pool.map(migrate, [empty_url] * 2))
        finally:
            done.set()
        for writer in writers:
            writer.result()
    assert len(written) > 10
    assert sql(checksum, number) == before
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    assert sql("SELECT count(*) FROM identity_schema_version") == [(1,)]


def migrate_to(url, revision):
    """Migrate as the version before did."""
    with schema._connect(url) as connection:
        config = Config()
        config.set_main_option("script_location", str(schema._MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_rulings_come_to_a_database_without_rewriting_its_rows(tmp_path, empty_url, sql):
    migrate_to(empty_url, "0004")
    sql("INSERT INTO contacts (email, phone_number, link_precedence) VALUES ('a@x', '1', 'primary')")
    sql("INSERT INTO contacts (email, linked_id, link_precedence) VALUES ('b@x', 1, 'secondary')")
    sql("INSERT INTO contact_evidence VALUES (3, 'b@x', '1', now())")
    sql(
        "INSERT INTO contact_events (happened_at, kind, primary_id, contact_id, absorbed_ids)"
        " VALUES (now(), 'created', 1, 1, '{}')"
    )
    files = "SELECT pg_relation_filenode(name) FROM unnest(%s::text[]) name"
    tables = ["contacts", "contact_evidence", "contact_events"]
    before = sql(files, tables)
    migrate(empty_url)
    assert sql(files, tables) == before
    assert sql("SELECT standing FROM contact_evidence") == [("counts",)]
    assert sql("SELECT ruling_id, origin_id, moved_ids FROM contact_events") == [(None, None, [])]
    assert verify(empty_url) == []
    with service(tmp_path, DB_CONNECTION_STRING=plain(empty_url)) as running:
        assert running.identify("b@x", "1")["secondaryContactIds"] == [2]


def test_rules_come_to_a_database_without_rewriting_its_rows(tmp_path, empty_url, sql):
    migrate_to(empty_url, "0005")
    sql("INSERT INTO contacts (email, phone_number, link_precedence) VALUES ('a@x', '1', 'primary')")
    sql("INSERT INTO contacts (email, linked_id, link_precedence) VALUES ('b@x', 1, 'secondary')")
    sql("INSERT INTO contact_evidence VALUES (3, 'b@x', '1', now())")
    sql("INSERT INTO contact_evidence VALUES (4, 'b@x', '2', now(), 'undone')")
    files = "SELECT pg_relation_filenode(name) FROM unnest(%s::text[]) name"
    tables = ["contacts", "contact_evidence", "contact_events", "contact_rulings"]
    before = sql(files, tables)
    with connect(empty_url) as other, ThreadPoolExecutor() as pool:
        other.execute("BEGIN")
        other.execute("INSERT INTO contact_evidence VALUES (5, 'a@x', '9', now())")
        migrating = pool.submit(migrate, empty_url)
        other.execute("COMMIT")
        migrating.result()
    assert sql(files, tables) == before
    assert sql("SELECT id, standing, hold FROM contact_evidence ORDER BY id") == [
        (3, "counts", None),
        (4, "undone", None),
        (5, "counts", None),
    ]
    assert sql("SELECT count(*) FROM contact_rules") == [(0,)]
    assert sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    migrate(empty_url)
    with service(tmp_path, DB_CONNECTION_STRING=plain(empty_url)) as running:
        assert running.identify("b@x", "1")["secondaryContactIds"] == [2]


def test_the_schema_of_a_newer_version_is_left_as_it_is_and_worked_with(tmp_path, url, sql):
    sql("UPDATE identity_schema_version SET version_num = '0099_later'")
    sql("ALTER TABLE contacts ADD COLUMN later text")
    settings = {"DB_CONNECTION_STRING": plain(url)}
    with service(tmp_path, **settings) as running:
        assert running.identify("a@x", "1")["primaryContactId"] == 1
        assert "the schema of a newer version" in running.output()
    assert sql("SELECT version_num FROM identity_schema_version") == [("0099_later",)]


def test_the_files_of_migrations_are_named_after_them_in_their_order():
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert {script.revision for script in scripts.walk_revisions()} == schema._REVISIONS
    assert scripts.get_current_head() == max(schema._REVISIONS)


def test_a_schema_is_checked_without_being_changed(empty_url, sql):
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    with pytest.raises(SchemaOutdated, match="the database is not migrated; run 'identity migrate' first"):
        check_schema(empty_url)
    assert sql(tables) == []
    migrate(empty_url)
    current = sql(tables)
    check_schema(empty_url)
    sql("UPDATE identity_schema_version SET version_num = '0099_later'")
    check_schema(empty_url)
    sql("UPDATE identity_schema_version SET version_num = '0001'")
    sql("DROP INDEX idx_contact_events_primary_id")
    with pytest.raises(SchemaOutdated, match="the schema of an older version; run 'identity migrate' first"):
        check_schema(empty_url)
    assert sql("SELECT version_num FROM identity_schema_version") == [("0001",)]
    sql("DELETE FROM identity_schema_version")
    with pytest.raises(SchemaOutdated):
        check_schema(empty_url)
    migrate(empty_url)
    check_schema(empty_url)
    assert sql(tables) == current
