"""What is built on Spark is what an import of everything gives."""

import asyncio
import csv
import gzip
import json
import logging
import os
import random
import re
import shutil
from datetime import UTC, datetime, timedelta

import attrs
import networkx as nx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from identity_adapters.container import compose_make_details
from identity_adapters.files.built import TABLES
from identity_adapters.files.details import parse_rows, parse_time
from identity_adapters.files.reading import read_rows
from identity_adapters.files.row import Columns, FileUnusable
from identity_adapters.memory import InMemoryContactRepository
from identity_core import ContactDetails, import_contacts
from identity_core.testing import batches, moments
from tests.support.processes import run

pytest.importorskip(
    "pyspark", reason="pyspark is not installed: pip install 'identity-reconciliation[spark]'"
)
if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
    pytest.skip("Java is not installed, and Spark needs it", allow_module_level=True)

from pyspark.errors import PySparkException

from identity_adapters.spark import OutputExists, build_identities, open_session
from identity_adapters.spark.build import OPTIONS
from identity_adapters.spark.components import find_components
from identity_adapters.spark.folder import Folder
from identity_adapters.spark.histories import InconsistentComponents
from identity_adapters.spark.reading import read_details

pytestmark = pytest.mark.slow

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FIRST = datetime(2015, 1, 1, tzinfo=UTC)

# Few rows are computed sooner than code for them is generated and optimised.
QUICK = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
SMALL = QUICK | {
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "3",
    # So that the few rows of a test are divided like many.
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "64k",
    "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "64k",
    "spark.sql.adaptive.skewJoin.skewedPartitionFactor": "1.5",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
}


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spark")
    # What it has to say when the process ends would go to a stream of pytest's that is closed by then.
    logging.getLogger("py4j").setLevel(logging.WARNING)
    own = {"spark.local.dir": str(folder), "spark.sql.warehouse.dir": str(folder / "warehouse")}
    with open_session("local[2]", SMALL | own) as session:
        yield session


@pytest.fixture(scope="module")
def build(session, tmp_path_factory):
    """Builds the identities of files; the report, and the folder."""

    def build_it(*paths, **options):
        output = tmp_path_factory.mktemp("built") / "output"
        report = build_identities(
            session,
            list(map(str, paths)),
            str(output),
            make_details=compose_make_details(None),
            now=NOW,
            **options,
        )
        return report, output

    return build_it


def write_parquet(path, details):
    schema = pa.schema({"email": pa.string(), "phone_number": pa.string(), "time": pa.timestamp("us", "UTC")})
    rows = [{"email": one.email, "phone_number": one.phone_number, "time": one.seen_at} for one in details]
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def imported(details):
    """Contacts, evidence and events that an import of details gives, with pairs in place of ids."""
    repository = InMemoryContactRepository(clock=lambda: NOW)

    async def in_order():
        for one in sorted(details, key=lambda one: one.seen_at or NOW):
            yield one

    report = asyncio.run(import_contacts(repository, in_order()))
    contacts, evidence = repository._contacts, repository._evidence.values()
    keys = {id: (one.email, one.phone_number) for id, one in contacts.items()}
    keys |= {one.id: one.pair for one in evidence}
    return (
        {keys[id]: (one.created_at, keys.get(one.linked_id)) for id, one in contacts.items()},
        {one.pair: one.seen_at for one in evidence},
        [
            (
                event.kind.value,
                keys[event.primary_id],
                keys.get(event.contact_id),
                keys.get(event.evidence_id),
                [keys[id] for id in event.absorbed_ids],
            )
            for event in repository._events
        ],
    ), report


def read_table(folder, name):
    """The rows of a table, and the part of each id."""
    rows, parts = [], {}
    for path in sorted((folder / name).glob("*.parquet")):
        table = pq.read_table(path)
        assert table.schema.remove_metadata().names == TABLES[name].names
        assert table.schema.types == TABLES[name].types
        rows += table.to_pylist()
        parts |= dict.fromkeys(table["id"].to_pylist(), path.name.split("-")[1])
    return sorted(rows, key=lambda row: row["id"]), parts


