"""What the documentation lists is complete."""

import inspect
import re
from pathlib import Path

import pytest

import identity_adapters.postgres
import identity_core
import identity_core.testing

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def files_on_the_map(package):
    """The paths that the map of modules lists, by the indentation of its lines."""
    page = (DOCS / "explanation" / "how-it-is-built.md").read_text()
    [section] = re.findall(rf"^src/{package}/ .*\n((?: +.*\n)+)", page, re.MULTILINE)
    folders = []
    for line in section.splitlines():
        indentation, name = re.match(r"((?:    )+)(\S+) ", line).groups()
        del folders[len(indentation) // 4 - 1 :]
        yield "".join([*folders, name])
        folders.append(name)


@pytest.mark.parametrize("package", ["identity_core", "identity_adapters"])
def test_every_module_and_folder_is_on_the_map_and_nothing_else(package):
    root = ROOT / "src" / package
    modules = {path.relative_to(root) for path in root.rglob("*.py") if "versions" not in path.parts}
    folders = {f"{path.as_posix()}/" for module in modules for path in module.parents} - {"./"}
    expected = folders | {path.as_posix() for path in modules if path.name != "__init__.py"}
    assert sorted(files_on_the_map(package)) == sorted(expected)


@pytest.mark.parametrize(
    "package",
    [identity_core, identity_core.testing, identity_adapters.postgres],
    ids=lambda one: one.__name__,
)
def test_every_public_name_is_on_the_page_of_the_library(package):
    code = " ".join(re.findall(r"`[^`]+`", (DOCS / "reference" / "library.md").read_text()))
    assert [name for name in package.__all__ if not re.search(rf"\b{name}\b", code)] == []


@pytest.mark.parametrize("package", [identity_core, identity_adapters.postgres], ids=lambda one: one.__name__)
def test_functions_are_called_as_the_page_of_the_library_says(package):
    page = (DOCS / "reference" / "library.md").read_text()
    [section] = re.findall(rf"^## `{package.__name__}`\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    called = re.findall(r"`(\w+)\(([\w, ]*)\)`", section)
    assert len(called) > 5
    for name, arguments in called:
        parameters = list(inspect.signature(getattr(package, name)).parameters)
        assert parameters[: len(arguments.split(", "))] == arguments.split(", "), name


@pytest.mark.parametrize(
    "port",
    [identity_core.ContactRepository, identity_core.IdentityReader, identity_core.ChangeFeed],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize(
    "page", ["explanation/how-it-is-built.md", "how-to/use-the-library.md", "reference/library.md"]
)
def test_the_methods_of_each_port_are_named_wherever_the_ports_are_described(port, page):
    code = " ".join(re.findall(r"`([^`\n]+)`", (DOCS / page).read_text()))
    methods = {name for name in dir(port) if not name.startswith("_")}
    assert methods
    assert {port.__name__, *methods} <= set(re.findall(r"\w+", code))


def test_every_test_that_the_documentation_names_exists():
    sources = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "src/identity_core/testing").rglob("*.py")]
    existing = {path.name for path in sources}
    for path in sources:
        existing.update(re.findall(r"def (test_\w+)", path.read_text()))
    text = "".join(path.read_text() for path in DOCS.rglob("*.md"))
    named = set(re.findall(r"\btest_\w+(?:\.py)?", text))
    assert len(named) > 5
    assert named <= existing
