"""Years of orders out of files, and everything into files again."""

import asyncio
import csv
import gzip
import io
import json
import random
import re
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain, count

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity_adapters.files.batches import to_batches
from identity_adapters.files.lines import MAX_ROW
from identity_adapters.files.sorting import SortedDetails
from identity_adapters.postgres import migrate, verify
from identity_adapters.times import parse_time
from identity_core import ContactDetails, IdentifyContacts, import_contacts
from identity_core.testing import batches, moments
from identity_core.testing import components as model
from tests.support.clients import Load, components, partition
from tests.support.databases import connect, emptied_repository_on, new_database, plain
from tests.support.processes import environment, run, service, start
from tests.support.waiting import PATIENCE, wait_until

HEAD = "email,phoneNumber,createdAt\n"
FIRST = datetime(2015, 1, 1, tzinfo=UTC)


@pytest.fixture
def command(tmp_path, url):
    """Runs the command line on the database of the test; the exit code and what it wrote."""

    def run_it(*arguments, expect=0, **options):
        done = run(*map(str, arguments), cwd=tmp_path, DB_CONNECTION_STRING=plain(url), **options)
        assert "Traceback" not in done.stderr
        assert done.returncode == expect, done.stderr
        return done

    return run_it


@pytest.fixture
def imports(command, tmp_path):
    """Imports a file of this content; the summary, and what was rejected."""

    def run_it(content, *options, name="orders.csv", expect=0):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        done = command("import", name, "--json", *options, expect=expect)
        return json.loads(done.stdout), rejected(tmp_path)

    return run_it


def rejected(folder):
    path = folder / "rejected.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    path.unlink()
    return [(int(row["line"]), row["field"], row["reason"]) for row in rows]


def identities_of(sql):
    """Each identity: the date and details of its primary, all emails and phone numbers in their order."""
    rows = sql(
        "SELECT coalesce(linked_id, id), email, phone_number, created_at"
        " FROM contacts ORDER BY created_at, id"
    )
    found = {}
    for primary, email, phone_number, created_at in rows:
        _, emails, phone_numbers = found.setdefault(primary, ((created_at, email, phone_number), {}, {}))
        emails.setdefault(email)
        phone_numbers.setdefault(phone_number)
    return sorted(
        (str(first), [e for e in emails if e], [p for p in phone_numbers if p])
        for first, emails, phone_numbers in found.values()
    )


def made_orders(number, seed=7):
    """Orders in no order, of customers that come back, with times of their own."""
    draw = random.Random(seed)
    rows = []
    for _ in range(number):
        customer = int(draw.paretovariate(0.7)) % (number // 4)
        email = f"{customer}.{draw.randrange(3)}@example.org"
        phone_number = str(10**9 + 10 * customer + draw.randrange(3))
        if draw.random() < 0.01:
            phone_number = str(10**9 + 10 * draw.randrange(number // 4))
        kept = draw.random()
        seen_at = FIRST + timedelta(minutes=draw.randrange(10**6))
        rows.append((email if kept > 0.1 else "", phone_number if kept < 0.9 else "", seen_at.isoformat()))
    return rows


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("email", "phoneNumber", "createdAt"), *rows])


# The result is that of the live path


def test_real_orders_come_to_what_posting_them_comes_to(orders, command, sql, server, url):
    done = command("import", orders, "--json")
    with orders.open(newline="") as file:
        rows = [
            (row["email"] or None, row["phoneNumber"] or None, row["createdAt"])
            for row in csv.DictReader(file)
        ]
    assert json.loads(done.stdout)["read"] == len(rows)
    other = new_database(server)
    migrate(other)
    in_order = sorted(rows, key=lambda row: parse_time(row[2]))

    async def post():
        async with emptied_repository_on(other) as repository:
            identify = IdentifyContacts(repository)
            for start in range(0, len(in_order), 100):
                await identify.many(
                    [ContactDetails(e, p, parse_time(at)) for e, p, at in in_order[start : start + 100]]
                )

    asyncio.run(post())
    with connect(other) as connection:
        assert identities_of(sql) == identities_of(lambda query: connection.execute(query).fetchall())
    assert partition(url)[0] == components([row[:2] for row in rows])
    assert verify(url) == []


class Interrupted(Exception):
    pass


async def import_interrupted(repository, details, live, at_once, stops_after):
    """Import details while others identify theirs; it is interrupted, and run again."""

    async def rows():
        for number, one in enumerate(in_order):
            if number % at_once == 0:
                await IdentifyContacts(repository).many(live)
            yield one

    def stop(report):
        if report.read >= stops_after:
            raise Interrupted

    with closing(SortedDetails(to_batches(details))) as in_order:
        try:
            await import_contacts(repository, rows(), batch_size=at_once, on_progress=stop)
        except Interrupted:
            await import_contacts(repository, rows(), batch_size=at_once)


def test_any_rows_in_any_order_and_any_runs_come_to_what_a_model_says(url):
    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(batches(5, st.none() | moments(), max_size=12), min_size=1, max_size=3),
        batches(5, max_size=3),
        st.integers(1, 13),
        st.integers(0, 12),
    )
    def check(runs, live, at_once, stops_after):
        async def body():
            async with emptied_repository_on(url) as repository:
                for run_ in runs:
                    await import_interrupted(repository, run_, live, at_once, stops_after)
                return await repository.load(everything)

        rows = [*chain.from_iterable(runs)]
        everything = [*rows, *(live if rows else ())]  # others identify theirs between rows
        identities = asyncio.run(body()).identities
        parts = [frozenset(v for c in identity for v in c.key if v is not None) for identity in identities]
        assert set(parts) == model(everything)
        assert len(parts) == len(set(parts))
        for part, (primary, *_) in zip(parts, identities, strict=True):
            of_part = [one for one in everything if part & {*one.key} and one.seen_at is not None]
            if of_part:
                first = min(one.seen_at for one in of_part)
                assert primary.created_at == first
                assert primary.key in {one.key for one in of_part if one.seen_at == first}
        assert verify(url) == []

    check()


