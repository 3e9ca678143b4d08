"""Has the examples in docstrings and in the documentation run as tests."""

import os
import re
import shutil
import subprocess
import sys
from doctest import ELLIPSIS
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser
from tests.support.shell import forget_the_shell

# Time says nothing about an example where the machine is busy with something else.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
# What the examples cover must not depend on what is drawn; tracing makes drawing slow.
settings.register_profile("few examples", settings.get_profile("any machine"), max_examples=10)

MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
"""Where the folders of tests are, if so many bytes are free there: a disk proves no more, and is slower."""

UNIT = "tests/unit/"


def pytest_addoption(parser):
    parser.addoption("--nightly", action="store_true", help="run the slow tests at their full size")


def pytest_xdist_auto_num_workers():
    """One more than there are processors, because the slowest tests mostly wait."""
    return 1 + (os.cpu_count() or 1)


def pytest_configure():
    forget_the_shell()
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One process runs all of a file that sets up something for all of it; those of `UNIT` set up nothing.

    xdist has large files begin first. The many tests that take no time come last, one by one, and keep all
    processes busy to the end.
    """
    from xdist.scheduler import LoadScopeScheduling  # who has no xdist needs none

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return nodeid if nodeid.startswith(UNIT) else nodeid.partition("::")[0]

    return Scheduling(config, log)


@pytest.fixture(scope="module")
def documented_service(tmp_path_factory):
    """The service that the examples of a page talk to; it starts when the first one does."""
    from tests.support.processes import service  # tests of the core start no process

    folder = tmp_path_factory.mktemp("documented")
    with service(folder, IDENTITY_DATA_DIR=folder / "data") as running:
        yield running


@cache
def curl_has_json():
    """Whether there is a curl that takes the options which the examples use."""
    curl = shutil.which("curl")
    return curl is not None and b"--json" in subprocess.check_output([curl, "--help", "all"])


def run_console(example):
    """Run each command of a block, and compare what it prints with what follows it."""
    from tests.support.processes import environment

    running = example.namespace["documented_service"]
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    folder = running.log.parent
    for block in re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]:
        command, *lines = block.splitlines()
        while lines and lines[0].startswith("> "):
            command += "\n" + lines.pop(0).removeprefix("> ")
        command = command.replace("localhost:8000", f"127.0.0.1:{running.port}")
        if "curl" in command and not curl_has_json():
            pytest.skip("curl 7.82 or later is not installed")
        done = subprocess.run(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=environment(PATH=programs, IDENTITY_DATA_DIR=folder / "data"),
        )
        assert done.stdout.strip() == "\n".join(lines).strip(), command + done.stderr


evaluated = set()
"""The page and the position of each example that was run in this process."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    """Examples of a page build on each other, but any process may run any of them: run what comes before."""
    if isinstance(item, SybilItem):
        for example in item.example.document.examples():
            place = example.path, example.start
            if example.start < item.example.start and place not in evaluated:
                evaluated.add(place)
                example.evaluate()
        evaluated.add((item.example.path, item.example.start))


docstrings = Sybil(
    parsers=[DocTestParser(ELLIPSIS)],
    path="src",
    patterns=["*.py"],
    document_types={".py": PythonDocStringDocument},
)
pages = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser("console", run_console)],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    fixtures=["documented_service"],
)
pytest_collect_file = (docstrings + pages).pytest()
