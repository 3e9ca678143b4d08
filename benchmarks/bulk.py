"""An import compared with a plain COPY of the same contacts, and with HTTP."""

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
from benchmarks.servers import connect, create_loaded_database, run_service

FIRST = datetime(2010, 1, 1, tzinfo=UTC)
COLUMNS = "email, phone_number, linked_id, link_precedence, created_at, updated_at, id"


def bulk(server: URL, rows: int, contacts: int) -> dict[str, dict[str, float]]:
    """Measure rows per second, and the peak memory of the import in MB.

    Args:
        server: the server on which databases are created.
        rows: the number of rows, four with each pair of values; a second run has a fifth, all distinct.
        contacts: the size of the database that is not empty.
    """
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, number, distinct in (
            ("a fifth of the rows, all different", rows // 5, rows // 5),
            ("as shops have them", rows, rows // 4),
        ):
            path = Path(folder) / "orders.csv"
            print(f"{number:,} rows, {name}", file=sys.stderr)
            write_orders(path, number, distinct)
            url = create_loaded_database(server, "bulk", 0)
            measured[f"into an empty database, {name}"] = _import(url, path, number)
            measured[f"the same again, {name}"] = _import(url, path, number)
            measured[f"COPY of the contacts it came to, {name}"] = _copy(server, url, Path(folder), number)
            url = create_loaded_database(server, "bulk", contacts)
            measured[f"into {contacts:,} contacts, {name}"] = _import(url, path, number)
        url = create_loaded_database(server, "bulk", 0)
        with run_service(url) as (port, _):
            measured["HTTP, 128 connections, new contacts"] = {"rate": wrk(port, "new", 128, 10)["rate"]}
    return measured


def write_orders(path: Path, rows: int, distinct: int) -> None:
    """Write orders in random order; for one in three, one of the two values is known from another."""
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
    peak = 0
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        importer = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, importer.memory_info().rss)
            time.sleep(0.2)
        assert process.stdout is not None
        summary = json.load(process.stdout)
    if process.returncode != 0 or summary["read"] != rows:
        raise RuntimeError(f"the import failed: {summary}")
    return {"rate": rows / (time.monotonic() - started), "MB": peak / 2**20}


def _copy(server: URL, imported: URL, folder: Path, rows: int) -> dict[str, float]:
    """Measure COPY of the contacts alone, without decisions, sorting or validation."""
    dump = folder / "contacts"
    with connect(imported) as connection, dump.open("wb") as file:
        with connection.cursor().copy(f"COPY (SELECT {COLUMNS} FROM contacts ORDER BY id) TO STDOUT") as copy:
            for block in copy:
                file.write(block)
    url = create_loaded_database(server, "copied", 0)
    started = time.monotonic()
    with connect(url) as connection, dump.open("rb") as file:
        copying = connection.cursor().copy(f"COPY contacts ({COLUMNS}) FROM STDIN")
        with copying as copy:
            while block := file.read(2**20):
                copy.write(block)
        [contacts] = connection.execute("SELECT count(*) FROM contacts").fetchone() or [0]
    return {"rate": rows / (time.monotonic() - started), "contacts": contacts}
