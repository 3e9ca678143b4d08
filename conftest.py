"""Has the examples in docstrings and in the documentation run as tests."""

import subprocess
from doctest import ELLIPSIS

import pytest
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser
from tests.integration.processes import service


def pytest_addoption(parser):
    parser.addoption("--nightly", action="store_true", help="run the slow tests at their full size")


@pytest.fixture(scope="module")
def documented_service(tmp_path_factory):
    """The service that the examples of a page talk to; it starts when the first one does."""
    folder = tmp_path_factory.mktemp("documented")
    with service(folder, IDENTITY_DATA_DIR=folder / "data") as running:
        yield running


def run_console(example):
    """Run each command of a block, and compare what it prints with what follows it."""
    running = example.namespace["documented_service"]
    for block in example.parsed.strip().split("$ ")[1:]:
        command, _, expected = block.partition("\n")
        command = command.replace("localhost:8000", f"127.0.0.1:{running.port}")
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert done.stdout.strip() == expected.strip(), command


docstrings = Sybil(
    parsers=[DocTestParser(ELLIPSIS)],
    patterns=["src/**/*.py"],
    document_types={".py": PythonDocStringDocument},
)
pages = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser("console", run_console)],
    patterns=["README.md", "docs/**/*.md"],
    fixtures=["documented_service"],
)
pytest_collect_file = (docstrings + pages).pytest()
