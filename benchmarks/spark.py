"""A build of identities on Spark, on this machine alone."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.bulk import write_orders

MEMORY = "4g"
"""The memory of Spark's JVM; Python's workers need some more."""


def spark(rows: int) -> dict[str, dict[str, float]]:
    """Measure seconds, seconds of processors, rows per second and peak memory in MB, of sizes that double.

    Args:
        rows: the largest number of rows, four with each pair of values; a fifth of it is the largest number
            of rows that are all distinct.
    """
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, number, distinct in (
            ("all different", rows // 10, rows // 10),
            ("all different", rows // 5, rows // 5),
            ("as shops have them", rows // 2, rows // 8),
            ("as shops have them", rows, rows // 4),
        ):
            path = Path(folder) / "orders.csv"
            print(f"{number:,} rows, {name}", file=sys.stderr)
            write_orders(path, number, distinct)
            measured[f"{number:,} rows, {name}"] = measure_build(path, number)
    return measured


def measure_build(path: Path, rows: int) -> dict[str, float]:
    """Measure `identity build` of a CSV file without line breaks in quotes, the start of Spark included.

    Args:
        path: the file.
        rows: how many rows it has.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        output = Path(folder) / "built"
        options = ("--option", "multiLine=false", "--conf", f"spark.driver.memory={MEMORY}")
        command = [sys.executable, "-m", "identity_adapters", "build", str(path), "--output", str(output)]
        started = time.monotonic()
        peak = 0
        worked: dict[int, float] = {}
        with subprocess.Popen(
            [*command, *options, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                peak = max(peak, _measure(process.pid, worked))
                time.sleep(0.5)
            seconds = time.monotonic() - started
            assert process.stdout is not None
            summary = process.stdout.read()
        if process.returncode != 0 or json.loads(summary)["read"] != rows:
            raise RuntimeError(f"the build failed: {summary!r}")
        size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    worked_seconds = sum(worked.values())
    return {
        "seconds": seconds,
        "CPU seconds": worked_seconds,
        "rate": rows / seconds,
        "MB": peak / 2**20,
        "output MB": size / 2**20,
    }


def _measure(pid: int, worked: dict[int, float]) -> int:
    """The memory of a process and its descendants, without what they share; how long each worked is noted."""
    memory = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            times, usage = process.cpu_times(), process.memory_info()
            worked[process.pid] = times.user + times.system
            memory += usage.rss - getattr(usage, "shared", 0)
    except psutil.NoSuchProcess:
        pass
    return memory
