"""What is installed with the library, and what it needs."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def example_of_readme():
    return re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)


def alone(tmp_path, code, *packages):
    """Run code in a Python that has these packages and no other."""
    for package in packages:
        (tmp_path / package).symlink_to(Path(find_spec(package).origin).parent)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )


def test_the_library_needs_attrs_alone(tmp_path):
    assert [re.match(r"\w+", needed).group() for needed in PROJECT["dependencies"]] == ["attrs"]
    done = alone(tmp_path, example_of_readme(), "attr", "attrs", "identity_core", "identity_adapters")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_line_tells_what_it_needs(tmp_path):
    run = "from identity_adapters.__main__ import main; main()"
    done = alone(tmp_path, run, "attr", "attrs", "identity_core", "identity_adapters")
    assert done.returncode == 1
    assert re.fullmatch(
        r"identity: \w+ is not installed; the command line needs"
        r" pip install 'identity-reconciliation\[embedded\]'\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("server", {"domains", "postgres", "server", "embedded", "files", "phonenumbers"}),
        ("image", {"domains", "postgres", "server", "embedded", "phonenumbers", "traces"}),
        ("dev", {"testing", "dev", "embedded", "files", "spark"}),
        ("build", set()),
    ],
)
def test_what_is_installed_is_pinned_by_hash_and_without_addresses(lock, extras):
    pinned = (ROOT / "requirements" / f"{lock}.txt").read_text()
    assert "://" not in pinned
    blocks = re.split(r"\n(?! )", pinned.strip())
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    names = {re.match(r"[\w.-]+", block).group() for block in blocks}
    for extra in extras:
        for needed in PROJECT["optional-dependencies"][extra]:
            name = re.match(r"[\w-]+", needed).group()
            assert name in names | {PROJECT["name"]}


def test_types_and_the_files_of_the_pages_are_installed_too():
    for package in ("identity_core", "identity_adapters"):
        assert (Path(find_spec(package).origin).parent / "py.typed").exists()
    http = Path(find_spec("identity_adapters.http").origin).parent
    assert (http / "assets" / "swagger-ui.css").exists()
    assert (http / "explorer" / "index.html").exists()


def test_each_vendored_file_is_listed_with_its_licence_which_is_in_the_wheel(tmp_path):
    built = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    subprocess.run(built, capture_output=True, check=True, cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    packed = zipfile.ZipFile(wheel)
    folder = "identity_adapters/http/explorer/vendor/"
    names = {name.removeprefix(folder) for name in packed.namelist() if name.startswith(folder)}
    table = re.findall(
        r"^\| `([\w-]+)` \| ([\d.]+) \| [\w-]+, `([\w.-]+)` \|$",
        packed.read(f"{folder}README.md").decode(),
        re.MULTILINE,
    )
    assert names == {"README.md"} | {f"{module}.min.js" for module, _, _ in table} | {
        name for _, _, name in table
    }
    for module, version, name in table:
        head = packed.read(f"{folder}{module}.min.js").decode().partition("\n")[0]
        assert head.startswith(f"// https://d3js.org/{module}/ v{version} Copyright")
        for holder in re.findall(r"\d{4} ([A-Z][\w ]+)", head):
            assert holder in packed.read(f"{folder}{name}").decode()
    assert {path.name for path in (ROOT / "src" / folder).iterdir()} == names


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install programs")
def test_programs_that_tests_need_are_installed_if_they_are_missing_and_can_be(tmp_path):
    """Whatever apt-get says and however it ends, it is quiet, and goes on."""
    (tmp_path / "java").touch(mode=0o755)
    (tmp_path / "chromium").touch(mode=0o755)
    (tmp_path / "pgbouncer").touch(mode=0o755)
    apt_get = tmp_path / "apt-get"
    apt_get.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked; echo from a host; echo to it >&2; exit 1\n'
    )
    apt_get.chmod(0o755)

    def installs():
        done = subprocess.run(
            [shutil.which("bash"), ROOT / ".ci" / "programs"],
            env={"PATH": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        asked = tmp_path / "asked"
        return done.stdout, done.stderr, asked.read_text().splitlines() if asked.exists() else []

    assert installs() == ("", "", [])
    (tmp_path / "java").unlink()
    said, warned, asked = installs()
    assert (said, warned) == ("", "not installed: default-jre-headless\n")
    assert [line.split()[-1] for line in asked] == ["update", "default-jre-headless"]
    apt_get.unlink()
    assert installs()[:2] == ("", "not installed: default-jre-headless\n")
