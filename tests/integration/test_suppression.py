"""Erased people who are kept out: what the database holds of them, and what clients, files and races do."""

import asyncio
import hmac
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from attrs import evolve

from identity_adapters.postgres import PostgresAuditTrail, PostgresContactRepository
from identity_adapters.postgres.locks import collect_identifiers
from identity_core import (
    CannotSuppress,
    ContactDetails,
    EraseIdentities,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Outcome,
    RepositoryUnavailable,
)
from tests.support.databases import connect, patient_engine, plain, repository_on
from tests.support.openapi import checked
from tests.support.processes import run, service
from tests.support.stepping import run_in_order
from tests.support.waiting import wait_until

KEY = "0123456789abcdef0123456789abcdef"
A = Identifier(IdentifierKind.EMAIL, "doc@hillvalley.edu")
NUMBER = Identifier(IdentifierKind.PHONE_NUMBER, "5550123")
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


def hash_of(kind, value):
    return hmac.digest(KEY.encode(), f"{kind}\0{value}".encode(), "sha256")


def on(url, work, key=KEY):
    """Work on a repository with a key."""

    async def body():
        async with repository_on(url, suppression_key=key and key.encode()) as repository:
            return await work(repository)

    return asyncio.run(body())


def erase(url, value=A, until=FUTURE, key=KEY):
    """Erase whoever has a value, and keep them out."""

    async def work(repository):
        trail = PostgresAuditTrail(repository.database)
        await EraseIdentities(repository, repository, trail)(value, suppressed_until=until)

    on(url, work, key)


def identify(url, *details, key=KEY):
    """The outcomes of details."""

    async def work(repository):
        found = await IdentifyContacts(repository).with_outcomes([ContactDetails(*one) for one in details])
        return [one.outcome for one in found]

    return on(url, work, key)


# What is stored


def test_hashes_with_the_key_are_all_that_is_stored(url, sql):
    identify(url, (A.value, NUMBER.value))
    erase(url)
    assert {bytes(hash): at for hash, at in sql("SELECT hash, expires_at FROM contact_suppressions")} == {
        hash_of("email", A.value): FUTURE.replace(tzinfo=None),
        hash_of("phone_number", NUMBER.value): FUTURE.replace(tzinfo=None),
    }


def test_the_later_end_stands_and_what_has_expired_is_removed(url, sql):
    soon = datetime.now(UTC) + timedelta(days=1)
    sql("INSERT INTO contact_suppressions VALUES ('over', timezone('UTC', now()) - interval '1 second')")
    for first, second in ((soon, FUTURE), (FUTURE, soon)):
        sql("DELETE FROM contact_suppressions WHERE hash <> 'over'")
        for until in (first, second):
            sql("INSERT INTO contacts (email, link_precedence) VALUES (%s, 'primary')", A.value)
            erase(url, until=until)
        assert sql("SELECT hash, expires_at FROM contact_suppressions") == [
            (hash_of("email", A.value), FUTURE.replace(tzinfo=None))
        ]


def test_the_clock_of_the_database_tells_when_it_is_over(url, sql):
    identify(url, (A.value,))
    erase(url)
    assert identify(url, (A.value,)) == [Outcome.SUPPRESSED]
    sql("UPDATE contact_suppressions SET expires_at = timezone('UTC', clock_timestamp())")
    assert identify(url, (A.value,)) == [Outcome.CREATED]


def test_another_key_keeps_nobody_out(url):
    identify(url, (A.value,))
    erase(url)
    assert identify(url, (A.value,), key="another" * 8) == [Outcome.CREATED]


def test_without_a_key_nobody_is_kept_out_nor_erased(url, sql):
    identify(url, (A.value,))
    with pytest.raises(CannotSuppress):
        erase(url, key=None)
    assert sql("SELECT count(*) FROM contacts") == [(1,)]
    assert sql("SELECT count(*) FROM contact_audit") == [(0,)]
    erase(url, key=None, until=None)
    assert identify(url, (A.value,), key=None) == [Outcome.CREATED]


