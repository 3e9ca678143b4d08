"""Files read in columns give what they give row by row."""

import csv
import gzip
import io
import json
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from identity_adapters.container import compose_make_details
from identity_adapters.files import lines, reading
from identity_adapters.files.batches import read_batches, to_batches, to_details
from identity_adapters.files.details import parse_rows
from identity_adapters.files.reading import read_blocks, read_rows
from identity_adapters.files.row import Columns, FileUnusable
from identity_adapters.files.split import split_lines
from identity_core.testing import batches as batches_of_details
from identity_core.testing import moments

NAMES = ["email", "phone", "time"]

EMAILS = st.sampled_from(
    ["a@x", "A.b+c@X.example", " a@x", "", " ", "a@@x", "@x", "a@", "no email", "a b@x", "\u00fc@x",
     "A\u0308@x", "a@xn--mller-kva.example", "a@XN--mller-kva.example", "a@m\u00fcller.example", "\u212a@x",
     "a\u200b@x", "a\0@x", "\ufeffa@x", "x" * 252 + "@x1", "x" * 253 + "@x1", "x" * 254 + "@x1"]
) | st.text(max_size=8)  # fmt: skip
PHONE_NUMBERS = st.sampled_from(
    ["1", "+1", "", "+", "++1", "1+", "(650) 253-0000", "6502530000", "+442070313000", "\u0661", "1a", " 1 ",
     "1" * 20, "1" * 21, "+" + "1" * 19, "+" + "1" * 20, "1\n"]
) | st.text("+0123456789 -", max_size=8)  # fmt: skip
TIMES = st.one_of(
    st.sampled_from(
        ["", " ", "never", "1240572600", "1240572600000", "1512011512345", "20200101", "1e300", "nan",
         "2020-W01-1", "2020-01-01t10:00", "2020-01-01T24:00", "2020-02-30", "2020-01-01 10:00:00+00:00:30",
         " 2020-01-01 ", "2020-01-01T10:00:00,5", "0000-01-01", "9999-12-31T23:59:59.999999-00:01",
         "0001-01-01T00:00+00:01", "2020-01-01T10:00:00.1234567"]
    ),
    st.datetimes().map(str),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.dates().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.from_regex(
        r"\A\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{0,7})?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?\Z",
        alphabet="0123456789-:TZ+. ",
    ),
)  # fmt: skip


def by_rows(path, make_details, **options):
    rejected = []
    rows = read_rows(path, Columns(), **options)
    return list(parse_rows(path, rows, make_details, rejected.append)), rejected


def by_batches(path, region, **options):
    rejected = []
    batches = read_batches(
        path,
        Columns(),
        make_details=compose_make_details(region),
        reject=rejected.append,
        keeps_digits=region is None,
        **options,
    )
    return [one for batch in batches for one in to_details(batch)], rejected