def test_rows_of_equal_times_keep_their_order_and_come_once():
    early, late = FIRST, FIRST + timedelta(days=1)
    rows = [("c@x", late), ("a@x", None), ("b@x", early), ("z@x", None), ("a@x", early), ("b@x", late)]
    rows += [("c@x", early)]
    details = [ContactDetails(email, None, at) for email, at in rows]
    with closing(SortedDetails(to_batches(details))) as in_order:
        assert [(one.email, one.seen_at) for one in in_order] == [
            ("b@x", early), ("a@x", early), ("c@x", early), ("z@x", None)
        ]  # fmt: skip
        assert (in_order.read, len(in_order)) == (7, 4)


def test_rows_are_sorted_unless_they_are_to_be_taken_as_they_come(command, tmp_path, sql):
    (tmp_path / "new.csv").write_text(f"{HEAD}new@x,1,2020-01-02\nold@x,1,2020-01-01\n")
    command("import", "new.csv")
    assert sql("SELECT email FROM contacts ORDER BY id") == [("old@x",), ("new@x",)]
    (tmp_path / "other.csv").write_text(f"{HEAD}new@y,2,2020-01-02\nold@y,2,2020-01-01\n")
    assert "in the order of the files" in command("import", "other.csv", "--no-sort").stderr
    assert sql("SELECT email FROM contacts WHERE linked_id IS NULL ORDER BY id DESC LIMIT 1") == [("old@y",)]


# What files may look like


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", HEAD + "Doc@x,555-1,2020-01-01T01:00:00+01:00\n"),
        ("bom.csv", "\ufeff" + HEAD + "doc@x,5551,2020-01-01\n"),
        ("names.csv", "Phone ,E-Mail,Created At\n5551,doc@x,2020-01-01 00:00:00\n"),
        ("semicolon.csv", 'name;email;phone;created\n"Doc; ""E""\nBrown";doc@x;5551;1577836800\n'),
        ("tab.tsv", "email\tmobile\ttimestamp\r\ndoc@x\t5551\t1577836800000\r\n\r\n"),
        ("json.jsonl", '{"email": "doc@x", "phoneNumber": 5551, "createdAt": 1577836800}\n\n'),
        ("bom.jsonl", '\ufeff{"phone": "5551", "email": "doc@x", "created_at": "2020-01-01T00:00:00Z"}'),
        ("a.csv.gz", gzip.compress(f"{HEAD}doc@x,5551,2020-01-01\n".encode(), mtime=0)),
        ("a.csv.zst", pa.compress(f"{HEAD}doc@x,5551,2020-01-01\n".encode(), "zstd", asbytes=True)),
        ("a.jsonl.gz", gzip.compress(b'{"email": "doc@x", "phone": "5551", "date": "2020-01-01"}', mtime=0)),
    ],
)
def test_files_of_many_kinds_say_the_same(imports, sql, name, content):
    summary, rejected = imports(content, name=name)
    assert (summary["created"], rejected) == (1, [])
    assert sql("SELECT email, phone_number, created_at::text FROM contacts") == [
        ("doc@x", "5551", "2020-01-01 00:00:00")
    ]