def test_only_a_decision_with_a_key_asks_who_is_kept_out(url, sql):
    identify(url, (A.value,))
    sql("DROP TABLE contact_suppressions")
    assert identify(url, (A.value,)) == [Outcome.KNOWN]
    assert identify(url, (A.value, "1"), key=None) == [Outcome.LINKED]
    with pytest.raises(RepositoryUnavailable):
        identify(url, (A.value, "2"))


# Clients and files


@pytest.fixture
def command(tmp_path, url):
    """Runs the command line with a key; the exit code and what it wrote."""

    def run_it(*arguments, expect=0):
        settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_SUPPRESSION_KEY": KEY}
        done = run(*arguments, cwd=tmp_path, **settings)
        assert done.returncode == expect, done.stderr
        return done

    return run_it


def test_clients_are_told_who_is_kept_out(tmp_path, url):
    identify(url, (A.value, NUMBER.value))
    erase(url)
    settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_SUPPRESSION_KEY": KEY}
    with service(tmp_path, **settings) as running:
        checked(running)
        for body, fields in (
            ({"email": A.value, "phoneNumber": "1"}, ["email"]),
            ({"email": "marty@x", "phoneNumber": NUMBER.value}, ["phoneNumber"]),
            ({"email": A.value, "phoneNumber": NUMBER.value}, ["email", "phoneNumber"]),
            ({"phoneNumber": NUMBER.value}, ["phoneNumber"]),
        ):
            for path in ("/identify", "/preview"):
                status, headers, answer = running.request("POST", path, json.dumps(body))
                problem = json.loads(answer)
                assert (status, headers["Identity-Outcome"]) == (422, "suppressed")
                assert [error["field"] for error in problem["errors"]] == fields
                assert {one["reason"] for one in problem["errors"]} == {
                    "was erased on request and is kept out"
                }
        pin = {
            "one": {"email": A.value},
            "other": {"email": "marty@x"},
            "verdict": "same",
            "reason": "a test",
        }
        status, _, answer = running.request("POST", "/pins", json.dumps(pin))
        assert (status, json.loads(answer)["errors"][0]["field"]) == (400, "one")
        counted = b'identity_request_duration_seconds_count{operation="identify",outcome="suppressed"} 4.0'
        wait_until(lambda: counted in running.request("GET", "/metrics")[2])
        assert A.value not in running.output()
    with connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (0,)


@pytest.mark.parametrize("is_empty", [True, False])
def test_an_import_counts_them_and_goes_on(tmp_path, url, sql, command, is_empty):
    identify(url, (A.value,))
    erase(url)
    if not is_empty:
        identify(url, ("somebody@x",))
    rows = [f"{A.value},1", "marty@x,2", "marty@x,1", f"jennifer@x,{NUMBER.value}"]
    (tmp_path / "orders.csv").write_text("\n".join(["email,phoneNumber", *rows, f"{A.value},2"]))
    for option in (["--dry-run"], []):
        done = command("import", "orders.csv", "--json", *option)
        report = json.loads(done.stdout)
        assert (report["read"], report["created"], report["linked"]) == (5, 2, 1)
        assert (report["suppressed"], report["rejected"]) == (2, 0)
        assert "all rows are written at once" not in done.stderr
    assert not (tmp_path / "rejected.csv").exists()
    assert sql("SELECT count(*) FROM contacts WHERE email = %s", A.value) == [(0,)]
    assert "rows of erased people who are kept out" in command("import", "orders.csv").stdout


def test_a_database_is_loaded_at_once_when_nobody_is_kept_out_any_more(tmp_path, url, sql, command):
    sql("INSERT INTO contact_suppressions VALUES ('over', timezone('UTC', now()) - interval '1 second')")
    (tmp_path / "orders.csv").write_text("email,phoneNumber\nmarty@x,2\n")
    assert "all rows are written at once" in command("import", "orders.csv").stderr