@contextmanager
def blocks_of(size):
    """Files are read in blocks of about so many bytes."""
    with mock.patch.object(lines, "BLOCK", size), mock.patch.object(reading, "CHUNK", max(1, size // 3)):
        yield


def assert_equal(content, region=None, block=lines.BLOCK, **options):
    """A file of this content gives the same by rows and by batches, whatever the size of its blocks."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "a"
        path.write_bytes(content)
        try:
            expected = by_rows(str(path), compose_make_details(region), **options)
        except FileUnusable as error:
            expected = error.reason
        stack.enter_context(blocks_of(block))
        try:
            found = by_batches(str(path), region, **options)
        except FileUnusable as error:
            found = error.reason
    assert found == expected


@st.composite
def written(draw):
    """Files as programs write them, well formed for the most part."""
    text = io.StringIO(newline="")
    delimiter = draw(st.sampled_from(",;\t|"))
    writer = csv.writer(
        text,
        delimiter=delimiter,
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
    )
    writer.writerow(["id", *NAMES, "note"])
    notes = st.sampled_from(["", "note", 'a "note"', f"a{delimiter}b", "two\nlines", 1])
    rows = st.tuples(st.integers(0, 9), EMAILS, PHONE_NUMBERS, TIMES, notes)
    writer.writerows(draw(st.lists(rows, max_size=20)))
    return text.getvalue().encode("utf-8", "surrogatepass")


PIECES = st.sampled_from(
    [b"a@x", b"A@x", b"1", b",", b",", b",", b'"', b'"', b"\n", b"\n", b"\n", b"\r\n", b"\r", b"", b" ",
     b"\0", b"\xff", b"\xc3", b"\xc3\xbc@x", b"\xef\xbb\xbf", b"2020-01-01", b"2020-01-01T00:00:00+01:00",
     b"a@x,1,2020-01-01\n", b'"a@x","1","2020-01-01"\n', b'"a@x","",""\r\n', b"x" * 50]
)  # fmt: skip


@settings(deadline=None)
@given(written(), st.sampled_from([None, "US"]), st.integers(1, 200), st.sampled_from(["utf-8", "latin-1"]))
def test_files_of_programs_give_the_same_in_columns_as_by_rows(content, region, block, encoding):
    assert_equal(content, region, block, encoding=encoding)


@settings(deadline=None, max_examples=200)
@given(st.lists(PIECES, max_size=40), st.sampled_from([None, "US"]), st.integers(1, 100))
@example([b'"a@x","1","2020'], None, 10)
@example([b'"a,"@x,1,\n', b'a",'], None, 100)
def test_broken_files_give_the_same_in_columns_as_by_rows(pieces, region, block):
    assert_equal(b"email,phone,time\n" + b"".join(pieces), region, block)


@settings(deadline=None)
@given(
    st.lists(PIECES, max_size=20),
    st.integers(1, 100),
    st.sampled_from(["utf-16", "utf-8-sig", "ascii", "shift_jis"]),
)
def test_other_encodings_give_the_same_in_columns_as_by_rows(pieces, block, encoding):
    text = (b"email,phone,time\n" + b"".join(pieces)).decode(errors="replace")
    assert_equal(text.encode(encoding, "replace"), None, block, encoding=encoding)


# JSON Lines and Parquet

NUMBERS = (
    st.integers(-2, 10**22) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "email": EMAILS | NUMBERS,
        "phone": PHONE_NUMBERS | NUMBERS,
        "time": TIMES | NUMBERS | st.just([1]),
    },
)


@settings(deadline=None)
@given(st.lists(OBJECTS | st.just("no object"), max_size=20), st.sampled_from([None, "US"]))
def test_json_lines_give_the_same_in_columns_as_by_rows(objects, region):
    assert_equal(b"\n".join(json.dumps(one).encode() for one in [{"phone": 1}, *objects]), region)


BINARY = EMAILS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.sampled_from(
    [b"\xff", b"x" * 10_001]
)
MICROSECONDS = st.none() | st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-(10**17), 10**18)
COLUMNS_OF_PARQUET = {
    "email": [(EMAILS | st.none(), pa.string()), (BINARY, pa.binary()), (st.none(), pa.null())],
    "phone": [
        (PHONE_NUMBERS | st.none(), pa.string()),
        (st.none() | st.integers(-1, 2**62), pa.int64()),
        (st.integers(0, 99), pa.uint8()),
        (st.none() | st.floats(allow_nan=False), pa.float64()),
    ],
    "time": [
        (TIMES, pa.string()),
        (MICROSECONDS, pa.timestamp("us")),
        (MICROSECONDS, pa.timestamp("us", "Europe/Vienna")),
        (st.none() | st.integers(-(2**31), 2**31 - 1), pa.date32()),
        (st.none() | st.integers(0, 2**40), pa.int64()),
        (st.floats(allow_nan=False), pa.float64()),
    ],
}


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 12))
    arrays = {}
    for name, kinds in COLUMNS_OF_PARQUET.items():
        values, type_ = draw(st.sampled_from(kinds))
        drawn = draw(st.lists(values, min_size=rows, max_size=rows))
        plain = {pa.date32(): pa.int32()}.get(type_, pa.int64() if pa.types.is_timestamp(type_) else type_)
        arrays[name] = pa.array(drawn, plain).cast(type_)
    return pa.table(arrays)


@settings(deadline=None, max_examples=50)
@given(tables(), st.sampled_from([None, "US"]))
def test_parquet_gives_the_same_in_columns_as_by_rows(table, region):
    stream = io.BytesIO()
    pq.write_table(table, stream)
    assert_equal(stream.getvalue(), region)


# The parts


def split_by_python(text, width):
    """The rows of a text; None if one of them is invalid."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error:
        return None
    return rows if all(len(row) == width for _, row in rows) else None


@pytest.mark.parametrize("width", [1, 2])
def test_pyarrow_splits_lines_as_python_does_or_not_at_all(width):
    split = 0
    for length in range(1, 6):
        for characters in product('a,"\n' + "\r" * (length < 6), repeat=length):
            text = "".join(characters)
            block = split_lines(text.encode(), 1, ",", width, [*range(width), *[None] * (3 - width)])
            if block is not None:
                columns = [column.to_pylist() for column in block.columns[:width]]
                rows = [(line, list(row)) for line, *row in zip(block.lines, *columns, strict=True)]
                assert rows == split_by_python(text, width), text
                split += 1
    assert split > 200


@pytest.mark.parametrize(
    "text",
    ["a,1\n\nb,2", "a,1\r\nb,2\r\n", '"a","1"\n', '"",""\r\n\r\n"b","2"\r\n', '"a",1\nb,"2"', "\u00fc,1\n"],
)
def test_pyarrow_splits_what_programs_usually_write(text):
    assert split_lines(text.encode(), 1, ",", 2, (0, 1, None)) is not None


def test_one_column_may_have_emails_and_phone_numbers(tmp_path):
    (tmp_path / "a").write_text("contact\na@x\n1\n")
    columns = Columns("contact", "contact")
    [block] = read_blocks(str(tmp_path / "a"), columns)
    assert [*block.rows()] == [*read_rows(str(tmp_path / "a"), columns)]


@given(batches_of_details(5, st.none() | moments(), max_size=12))
def test_details_are_the_same_after_conversion_into_batches(details):
    assert [one for batch in to_batches(details) for one in to_details(batch)] == list(details)


def test_all_rows_before_the_first_rejected_one_come_before_it(tmp_path):
    (tmp_path / "a").write_text("email\na@x\nb@x\nbad\nc@x\nbad\nd@x\n")
    seen = []
    for batch in read_batches(
        str(tmp_path / "a"), Columns(), make_details=compose_make_details(None), reject=seen.append
    ):
        seen += batch.column("email").to_pylist()
    assert [getattr(one, "line", one) for one in seen] == ["a@x", "b@x", 4, 6, "c@x", "d@x"]


def test_a_file_that_is_cut_short_gives_what_is_before_and_the_rest_once(tmp_path):
    text = "email\n" + "".join(f"{number * 7919 % 10**5}@x\n" for number in range(10**5))
    (tmp_path / "a").write_bytes(gzip.compress(text.encode())[:-1000])
    found, rejected = by_batches(str(tmp_path / "a"), None)
    assert (found, rejected) == by_rows(str(tmp_path / "a"), compose_make_details(None))
    assert [(one.field, one.line) for one in rejected] == [("file", len(found) + 2)]


def test_empty_lines_between_broken_rows_do_not_make_a_block_larger(tmp_path):
    (tmp_path / "a").write_text("email,phone\n" + 'a"@x,1\n\n' * 100)
    with blocks_of(45):
        blocks = [*read_blocks(str(tmp_path / "a"), Columns())]
    assert max(len(block.lines) for block in blocks) < 10
