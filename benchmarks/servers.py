"""The measured processes and their databases."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL

from identity_adapters.keys import Scope, generate_key
from identity_adapters.postgres import Database, PostgresRuleBook, create_engine, migrate
from identity_core import Limits, Note, RuleSet

KEY, _CONFIGURED = generate_key("benchmark", [Scope.IDENTIFY, Scope.READ])
"""The API key of the benchmarks; the service checks it on each request."""

RULING_KEY, CONFIGURED_RULING_KEY = generate_key("ruling", [*Scope])
"""That of the benchmark of rulings."""

LOAD = """
INSERT INTO contacts (email, phone_number, linked_id, link_precedence, created_at)
SELECT n || '@example.org', 1000000000 + n, nullif(n - mod(n, %(size)s), n) + 1,
    CASE WHEN mod(n, %(size)s) = 0 THEN 'primary' ELSE 'secondary' END, now() - interval '1 day'
FROM generate_series(0, %(contacts)s - 1) n
"""

# Two contacts for each ruling: every other pins two emails apart, and every other undoes a pair.
LOAD_RULINGS = """
INSERT INTO contacts (email, phone_number, link_precedence, created_at)
SELECT CASE mod(n, 4) WHEN 3 THEN NULL ELSE n || '@ruled.example.org' END,
    CASE mod(n, 4) WHEN 2 THEN NULL ELSE 2000000000 + n END, 'primary', now()
FROM generate_series(0, 2 * %(rulings)s - 1) n;

INSERT INTO contact_evidence (id, email, phone_number, seen_at, standing)
SELECT nextval('contacts_id_seq'), n || '@ruled.example.org', 2000000000 + n + 1, now(), 'undone'
FROM generate_series(2, 2 * %(rulings)s - 1, 4) n;

INSERT INTO contact_rulings (id, verdict, one_kind, one, other_kind, other, decided_at, reason)
SELECT nextval('contacts_id_seq'), 'different', 'email', n || '@ruled.example.org', 'email',
    n + 1 || '@ruled.example.org', now(), 'a benchmark'
FROM generate_series(0, 2 * %(rulings)s - 1, 4) n
UNION ALL
SELECT nextval('contacts_id_seq'), 'undone', 'email', n || '@ruled.example.org', 'phone_number',
    CAST(2000000000 + n + 1 AS text), now(), 'a benchmark'
FROM generate_series(2, 2 * %(rulings)s - 1, 4) n;
"""


def connect(url: URL) -> psycopg.Connection:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def create_database(server: URL, name: str) -> URL:
    """Create a database without tables."""
    with connect(server) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return server.set(database=name)


def load_contacts(url: URL, contacts: int, size: int = 1) -> None:
    """Fill a migrated database with contacts in identities of equal size."""
    with connect(url) as connection:
        connection.execute(LOAD, {"contacts": contacts, "size": size})
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def load_rulings(url: URL, rulings: int) -> None:
    """Put rulings in force about contacts that nothing else is about."""
    with psycopg.ClientCursor(connect(url)) as cursor:
        cursor.execute(LOAD_RULINGS, {"rulings": rulings})
        cursor.execute("VACUUM ANALYZE")
        cursor.connection.close()


def load_rules(url: URL, blocked: int) -> None:
    """Put rules in force that block so many values which nobody sends, and limits which nobody reaches."""
    far = 1_000_000
    rules = RuleSet(
        emails={f"{n}@blocked.example.org" for n in range(blocked // 2)},
        phone_numbers={str(9 * 10**9 + n) for n in range(blocked - blocked // 2)},
        limits=Limits(far, far, far, far),
    )

    async def put() -> None:
        engine = create_engine(url)
        await PostgresRuleBook(Database(engine)).put(rules, Note(None, "a benchmark"))
        await engine.dispose()

    asyncio.run(put())


def create_loaded_database(server: URL, name: str, contacts: int, size: int = 1) -> URL:
    """Create a database with contacts in identities of equal size."""
    url = create_database(server, name)
    migrate(url)
    load_contacts(url, contacts, size)
    return url


def find_free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def run_process(command: list[str], port: int, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server that listens on a port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    environment = kept | {name: str(value) for name, value in settings.items()}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if running.poll() is not None:
                raise RuntimeError(running.stderr.read().decode() if running.stderr else "the server ended")
            time.sleep(0.05)
        yield running
    finally:
        running.terminate()
        running.wait(60)


@contextmanager
def run_floor() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.floor:app", "--port", str(port)]
    command += ["--no-access-log", "--no-server-header", "--log-level", "warning"]
    with run_process(command, port) as running:
        yield port, running


@contextmanager
def run_service(
    url: URL, *options: str, python: Path = Path(sys.executable), **settings: object
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = find_free_port()
    command = [str(python), "-m", "identity_adapters", "serve", "--port", str(port), *options]
    plain = url.render_as_string(hide_password=False)
    settings = {"DB_CONNECTION_STRING": plain, "IDENTITY_API_KEYS": _CONFIGURED.entry} | settings
    with run_process(command, port, **settings) as running:
        yield port, running


def packaged_program(name: str) -> Path:
    """The path of a program of the embedded PostgreSQL."""
    from identity_adapters.embedded import packaged_programs

    return packaged_programs() / name