@pytest.mark.parametrize(
    "times", [pa.timestamp("ms"), pa.timestamp("us", "Europe/Vienna"), pa.date32(), pa.int64()]
)
def test_parquet_says_the_same(command, tmp_path, sql, times):
    at = (
        pa.array([1577836800], pa.int64())
        if times == pa.int64()
        else pa.array([datetime(2020, 1, 1, tzinfo=UTC)]).cast(times)
    )
    pq.write_table(
        pa.table({"x": [1], "email": ["doc@x"], "phone": [5551], "created_at": at}), tmp_path / "a"
    )
    command("import", "a")
    assert sql("SELECT email, phone_number, created_at::text FROM contacts") == [
        ("doc@x", "5551", "2020-01-01 00:00:00")
    ]


def test_columns_are_named_by_options(imports, sql):
    imports(
        "email,contact,number,when\nwrong@x,doc@x,5551,1577836800\n",
        "--email", "contact", "--phone-number", "number", "--created-at", "when",
    )  # fmt: skip
    assert sql("SELECT email, phone_number, extract(year FROM created_at) FROM contacts") == [
        ("doc@x", "5551", 2020)
    ]


def test_rows_without_a_time_are_of_now(imports, sql):
    imports("email\na@x\n")
    imports(f"{HEAD}b@x,,\n")
    assert sql("SELECT count(*) FROM contacts WHERE created_at > now() - interval '1 hour'") == [(2,)]


def test_several_files_a_folder_and_the_standard_input(tmp_path, url, command, sql):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one.csv").write_text("email\na@x\n")
    (folder / "two.jsonl").write_text('{"email": "b@x"}')
    (folder / "readme.md").write_text("not ours")
    (tmp_path / "three.csv").write_text("email\nc@x\n")
    command("import", "folder", "three.csv")
    command("import", "-", input="email\nd@x\n")
    assert sql("SELECT string_agg(email, ' ' ORDER BY email) FROM contacts") == [("a@x b@x c@x d@x",)]


def test_a_region_applies_as_it_does_to_requests(tmp_path, command, sql):
    (tmp_path / "a.csv").write_text("phone\n(202) 456-1111\n")
    command("import", "a.csv", IDENTITY_DEFAULT_REGION="US")
    assert sql("SELECT phone_number FROM contacts") == [("+12024561111",)]


def test_a_domain_is_one_in_files_as_in_requests(tmp_path, command, sql):
    (tmp_path / "a.csv").write_text("email\na@xn--mller-kva.example\na@MÜLLER.example\n", encoding="utf-8")
    command("import", "a.csv")
    assert sql("SELECT email FROM contacts") == [("a@müller.example",)]


# What files may be wrong in


CONTROL = "must not have control characters or lone surrogates"
NO_TIME = "is neither ISO 8601 nor a number of seconds"
LONG = "x" * (MAX_ROW + 20_000)


@pytest.mark.parametrize(
    ("content", "line", "field", "reason"),
    [
        (f"{HEAD}bad,1,\n", 2, "email", "must have exactly one @ between two non-empty parts"),
        (f"{HEAD},abc,\n", 2, "phone_number", "must not have letters"),
        (f"{HEAD},,\n", 2, "details", "must have an email, a phone number or both"),
        (f"{HEAD}a@x,1,yesterday\n", 2, "created_at", NO_TIME),
        (f"{HEAD}a@x,1,1e300\n", 2, "created_at", NO_TIME),
        (f"{HEAD}a@x,1,0001-01-01T00:00:00+14:00\n", 2, "created_at", NO_TIME),
        (f"{HEAD}a@x,1,9999-12-31T23:00:00-14:00\n", 2, "created_at", NO_TIME),
        (f"{HEAD}a@x\n", 2, "row", "has 1 fields instead of 3"),
        (f'{HEAD}"b\n@x",1,\n', 2, "email", CONTROL),
        (f"{HEAD}a@x,1,,,\n", 2, "row", "has 5 fields instead of 3"),
        (f"{HEAD}{LONG}@x,1,\n", 2, "row", "has over 1 MiB"),
        (f"{HEAD}m\u00fcller@x,1,\n".encode("latin-1"), 2, "email", CONTROL),
        (f"{HEAD}nul\0@x,1,\n", 2, "email", CONTROL),
        ('{"phone": 1}\n{"email": true}\n', 2, "email", "must be text"),
        ('{"phone": 1}\n{"phone": -1}\n', 2, "phone_number", "must not be negative"),
        ('{"phone": 1}\n{"phone": 1.5}\n', 2, "phone_number", "must be text or a whole number"),
        ('{"phone": 1}\n{"email": [{}]}\n', 2, "email", "must be text"),
        ('{"phone": 1}\n[1]\n', 2, "row", "is not a JSON object"),
        ('{"phone": 1}\n{"phone": \n', 2, "row", "is not a JSON object"),
        ('{"phone": 1}\n' + "[" * 10_000 + "\n", 2, "row", "is not a JSON object"),
        ('{"phone": 1}\n{"phone": "1", "createdAt": [1]}\n', 2, "created_at", NO_TIME),
    ],
    ids=count(),
)  # fmt: skip
def test_a_bad_row_is_told_by_its_line_and_all_others_are_imported(
    imports, sql, content, line, field, reason
):
    before = content if isinstance(content, bytes) else content.encode()
    good = b'{"email": "good@x"}\n' if before.startswith(b"{") else b"good@x,99,\n"
    summary, found = imports(before + good, expect=1)
    assert found == [(line, field, reason)]
    assert summary["rejected"] == 1
    assert summary["read"] == (3 if before.startswith(b"{") else 2)
    assert ("good@x",) in sql("SELECT email FROM contacts")


