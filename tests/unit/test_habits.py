"""A person and CI do the same."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_ci_installs_and_tests_as_the_readme_says():
    [command] = re.findall(
        r"^### Test it\n+```sh\n(.+)\n```$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    install, _, test = command.rpartition(" && ")
    assert install in lines
    assert lines[-1] == test


def test_the_workflow_runs_all_of_it_on_every_python_that_the_package_is_for():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["ci"]
    supported = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert job["strategy"]["matrix"]["python"] == supported
    assert job["steps"][-1] == {"run": ".ci/run"}


def test_every_example_in_a_docstring_or_on_a_page_runs(request):
    examples = request.config.pluginmanager.get_plugin(str(ROOT / "conftest.py"))
    modules = [path for path in (ROOT / "src").rglob("*.py") if ">>> " in path.read_text()]
    pages = [path for path in ROOT.glob("docs/**/*.md") if "```python" in path.read_text()]
    assert len(modules) > 10
    assert [path for path in modules if not examples.docstrings.should_parse(path)] == []
    assert [path for path in pages if not examples.pages.should_parse(path)] == []
