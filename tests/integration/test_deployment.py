"""What is there to deploy it with fits what it is."""

import json
import re
from pathlib import Path

import kubernetes_validate
import promql_parser
import pytest
import yaml
from attrs import fields

from identity_adapters.settings import Settings
from tests.integration.processes import service

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
SETTINGS = {field.metadata["variable"] for field in fields(Settings) if field.metadata}


def dashboard():
    return json.loads((DEPLOY / "grafana-dashboard.json").read_text())


def queries():
    """Every query of the dashboard and of the alert rules."""
    groups = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text())["groups"]
    found = [rule["expr"] for group in groups for rule in group["rules"]]
    found += [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [query.replace("$__rate_interval", "5m") for query in found]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployed")
    with service(folder, IDENTITY_DATA_DIR=folder / "data") as one:
        one.identify("a@x")
        yield one


@pytest.mark.parametrize("version", ["1.30", "1.33"])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_the_manifests_are_what_kubernetes_takes(manifest, version):
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_manifests_ask_where_the_service_answers(running):
    deployment, behind, budget = MANIFESTS
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert running.request("GET", container[probe]["httpGet"]["path"])[0] == 200
    assert running.request("GET", pod["metadata"]["annotations"]["prometheus.io/path"])[0] == 200
    labels = pod["metadata"]["labels"].items()
    assert behind["spec"]["selector"].items() <= labels
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    [port] = container["ports"]
    assert port["containerPort"] == Settings().port
    drain = next(int(one["value"]) for one in container["env"] if one["name"] == "IDENTITY_DRAIN")
    ready = container["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] < drain
    assert pod["spec"]["terminationGracePeriodSeconds"] >= drain + 30


@pytest.mark.parametrize(
    "file", ["deploy/kubernetes.yaml", "compose.yaml", "Dockerfile", "docs/how-to/deploy.md", "README.md"]
)
def test_only_settings_that_there_are_are_set(file):
    named = set(re.findall(r"\bIDENTITY_[A-Z_]+\b|\bDB_CONNECTION_STRING\b", (ROOT / file).read_text()))
    assert named <= SETTINGS


@pytest.mark.parametrize("query", queries())
def test_every_query_is_one_of_metrics_that_there_are(running, query):
    names = set()

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            names.add(node.name)
        for part in ("expr", "lhs", "rhs", "vs", "vector_selector"):
            if (child := getattr(node, part, None)) is not None:
                visit(child)
        for child in getattr(node, "args", None) or []:
            visit(child)

    visit(promql_parser.parse(query))
    assert names
    body = running.request("GET", "/metrics")[2].decode()
    told = set(re.findall(r"^# TYPE (\w+)", body, re.MULTILINE))
    for name in names:
        assert re.sub(r"_(bucket|sum|count)$", "", name) in told


def test_the_dashboard_has_one_panel_for_each_thing_and_no_two_overlap():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert all(0 <= x < 24 for x, _ in taken)


def test_the_image_is_made_of_a_lock_and_runs_as_an_ordinary_user():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    [lock] = [line.partition("=")[2] for line in lines if line.startswith("ARG LOCK=")]
    assert (ROOT / "requirements" / f"{lock}.txt").exists()
    assert "--require-hashes" in (ROOT / "Dockerfile").read_text()
    [user] = [line.split()[1] for line in lines if line.startswith("USER ")]
    pod = MANIFESTS[0]["spec"]["template"]["spec"]["securityContext"]
    assert int(user) == pod["runAsUser"] != 0
