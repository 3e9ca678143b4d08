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
from tests.support.processes import service

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
KIND = {manifest["kind"]: manifest["spec"] for manifest in MANIFESTS}
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
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
def running(tmp_path_factory, make_database):
    folder = tmp_path_factory.mktemp("deployed")
    with service(folder, DB_CONNECTION_STRING=make_database()) as one:
        one.identify("a@x")
        yield one


@pytest.mark.parametrize("version", ["1.30", "1.33"])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_the_manifests_are_what_kubernetes_takes(manifest, version):
    kubernetes_validate.validate(manifest, version, strict=True)


def test_the_manifests_ask_where_the_service_answers(running):
    pod = KIND["Deployment"]["template"]
    [container] = pod["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert running.request("GET", container[probe]["httpGet"]["path"])[0] == 200
    assert running.request("GET", pod["metadata"]["annotations"]["prometheus.io/path"])[0] == 200
    labels = pod["metadata"]["labels"].items()
    assert KIND["Service"]["selector"].items() <= labels
    assert KIND["PodDisruptionBudget"]["selector"]["matchLabels"].items() <= labels
    [port] = container["ports"]
    assert port["containerPort"] == Settings().port
    drain = next(int(one["value"]) for one in container["env"] if one["name"] == "IDENTITY_DRAIN")
    ready = container["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] < drain
    assert pod["spec"]["terminationGracePeriodSeconds"] >= drain + 30


def test_the_network_policy_lets_in_clients_and_out_to_names_and_the_database_alone():
    policy, pod = KIND["NetworkPolicy"], KIND["Deployment"]["template"]
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    [inwards] = policy["ingress"]
    assert all("podSelector" in peer for peer in inwards["from"]), "no namespace is let in whole"
    assert {port["port"] for port in inwards["ports"]} == {pod["spec"]["containers"][0]["ports"][0]["name"]}
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 5432}


def test_each_container_has_its_share_of_the_machine_and_no_more():
    for container in KIND["Deployment"]["template"]["spec"]["containers"]:
        for bound in ("requests", "limits"):
            assert container["resources"][bound].keys() == {"cpu", "memory"}


def test_what_is_published_is_for_this_machine_alone():
    ports = [port for one in COMPOSE["services"].values() for port in one.get("ports", [])]
    for page in PAGES:
        for line in re.findall(r"docker run .*", page.read_text()):
            ports += re.findall(r"(?:-p|--publish)[ =](\S+)", line)
    assert len(ports) > 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_database_of_compose_has_no_password_but_the_one_that_is_set():
    given = [
        value
        for one in COMPOSE["services"].values()
        for name, value in one["environment"].items()
        if "PASSWORD" in name
    ]
    assert len(given) == 2
    assert all(value.startswith("${POSTGRES_PASSWORD:?") for value in given)
    assert not re.search(r"://[^@/]*:[^@/]*@", (ROOT / "compose.yaml").read_text())


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


def test_the_image_is_made_of_locks_and_runs_as_an_ordinary_user():
    [lock] = re.findall(r"^ARG LOCK=(\w+)$", DOCKERFILE, re.MULTILINE)
    assert (ROOT / "requirements" / f"{lock}.txt").exists()
    for installed in re.findall(r"pip .*(?:install|wheel) .*", DOCKERFILE):
        locked = "--require-hashes" in installed
        assert locked or "--no-build-isolation" in installed or "--no-index" in installed, installed
    [user] = re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    pod = KIND["Deployment"]["template"]["spec"]["securityContext"]
    assert int(user) == pod["runAsUser"] != 0


def test_every_image_can_be_named_by_its_digest():
    """Of what others publish a tag is only the default."""
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(stages) == {"${PYTHON}"}
    assert COMPOSE["services"]["identity"]["build"]["args"].keys() == {"PYTHON"}
    names = [*COMPOSE["services"]["identity"]["build"]["args"].values()]
    names += [one["image"] for one in COMPOSE["services"].values() if "image" in one]
    page = (DEPLOY.parent / "docs" / "how-to" / "deploy.md").read_text()
    for name in names:
        [variable] = re.findall(r"^\$\{(\w+):-[^}]+\}$", name)
        assert f"{variable}=" in page


def test_the_locks_are_one_resolution():
    """What is tested, what is served, and what is in the image have the same versions."""

    def pinned(lock):
        found = {}
        for name, version in re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", lock.read_text(), re.MULTILINE):
            found.setdefault(name, set()).add(version)  # some have one for each version of Python
        return found

    everything = pinned(ROOT / "requirements" / "dev.txt")
    for lock in (ROOT / "requirements").glob("*.txt"):
        others = {name: versions for name, versions in pinned(lock).items() if versions - everything[name]}
        assert others == {}, lock.name
