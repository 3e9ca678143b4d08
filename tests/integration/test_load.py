"""Loading identities that were built outside a database."""

import json
import shutil
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from identity_adapters.cli.first_load import load_first, plan_first_load
from identity_adapters.files.batches import to_batches
from identity_adapters.files.built import FORMAT, MANIFEST, VERSION
from identity_adapters.files.sorting import SortedDetails
from identity_adapters.postgres import verify
from identity_core import ContactDetails, RuleSet
from tests.support.databases import connect, new_database, plain
from tests.support.processes import run
from tests.support.recorded import recorded_in

AT = datetime(2001, 1, 1, tzinfo=UTC)
DETAILS = [
    *(ContactDetails(f"{n}@example.org", str(5550000 + n // 2), AT) for n in range(20)),
    *(ContactDetails(f"{2 * n}@example.org", str(5550001 + n), AT) for n in range(9)),
    ContactDetails("3@example.org", None, AT),
    ContactDetails("0@example.org", "5550000"),
]
FOLDERS = {"contacts": "contacts", "contact_evidence": "evidence", "contact_events": "events"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder of the identities that the details come to, in two parts."""
    folder = tmp_path_factory.mktemp("built")
    details = SortedDetails(to_batches(DETAILS))
    plan = plan_first_load(details, RuleSet(), datetime.now(UTC))
    counts = {}
    for table, schema, batches in plan.make_rows(datetime.now(UTC), 1, 1):
        rows = pa.Table.from_batches(batches, schema)
        if name := FOLDERS.get(table) if len(rows) else None:
            (folder / name).mkdir()
            half = len(rows) // 2
            pq.write_table(rows.slice(0, half), folder / name / "part-00000.parquet")
            pq.write_table(rows.slice(half), folder / name / "part-00001.parquet")
            counts[name] = len(rows)
    details.close()
    manifest = {"format": FORMAT, "version": VERSION, "last_id": plan.ids, "counts": counts}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def load(tmp_path, url):
    """Loads a copy of a folder, changed in some way, into a database."""

    def run_it(built, change=lambda folder: None):
        folder = tmp_path / "built"
        shutil.copytree(built, folder)
        change(folder)
        return run("load", "built", "--json", cwd=tmp_path, DB_CONNECTION_STRING=plain(url))

    return run_it


def test_it_is_what_an_import_gives(built, load, url, sql, server, migrated):
    sql("SELECT setval('contacts_id_seq', 70), setval('contact_events_id_seq', 700)")
    done = load(built)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["contacts"] == 20
    other = new_database(server, template=migrated)
    details = SortedDetails(to_batches(DETAILS))
    load_first(other, details, is_dry_run=False)
    details.close()
    with connect(url) as one, connect(other) as another:
        assert recorded_in(one) == recorded_in(another)
    assert sql("SELECT min(id) FROM contacts") == [(71,)]
    assert sql("SELECT min(id) FROM contact_events") == [(701,)]
    assert verify(url) == []
    # New ids do not collide.
    sql("INSERT INTO contacts (email, link_precedence) VALUES ('new@example.org', 'primary')")


def change_manifest(**changes):
    def change(folder):
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(manifest | changes))

    return change


def cut_short(folder):
    path = folder / "contacts" / "part-00001.parquet"
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "has no manifest.json, so it is incomplete"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "its manifest.json cannot be read"),
        (change_manifest(counts=[]), "its manifest.json cannot be read"),
        (change_manifest(version=2), "is of another format, or of another version of it"),
        (change_manifest(last_id=3), "has larger ids than its manifest.json says"),
        (lambda folder: (folder / "events" / "part-00001.parquet").unlink(), "a file is missing"),
        (cut_short, "its file contacts/part-00001.parquet is damaged, or lacks columns"),
        (shutil.rmtree, "has no manifest.json"),
    ],
)
def test_what_is_incomplete_is_not_loaded(built, load, sql, change, reason):
    done = load(built, change)
    assert done.returncode == 2
    assert reason in done.stderr
    assert sql("SELECT count(*) FROM contacts") == [(0,)]


def test_a_database_that_is_not_empty_is_left_alone(built, load, sql):
    sql("INSERT INTO contacts (email, link_precedence) VALUES ('known@example.org', 'primary')")
    done = load(built)
    assert (done.returncode, "the database is not empty" in done.stderr) == (2, True)
    assert sql("SELECT count(*) FROM contacts") == [(1,)]


def test_where_erased_people_are_kept_out_nothing_is_loaded(built, load, sql):
    sql("INSERT INTO contact_suppressions VALUES ('a hash', timezone('UTC', now()) + interval '1 day')")
    done = load(built)
    assert (done.returncode, "erased people are kept out of it" in done.stderr) == (2, True)
    assert sql("SELECT count(*) FROM contacts") == [(0,)]


def test_whose_time_is_over_keeps_nothing_from_being_loaded(built, load, sql):
    sql("INSERT INTO contact_suppressions VALUES ('a hash', timezone('UTC', now()))")
    assert load(built).returncode == 0
    assert sql("SELECT count(*) > 0 FROM contacts") == [(True,)]


def test_where_rules_are_in_force_nothing_is_loaded(built, load, tmp_path, url, sql):
    (tmp_path / "rules.toml").write_text('[blocked]\nemails = ["0@example.org"]\n')
    apply = ("rules", "apply", "rules.toml", "--reason", "a test", "--yes")
    assert run(*apply, cwd=tmp_path, DB_CONNECTION_STRING=plain(url)).returncode == 0
    done = load(built)
    assert (done.returncode, "rules are in force" in done.stderr) == (2, True)
    assert sql("SELECT count(*) FROM contacts") == [(0,)]
