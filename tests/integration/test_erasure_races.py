"""Erasing while others identify, rule, import and look: a person is there whole, or not at all."""

import asyncio
import random
import signal
from contextlib import suppress

import psycopg
import pytest

from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import migrate, verify
from identity_core import (
    ContactDetails,
    Contradiction,
    Erased,
    EraseIdentities,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    Note,
    NotRecorded,
    RuleOnIdentities,
    import_contacts,
)
from identity_core.testing.model import partition, resolved
from tests.integration.test_embedded import servers
from tests.support.databases import connect, plain, repository_on
from tests.support.processes import kill, run, start
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

NOTE = Note("somebody", "because")
PAIRS = [("one@x", "101"), ("two@x", "101"), ("two@x", "102"), ("three@x", "102"), ("one@x", "102")]
DETAILS = [ContactDetails(*pair) for pair in PAIRS]
LEFT = """
SELECT
    (SELECT count(*) FROM contacts JOIN contact_audit audit ON contacts.id = ANY (audit.contact_ids)),
    (SELECT count(*) FROM contact_evidence e JOIN contact_audit audit ON e.id = ANY (audit.evidence_ids)),
    (SELECT count(*) FROM contact_rulings r JOIN contact_audit audit ON r.id = ANY (audit.ruling_ids))
"""
VALUES = {value for details in DETAILS for value in details.identifiers}
STRANGER = ContactDetails("stranger@x", "900")


async def read(details):
    for one in details:
        yield one


def test_whoever_else_is_at_work_a_person_is_there_whole_or_not_at_all(url, size):
    rng = random.Random(17)

    async def body():
        async with repository_on(url, pool_size=12) as repository:
            identify = IdentifyContacts(repository)
            erase = EraseIdentities(repository, repository, repository)
            rule = RuleOnIdentities(repository, repository)
            entries = []

            async def erase_one():
                target = rng.choice([*VALUES])
                with suppress(NotRecorded):
                    entries.append(await erase(target, "a racer"))

            async def undo_one():
                with suppress(NotRecorded, Contradiction):
                    pair = rng.choice(PAIRS)
                    ruled = await rule.undo(pair, NOTE)
                    for ruling in ruled.writes.rulings:
                        await rule.restore(ruling, NOTE)

            async def import_all():
                await import_contacts(repository, read([*DETAILS, STRANGER]), batch_size=3)

            async def merge_with_stranger():
                await identify(ContactDetails("stranger@x", f"{rng.randrange(901, 904)}"))
                with suppress(NotRecorded, Contradiction):
                    await rule.split(
                        Identifier(IdentifierKind.EMAIL, "stranger@x"),
                        Identifier(IdentifierKind.EMAIL, "two@x"),
                        NOTE,
                    )

            async def look():
                for _ in range(10):
                    record = await repository.record(VALUES)
                    assert partition(record) == resolved(record)
                    [counts] = await repository.database.fetch(LEFT, {})
                    assert counts == (0, 0, 0), "who is erased is gone whole at the same moment"

            for _ in range(size(25, 400)):
                work = [
                    *(identify(rng.choice(DETAILS)) for _ in range(8)),
                    *(erase_one() for _ in range(2)),
                    undo_one(),
                    import_all(),
                    merge_with_stranger(),
                    look(),
                ]
                rng.shuffle(work)
                await asyncio.gather(*work)
            assert entries
            gone = {id for entry in entries for id in entry.contact_ids}
            assert len(gone) == sum(len(entry.contact_ids) for entry in entries), "nobody goes twice"
            for entry in entries:
                assert await repository.find_left(entry) == []
            for id in gone:
                with pytest.raises(Erased):
                    await repository.find(id)
            record = await repository.record([*VALUES, *STRANGER.identifiers])
            assert partition(record) == resolved(record)
            assert {contact.id for contact in record.contacts}.isdisjoint(gone)

    asyncio.run(body())
    assert verify(url) == []


COUNTS = """
SELECT
    (SELECT count(*) FROM contacts), (SELECT count(*) FROM contact_evidence),
    (SELECT count(*) FROM contact_rulings),
    (SELECT count(*) FROM contact_audit) - (SELECT count(*) FROM contact_events WHERE kind = 'erased')
"""
PLANTED, ERASED = (5, 1, 1, 0), (1, 0, 0, 0)

BLOCKING = [
    "LOCK TABLE contact_events IN ACCESS EXCLUSIVE MODE",
    "LOCK TABLE contact_evidence IN EXCLUSIVE MODE",
    "LOCK TABLE contact_rulings IN EXCLUSIVE MODE",
    "LOCK TABLE contact_audit IN EXCLUSIVE MODE",
    "SELECT * FROM contacts WHERE email = 'two@x' FOR UPDATE",
]
"""What an erasure waits for, in the order in which it comes to it."""

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'identity' AND wait_event_type = 'Lock' AND datname = current_database()
"""


@pytest.mark.parametrize("victim", ["command", "database"])
def test_killed_at_any_moment_it_erases_all_or_nothing(tmp_path, victim):
    folder = tmp_path / "server"
    with embedded_database(folder) as url:
        migrate(url)
        settings = {"DB_CONNECTION_STRING": plain(url)}
        for statement in BLOCKING if victim == "command" else BLOCKING[::2]:
            asyncio.run(plant(url))
            assert count_all(url) == PLANTED
            with suppress(psycopg.OperationalError), connect(url) as other:
                other.execute("BEGIN")
                other.execute(statement)
                command = start("erase", "--email", "one@x", "--yes", cwd=tmp_path, **settings)
                wait_until_waiting(url, command)
                if victim == "command":
                    command.send_signal(signal.SIGKILL)
                else:
                    [postmaster] = servers(folder)
                    kill(postmaster, *postmaster.children(recursive=True))
                command.wait(PATIENCE)
            # Whoever lost the database tries again, and may erase all.
            left = wait_until(lambda: count_all(url))
            assert left in (PLANTED, ERASED)
            assert left == PLANTED or victim == "database"
            assert verify(url) == []
        asyncio.run(plant(url))
        done = run("erase", "--email", "one@x", "--yes", cwd=tmp_path, **settings)
        assert done.returncode == 0, done.stderr
        assert count_all(url) == ERASED
        assert verify(url) == []


async def plant(url):
    """Record the person and the stranger, unless they are there."""
    async with repository_on(url) as repository:
        await IdentifyContacts(repository).many([*DETAILS, STRANGER])
        await RuleOnIdentities(repository, repository).undo(PAIRS[4], NOTE)


def wait_until_waiting(url, command):
    """Wait until a command waits for a lock."""
    with connect(url) as watching:
        wait_until(lambda: watching.execute(WAITING).fetchone()[0] or command.poll() is not None)
    assert command.poll() is None


def count_all(url):
    """How much there is of everything; None while the database is not back."""
    with suppress(psycopg.Error), connect(url) as connection:
        return connection.execute(COUNTS).fetchone()
    return None
