"""Checking and mending a whole database, by the command."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import pytest

from identity_adapters.postgres import migrate, repair_database, verify
from identity_core import (
    ChangeRules,
    ContactDetails,
    IdentifyContacts,
    Limits,
    Note,
    RepositoryUnavailable,
    RuleOnIdentities,
    RuleSet,
    Verdict,
)
from identity_core.model.identifiers import to_identifiers
from identity_core.testing import violations
from tests.integration.test_adoption import EXISTING
from tests.support.databases import connect, plain, repository_on
from tests.support.processes import run

FIRST = (1, "a@x", "1", None, "primary", 9)

# What others wrote: kind, rows of (id, email, phone number, linked id, precedence, days old), ids shown.
WRONG = {
    "precedence": ([(1, "a@x", "1", None, "PRIMARY", 9), (2, "b@x", "1", 1, "primary", 8)], [1, 2]),
    "linked to a deleted contact": (
        [FIRST, (2, "b@x", "1", 1, "secondary", 8), (3, "c@x", "1", 1, "secondary", 7)],
        [2, 3],
    ),
    "linked to a secondary contact": (
        [FIRST, (2, "b@x", "1", 1, "secondary", 8), (3, "c@x", "3", 2, "secondary", 7)],
        [3],
    ),
    "older than its primary": (
        [(1, "a@x", "1", None, "primary", 7), (2, "b@x", "1", 1, "secondary", 8)],
        [2],
    ),
    "email in several identities": (
        [FIRST, (2, " A@X", "2", None, "primary", 8)],
        [1],
    ),
    "phone number in several identities": (
        [(1, "a@x", "55-5", None, "primary", 9), (2, "b@x", "(5)55", None, "primary", 8)],
        [1],
    ),
    "details held by several contacts": (
        [FIRST, (2, "a@x", "1", 1, "secondary", 8), (3, "a@x", "1", 1, "secondary", 7)],
        [1],
    ),
    "evidence joins several identities": (
        [FIRST, (2, "b@x", "2", None, "primary", 8)],
        [900],
    ),
    "pair recorded twice": ([(1, "a@x", "2", None, "primary", 9)], [900]),
}


SECOND = (2, "b@x", "2", None, "primary", 8)
EVIDENCE = "INSERT INTO contact_evidence VALUES (900, '{}', '{}', now(), '{}')"
RULING = (
    "INSERT INTO contact_rulings (id, verdict, one_kind, one, other_kind, other, decided_at, reason)"
    " VALUES (901, '{}', 'email', '{}', '{}', '{}', now(), 'a test')"
)
RULING_OF_PAIR = RULING.replace("'email', '{}', '{}', '{}'", "'email', '{}', 'phone_number', '{}'")

# What nobody but a person with SQL can leave: kind, contacts, evidence and rulings, ids shown.
WRONG_RULINGS = {
    "undone pair counts": ([FIRST], [RULING.format("undone", "a@x", "phone_number", "1")], [1]),
    "pair is undone without a ruling": ([FIRST, SECOND], [EVIDENCE.format("a@x", "2", "undone")], [900]),
    "pair is held without a pin": ([FIRST, SECOND], [EVIDENCE.format("a@x", "2", "held")], [900]),
    "pinned apart but joined": (
        [FIRST, (2, "b@x", "1", 1, "secondary", 8)],
        [RULING.format("different", "a@x", "email", "b@x")],
        [901],
    ),
    "pinned together but apart": (
        [FIRST, SECOND],
        [RULING.format("same", "a@x", "email", "b@x")],
        [901],
    ),
    "value of a ruling or of evidence is unknown": (
        [FIRST],
        [RULING.format("different", "a@x", "email", "b@x")],
        [901],
    ),
}

HELD = "INSERT INTO contact_evidence VALUES (900, 'a@x', '2', now(), '{}', '{}')"
JOINED = [FIRST, (2, "b@x", "1", 1, "secondary", 8), (3, "b@x", "2", 1, "secondary", 7)]

# The same about rules: kind, blocked emails and phone numbers, contacts, evidence and rulings, ids shown.
WRONG_BY_RULES = [
    ("pair is not blocked though a value is", [], ["1"], [FIRST], [], [1]),
    ("pair is not blocked though a value is", ["a@x"], [], [FIRST], [], [1]),
    ("pair is not blocked though a value is", ["a@x"], ["1"], [FIRST, SECOND], [], [1]),
    (
        "pair is not blocked though a value is",
        [],
        ["1"],
        [FIRST, (2, "b@x", "1", 1, "secondary", 8), (3, "c@x", "1", 1, "secondary", 7)],
        [],
        [1, 2, 3],
    ),
    (
        "pair is not blocked though a value is",
        [],
        ["2"],
        [FIRST],
        [EVIDENCE.format("a@x", "2", "counts")],
        [900],
    ),
    (
        "pair is not blocked though a value is",
        [],
        ["2"],
        [FIRST],
        [HELD.format("held", "phone_numbers_per_email")],
        [900],
    ),
    (
        "pair is blocked though no value is",
        [],
        [],
        [FIRST, SECOND],
        [HELD.format("blocked", "unchecked")],
        [900],
    ),
    (
        "pair is held by a limit though a pin accepts it",
        [],
        [],
        JOINED,
        [HELD.format("held", "values_per_identity"), RULING_OF_PAIR.format("same", "a@x", "2")],
        [900],
    ),
    (
        "pair beyond a limit counts without a pin",
        [],
        [],
        JOINED,
        [HELD.format("counts", "phone_numbers_per_email")],
        [900],
    ),
    (
        "value of a ruling or of evidence is unknown",
        ["c@x"],
        [],
        [FIRST],
        [EVIDENCE.format("c@x", "7", "blocked")],
        [900],
    ),
]


def write(sql, rows):
    for id, email, phone_number, linked_id, precedence, days in rows:
        sql(
            "INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at)"
            " VALUES (%s, %s, %s, %s, %s, now() - %s * interval '1 day')",
            *(id, email, phone_number, linked_id, precedence, days),
        )
    sql("SELECT setval('contacts_id_seq', (SELECT max(id) FROM contacts))")


@pytest.fixture
def command(tmp_path, empty_url):
    """Runs ``identity verify``; the exit code and what it wrote."""

    def run_it(*options):
        done = run("verify", *options, cwd=tmp_path, DB_CONNECTION_STRING=plain(empty_url))
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout) if "--json" in options else done.stdout

    return run_it


def repair_all(url, **options):
    async def body():
        async with repository_on(url) as repository:
            return await repair_database(url, repository, repository, **options)

    return asyncio.run(body())


@pytest.mark.parametrize("kind", WRONG_RULINGS)
def test_what_rulings_do_not_say_is_found_and_repaired(sql, url, kind):
    rows, statements, ids = WRONG_RULINGS[kind]
    write(sql, rows)
    for statement in statements:
        sql(statement)
    assert found(url) == {kind: (len(ids), ids)}
    repair_all(url, dry_run=True)
    assert found(url) == {kind: (len(ids), ids)}, "a dry run writes nothing"
    repair_all(url)
    assert verify(url) == []
    assert {"a@x"} <= {email for (email,) in sql("SELECT email FROM contacts WHERE deleted_at IS NULL")}
    events = sql("SELECT count(*) FROM contact_events")
    repair_all(url)
    assert sql("SELECT count(*) FROM contact_events") == events


def put_rules(url, *, is_settled=True, **rules):
    """Put rules in force, and bring everything in line with them unless that is left for later."""

    async def body():
        async with repository_on(url) as repository:
            await repository.put(RuleSet(**rules), Note("a tester", "a test"))
            if is_settled:
                await ChangeRules(repository, repository).settle()

    asyncio.run(body())


@pytest.mark.parametrize(("kind", "emails", "phone_numbers", "rows", "statements", "ids"), WRONG_BY_RULES)
def test_what_rules_do_not_say_is_found_and_repaired(
    sql, url, kind, emails, phone_numbers, rows, statements, ids
):
    put_rules(url, emails=emails, phone_numbers=phone_numbers)
    write(sql, rows)
    for statement in statements:
        sql(statement)
    assert found(url) == {kind: (len(ids), ids)}
    repair_all(url, dry_run=True)
    assert found(url) == {kind: (len(ids), ids)}, "a dry run writes nothing"
    repair_all(url)
    assert verify(url) == []
    events = sql("SELECT count(*) FROM contact_events")
    repair_all(url)
    assert sql("SELECT count(*) FROM contact_events") == events


def test_a_repair_remembers_the_inherited_links_that_a_block_cuts(sql, url):
    put_rules(url, phone_numbers=["1"])
    write(sql, [FIRST, (2, None, "1", 1, "secondary", 8), (3, "c@x", None, 2, "secondary", 7)])
    repair_all(url)
    assert verify(url) == []
    identities = "SELECT count(*) FROM contacts WHERE deleted_at IS NULL AND linked_id IS NULL"
    assert sql(identities) == [(2,)]
    put_rules(url)
    assert sql(identities) == [(1,)]
    assert verify(url) == []


def test_what_rules_make_right_is_no_violation(sql, url):
    """Pairs that limits hold or blocks ignore, values without a contact, and rulings about blocked values."""
    limits = Limits(emails_per_phone_number=2)

    async def write_by_service():
        async with repository_on(url) as repository:
            identify, rule = IdentifyContacts(repository), RuleOnIdentities(repository, repository)
            for key in [("a@x", "1"), ("b@x", "1"), ("c@x", "1"), ("a@x", "9"), ("d@x", "9"), ("e@x", "5")]:
                await identify(ContactDetails(*key))
            note = Note("a tester", "a test")
            await rule.pin(*to_identifiers("e@x", "9"), Verdict.SAME, note)
            await rule.undo(("a@x", "9"), note)
            await rule.pin(*to_identifiers("d@x", "1"), Verdict.DIFFERENT, note)
            await identify(ContactDetails("d@x", "1"))

    put_rules(url, limits=limits)
    asyncio.run(write_by_service())
    assert sql("SELECT DISTINCT standing, hold FROM contact_evidence ORDER BY 1, 2") == [
        ("held", "emails_per_phone_number"),
        ("held", None),
        ("undone", None),
    ]
    assert verify(url) == []
    put_rules(url, is_settled=False, phone_number_patterns=["9*", "?"], limits=limits)
    assert verify(url) == [], "what is not in line with the rules yet is no violation"
    put_rules(url, phone_numbers=["9"], email_patterns=["d@*"], limits=limits)
    assert verify(url) == []
    put_rules(url, is_settled=False)
    assert verify(url) == []
    put_rules(url)
    assert verify(url) == []


def found(url):
    return {violation.kind: (violation.count, list(violation.examples)) for violation in verify(url)}


@pytest.mark.parametrize("kind", WRONG)
def test_each_kind_of_violation_is_found_and_mended(sql, url, kind):
    rows, ids = WRONG[kind]
    write(sql, rows)
    if "deleted" in kind:
        sql("UPDATE contacts SET deleted_at = now() WHERE id = 1")
    if ids == [900]:
        sql("INSERT INTO contact_evidence VALUES (900, 'a@x', '2', now())")
    assert found(url)[kind] == (len(ids), ids)
    values = sql("SELECT DISTINCT email FROM contacts WHERE deleted_at IS NULL ORDER BY 1")
    would = repair_all(url, dry_run=True)
    assert would.identities > 0
    assert found(url)[kind] == (len(ids), ids), "a dry run writes nothing"
    repaired = repair_all(url)
    assert verify(url) == []
    assert 0 < repaired.identities <= would.identities
    assert sql("SELECT count(*) FROM contact_events WHERE kind = 'repaired'") == [(repaired.identities,)]
    assert sql("SELECT DISTINCT email FROM contacts WHERE deleted_at IS NULL ORDER BY 1") == values
    assert repair_all(url).identities == 0


def test_links_to_contacts_that_are_not_there_are_found_and_mended(sql, empty_url):
    sql(EXISTING.replace("REFERENCES contacts(id)", ""))
    write(sql, [(1, "a@x", "1", 99, "secondary", 9), (2, "b@x", "2", 99, "secondary", 8)])
    migrate(empty_url)
    assert found(empty_url)["linked to a missing contact"] == (2, [1, 2])
    assert repair_all(empty_url).identities == 1
    assert verify(empty_url) == []
    assert sql("SELECT linked_id FROM contacts ORDER BY id") == [(None,), (1,)]


def test_dates_that_python_has_none_for_are_compared_as_they_are_answered(sql, url):
    write(sql, [FIRST, (2, "b@x", "1", 1, "secondary", 8), (3, "a@x", "3", 1, "secondary", 7)])
    sql("UPDATE contacts SET created_at = '0044-03-15 BC' WHERE id = 1")
    sql("UPDATE contacts SET created_at = '0050-01-01 BC' WHERE id = 2")
    assert verify(url) == [], "for the repository both are of the year 1, and the first has the smaller id"
    sql("UPDATE contacts SET created_at = 'infinity' WHERE id = 1")
    assert found(url) == {"older than its primary": (2, [2, 3])}
    assert repair_all(url).identities == 1
    assert verify(url) == []


def test_the_command_counts_shows_ids_and_no_personal_value(sql, url, command):
    assert command() == (0, "All invariants hold.\n")
    assert command("--json") == (0, {"violations": []})
    write(sql, [(n, "marked@x", str(5550000 + n), None, "primary", n) for n in range(1, 9)])
    assert command() == (
        1,
        "        1  email in several identities (for example 1)\nSome invariants are violated.\n",
    )
    violation = {"kind": "email in several identities", "count": 1, "examples": [1]}
    repaired = {"identities": 1, "linked": 7, "deleted": 0, "evidence": 0}
    assert command("--json", "--repair", "--dry-run") == (
        1,
        {"violations": [violation], "wouldRepair": repaired},
    )
    assert command("--json", "--repair") == (0, {"violations": [], "repaired": repaired})
    code, said = command("--repair")
    assert code == 0
    assert said.startswith("Repaired 0 identities: 0 contacts relinked, 0 duplicate")


def test_what_cannot_be_checked_is_code_2(tmp_path, empty_url, command):
    code, _ = command()
    assert code == 2, "it is not migrated"
    done = run("verify", cwd=tmp_path, DB_CONNECTION_STRING="postgresql://a:secret@127.0.0.1:1/db")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("identity: the database cannot be used: ")
    assert "secret" not in done.stderr
    assert run("verify", "--dry-run", cwd=tmp_path).returncode == 2


def write_badly(sql, number):
    """Contacts as a service without locks leaves them: shared values, chains, doubles."""
    sql(
        "INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at)"
        " SELECT n, n / 3 || '@x', n / 5 + 1000, CASE WHEN mod(n, 4) = 0 THEN n - 1 END,"
        " CASE WHEN mod(n, 4) = 0 THEN 'secondary' ELSE 'primary' END,"
        " now() - mod(hashint4(n), 1000) * interval '1 hour'"
        " FROM generate_series(1, %s) n",
        number,
    )
    sql("SELECT setval('contacts_id_seq', (SELECT max(id) FROM contacts))")


@contextmanager
def traffic(url, batch, clients=1):
    """Clients that identify one batch after the other, each made of its number, until the end."""
    stop = threading.Event()

    async def body():
        async with repository_on(url) as repository:
            for n in count(1):
                if stop.is_set():
                    return
                await IdentifyContacts(repository).many(batch(n))

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(asyncio.run, body()) for _ in range(clients)]
        try:
            yield
        finally:
            stop.set()
        for one in running:
            one.result()


def test_a_large_and_thoroughly_bad_database_is_mended_beside_live_traffic(sql, url):
    number = 3000
    write_badly(sql, number)
    batch = [ContactDetails(f"{n // 3}@x", str(n // 5 + 1000)) for n in range(1, number + 1)]
    assert len(verify(url)) >= 4
    with traffic(url, lambda n: [ContactDetails(f"{n * 7 % 1000}@x", str(9_000_000 + n))], clients=2):
        repair_all(url)
    repair_all(url)  # for what was written badly by nobody, but read before it was repaired
    assert verify(url) == []

    async def check():
        async with repository_on(url) as repository:
            return violations(await repository.load(batch), batch)

    assert asyncio.run(check()) == []


def test_interrupted_it_goes_on_where_it_was(sql, url):
    write_badly(sql, 1000)

    async def body():
        async with repository_on(url) as repository:
            revise, left = repository.revise, 5

            async def fails_in_the_end(identifiers, decide):
                nonlocal left
                left -= 1
                if left < 0:
                    raise RepositoryUnavailable("gone")
                return await revise(identifiers, decide)

            repository.revise = fails_in_the_end
            await repair_database(url, repository, repository)

    with pytest.raises(RepositoryUnavailable):
        asyncio.run(body())
    repaired_before = sql("SELECT count(*) FROM contact_events")[0][0]
    assert repaired_before > 0
    repair_all(url)
    assert verify(url) == []


def test_live_traffic_is_no_violation(sql, url):
    """A check beside traffic reads one snapshot, in which everything is whole."""

    def batch(n):
        keys = [(f"{n % 50}@x", str(n % 70)), (f"{n % 30}@x", str(n % 90)), (None, str(n % 40))]
        return [ContactDetails(*key) for key in keys]

    with traffic(url, batch):
        for _ in range(20):
            assert verify(url) == []
    with connect(url) as connection:
        assert connection.execute("SELECT count(*) > 50 FROM contacts").fetchone() == (True,)
