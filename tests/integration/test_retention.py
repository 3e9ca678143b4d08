"""When values were last seen: recorded beside everything else, and who was not for long is erased."""

import asyncio
import json
from datetime import UTC, date, datetime

import pytest

from identity_adapters.domains import to_ascii, to_unicode
from identity_adapters.postgres import (
    EmailForms,
    PostgresAuditTrail,
    PostgresIdentityReader,
    PostgresSightings,
    statements,
)
from identity_core import ContactDetails, EraseIdentities, IdentifyContacts
from tests.support.databases import connect, patient_engine, plain, repository_on
from tests.support.processes import kill, run, service
from tests.support.stepping import run_in_order
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

THIS_MONTH = datetime.now(UTC).date().replace(day=1)
JANUARY = date(2020, 1, 1)


def read_seen(url):
    with connect(url) as connection:
        return dict(connection.execute("SELECT value, month FROM contact_last_seen").fetchall())


def read_since(url):
    with connect(url) as connection:
        return [since for (since,) in connection.execute("SELECT since FROM contact_last_seen_since")]


def recording(folder, url):
    folder.mkdir(exist_ok=True)
    return service(folder, DB_CONNECTION_STRING=plain(url), IDENTITY_RECORD_LAST_SEEN="yes")


def erase(url, value):
    async def body():
        async with repository_on(url) as repository:
            trail = PostgresAuditTrail(repository.database)
            await EraseIdentities(repository, repository, trail)(ContactDetails(value).identifiers[0])

    asyncio.run(body())


def test_the_service_records_the_month_only_if_it_is_told_to(tmp_path, url):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        running.identify("a@x", "1")
        assert running.stop() == 0
    assert (read_seen(url), read_since(url)) == ({}, [])
    with recording(tmp_path, url) as running:
        running.identify("a@x", "1")
        wait_until(lambda: read_seen(url) == {"a@x": THIS_MONTH, "1": THIS_MONTH})
        assert read_since(url) == [THIS_MONTH]
        _, _, metrics = running.request("GET", "/metrics")
        assert b"identity_last_seen_written_total 2.0" in metrics
        running.request("POST", "/preview", '{"email": "b@x"}', {"Content-Type": "application/json"})
        assert running.stop() == 0
    assert read_seen(url).keys() == {"a@x", "1"}
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        wait_until(lambda: read_since(url) == [])


def test_it_is_no_longer_known_for_how_long_it_was_recorded_before_a_gap(tmp_path, url, sql):
    sql("INSERT INTO contact_last_seen_since VALUES ('2020-01-01')")
    with recording(tmp_path, url) as running:
        running.identify("a@x")
        assert running.stop() == 0
    assert read_since(url) == [JANUARY]
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)):
        wait_until(lambda: read_since(url) == [])
    with recording(tmp_path, url):
        wait_until(lambda: read_since(url) == [THIS_MONTH])


def test_an_erased_value_does_not_come_back_and_nothing_is_lost_when_the_service_stops(tmp_path, url):
    with recording(tmp_path, url) as running:
        running.identify("a@x", "1")
        running.identify("b@x", "2")
        erase(url, "a@x")
        assert running.stop() == 0
    assert read_seen(url) == {"b@x": THIS_MONTH, "2": THIS_MONTH}
    assert "a@x" not in running.output()


def test_what_is_blocked_is_not_recorded(tmp_path, url):
    with recording(tmp_path, url) as running:
        running.identify("a@x", "5550100")
        rules = json.dumps({"blocked": {"phoneNumbers": ["2"]}, "limits": {}, "reason": "a test"})
        assert running.request("PUT", "/rules", rules, {"Content-Type": "application/json"})[0] == 200
        running.identify("b@x", "2")
        assert running.post({"phoneNumber": "2"})[0] == 422
        assert running.stop() == 0
    assert read_seen(url).keys() == {"a@x", "5550100", "b@x"}


def test_a_killed_service_loses_at_most_what_was_not_written_yet(tmp_path, url):
    with recording(tmp_path, url) as running:
        running.identify("a@x", "1")
        kill(*running.family())
    with recording(tmp_path, url) as running:
        assert running.identify("a@x", "1")["primaryContactId"] == 1
        wait_until(lambda: read_seen(url).keys() == {"a@x", "1"})


