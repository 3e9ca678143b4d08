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


@pytest.mark.parametrize("package", ["identity_core", "identity_adapters"])
def test_every_module_is_on_the_map_and_nothing_else(package):
    page = (DOCS / "explanation" / "how-it-is-built.md").read_text()
    [section] = re.findall(rf"^src/{package}/.*\n((?: +.*\n)+)", page, re.MULTILINE)
    listed = re.findall(r"(?<=[ ])\w+(?:\.py|/)(?=[ \n])", section)
    folder = ROOT / "src" / package
    modules = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    assert sorted(listed) == sorted(modules | folders)


@pytest.mark.parametrize(
    "package",
    [identity_core, identity_core.testing, identity_adapters.postgres],
    ids=lambda one: one.__name__,
)
def test_every_public_name_is_on_the_page_of_the_library(package):
    code = " ".join(re.findall(r"`[^`]+`", (DOCS / "reference" / "library.md").read_text()))
    assert [name for name in package.__all__ if not re.search(rf"\b{name}\b", code)] == []


def test_functions_are_called_as_the_page_of_the_library_says():
    page = (DOCS / "reference" / "library.md").read_text()
    called = re.findall(r"`(\w+)\(([\w, ]*)\)`", page.partition("**`identity_core.testing`**")[0])
    assert len(called) > 5
    for name, arguments in called:
        parameters = list(inspect.signature(getattr(identity_core, name)).parameters)
        assert parameters[: len(arguments.split(", "))] == arguments.split(", "), name


def test_the_methods_of_the_port_are_named_wherever_it_is_described():
    port = identity_core.ContactRepository
    methods = {name for name, member in vars(port).items() if callable(member) and not name.startswith("_")}
    assert len(methods) > 2
    for page in ("explanation/how-it-is-built.md", "how-to/use-the-library.md", "reference/library.md"):
        words = set(re.findall(r"\w+", (DOCS / page).read_text()))
        assert methods <= words, page