def built(folder):
    """The same as `imported`, of what was built."""
    (contacts, contact_parts), (evidence, evidence_parts), (events, event_parts) = (
        read_table(folder, name) for name in TABLES
    )
    keys = {row["id"]: (row["email"], row["phone_number"]) for row in contacts + evidence}
    assert len(keys) == len(contacts) + len(evidence) == len(events)
    for row in contacts:
        assert row["link_precedence"] == ("primary" if row["linked_id"] is None else "secondary")
        assert row["updated_at"] == NOW.replace(tzinfo=None)
        assert contact_parts[row["id"]] == contact_parts[row["linked_id"] or row["id"]]
    for row in events:
        assert row["happened_at"] == NOW.replace(tzinfo=None)
        assert row["id"] == (row["contact_id"] or row["evidence_id"])
        parts = contact_parts if row["contact_id"] else evidence_parts
        assert event_parts[row["id"]] == parts[row["id"]] == contact_parts[row["primary_id"]]
    return (
        {
            keys[row["id"]]: (row["created_at"].replace(tzinfo=UTC), keys.get(row["linked_id"]))
            for row in contacts
        },
        {keys[row["id"]]: row["seen_at"].replace(tzinfo=UTC) for row in evidence},
        [
            (
                row["kind"],
                keys[row["primary_id"]],
                keys.get(row["contact_id"]),
                keys.get(row["evidence_id"]),
                [keys[id] for id in row["absorbed_ids"]],
            )
            for row in events
        ],
    )


def check(build, details, *paths):
    """Check that building files is importing the details that they hold."""
    report, folder = build(*paths)
    expected, counts = imported(details)
    assert built(folder) == expected
    for name in ("read", "created", "linked", "merged", "corroborated", "known"):
        assert getattr(report, name) == getattr(counts, name), name
    assert report.rejected == 0
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {*TABLES, "manifest.json"}
    return folder


def set_apart(histories):
    """One history of many, by values of their own."""
    return [
        ContactDetails(
            one.email and f"{number}.{one.email}",
            one.phone_number and f"{number}{one.phone_number}",
            one.seen_at,
        )
        for number, history in enumerate(histories)
        for one in history
    ]


# The result is that of an import


@settings(max_examples=1, phases=[Phase.generate])
@given(
    histories=st.lists(batches(4, st.none() | moments(4)), min_size=200, max_size=200),
    shuffled=st.randoms(use_true_random=False),
)
def test_many_small_histories_come_to_what_importing_them_comes_to(
    build, tmp_path_factory, histories, shuffled
):
    details = set_apart(histories)
    shuffled.shuffle(details)
    check(build, details, write_parquet(tmp_path_factory.mktemp("input") / "all.parquet", details))


def test_real_orders_come_to_what_importing_them_comes_to(build, orders):
    with orders.open(newline="") as file:
        details = [
            ContactDetails(row["email"], row["phoneNumber"], parse_time(row["createdAt"]))
            for row in csv.DictReader(file)
        ]
    check(build, details, orders)


def test_long_chains_and_values_that_very_many_share_come_to_what_importing_them_comes_to(
    build, tmp_path, size
):
    draw = random.Random(5)
    links = size(300, 20_000)
    partners = size(3_000, 200_000)
    chain = [(f"{n}@chain", str(n + shift)) for n in range(links) for shift in (0, 1)]
    star = [("all@star", f"7{n:07}") for n in range(partners)]
    # Two stars that merge late, and a value of each that comes with one of the other.
    late = [(f"{n}@late", "800") for n in range(300)] + [(f"{n}@later", "801") for n in range(300)]
    pairs = [(pair, FIRST + timedelta(minutes=draw.randrange(5_000))) for pair in chain + star + late]
    pairs += [((f"{n}@late", "801"), FIRST + timedelta(minutes=6_000 + n)) for n in range(3)]
    draw.shuffle(pairs)
    details = [ContactDetails(*pair, at) for pair, at in pairs]
    check(build, details, write_parquet(tmp_path / "all.parquet", details))