def test_no_failure_of_it_fails_a_request_or_is_told_with_values(tmp_path, url, sql):
    sql("ALTER TABLE contact_last_seen RENAME TO elsewhere")
    with recording(tmp_path, url) as running:
        running.identify("secret@x", "5550123")
        wait_until(lambda: "could not be recorded" in running.output())
        running.identify("secret@x", "5550123")
        sql("ALTER TABLE elsewhere RENAME TO contact_last_seen")
        wait_until(lambda: read_seen(url).keys() == {"secret@x", "5550123"})
        assert running.stop() == 0
    assert "secret@x" not in running.output()
    assert "5550123" not in running.output()


def test_an_import_records_the_months_of_its_rows_if_the_service_records(tmp_path, url, sql):
    def import_rows(*rows):
        (tmp_path / "orders.csv").write_text("\n".join(("email,phone_number,created_at", *rows)))
        assert run("import", "orders.csv", cwd=tmp_path, DB_CONNECTION_STRING=plain(url)).returncode == 0

    import_rows("a@x,1,2020-01-05")
    import_rows("a@x,1,2020-02-05")
    assert (read_seen(url), read_since(url)) == ({}, [])
    sql("INSERT INTO contact_last_seen_since VALUES ('2020-03-01')")
    import_rows("a@x,1,2020-02-09", "b@x,1,2020-03-31", "b@x,3,2020-04-01")
    assert read_seen(url) == {"b@x": date(2020, 4, 1), "1": date(2020, 3, 1), "3": date(2020, 4, 1)}
    import_rows("a@x,1,2020-03-02")
    assert read_seen(url)["a@x"] == date(2020, 3, 1)


def test_a_whole_history_that_is_loaded_at_once_has_recording_begin_anew(tmp_path, url, sql):
    sql("INSERT INTO contact_last_seen_since VALUES ('2020-03-01')")
    (tmp_path / "orders.csv").write_text("email,created_at\na@x,2020-01-05\na@x,2020-04-05\n")
    assert run("import", "orders.csv", cwd=tmp_path, DB_CONNECTION_STRING=plain(url)).returncode == 0
    assert (read_seen(url), read_since(url)) == ({}, [THIS_MONTH])


def test_emails_are_recorded_in_the_form_that_is_stored(url, sql):
    sql("INSERT INTO contacts (email, link_precedence) VALUES ('Doc@xn--bcher-kva.example', 'primary')")
    sql("INSERT INTO contacts (phone_number, link_precedence) VALUES ('(555) 01-23', 'primary')")
    value, number = ContactDetails("doc@bücher.example", "5550123").identifiers

    async def body():
        async with repository_on(url) as repository:
            forms = EmailForms(to_ascii, to_unicode)
            sightings = PostgresSightings(repository.database, forms)
            await sightings.begin_recording(JANUARY)
            assert await sightings.record_seen({value: THIS_MONTH, number: THIS_MONTH}) == 2
            reader = PostgresIdentityReader(repository.database, forms)
            assert (await reader.dossier([value])).last_seen == {value: THIS_MONTH}

    asyncio.run(body())
    assert read_seen(url) == {"doc@xn--bcher-kva.example": THIS_MONTH, "5550123": THIS_MONTH}


async def leave_behind(url):
    """What is left of a value in some order of its erasure and of recording when it was seen."""
    engines = [patient_engine(url, pool_size=1) for _ in range(2)]
    left, orders, taken_orders = [[]], [], 0
    details = ContactDetails("a@x", "1")
    email, number = details.identifiers
    seen = {email: THIS_MONTH, number: THIS_MONTH}
    async with repository_on(url) as at_rest:
        await PostgresSightings(at_rest.database).begin_recording(JANUARY)
        with connect(url) as observer:

            def is_waiting(backend):
                query = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
                return observer.execute(query, [backend]).fetchone()[0]

            async def record(repository):
                await PostgresSightings(repository._database).record_seen(seen)

            async def erase(repository):
                await EraseIdentities(repository, at_rest, PostgresAuditTrail(at_rest.database))(email)

            while left:
                order = left.pop()
                await IdentifyContacts(at_rest)(details)
                steps = await run_in_order(engines, order, [record, erase], is_waiting)
                taken = [chosen for chosen, *_ in steps]
                for step, (_, *others) in enumerate(steps[len(order) :], len(order)):
                    left += [[*taken[:step], other] for other in others]
                taken_orders += 1
                if read_seen(url):
                    orders.append(taken)
                    observer.execute("DELETE FROM contact_last_seen")
    for engine in engines:
        await engine.dispose()
    return orders, taken_orders


def test_in_no_order_is_an_erased_value_put_back(url):
    wrong, orders = asyncio.run(leave_behind(url))
    assert wrong == []
    assert orders > 5


def without_the_lock_of_who_records(monkeypatch):
    monkeypatch.setattr(statements, "SHARE_LAST_SEEN", "SELECT %(lock)s")


