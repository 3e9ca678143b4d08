"""The load: ``wrk`` on the service, ``pgbench`` on its database."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from sqlalchemy import URL

from benchmarks.servers import KEY, packaged_program
from identity_adapters.postgres.statements import EMAIL

CONTACTS = 100_000
_runs: Iterator[int] = count(int.from_bytes(os.urandom(3)))


def wrk(
    ports: int | Sequence[int], workload: str, connections: int, seconds: float, contacts: int = CONTACTS
) -> dict[str, float]:
    """Measure throughput (requests per second) and latencies (ms; the worst of the ports) under a load."""
    results = []
    with ExitStack() as stack:
        ports = [ports] if isinstance(ports, int) else ports
        started = [
            stack.enter_context(
                subprocess.Popen(
                    _build_command(port, workload, connections // len(ports), seconds, contacts),
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for port in ports
        ]
        for process in started:
            output, _ = process.communicate()
            found = re.search(r"^RESULT (.*)$", output, re.MULTILINE)
            if found is None:
                raise RuntimeError(output)
            result = json.loads(found.group(1))
            if result["errors"]:
                raise RuntimeError(f"{result['errors']} errors under {workload}, {connections} connections")
            results.append(result)
    rate = sum(result["requests"] / result["seconds"] for result in results)
    return {"rate": rate, "requests": sum(result["requests"] for result in results)} | {
        name: max(result[name] for result in results) for name in ("p50", "p99", "p99.9")
    }


def _build_command(port: int, workload: str, connections: int, seconds: float, contacts: int) -> list[str]:
    script = Path(__file__).with_name("workloads.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "60s", "-s", str(script)]
    return [
        *command,
        f"http://127.0.0.1:{port}/identify",
        "--",
        workload,
        str(contacts),
        str(next(_runs)),
        KEY,
    ]


def pgbench(url: URL, script: str, seconds: float) -> float:
    """Measure transactions per second of a script at 32 connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [str(packaged_program("pgbench")), "-n", "-c32", "-j1", "-M", "prepared", f"-T{seconds:g}"]
        command += ["-f", file.name, "-h", str(url.query["host"]), "-U", str(url.username), str(url.database)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.search(r"tps = ([\d.]+)", output).group(1))  # type: ignore[union-attr]


SELECT = f"""\\set n random(0, {CONTACTS - 1})
SELECT * FROM contacts c WHERE {EMAIL} = :n || '@example.org';
"""
INSERT = """\\set n random(0, 1000000000000)
INSERT INTO contacts (email, phone_number, link_precedence)
VALUES (:n || '@example.net', '8' || :n, 'primary');
"""