def test_components_of_graphs_of_every_shape_are_found(session, tmp_path):
    graphs = [
        nx.path_graph(300),
        nx.star_graph(300),
        nx.cycle_graph(100),
        nx.balanced_tree(3, 4),
        nx.complete_bipartite_graph(3, 40),
        nx.gnm_random_graph(300, 200, seed=1),
        nx.caveman_graph(5, 5),
    ]
    graph = nx.disjoint_union_all(graphs)
    labels = [*range(1, len(graph) + 1)]
    random.Random(3).shuffle(labels)
    graph = nx.relabel_nodes(graph, dict(enumerate(labels)))
    edges = [(max(edge), min(edge)) for edge in graph.edges]
    found = find_components(
        session.createDataFrame(edges, "node long, smaller long"), Folder(session, str(tmp_path))
    )
    assert sorted(map(tuple, found.collect())) == sorted(
        (node, min(component))
        for component in nx.connected_components(graph)
        for node in component - {min(component)}
    )


# Rows are read as an import reads them

MESSY = [
    ("Doc@HillValley.EDU ", "+1 (555) 01-23", "2009-04-24T13:30:00+02:00"),
    ("anna@xn--mller-kva.example", "", "2009-04-24 11:30"),
    ("Anna@Müller。example", "", "1240572600"),
    ("İΣ@ΟΔΟΣ.org", "٣٤٥", "1240572600000"),
    ("e\N{COMBINING ACUTE ACCENT}@x.org", "\N{FULLWIDTH PLUS SIGN}49", "0001-01-01"),
    ("soft\N{SOFT HYPHEN}@x.org", "1", ""),
    ("a@x.org", "12²", ""),
    ("no email", "1", ""),
    ("", " ", ""),
    ("a@x.org", "1" * 21, ""),
    ("a@x.org", "1", "yesterday"),
    ("a@x.org", "1", "9999-12-31T23:59:59-01:00"),
    ('"q"@x.org', "", ""),
    ("", "555", "9999-12-31"),
]

JSON_LINES = [
    *(json.dumps({"email": e, "phoneNumber": p, "createdAt": at}) for e, p, at in MESSY),
    *('{"email": "a@x.org"}', '{"phone": 123}', '{"phone": -1}', '{"phone": 1.5}', '{"phone": true}'),
    *('{"phone": 12345678901234567890}', '{"phone": ["1"]}', '{"email": 1, "phone": "1"}', '{"date": 1}'),
    *('{"email": "a@x.org", "Email": "b@x.org"}', '{"email": null, "time": 1240572600, "tel": 7}'),
    *("[1]", "{", "", '{"email": "\\ud800@x.org"}', '{"email": "a@x.org", "date": [1]}'),
]


def read_as_import(path):
    """Details as an import reads them, and the fields and reasons of what it rejects."""
    rejected = []
    rows = read_rows(str(path), Columns())
    details = [*parse_rows(str(path), rows, compose_make_details(None), rejected.append)]
    return (
        [(one.email, one.phone_number, one.seen_at or NOW) for one in details],
        [summarize(one.field, one.reason) for one in rejected],
    )


def summarize(field, reason):
    """What is wrong; of a row that is not text or has not the right fields, only that it is unreadable."""
    unreadable = ("UTF-8", "encoding", "lone surrogates", "JSON", "fields")
    return "unreadable" if any(word in reason for word in unreadable) else (field, reason)