def without_the_lock_of_who_erases(monkeypatch):
    monkeypatch.setattr(statements, "LOCK_LAST_SEEN", "SELECT %(lock)s + 0")


def without_looking_whether_a_contact_has_it(monkeypatch):
    of_all = statements.RECORD_SEEN.replace("FROM held ORDER", "FROM new ORDER")
    monkeypatch.setattr(statements, "RECORD_SEEN", of_all)


@pytest.mark.parametrize(
    "broken",
    [
        without_the_lock_of_who_records,
        without_the_lock_of_who_erases,
        without_looking_whether_a_contact_has_it,
    ],
    ids=lambda broken: broken.__name__,
)
def test_recording_with_one_rule_broken_puts_it_back(url, monkeypatch, broken):
    broken(monkeypatch)
    assert asyncio.run(leave_behind(url))[0]


@pytest.fixture
def identity(tmp_path, url):
    """Runs a command on a database with three customers of the year 2020."""

    def run_command(*arguments, code=0, input=None):
        done = run(*arguments, cwd=tmp_path, input=input, DB_CONNECTION_STRING=plain(url))
        assert done.returncode == code, done.stderr
        return done

    (tmp_path / "orders.csv").write_text(
        "email,phone_number,created_at\na@x,1,2020-01-01\na@x,2,2020-01-02\nb@x,3,2020-02-01\nc@x,4,2020-03-01\n"
    )
    run_command("import", "orders.csv")
    return run_command


def count_contacts(url):
    with connect(url) as connection:
        return connection.execute("SELECT count(*) FROM contacts").fetchone()[0]


UNSEEN = ("erase", "--unseen-for", "24months")


def test_nobody_is_erased_where_it_was_not_recorded_for_long_enough(identity, url, sql):
    refused = identity(*UNSEEN, "--yes", code=1)
    assert "when values were last seen is not recorded; IDENTITY_RECORD_LAST_SEEN=yes" in refused.stderr
    sql("INSERT INTO contact_last_seen_since VALUES (%s)", THIS_MONTH)
    refused = identity(*UNSEEN, "--yes", code=1)
    assert f"is recorded since {THIS_MONTH:%Y-%m} only" in refused.stderr
    assert "must be whole months or years" in identity("erase", "--unseen-for", "90days", code=2).stderr
    assert count_contacts(url) == 4


def test_who_is_unseen_is_shown_asked_about_and_erased(identity, url, sql):
    sql("INSERT INTO contact_last_seen_since VALUES ('2019-12-01')")
    sql(
        "INSERT INTO contact_last_seen VALUES ('phone_number', '2', '2020-05-01'), ('email', 'c@x', %s)",
        THIS_MONTH,
    )
    shown = identity(*UNSEEN, "--dry-run").stdout
    assert shown.splitlines() == [
        "2 identities with 3 contacts are unseen for 24 months:",
        "primary  contacts  last seen",
        "1        2         2020-05",
        "3        1         2020-02",
    ]
    assert json.loads(identity(*UNSEEN, "--dry-run", "--json").stdout) == {
        "identities": 2,
        "contacts": 3,
        "unseen": [
            {"primaryContactId": 1, "contacts": 2, "lastSeen": "2020-05"},
            {"primaryContactId": 3, "contacts": 1, "lastSeen": "2020-02"},
        ],
    }
    assert "nothing was changed" in identity(*UNSEEN, input="n\n", code=1).stderr
    assert count_contacts(url) == 4
    assert identity(*UNSEEN, input="y\n").stdout == "Erased 2 identities with 3 contacts.\n"
    assert count_contacts(url) == 1
    assert read_seen(url) == {"c@x": THIS_MONTH}
    assert identity(*UNSEEN).stderr == "Nobody is unseen for 24 months.\n"
    assert json.loads(identity(*UNSEEN, "--yes", "--json").stdout) == {
        "identities": 0,
        "contacts": 0,
        "kept": 0,
        "referenced": [],
    }


def test_who_another_table_refers_to_is_told(identity, url, sql):
    sql("INSERT INTO contact_last_seen_since VALUES ('2019-12-01')")
    sql("CREATE TABLE orders (contact_id bigint REFERENCES contacts (id))")
    sql("INSERT INTO orders VALUES (3)")
    assert identity(*UNSEEN, "--yes").stdout.splitlines() == [
        "Erased 2 identities with 3 contacts.",
        "Another table of the database refers to contacts of these, which stay: 3.",
    ]
    assert count_contacts(url) == 1
