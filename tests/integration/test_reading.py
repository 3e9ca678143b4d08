"""Rows out of files, whatever the files hold."""

import gzip
import json
import random
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity_adapters.files import delimited, json_lines, lines, split
from identity_adapters.files.details import parse_rows
from identity_adapters.files.lines import MAX_ROW
from identity_adapters.files.parquet import MAX_FIELD, MAX_FOOTER
from identity_adapters.files.reading import find_files, read_rows
from identity_adapters.files.row import MAX_COLUMNS, Columns, FileUnusable, Rejected
from identity_core import ContactDetails

TOO_LONG = "has over 1 MiB"


def read(path, content=None, **options):
    """The rows of a file of this content; what is rejected without the file's name."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_rows(str(path), Columns(), **options)
    return [(r.line, r.field, r.reason) if isinstance(r, Rejected) else r for r in found]


def reason(path, content=None, **options):
    """Why a file of this content cannot be used."""
    with pytest.raises(FileUnusable) as caught:
        read(path, content, **options)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return caught.value.reason


@contextmanager
def rows_up_to(size):
    """Rows of text are limited to so many bytes."""
    with ExitStack() as stack:
        for module in (delimited, json_lines, lines, split):
            stack.enter_context(mock.patch.object(module, "MAX_ROW", size))
        yield


@contextmanager
def parquet(table, **options):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        pq.write_table(table, path, **options)
        yield path


# Rows that are too long


@pytest.mark.parametrize("is_json", [False, True])
def test_a_row_that_is_too_long_is_rejected_and_the_others_keep_their_lines(is_json):
    long = st.integers(50_000, 200_000)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.just(0) | long, max_size=12), st.sampled_from(["\n", "\r\n"]), st.booleans())
    def check(lengths, end, ends):
        values = [f"{n}@x{'x' * length}" for n, length in enumerate(lengths)]
        lines = [json.dumps({"email": value}) if is_json else value for value in values]
        if not is_json:
            lines.insert(0, "email")
        expected = [
            (line, value, None, None) if length == 0 else (line, "row", TOO_LONG)
            for line, (value, length) in enumerate(zip(values, lengths, strict=True), start=2 - is_json)
        ]
        content = end.join(lines) + end * ends
        with TemporaryDirectory() as folder, rows_up_to(20_000):
            if lines:
                assert read(Path(folder) / "a", content) == expected

    check()


def test_a_row_of_many_lines_that_is_too_long_is_rejected_up_to_the_line_that_exceeds_it(tmp_path):
    filler = "x" * 99_999 + "\n"
    found = read(tmp_path / "a", f'email,phone\na@x,1\n"{filler * 20}",1\nb@x,2\n')
    assert found[0] == (2, "a@x", "1", None)
    assert found[1] == (3, "row", f"{TOO_LONG}, up to line 13")
    assert [row[0] for row in found[2:]] == [*range(14, 25)][: len(found) - 2]


def test_a_row_of_the_size_of_the_limit_is_read(tmp_path):
    note = "x" * (MAX_ROW - 100)
    assert read(tmp_path / "a", f"email,note\na@x,{note}\n") == [(2, "a@x", None, None)]
    assert read(tmp_path / "b", json.dumps({"email": "a@x", "note": note})) == [(1, "a@x", None, None)]


def test_a_header_that_is_too_long_makes_a_file_unusable(tmp_path):
    assert reason(tmp_path / "a", "email," + "x" * (2 * MAX_ROW)) == "its first line has over 1 MiB"


def test_too_many_columns_make_a_file_unusable(tmp_path):
    names = ["email", *(f"c{number}" for number in range(MAX_COLUMNS))]
    assert reason(tmp_path / "a", ",".join(names)) == "has over 1,000 columns"
    assert read(tmp_path / "b", json.dumps(dict.fromkeys(names))) == [(1, "row", "has over 1,000 columns")]
    with parquet(pa.table({name: ["a@x"] for name in names})) as path:
        assert reason(path) == "has over 1,000 columns"


# Text


def test_two_columns_of_one_name_are_named(tmp_path):
    message = "has two columns called email"
    assert reason(tmp_path / "a", "email,phone,Email\na@x,1,b@x\n") == message
    assert read(tmp_path / "b", '{"email": "a@x", "Email": "b@x"}') == [(1, "row", message)]
    for second in "email", "Email":
        table = pa.Table.from_arrays([pa.array(["a@x"]), pa.array(["b@x"])], ["email", second])
        with parquet(table) as path:
            assert reason(path) == message


def test_columns_that_are_not_used_may_have_one_name(tmp_path):
    assert read(tmp_path / "a", "x,email,x\n1,a@x,2\n") == [(2, "a@x", None, None)]
    table = pa.Table.from_arrays([pa.array([1]), pa.array(["a@x"]), pa.array([2])], ["x", "email", "x"])
    with parquet(table) as path:
        assert read(path) == [(1, "a@x", None, None)]


@given(
    st.binary(max_size=40), st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32", "shift_jis", "ascii"])
)
def test_bytes_that_are_not_of_the_encoding_never_end_a_file(junk, encoding):
    content = "email\na@x\n".encode(encoding) + junk
    with TemporaryDirectory() as folder:
        found = read(Path(folder) / "a", content, encoding=encoding)
    assert found[0] == (2, "a@x", None, None)


def test_utf_16_of_odd_length_costs_the_row_that_it_is_in(tmp_path):
    path = tmp_path / "a"
    path.write_bytes("email\na@x\nb@x".encode("utf-16") + b"c")
    rejected = []
    found = read_rows(str(path), Columns(), encoding="utf-16")
    [details] = parse_rows("a", found, ContactDetails, rejected.append)
    assert details.email == "a@x"
    assert [(one.line, one.field) for one in rejected] == [(3, "email")]


def test_a_file_that_is_damaged_in_its_first_line_is_unusable(tmp_path):
    letters = "".join(random.Random(1).choices("abcdefgh", k=100_000))
    for content in f'{{"email": "{letters}', f"email,{letters}":
        damaged = gzip.compress(content.encode())[:-1000]
        assert reason(tmp_path / "a", damaged) == "cannot be read: it is truncated or damaged"


# Parquet


OPTIONS = st.sampled_from(
    [
        {},
        {"use_dictionary": False},
        {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"},
        {"use_dictionary": False, "column_encoding": "DELTA_LENGTH_BYTE_ARRAY"},
        {"row_group_size": 2, "store_schema": False},
        {"data_page_version": "2.0", "compression": "zstd"},
    ]
)


@settings(deadline=None)
@given(st.lists(st.none() | st.text() | st.sampled_from(["?", "a?b@x"]), max_size=20), OPTIONS)
def test_texts_of_parquet_are_read_as_they_are(texts, options):
    with parquet(pa.table({"email": pa.array(texts, pa.string())}), **options) as path:
        assert read(path) == [(line, text, None, None) for line, text in enumerate(texts, start=1)]


@settings(deadline=None)
@given(st.lists(st.binary() | st.text().map(str.encode), max_size=20), st.booleans(), OPTIONS)
def test_bytes_of_parquet_are_texts_where_they_are_utf_8_and_else_cost_one_row(values, is_text, options):
    array = pa.array(values, pa.binary())
    if is_text:  # what is annotated as text need not be any
        array = pa.Array.from_buffers(pa.string(), len(array), array.buffers())
    with parquet(pa.table({"email": array}), **options) as path:
        found = read(path)
    expected = []
    for line, value in enumerate(values, start=1):
        try:
            expected.append((line, value.decode(), None, None))
        except UnicodeDecodeError:
            expected.append((line, "email", "is not valid UTF-8"))
    assert found == expected


def test_a_field_of_parquet_that_is_too_long_costs_its_row():
    values = ["a@x", "x" * (MAX_FIELD + 1), "x" * MAX_FIELD]
    with parquet(pa.table({"email": values})) as path:
        assert read(path) == [
            (1, "a@x", None, None),
            (2, "email", "has over 10,000 bytes"),
            (3, "x" * MAX_FIELD, None, None),
        ]


@pytest.mark.parametrize("value", [[[1, 2]], [{"x": 1}]])
def test_columns_of_parquet_that_are_nested_are_named(value):
    with parquet(pa.table({"other": value, "email": ["a@x"], "phone": [1]})) as path:
        assert read(path) == [(1, "a@x", 1, None)]
    with parquet(pa.table({"other": value, "email": ["a@x"], "phone": value})) as path:
        assert reason(path) in (
            "its column phone_number is a list; it must be text, a number or a time",
            "its column phone_number is a struct; it must be text, a number or a time",
        )


@pytest.mark.parametrize(
    "name", ["a[1].parquet", "a*.parquet", "a?.parquet", "a{1,b}.parquet", r"a\[1].parquet"]
)
def test_the_name_of_a_parquet_file_is_no_pattern(tmp_path, name):
    pq.write_table(pa.table({"email": ["right@x"]}), tmp_path / name)
    pq.write_table(pa.table({"email": ["wrong@x"]}), tmp_path / "a1.parquet")
    assert read(tmp_path / name) == [(1, "right@x", None, None)]


def test_a_folder_that_looks_like_a_partition_adds_no_column(tmp_path):
    folder = tmp_path / "email=wrong@x"
    folder.mkdir()
    pq.write_table(pa.table({"phone": [1]}), folder / "a.parquet")
    assert read(folder / "a.parquet") == [(1, None, 1, None)]


def test_a_footer_that_is_too_large_makes_a_file_unusable(tmp_path):
    content = b"PAR1" + (MAX_FOOTER + 1).to_bytes(4, "little") + b"PAR1"
    assert reason(tmp_path / "a", content) == "its footer has over 1 MiB; write fewer row groups"


def details_of(times):
    """The times of the rows that a column of Parquet comes to, and the lines of those that are rejected."""
    rejected = []
    emails = [f"{number}@x" for number in range(len(times))]
    with parquet(pa.table({"email": emails, "created_at": times}), use_dictionary=False) as path:
        found = list(parse_rows("a", read_rows(str(path), Columns()), ContactDetails, rejected.append))
    assert {one.field for one in rejected} <= {"created_at"}
    return [one.seen_at and one.seen_at.isoformat() for one in found], [one.line for one in rejected]


@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Vienna"])
def test_a_time_of_parquet_that_cannot_be_costs_its_row(unit, zone):
    one = 10**6 if unit == "us" else 10**9
    numbers = [1577836800 * one + 1, -one, None, -(2**63) + 1, 2**63 - 1, *([2**62] if unit == "us" else [])]
    times = pa.array(numbers, pa.int64()).cast(pa.timestamp(unit, zone))
    fraction = ".000001" if unit == "us" else ""  # nanoseconds are left out
    seen, rejected = details_of(times)
    assert seen == [f"2020-01-01T00:00:00{fraction}+00:00", "1969-12-31T23:59:59+00:00", None]
    assert rejected == list(range(4, len(numbers) + 1))


def test_a_date_of_parquet_that_cannot_be_costs_its_row():
    days = pa.array([18262, None, 2**31 - 1, -(2**31), 3_000_000], pa.int32()).cast(pa.date32())
    assert details_of(days) == (["2020-01-01T00:00:00+00:00", None], [3, 4, 5])


# Folders


def test_links_in_a_folder_are_read_only_if_they_are_to_be(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "outside.csv").write_text("email\noutside@x\n")
    (folder / "a.csv").write_text("email\na@x\n")
    (folder / "b.csv").symlink_to(tmp_path / "outside.csv")
    (folder / "c.csv").symlink_to(tmp_path)
    (folder / "d.csv").symlink_to(tmp_path / "nowhere")
    a, b = str(folder / "a.csv"), str(folder / "b.csv")
    assert find_files([str(folder)]) == ([a], [b])
    assert find_files([str(folder)], follow_links=True) == ([a, b], [])
    assert find_files([b]) == ([b], [])
    (tmp_path / "link").symlink_to(folder)
    assert find_files([str(tmp_path / "link")]) == (
        [str(tmp_path / "link" / "a.csv")],
        [str(tmp_path / "link" / "b.csv")],
    )
    (folder / "a.csv").unlink()
    with pytest.raises(FileUnusable, match="except symbolic links"):
        find_files([str(folder)])