def read_on_spark(session, *paths, **options):
    rows = read_details(session, [*map(str, paths)], Columns(), compose_make_details(None), NOW, **options)
    details = rows.where("field IS NULL").orderBy("position").select("email", "phone_number", "seen_at")
    rejected = rows.where("field IS NOT NULL").orderBy("file", "row").select("field", "reason")
    return (
        [tuple(row.values()) for row in details.toArrow().to_pylist()],
        [summarize(**row) for row in rejected.toArrow().to_pylist()],
    )


@pytest.fixture(scope="module")
def reader(session):
    """A session whose times are in UTC, as the build sets it, and that divides files."""
    reader = session.newSession()
    for name, value in OPTIONS.items():
        reader.conf.set(name, value)
    reader.conf.set("spark.sql.files.maxPartitionBytes", "4096")
    return reader


def test_csv_is_read_as_an_import_reads_it(reader, tmp_path):
    path = tmp_path / "orders.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "E-mail", "phoneNumber", "note", "createdAt"))
        for number, (email, phone_number, at) in enumerate(MESSY):
            writer.writerow((number, email, phone_number, 'a "quoted"\nline break', at))
        file.write("\n7,few@x.org,1\n8,many@x.org,1,,2009-04-24,9\n")
    with path.open("ab") as file:
        file.write(b"9,\xff@x.org,1,,\n10,last@x.org,1,,\n")
    assert read_on_spark(reader, path) == read_as_import(path)


def test_json_lines_are_read_as_an_import_reads_them(reader, tmp_path):
    path = tmp_path / "orders.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join(JSON_LINES))
    with gzip.open(path, "ab") as file:
        file.write(b'\n{"email": "\xff@x.org"}\n')
    assert read_on_spark(reader, path) == read_as_import(path)