def test_rulings_that_name_them_are_left_out(tmp_path, url, command):
    identify(url, (A.value,), ("marty@x",))
    command("pin", A.value, "marty@x", "--different", "--reason", "a test", "--yes")
    command("rulings", "export", "rulings.jsonl")
    erase(url)
    done = command("rulings", "import", "rulings.jsonl", expect=1)
    assert "line 1: one was erased on request and is kept out" in done.stderr
    done = command("pin", A.value, "marty@x", "--same", "--reason", "a test", "--yes", expect=1)
    assert "ONE was erased on request and is kept out" in done.stderr


# Races


async def try_every_order(url, sent, make_repository=PostgresContactRepository):
    """Step an erasure and a client that sends details through every order; the outcomes of the details.

    Each run goes on from a step at which an earlier one could have gone another way, until none is left.
    """
    outcomes, left = set(), [[]]
    key = KEY.encode()
    async with AsyncExitStack() as stack:
        observer = stack.enter_context(connect(url))
        engines = [patient_engine(url, pool_size=1) for _ in range(2)]
        for engine in engines:
            stack.push_async_callback(engine.dispose)

        def is_waiting(backend):
            return observer.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [backend]).fetchone()[0]

        async with repository_on(url, suppression_key=key) as at_rest:
            trail = PostgresAuditTrail(at_rest.database)

            async def erase(stepped):
                repository = PostgresContactRepository(stepped._database, suppression_key=key)
                erase = EraseIdentities(repository, at_rest, trail)
                await erase(Identifier(IdentifierKind.EMAIL, "a@x"), suppressed_until=FUTURE)

            async def identify(answers, stepped):
                repository = make_repository(stepped._database, suppression_key=key)
                [identified] = await IdentifyContacts(repository).with_outcomes([sent])
                answers.append(identified)

            while left:
                observer.execute("TRUNCATE contacts, contact_evidence, contact_suppressions")
                for known in (("a@x", "1"), ("b@x", "1")):
                    await IdentifyContacts(at_rest)(ContactDetails(*known))
                order, answers = left.pop(), []
                steps = await run_in_order(engines, order, [erase, partial(identify, answers)], is_waiting)
                taken = [chosen for chosen, *_ in steps]
                for step, (_, *others) in enumerate(steps[len(order) :], len(order)):
                    left += [[*taken[:step], other] for other in others]
                [identified] = answers
                is_answered = "a@x" in identified.identity.emails
                assert is_answered is (identified.outcome is not Outcome.SUPPRESSED), taken
                assert observer.execute("SELECT count(*) FROM contacts").fetchone() == (0,), taken
                assert observer.execute("SELECT count(*) FROM contact_evidence").fetchone() == (0,), taken
                outcomes.add(identified.outcome)
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (("a@x", "1"), Outcome.KNOWN),
        (("b@x", "9"), Outcome.LINKED),
        (("c@x", "1"), Outcome.LINKED),
        (("a@x", "9"), Outcome.LINKED),
    ],
)
def test_who_comes_while_they_are_erased_is_answered_as_before_or_refused(url, sent, answered):
    outcomes = asyncio.run(try_every_order(url, ContactDetails(*sent)))
    assert outcomes == {answered, Outcome.SUPPRESSED}


class LooksBeforeItLocks(PostgresContactRepository):
    """A repository that reads who is kept out before it holds the locks."""

    async def transact(self, batch, decide):
        async with self._database.connection() as connection:
            self._seen = await self._load_suppressed(connection, collect_identifiers(batch))
        return await super().transact(batch, decide)

    def _prepare_decision(self, batch, query):
        async def load(connection):
            return evolve(await query.load_to_decide(connection), suppressed=self._seen)

        return load


@pytest.mark.slow
def test_whoever_looked_before_the_locks_would_let_them_in(url):
    with pytest.raises(AssertionError):
        asyncio.run(try_every_order(url, ContactDetails("b@x", "9"), LooksBeforeItLocks))