def test_a_quote_that_is_never_closed_is_told_with_all_its_lines(imports, sql):
    summary, found = imports(f'{HEAD}good@x,1,\n"a@x,1,\nb@x,2,\nc@x,3,\n', expect=1)
    assert found == [(3, "row", "unexpected end of data, up to line 5")]
    assert summary["created"] == 1


def test_values_are_copied_as_they_are(imports, sql):
    odd = [r"back\slash@x", r"\N@x", r"\.@x", "{a,b}@x", "'q\"@x", "%(a)s@x", "ü\u3000nï@x"]
    emails = sorted(email.lower() for email in [*odd, *(f"{number}@x" for number in range(1000))])
    rows = [[email, ""] for email in emails]
    text = io.StringIO()
    csv.writer(text).writerows([["email", "phone"], *rows])
    summary, found = imports(text.getvalue())
    assert (summary["created"], found) == (len(emails), [])
    assert sorted(email for (email,) in sql("SELECT email FROM contacts")) == emails
    summary, _ = imports(text.getvalue())
    assert summary["known"] == len(emails)


def test_text_in_another_encoding(imports, sql):
    imports(f"{HEAD}m\u00fcller@x,1,\n".encode("latin-1"), "--encoding", "latin-1")
    assert sql("SELECT email FROM contacts") == [("m\u00fcller@x",)]


