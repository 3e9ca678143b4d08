"""Two versions of the service in alternating pairs of runs, which show the cost of a change."""

import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
from sqlalchemy import URL

from benchmarks.load import CONTACTS, wrk
from benchmarks.servers import create_database, load_contacts, load_rules, load_rulings, run_service

CONNECTIONS = [1, 32, 128]
WORKLOADS = ["known", "new", "mix"]


def compare(
    server: URL, before: Path, rounds: int, seconds: float, in_force: int = 0, blocked: int = 0
) -> dict[str, dict[str, float]]:
    """Measure the ratios of this checkout to another one, by workload and number of connections.

    There is a ratio of the throughput, and one of the processor time per request, which depends less on
    the other load of the machine. Each round measures both versions in succession, and the next round
    reverses the order, so that a drift of the machine favours neither. A ratio is the median of the rounds;
    its error is the standard error of their mean.

    Args:
        server: The PostgreSQL server that both use, each on a database of its own.
        before: A checkout that has its own ``.venv`` with the other version installed.
        rounds: How many pairs are measured; two or more.
        seconds: How long each measurement takes.
        in_force: How many rulings are in force in the database of this checkout, about other contacts.
        blocked: How many values the rules block in that database; with any, everything is limited, too.
    """
    pythons = {"before": before.resolve() / ".venv/bin/python", "now": Path(sys.executable)}
    with ExitStack() as stack:
        ports, processes = {}, {}
        for name, python in pythons.items():
            url = create_database(server, name)
            plain = url.render_as_string(hide_password=False)
            migrate = [str(python), "-m", "identity_adapters", "migrate"]
            subprocess.run(migrate, env={"DB_CONNECTION_STRING": plain}, check=True, capture_output=True)
            load_contacts(url, CONTACTS)
            if name == "now" and in_force:
                load_rulings(url, in_force)
            if name == "now" and blocked:
                load_rules(url, blocked)
            ports[name], running = stack.enter_context(run_service(url, python=python))
            processes[name] = psutil.Process(running.pid)

        def measure(name: str, workload: str, connections: int) -> tuple[float, float]:
            before = sum(processes[name].cpu_times()[:2])
            result = wrk(ports[name], workload, connections, seconds)
            busy = sum(processes[name].cpu_times()[:2]) - before
            return result["rate"], busy / result["requests"]

        ratios: dict[str, list[tuple[float, float]]] = {}
        for round_ in range(rounds):
            for workload in WORKLOADS:
                for connections in CONNECTIONS:
                    names = list(pythons) if round_ % 2 else list(pythons)[::-1]
                    measured = {name: measure(name, workload, connections) for name in names}
                    rate, busy = (
                        now / then for now, then in zip(measured["now"], measured["before"], strict=True)
                    )
                    kind = f"{workload}, {connections} connections"
                    ratios.setdefault(kind, []).append((rate, busy))
                    print(f"round {round_ + 1}: {kind}: {rate:.3f}, {busy:.3f}", file=sys.stderr)
    return {kind: _summarize(pairs) for kind, pairs in ratios.items()}


def _summarize(pairs: list[tuple[float, float]]) -> dict[str, float]:
    summary = {}
    for name, values in zip(("throughput", "processor time"), zip(*pairs, strict=True), strict=True):
        summary[name] = statistics.median(values)
        summary[f"error of {name}"] = statistics.stdev(values) / len(values) ** 0.5
    return summary
