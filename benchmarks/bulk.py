"""An import beside a plain COPY of the same contacts, and beside the HTTP path."""

import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import URL

from benchmarks.load import wrk
from benchmarks.servers import connect, loaded_database, service

FIRST = datetime(2010, 1, 1, tzinfo=UTC)
COLUMNS = "email, phone_number, linked_id, link_precedence, created_at, updated_at, id"


def bulk(server: URL, rows: int, contacts: int) -> dict[str, dict[str, float]]:
    """Rows a second, and MB that the import held at most.

    Args:
        server: where to make databases.
        rows: how many to import, four with each pair of values; and a fifth of them, all different.
        contacts: how many the database holds that is not empty.
    """
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, number, distinct in (
            ("a fifth of the rows, all different", rows // 5, rows // 5),
            ("as shops have them", rows, rows // 4),
        ):
            path = Path(folder) / "orders.csv"
            print(f"{number:,} rows, {name}", file=sys.stderr)
            _write(path, number, distinct)
            url = loaded_database(server, "bulk", 0)
            measured[f"into an empty database, {name}"] = _import(url, path, number)
            measured[f"the same again, {name}"] = _import(url, path, number)
            measured[f"COPY of the contacts it came to, {name}"] = _copy(server, url, Path(folder), number)
            url = loaded_database(server, "bulk", contacts)
            measured[f"into {contacts:,} contacts, {name}"] = _import(url, path, number)
        url = loaded_database(server, "bulk", 0)
        with service(url) as (port, _):
            measured["HTTP, 128 connections, new contacts"] = {"rate": wrk(port, "new", 128, 10)["rate"]}
    return measured


def _write(path: Path, rows: int, distinct: int) -> None:
    """Orders in no order: one in three by a customer who is known by one of the two values."""
    draw = random.Random(1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["email", "phoneNumber", "createdAt"])
        for number in range(rows):
            pair = number if distinct == rows else draw.randrange(distinct)
            customer = pair - pair % 3 if pair % 3 == 1 else pair
            seen_at = FIRST + timedelta(seconds=draw.randrange(10**8))
            writer.writerow((f"customer{customer}@example.com", str(7 * 10**11 + pair), seen_at.isoformat()))


def _import(url: URL, path: Path, rows: int) -> dict[str, float]:
    command = [sys.executable, "-m", "identity_adapters", "import", str(path), "--json"]
    environment = {"DB_CONNECTION_STRING": url.render_as_string(hide_password=False), "PATH": "/usr/bin:/bin"}
    started = time.monotonic()
    most = 0
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            most = max(most, watched.memory_info().rss)
            time.sleep(0.2)
        assert process.stdout is not None
        summary = json.load(process.stdout)
    if process.returncode != 0 or summary["read"] != rows:
        raise RuntimeError(f"the import failed: {summary}")
    return {"rate": rows / (time.monotonic() - started), "MB": most / 2**20}


def _copy(server: URL, imported: URL, folder: Path, rows: int) -> dict[str, float]:
    """What PostgreSQL takes for the contacts alone, with nothing decided, sorted or checked."""
    dump = folder / "contacts"
    with connect(imported) as connection, dump.open("wb") as file:
        with connection.cursor().copy(f"COPY (SELECT {COLUMNS} FROM contacts ORDER BY id) TO STDOUT") as copy:
            for block in copy:
                file.write(block)
    url = loaded_database(server, "copied", 0)
    started = time.monotonic()
    with connect(url) as connection, dump.open("rb") as file:
        copying = connection.cursor().copy(f"COPY contacts ({COLUMNS}) FROM STDIN")
        with copying as copy:
            while block := file.read(2**20):
                copy.write(block)
        [contacts] = connection.execute("SELECT count(*) FROM contacts").fetchone() or [0]
    return {"rate": rows / (time.monotonic() - started), "contacts": contacts}