@pytest.mark.parametrize("compress", [gzip.compress, lambda data: pa.compress(data, "zstd", asbytes=True)])
def test_of_a_file_that_is_cut_short_the_rest_is_told_of(imports, sql, compress):
    rows = [f"{random.Random(n).random()}@x" for n in range(20_000)]
    content = compress("\n".join(["email", *rows]).encode())
    summary, found = imports(content[: len(content) // 2], expect=1)
    [(line, field, reason)] = found
    assert (field, reason) == ("file", "the rest cannot be read: it is truncated or damaged")
    assert summary["rejected_files"] == [{"file": "orders.csv", "line": line, "reason": reason}]
    assert summary["rejected"] == 0
    assert sql("SELECT count(*) FROM contacts") == [(line - 2,)]
    assert summary["created"] == line - 2 > 1000


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", (), "is empty"),
        (b"name,age\nx,1\n", (), "must have a column of emails or phone numbers"),
        (b"mail\na@x\n", ("--email", "email"), "has no column email"),
        (b"email,email\na@x,a@x\n", (), "has two columns called email"),
        (b"PAR1 and then nothing", (), "cannot be read: it is truncated or damaged"),
        (b"\x1f\x8b and then nothing", (), "cannot be read"),
        (b"email,x\na@x,1\n".decode().encode("utf-16"), ("--encoding", "utf-8"), "must have a column of"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_told_of_and_all_others_are_imported(
    command, tmp_path, sql, content, options, message
):
    (tmp_path / "good.csv").write_text("email\ngood@x\n")
    (tmp_path / "file").write_bytes(content)
    alone = command("import", "file", *options, expect=2)
    assert f"file: {message}" in alone.stderr
    assert rejected(tmp_path) == []

    done = command("import", "file", "good.csv", "--json", *options, expect=1)
    summary = json.loads(done.stdout)
    [told] = summary["rejected_files"]
    assert (told["file"], told["line"]) == ("file", 0)
    assert told["reason"].startswith(message)
    assert (summary["read"], summary["created"], summary["rejected"]) == (1, 1, 0)
    assert sql("SELECT email FROM contacts") == [("good@x",)]
    assert rejected(tmp_path) == [(0, "file", told["reason"])]


def test_a_file_that_cannot_be_used_is_named_in_the_summary_or_strictly_ends_the_import(
    command, tmp_path, sql
):
    (tmp_path / "bad.csv").write_text("name\nx\n")
    (tmp_path / "good.csv").write_text("email\ngood@x\n")
    message = "bad.csv: must have a column of emails or phone numbers"
    assert message in command("import", "good.csv", "bad.csv", "--strict", expect=2).stderr
    assert sql("SELECT count(*) FROM contacts") == [(0,)]
    done = command("import", "bad.csv", "good.csv", expect=1)
    assert f"1  files rejected, whole or from a line on:\n{message}" in done.stdout


def test_where_no_file_can_be_used_the_import_did_not_come_to_its_end(command, tmp_path, sql):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.csv").write_text("")
    (folder / "b.csv").write_text("name\nx\n")
    done = command("import", "folder", expect=2)
    assert "none of the 2 files can be used; rejected.csv gives the reasons" in done.stderr
    assert done.stdout == ""
    assert [field for _, field, _ in rejected(tmp_path)] == ["file", "file"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--encoding", "klingon"), "--encoding must be a known text encoding, not klingon"),
        (("--encoding", "hex"), "--encoding must be a known text encoding, not hex"),
        (("--delimiter", "ab"), "--delimiter must be one character"),
        (("--delimiter", '"'), "--delimiter must be one character, and neither a quote"),
    ],
)
def test_options_that_fit_no_file_are_refused(command, tmp_path, sql, options, message):
    (tmp_path / "a.csv").write_text("email\na@x\n")
    assert message in command("import", "a.csv", *options, expect=2).stderr


def test_links_out_of_a_folder_are_read_only_if_they_are_to_be(command, tmp_path, sql):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.csv").write_text("email\na@x\n")
    (tmp_path / "outside.csv").write_text("email\noutside@x\n")
    (folder / "link.csv").symlink_to("../outside.csv")
    assert "Skipped 1 symbolic links; --follow-links reads them." in command("import", "folder").stderr
    assert sql("SELECT email FROM contacts") == [("a@x",)]
    command("import", "folder", "--follow-links")
    assert sql("SELECT count(*) FROM contacts") == [(2,)]


def test_what_an_earlier_import_rejected_is_not_imported_with_the_folder(command, tmp_path, sql):
    (tmp_path / "a.csv").write_text("email\na@x\nbad\n")
    for _ in range(2):
        done = command("import", ".", "--json", expect=1)
        assert json.loads(done.stdout)["rejected_files"] == []


def test_a_file_that_is_not_there_is_told_of(command, tmp_path):
    assert "nowhere.csv: does not exist" in command("import", "nowhere.csv", expect=2).stderr
    (tmp_path / "empty").mkdir()
    assert "empty: has no file that ends in .csv" in command("import", "empty", expect=2).stderr


def test_strictly_nothing_is_written_where_a_row_is_bad(command, tmp_path, sql):
    (tmp_path / "a.csv").write_text("email\ngood@x\nmarked\nalso bad\n")
    done = command("import", "a.csv", "--strict", expect=2)
    assert "a.csv, line 3: email must have exactly one @" in done.stderr
    assert "marked" not in done.stderr + done.stdout
    assert sql("SELECT count(*) FROM contacts") == [(0,)]
    assert rejected(tmp_path) == []


def test_a_full_disk_is_told_of(command, tmp_path):
    (tmp_path / "a.csv").write_text("email\nbad\n" + "bad\n" * 10_000)
    done = command("import", "a.csv", "--rejects", "/dev/full", expect=2)
    assert "the import cannot continue: No space left on device" in done.stderr


def test_a_disk_too_small_for_sorting_is_told_of(command, tmp_path, sql, small_disk):
    write(tmp_path / "a.csv", made_orders(200_000))
    done = command("import", "a.csv", expect=2, TMPDIR=small_disk(megabytes=2))
    assert "the import cannot continue" in done.stderr
    assert sql("SELECT count(*) FROM contacts") == [(0,)]


# Beside others, interrupted, and rehearsed


def test_a_dry_run_foretells_and_writes_nothing(command, tmp_path, sql):
    rows = made_orders(3000)
    write(tmp_path / "first.csv", rows[:1000])
    write(tmp_path / "then.csv", rows)
    command("import", "first.csv")
    count = "SELECT (SELECT count(*) FROM contacts), (SELECT count(*) FROM contact_events)"
    before = sql(count)
    foretold = command("import", "then.csv", "--dry-run", "--json").stdout
    assert "Nothing was written." in command("import", "then.csv", "--dry-run").stdout
    assert sql(count) == before
    assert command("import", "then.csv", "--json").stdout == foretold


RULES = """
[blocked]
emails = ["1.0@example.org"]
phone_numbers = ["*11"]

[limits]
phone_numbers_per_email = 2
emails_per_phone_number = 2
values_per_identity = 5
"""


def test_an_import_and_its_dry_run_apply_the_rules_in_force(command, tmp_path, sql, url):
    rows = made_orders(3000)
    write(tmp_path / "first.csv", rows[:1000])
    write(tmp_path / "then.csv", [*rows, ("1.0@example.org", "", "2020-01-01")])
    (tmp_path / "rules.toml").write_text(RULES)
    command("import", "first.csv")
    command("rules", "apply", "rules.toml", "--reason", "a test", "--yes")
    foretold = command("import", "then.csv", "--dry-run", "--json").stdout
    assert command("import", "then.csv", "--json").stdout == foretold
    summary = json.loads(foretold)
    assert summary["held"] > 10
    assert summary["blocked"] > 1
    assert (
        f"{summary['blocked']:>14,}  rows whose values are all blocked\n"
        in command("import", "then.csv").stdout
    )
    assert sql("SELECT count(*) > 10 FROM contact_evidence WHERE standing = 'blocked'") == [(True,)]
    assert verify(url) == []


def test_killed_and_run_again_it_comes_to_the_same(tmp_path, url, server, size):
    rows = made_orders(size(12_000, 1_000_000))
    write(tmp_path / "orders.csv", rows)
    (tmp_path / "first.csv").write_text(
        "email,date\nfirst@x,2001-01-01\n"
    )  # else all would be written at once
    other = new_database(server)
    for one, file in ((url, "first.csv"), (other, "first.csv"), (other, "orders.csv")):
        assert run("import", file, cwd=tmp_path, DB_CONNECTION_STRING=plain(one)).returncode == 0
    with connect(url) as connection, connect(other) as undisturbed:
        events = "SELECT count(*) FROM contact_events"
        for _ in range(3):
            [before] = connection.execute(events).fetchone()
            process = start("import", "orders.csv", cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
            wait_until(
                lambda before=before, process=process: (
                    process.poll() is not None or connection.execute(events).fetchone()[0] > before
                )
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert run("import", "orders.csv", cwd=tmp_path, DB_CONNECTION_STRING=plain(url)).returncode == 0
        again = run("import", "orders.csv", "--json", cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
        assert json.loads(again.stdout)["known"] == len(rows)
        assert identities_of(lambda query: connection.execute(query).fetchall()) == identities_of(
            lambda query: undisturbed.execute(query).fetchall()
        )
    assert verify(url) == []


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_says_so_and_leaves_nothing_on_disk(tmp_path, url, sql, by):
    early = [(f"{number}@x", "", "2015-01-01") for number in range(10_000)]
    write(tmp_path / "orders.csv", [*early, ("held@x", "1", "2020-01-01")])
    disk = tmp_path / "disk"
    disk.mkdir()
    settings = {"DB_CONNECTION_STRING": plain(url), "TMPDIR": disk}
    # The last row waits for a contact that somebody else holds, so the import cannot end before it is told.
    sql("INSERT INTO contacts (email, phone_number, link_precedence) VALUES ('held@x', '2', 'primary')")
    with connect(url) as other, other.transaction():
        other.execute("SELECT * FROM contacts FOR UPDATE")
        process = start("import", "orders.csv", cwd=tmp_path, stderr=subprocess.PIPE, **settings)
        wait_until(lambda: sql("SELECT count(*) > 1 FROM contacts") == [(True,)])
        assert list(disk.iterdir()) != []
        process.send_signal(by)
        _, said = process.communicate(timeout=PATIENCE)
    assert "interrupted; running the command again completes the import" in said
    assert "Traceback" not in said
    assert process.returncode == 2
    assert list(disk.iterdir()) == []


def test_without_its_packages_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['duckdb'] = None; from identity_adapters.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "import", "a.csv"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "duckdb is not installed; run pip install 'identity-reconciliation[files]'" in done.stderr


def test_beside_live_traffic_it_comes_to_the_components_of_all(tmp_path, url, size):
    rows = made_orders(size(10_000, 500_000))
    write(tmp_path / "orders.csv", rows)
    live = [(email or None, phone_number or None) for email, phone_number, _ in made_orders(2_000, seed=8)]
    live.append(("first@x", None))
    # Into an empty database, all would be written at once.
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO contacts (email, link_precedence) VALUES (%s, 'primary')", [live[-1][0]]
        )
    with service(tmp_path, "--workers", "2", DB_CONNECTION_STRING=plain(url)) as running:
        load = Load([running.port], live, clients=16)
        assert run("import", "orders.csv", cwd=tmp_path, DB_CONNECTION_STRING=plain(url)).returncode == 0
        load.wait()
        assert load.statuses.keys() == {200}
    assert partition(url)[0] == components([*live, *((e or None, p or None) for e, p, _ in rows)])
    assert verify(url) == []


# Memory


MIB = 2**20
MEMORY = 500
"""What an import takes at most, in MB, whatever it reads; so the documentation says."""

TOLD = """
import atexit, sys
from pathlib import Path
from identity_adapters.cli import main
atexit.register(lambda: print(Path("/proc/self/status").read_text(), file=sys.stderr))
main()
"""


def compressed(path, parts):
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
        for part in parts:
            stream.write(part)


def one_long_line(path):
    compressed(path, chain([b"email,phone\n"], [b"x" * MIB] * 600, [b"\n"]))


def a_long_header(path):
    compressed(path, [b"x" * MIB] * 600)


def a_row_of_many_lines(path):
    compressed(path, chain([b"email,phone\n"], [b'"%s\n",' % (b"x" * 100_000)] * 6000))


def long_values(path):
    compressed(path, (b'{"email": "%d%s@x", "phone": "1"}\n' % (n, b"x" * (MIB - 100)) for n in range(600)))


def many_names(path):
    names = ", ".join(f'"{n}": 0' for n in range(900)).encode()
    compressed(path, (b'{"%d%s": 0, %s, "email": 0}\n' % (n, b"x" * 999_000, names) for n in range(600)))


def one_text_in_all_rows_of_parquet(path, **options):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), ["x" * 160_000])
    pq.write_table(pa.table({"email": texts}), path, write_statistics=False, store_schema=False, **options)


def deltas_of_parquet(path):
    one_text_in_all_rows_of_parquet(
        path, use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY", data_page_size=2**31 - 1
    )


def a_large_page_of_parquet(path):
    table = pa.table({"email": ["x" * 600_000_000]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)


def a_large_footer_of_parquet(path):
    # 600,000 column chunks that say nothing, in the compact protocol of Thrift.
    column = b"\x15\x0c\x25\x02\x18\x05email\x25\x00\x00"
    schema = b"\x19\x2c\x48\x04root\x15\x02\x00" + column
    chunks = b"\x19\xfc\xc0\xcf\x24" + b"\x26\x08\x00" * 600_000
    footer = b"\x15\x02" + schema + b"\x16\x02\x19\x1c" + chunks + b"\x16\x00\x16\x02\x00\x00"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")


@pytest.mark.parametrize(
    "attack",
    [
        one_long_line,
        a_long_header,
        a_row_of_many_lines,
        long_values,
        many_names,
        one_text_in_all_rows_of_parquet,
        deltas_of_parquet,
        a_large_page_of_parquet,
        a_large_footer_of_parquet,
    ],
)
def test_a_small_file_that_stands_for_much_takes_no_more_memory_than_any_other(tmp_path, url, sql, attack):
    attack(tmp_path / "attack")
    assert (tmp_path / "attack").stat().st_size < 2 * MIB
    (tmp_path / "good.csv").write_text("email\ngood@x\n")
    done = subprocess.run(
        [sys.executable, "-c", TOLD, "import", "attack", "good.csv"],
        cwd=tmp_path,
        env=environment(DB_CONNECTION_STRING=plain(url)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 1, done.stderr
    assert ("good@x",) in sql("SELECT email FROM contacts")
    [kilobytes] = re.findall(r"VmHWM:\s*(\d+) kB", done.stderr)
    assert int(kilobytes) // 1000 < MEMORY


# Export


@pytest.mark.parametrize("name", ["all.jsonl", "all.csv", "all.csv.gz", "all.parquet"])
def test_what_holds_personal_data_is_its_owners_alone(command, tmp_path, sql, name):
    sql("INSERT INTO contacts (email, link_precedence) VALUES ('a@x', 'primary')")
    (tmp_path / name).touch(0o644)
    command("export", name)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    (tmp_path / "bad.csv").write_text("email\nbad\n")
    (tmp_path / "rejected.csv").touch(0o644)
    command("import", "bad.csv", expect=1)
    assert (tmp_path / "rejected.csv").stat().st_mode & 0o777 == 0o600
    command("import", "bad.csv", "--rejects", "new.csv", expect=1)
    assert (tmp_path / "new.csv").stat().st_mode & 0o777 == 0o600


def test_an_export_is_never_written_through_a_link(command, tmp_path, sql):
    other = tmp_path / "other"
    other.write_text("of somebody else")
    (tmp_path / "all.csv.unfinished").symlink_to(other)
    (tmp_path / "all.jsonl.unfinished").write_text("left by an export that was killed")
    command("export", "all.csv")
    command("export", "all.jsonl")
    assert other.read_text() == "of somebody else"
    assert (tmp_path / "all.csv").read_text().startswith("contactId,")
    assert not (tmp_path / "all.csv").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"all.csv", "all.jsonl", "other"}


@pytest.mark.parametrize("name", ["all.csv", "all.csv.gz", "all.csv.zst", "all.parquet"])
def test_what_was_exported_comes_to_the_same_identities_elsewhere(command, tmp_path, server, sql, name):
    write(tmp_path / "orders.csv", made_orders(3000))
    command("import", "orders.csv")
    assert sql("SELECT count(*) > 0 FROM contact_evidence") == [(True,)]
    done = command("export", name)
    [(contacts,)] = sql("SELECT (SELECT count(*) FROM contacts) + (SELECT count(*) FROM contact_evidence)")
    assert f"{contacts:,} contacts" in done.stderr
    other = new_database(server)
    assert run("import", name, cwd=tmp_path, DB_CONNECTION_STRING=plain(other)).returncode == 0
    with connect(other) as connection:
        assert identities_of(lambda query: connection.execute(query).fetchall()) == identities_of(sql)
    assert {path.name for path in tmp_path.iterdir()} == {name, "orders.csv"}


def test_pairs_that_rules_keep_from_counting_are_exported_only_if_they_are_asked_for(
    command, tmp_path, server, sql
):
    write(tmp_path / "orders.csv", made_orders(3000))
    (tmp_path / "rules.toml").write_text(RULES)
    command("rules", "apply", "rules.toml", "--reason", "a test", "--yes")
    command("import", "orders.csv")
    ignored = sql("SELECT count(*) FROM contact_evidence WHERE standing <> 'counts'")[0][0]
    assert ignored > 20
    counting = int(command("export", "counting.csv").stderr.split()[0].replace(",", ""))
    done = command("export", "all.parquet", "--all-pairs")
    assert int(done.stderr.split()[0].replace(",", "")) == counting + ignored
    for name, rules in [("counting.csv", ""), ("all.parquet", RULES)]:
        (tmp_path / "rules.toml").write_text(rules)
        settings = {"cwd": tmp_path, "DB_CONNECTION_STRING": plain(new_database(server))}
        run("import", "/dev/null", **settings)
        assert run("rules", "apply", "rules.toml", "--reason", "a test", "--yes", **settings).returncode == 0
        assert run("import", name, **settings).returncode == 0
        done = run("export", **settings)
        assert parts_of(done) == parts_of(command("export"))


def parts_of(exported):
    """The values of each exported identity."""
    contacts = [json.loads(line)["contact"] for line in exported.stdout.splitlines()]
    return sorted(sorted(one["emails"] + one["phoneNumbers"]) for one in contacts)


def test_identities_are_exported_as_they_are_answered(command, tmp_path, url):
    write(tmp_path / "orders.csv", made_orders(400))
    command("import", "orders.csv")
    lines = [json.loads(line) for line in command("export").stdout.splitlines()]
    command("export", "all.jsonl")
    assert [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()] == lines
    assert len(lines) > 50
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        for line in lines:
            contact = line["contact"]
            emails, phone_numbers = contact["emails"], contact["phoneNumbers"]
            assert running.identify(*([emails[0]] if emails else [None, phone_numbers[0]])) == contact


def test_what_is_not_linked_straight_is_not_exported_by_halves(command, tmp_path, sql):
    sql(
        "INSERT INTO contacts (id, email, linked_id, link_precedence) VALUES"
        " (1, 'a@x', NULL, 'primary'), (2, 'b@x', 1, 'secondary'), (3, 'c@x', 2, 'secondary')"
    )
    assert "run 'identity verify --repair'" in command("export", "all.csv", expect=1).stderr
    assert list(tmp_path.iterdir()) == []
    assert "cannot be written" in command("export", "no/where.csv", expect=1).stderr