def test_parquet_is_read_as_an_import_reads_it(reader, tmp_path):
    times = [FIRST, None, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
    expected = []
    for number, (name, type) in enumerate(
        {
            "date": pa.date32(),
            "time": pa.timestamp("us", "UTC"),
            "seen_at": pa.timestamp("us"),
            "created": pa.timestamp("ms", "Europe/Berlin"),
            "created_at": pa.string(),
        }.items()
    ):
        columns = {
            "mail": pa.array([b"Doc@x.org", b"\xff@x.org", None, b""], pa.binary()),
            "phone.number": pa.array(["x"] * 4),
            "tel": pa.array([1, 2, -3, None], (pa.int32(), pa.int64())[number % 2]),
            name: pa.array([None if at is None else at.isoformat() for at in times])
            if type == pa.string()
            else pa.array(times, pa.timestamp("us", "UTC")).cast(type),
        }
        path = tmp_path / f"{number} ü.parquet"
        pq.write_table(pa.table(columns), path)
        expected.append(read_as_import(path))
        assert read_on_spark(reader, path) == expected[-1]
    # Several paths, each with columns of its own.
    paths = sorted(tmp_path.iterdir())
    assert read_on_spark(reader, *paths) == tuple(map(sum, zip(*expected, strict=True), ([], [])))


def test_rows_have_the_order_of_paths_names_and_lines_however_files_are_divided(reader, tmp_path):
    names = [f"{name}@x.org" for name in range(4_000)]
    for file, part in {"b/2": names[:1], "a/10": names[1:2_000], "a/9 ü": names[2_000:]}.items():
        path = tmp_path / f"{file}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("email,createdAt\n" + "".join(f"{name},2009-04-24\n" for name in part))
    details, _ = read_on_spark(reader, tmp_path / "b", tmp_path / "a", options={"multiLine": "false"})
    assert [email for email, _, _ in details] == names


def test_a_path_that_cannot_be_used_is_rejected_with_the_reason(reader, tmp_path):
    for name, text, reason in [
        (
            "a",
            "-",
            "must end in .csv, .tsv, .txt, .json, .jsonl, .ndjson, .parquet, or --format must say what it is",
        ),
        ("b.csv", "name\nDoc\n", "must have a column of emails or phone numbers with a usual name; name it"),
        ("folder", None, "has no file, or only empty ones"),
        ("nothing", None, "does not exist or cannot be read"),
    ]:
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        elif name == "folder":
            path.mkdir()
        with pytest.raises(FileUnusable) as error:
            read_on_spark(reader, path)
        assert error.value.reason == reason
    (tmp_path / "b.jsonl").write_text("{}")
    with pytest.raises(FileUnusable, match="has files of several formats"):
        read_on_spark(reader, tmp_path)


# The output


def test_rejected_rows_are_listed_and_counted(build, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("email,phone\na@x.org,1\nnobody,1\na@x.org,letters\n")
    report, folder = build(path)
    assert (report.read, report.created, report.rejected) == (3, 1, 2)
    rows = []
    for part in (folder / "rejected").glob("*.csv"):
        with part.open(newline="") as file:
            rows += [*csv.DictReader(file)]
    assert [(row["row"], row["field"], row["reason"]) for row in rows] == [
        ("2", "email", "must have exactly one @ between two non-empty parts"),
        ("3", "phone_number", "must not have letters"),
    ]
    assert all(row["file"].endswith("orders.csv") for row in rows)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["format"], manifest["version"], manifest["last_id"]) == ("identity-tables", 1, 1)
    assert datetime.fromisoformat(manifest["now"]) == NOW
    assert manifest["counts"] == attrs.asdict(report)


def test_the_output_is_readable_by_its_owner_alone_and_never_overwritten(build, session, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("email\na@x.org\n")
    _, folder = build(path)
    for file in [folder, *folder.rglob("*")]:
        assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(OutputExists):
        build_identities(session, [str(path)], str(folder), make_details=ContactDetails, now=NOW)
    assert (folder / "manifest.json").exists()


def test_a_build_that_fails_leaves_nothing_behind(session, tmp_path):
    def fail(email, phone_number):
        raise RuntimeError

    path = tmp_path / "orders.csv"
    path.write_text("email\na@x.org\n")
    with pytest.raises(PySparkException):
        build_identities(session, [str(path)], str(tmp_path / "output"), make_details=fail, now=NOW)
    assert [*tmp_path.iterdir()] == [path]


def test_identities_that_were_put_together_are_noticed(build, session, tmp_path, monkeypatch):
    wrong = session.createDataFrame([(2, 1)], "node long, smaller long")
    monkeypatch.setattr("identity_adapters.spark.build.find_components", lambda edges, work: wrong)
    path = tmp_path / "orders.csv"
    path.write_text("email\na@x.org\nb@x.org\n")
    with pytest.raises(InconsistentComponents):
        build(path)


# The command


def test_the_command_builds_and_tells_what_it_built(tmp_path):
    (tmp_path / "orders.csv").write_text("mail address,phone\nDoc@x.org,555-0123\nemmett@x.org,5550123\nx,\n")
    arguments = ["build", "orders.csv", "--output", "built", "--email", "mail address"]
    settings = QUICK | {"spark.sql.shuffle.partitions": "2"}
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    done = run(*arguments, "--master", "local[2]", *options, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1, done.stderr
    assert re.findall(r"^ +(\d+)  (.*)$", done.stdout, re.MULTILINE) == [
        ("3", "rows read"),
        ("1", "new identities"),
        ("1", "contacts added to an identity"),
        ("0", "rows that merged several identities"),
        ("0", "rows that confirmed an identity"),
        ("0", "rows that were already known"),
        ("1", "rows rejected"),
    ]
    assert done.stdout.endswith("built/rejected lists the rejected rows with the reasons.\n")
    contacts, _ = read_table(tmp_path / "built", "contacts")
    assert [row["email"] for row in contacts] == ["doc@x.org", "emmett@x.org"]
    assert {path.name for path in tmp_path.iterdir()} == {"orders.csv", "built"}


def test_the_command_says_that_java_is_missing(tmp_path):
    done = run("build", "orders.csv", "--output", "built", cwd=tmp_path, PATH="")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Java is not installed; Spark needs Java 17 or later" in done.stderr
